"""The order of training rows: a function of the seed and the epoch, so that it need not be stored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaekit.data.noise import SeedStream
from vaekit.data.tables.arrays import Values


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
        return self._at(positions)

    def positions(self, step: int) -> tuple[int, npt.NDArray[np.int64]]:
        """Return the epoch of a training step, and the positions of its batch in the order of the epoch."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        return epoch, np.arange(batch * self.batch_size, (batch + 1) * self.batch_size)

    def _at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows at positions of the order of the current epoch."""
        return self._order[positions]

    def _shuffled(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return row indices in random order, each repeated in proportion to the row's weight (rounded at random)."""
        order = rng.permutation(self.rows)
        if self._reached is None:
            return order
        positions = (order + rng.random()) / self.rows
        return np.searchsorted(self._reached, positions, side="right").clip(max=self.rows - 1)


class BlockOrder(BatchOrder):
    """Shuffles rows of a large file so that few parts of it are read at a time.

    In each epoch, blocks of neighbouring rows are shuffled, and then the rows of each `buffer` blocks that follow each other. So
    a batch has rows from `buffer` random places, and memory holds the positions of these rows only.

    Args:
        rows: number of training rows.
        batch_size: number of rows in a batch; a larger number means all rows.
        seed: decides the order.
        block: number of rows in a block.
        buffer: number of blocks whose rows are mixed.

    Examples:
        >>> order = BlockOrder(10, 5, seed=0, block=2, buffer=3)
        >>> sorted(np.concatenate([order.index(0), order.index(1)]).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(self, rows: int, batch_size: int, seed: int, block: int, buffer: int) -> None:
        super().__init__(rows, batch_size, seed)
        self.block, self.buffer = block, buffer
        self._starts = np.empty(0, np.int64)
        self._held, self._mixed = (-1, -1), np.empty(0, np.int64)

    def _shuffled(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return the numbers of the blocks in random order."""
        blocks = rng.permutation(-(-self.rows // self.block))
        ends = np.cumsum(np.minimum((blocks + 1) * self.block, self.rows) - blocks * self.block)
        self._starts = np.concatenate([[0], ends[self.buffer - 1 :: self.buffer]])
        return blocks

    def _at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        buffers = np.searchsorted(self._starts, positions, side="right") - 1
        return np.concatenate(
            [self._mix(number)[positions[buffers == number] - self._starts[number]] for number in np.unique(buffers)]
        )

    def _mix(self, number: int) -> npt.NDArray[np.int64]:
        """Return the rows of the blocks in a buffer in random order."""
        if self._held != (self._epoch, number):
            blocks = self._order[number * self.buffer : (number + 1) * self.buffer]
            rows = (blocks[:, None] * self.block + np.arange(self.block)).ravel()
            rng = SeedStream.BUFFER.rng(self.seed, self._epoch, int(number))
            self._held, self._mixed = (self._epoch, number), rng.permutation(rows[rows < self.rows])
        return self._mixed
