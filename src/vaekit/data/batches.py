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
from vaekit.data.limits import MOST_IN_MEMORY
from vaekit.data.noise import RowNoise, RowStream
from vaekit.data.order import BatchOrder, BlockOrder
from vaekit.data.part import Part
from vaekit.data.tables.arrays import Values
from vaekit.data.tables.blur import blur
from vaekit.data.transforms import Transform
from vaekit.reporters import track


def to_tensor(rows: Values) -> Tensor:
    """Convert an array of rows to a tensor: float32 for integers of at most 16 bits, else float64."""
    small = rows.dtype in (np.uint8, np.int8, np.uint16, np.int16)
    return torch.from_numpy(rows.astype(np.float32 if small else np.float64))


BLOCK = 1 << 20
"""Bytes of neighbouring rows that are shuffled together if all rows are in a large file."""
PIECE = 1 << 18
"""Most numbers that are transformed at once where all rows are wanted: a transform makes several copies of them."""
MOST_RESIDENT = 1 << 23
"""Training rows with at most this many numbers are transformed once and kept in memory."""


def tile_positions(rows: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the positions of rows in tiles of exactly `size`; the last tile is filled up with the last row.

    Examples:
        >>> [tile.tolist() for tile in tile_positions(3, 2)]
        [[0, 1], [2, 2]]
    """
    for start in range(0, rows, size):
        yield np.arange(start, start + size).clip(max=rows - 1)


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

    def order(self, batch_size: int, seed: int) -> BatchOrder:
        """Return the order of training batches; rows in a file that is larger than memory may be are shuffled in blocks.

        Args:
            batch_size: number of rows in a batch.
            seed: decides the order.
        """
        weights, values = self.part.weight(), self.part.values
        row = values.dtype.itemsize * math.prod(self.part.event_shape)
        if weights is None and isinstance(values, np.memmap) and row * len(self) > MOST_IN_MEMORY:
            return BlockOrder(len(self), batch_size, seed, max(1, BLOCK // row), MOST_IN_MEMORY // BLOCK)
        return BatchOrder(len(self), batch_size, seed, weights)

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
            for positions in tile_positions(len(self), size):
                rows = self.part.values[self.part.index[positions]]
                noise = RowNoise(rows, self.seed)
                yield positions, self._fixed(rows, noise), noise, self.context(positions)
                advance(int(positions[-1] - positions[0]) + 1)

    def tensor(self) -> Tensor:
        """Transform all rows with the noise of evaluation, piece by piece, and return them as one tensor."""
        size = max(1, PIECE // max(1, math.prod(self.part.event_shape)))
        pieces = (self.part.take(start, start + size) for start in range(0, max(1, len(self)), size))
        return torch.cat([self._fixed(rows, RowNoise(rows, self.seed)) for rows in pieces])

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
