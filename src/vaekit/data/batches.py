"""Batches of rows as tensors, read from memory or from a memory-mapped file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data.batch_noise import BatchNoise, BatchStream
from vaekit.data.noise import RowNoise, RowStream, SeedStream
from vaekit.data.part import Part
from vaekit.data.tables.arrays import Values
from vaekit.data.tables.blur import blur
from vaekit.data.transforms import Transform
from vaekit.reporters import track


def to_tensor(rows: Values) -> Tensor:
    """Convert an array of rows to a tensor: float32 for integers of at most 16 bits, else float64."""
    small = rows.dtype in (np.uint8, np.int8, np.uint16, np.int16)
    return torch.from_numpy(rows.astype(np.float32 if small else np.float64))


MOST_RESIDENT = 1 << 23
"""Training rows with at most this many numbers are transformed once and kept in memory."""


class BatchOrder:
    """Chooses the rows of each training batch from the seed and the step alone, so the order need not be stored.

    Rows are shuffled in each epoch. An incomplete last batch is skipped.

    Args:
        rows: number of training rows.
        batch_size: number of rows in a batch; a larger number means all rows.
        seed: decides the order.
        weights: weight of each row, which is drawn in proportion to it; by default all weights are equal.

    Examples:
        >>> order = BatchOrder(10, 4, seed=0)
        >>> order.steps_per_epoch, sorted(np.concatenate([order.index(0), order.index(1)]))[:2] != []
        (2, True)
    """

    def __init__(self, rows: int, batch_size: int, seed: int, weights: Values | None = None) -> None:
        self.rows, self.batch_size, self.seed = rows, min(batch_size, rows), seed
        self._reached = None if weights is None else np.cumsum(weights) / np.sum(weights)
        self.steps_per_epoch = rows // self.batch_size
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def index(self, step: int) -> npt.NDArray[np.int64]:
        """Return the indices of the rows in the batch of a training step."""
        epoch, positions = self.positions(step)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(SeedStream.BATCHES.rng(self.seed, epoch))
        return self._order[positions]

    def positions(self, step: int) -> tuple[int, npt.NDArray[np.int64]]:
        """Return the epoch of a training step, and the positions of its batch in the order of the epoch."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        return epoch, np.arange(batch * self.batch_size, (batch + 1) * self.batch_size)

    def _shuffled(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return row indices in random order, each repeated in proportion to the row's weight (rounded at random)."""
        order = rng.permutation(self.rows)
        if self._reached is None:
            return order
        positions = (order + rng.random()) / self.rows
        return np.searchsorted(self._reached, positions, side="right").clip(max=self.rows - 1)


class Rows:
    """Transforms rows of data into the tensors that a model is trained and evaluated on.

    Args:
        part: the rows as given.
        transform: the map from data as given to data as the model sees them.
        seed: chooses the noise of evaluation.
        hide: share of the rows in a training batch that have cells hidden at random (mixed tables only).
        blur: standard deviation of the noise added to cells (mixed tables only).
    """

    def __init__(self, part: Part, transform: Transform, seed: int = 0, hide: float = 0.0, blur: float = 0.0) -> None:
        self.part, self.transform, self.seed, self.hide, self.blur = part, transform, seed, hide, blur

    def __len__(self) -> int:
        return len(self.part)

    def unhidden(self, batch: int) -> int:
        """Return the number of rows without hidden cells; these rows come first in a training batch."""
        return batch - int(self.hide * batch)

    @cached_property
    def _resident(self) -> Tensor | None:
        """Return all transformed rows, or None if the transform is random or the rows need too much memory."""
        still = not self.transform.needs_noise and len(self) * math.prod(self.part.event_shape) <= MOST_RESIDENT
        return self.transform.forward(to_tensor(self.part.take(0, len(self)))).float() if still else None

    def read(self, index: npt.NDArray[np.int64]) -> Tensor:
        """Return the rows of a training batch before `prepare`, as they are in every epoch, shape (B, *event)."""
        if self._resident is not None:
            return self._resident[index]
        rows = self.part.values[self.part.index[index]]
        if not self.transform.fresh_noise:
            return self._fixed(rows, RowNoise(rows, self.seed))
        return torch.from_numpy(rows) if rows.dtype == np.uint8 else to_tensor(rows)

    def prepare(self, x: Tensor, noise: BatchNoise, unhidden: int) -> Tensor:
        """Return rows of a training batch as the model sees them, with fresh noise, float32, shape (B, *event).

        Args:
            x: rows from `read`, on any device.
            noise: noise of these rows; fixed binarisation uses the noise of evaluation instead.
            unhidden: number of rows, from the first, in which no cells are hidden.
        """
        if self._resident is None and self.transform.fresh_noise:
            uniform = noise.uniform(x.shape[1:], BatchStream.TRANSFORM) if self.transform.needs_noise else None
            x = self.transform.forward(x if x.is_floating_point() else x.float(), uniform).float()
        x = self._blurred(
            x,
            lambda size: noise.normal((size,), BatchStream.BLUR),
            lambda size: noise.uniform((size,), BatchStream.REPLACE),
        )
        if self.hide and (cells := self.transform.cells) is not None:  # the model learns to predict missing cells
            x = cells.hide(x, unhidden, noise.uniform((1 + len(cells.columns),), BatchStream.HIDE))
        return x

    def context(self, index: npt.NDArray[np.int64] | slice = slice(None)) -> Tensor | None:
        """Return the context (covariates) of selected rows, float32, shape (B, ...); None without a context."""
        if self.part.context is None:
            return None
        given = self.part.context[self.part.index[index]]
        return self.transform.encode_context(torch.from_numpy(given)).float()

    def blocks(self, size: int) -> Iterator[tuple[Tensor, RowNoise, Tensor | None]]:
        """Iterate over the transformed rows in order, in blocks of `size` rows, as (x, noise, context)."""
        with track(len(self)) as advance:
            for start in range(0, len(self), size):
                rows = self.part.take(start, start + size)
                noise = RowNoise(rows, self.seed)
                yield self._fixed(rows, noise), noise, self.context(slice(start, start + size))
                advance(len(rows))

    def tiles(self, size: int) -> Iterator[tuple[npt.NDArray[np.int64], Tensor, RowNoise, Tensor | None]]:
        """Iterate over the rows in tiles of exactly `size` rows, as (positions, x, noise, context).

        The last tile is filled up with copies of the last row, so results must be cut to the number of rows. Tensors of
        one size make a row's result the same bits whatever rows come with it (docs/decisions/tiles.md).
        """
        with track(len(self)) as advance:
            for start in range(0, len(self), size):
                positions = np.arange(start, start + size).clip(max=len(self) - 1)
                rows = self.part.values[self.part.index[positions]]
                noise = RowNoise(rows, self.seed)
                yield positions, self._fixed(rows, noise), noise, self.context(positions)
                advance(min(size, len(self) - start))

    def tensor(self) -> Tensor:
        """Transform all rows with the noise of evaluation, and return them as one tensor."""
        rows = self.part.take(0, len(self))
        return self._fixed(rows, RowNoise(rows, self.seed))

    def _fixed(self, rows: Values, noise: RowNoise) -> Tensor:
        x = to_tensor(rows)
        uniform = noise.uniform(x.shape[1:], RowStream.TRANSFORM) if self.transform.needs_noise else None
        return self._blurred(
            self.transform.forward(x, uniform).float(),
            lambda size: noise.normal((size,), RowStream.BLUR),
            lambda size: noise.uniform((size,), RowStream.REPLACE),
        )

    def _blurred(self, x: Tensor, normal: Callable[[int], Tensor], uniform: Callable[[int], Tensor]) -> Tensor:
        """Return the rows with blurred cells, if rows are to be blurred.

        Args:
            x: slots and measures.
            normal: makes so many normal numbers for each row.
            uniform: makes so many uniform numbers for each row.
        """
        if not self.blur or (cells := self.transform.cells) is None:
            return x
        layout, categories = cells.layout, len(cells.layout.sizes)
        return blur(x, layout, self.blur, normal(layout.slots - categories), uniform(2 * categories).float())
