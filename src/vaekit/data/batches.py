"""Batches of tensors, a whole batch at a time by one index into resident or memory-mapped rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data.noise import RowNoise, RowStream, SeedStream
from vaekit.data.part import Part
from vaekit.data.tables.arrays import Values
from vaekit.data.transforms import Transform


def to_tensor(rows: Values) -> Tensor:
    """Integers as float32 where that is exact, everything else as float64."""
    small = rows.dtype in (np.uint8, np.int8, np.uint16, np.int16)
    return torch.from_numpy(rows.astype(np.float32 if small else np.float64))


MOST_RESIDENT = 1 << 23
"""Numbers of a part that are kept ready for training."""


class BatchOrder:
    """Which rows make up the batch of each step: a function of the seed and the step, so nothing has to be stored.

    Rows are shuffled anew in each epoch; rows that do not fill a last batch sit the epoch out.

    Args:
        rows: number of training rows.
        batch_size: rows of a batch; at most all.
        seed: decides the order.
        weights: how often each row comes, on average over the epochs, in proportion; by default once in each.

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
        """Positions of the rows of this step, counted from 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(SeedStream.BATCHES.rng(self.seed, epoch))
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]

    def _shuffled(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """All rows in a new order; of weighted ones each as often as it should come, rounded up or down at random."""
        order = rng.permutation(self.rows)
        if self._reached is None:
            return order
        places = (order + rng.random()) / self.rows
        return np.searchsorted(self._reached, places, side="right").clip(max=self.rows - 1)


class Rows:
    """A part of the data as the model sees it.

    Args:
        part: the rows as given.
        transform: from given to seen.
        seed: chooses the noise of evaluation.
        hide: share of the rows of a training batch in which cells are hidden at random (mixed tables only).
    """

    def __init__(self, part: Part, transform: Transform, seed: int = 0, hide: float = 0.0) -> None:
        self.part, self.transform, self.seed, self.hide = part, transform, seed, hide

    def __len__(self) -> int:
        return len(self.part)

    def whole(self, batch: int) -> int:
        """How many rows of a training batch have no hidden cells; they come first."""
        return batch - int(self.hide * batch)

    @cached_property
    def _resident(self) -> Tensor | None:
        """All rows as the model sees them, where that never changes and does not need much memory."""
        still = not self.transform.needs_noise and len(self) * math.prod(self.part.event_shape) <= MOST_RESIDENT
        return self.tensor() if still else None

    def training_batch(self, index: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Rows at these positions with fresh noise, float32, shape (B, *event).

        A transform that asks for fixed noise (fixed binarisation) gets that of evaluation.
        """
        if self._resident is not None:
            return self._hidden(self._resident[index], generator)
        rows = self.part.values[self.part.index[index]]
        if not self.transform.fresh_noise:
            return self._fixed(rows, RowNoise(rows, self.seed))
        x = torch.from_numpy(rows) if rows.dtype == np.uint8 else to_tensor(rows)
        return self._hidden(self.transform.draw(x, generator).float(), generator)

    def _hidden(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Hide cells of the last rows of a batch, so that the model learns any cells from any others."""
        cells = self.transform.cells
        return x if cells is None or not self.hide else cells.hide(x, self.whole(len(x)), generator)

    def context(self, index: npt.NDArray[np.int64] | slice = slice(None)) -> Tensor | None:
        """What is given with rows at these positions, float32, shape (B, ...); None where nothing is."""
        if self.part.context is None:
            return None
        given = self.part.context[self.part.index[index]]
        return self.transform.encode_context(torch.from_numpy(given)).float()

    def blocks(self, size: int) -> Iterator[tuple[Tensor, RowNoise, Tensor | None]]:
        """All rows in order, with their noise and with what is given: (x, noise, context) for `size` rows at a time."""
        for start in range(0, len(self), size):
            rows = self.part.take(start, start + size)
            noise = RowNoise(rows, self.seed)
            yield self._fixed(rows, noise), noise, self.context(slice(start, start + size))

    def tensor(self) -> Tensor:
        """All rows at once, with the noise of evaluation."""
        rows = self.part.take(0, len(self))
        return self._fixed(rows, RowNoise(rows, self.seed))

    def _fixed(self, rows: Values, noise: RowNoise) -> Tensor:
        x = to_tensor(rows)
        uniform = noise.uniform(x.shape[1:], RowStream.TRANSFORM) if self.transform.needs_noise else None
        return self.transform.forward(x, uniform).float()
