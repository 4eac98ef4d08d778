"""Subsets of the rows of an array that may be too large for memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vaekit.data.noise import SeedStream
from vaekit.data.source import Source
from vaekit.data.tables.arrays import Values

CHUNK = 1 << 22
"""Numbers that are read at once, so that a memory-mapped file is never in memory as a whole."""


@dataclass(frozen=True)
class Part:
    """A subset of the rows of an array.

    Args:
        values: the array, shape (n, *event). It is never copied, so it may be memory-mapped.
        index: positions of the rows, in order.
        labels: classes of all rows of the array.
        weights: weight of each row of the array in training; 1 by default.
        context: codes of what is given with each row of the array, shape (n, ...).
    """

    values: Values
    index: npt.NDArray[np.int64]
    labels: Values | None = None
    weights: Values | None = None
    context: Values | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of one row."""
        return self.values.shape[1:]

    def take(self, start: int, stop: int) -> Values:
        """Return the rows from one position up to another, shape (stop − start, *event)."""
        return self.values[self.index[start:stop]]

    def crop(self, start: int, stop: int) -> Part:
        """Return the part that holds the rows from one position up to another."""
        return replace(self, index=self.index[start:stop])

    def take_context(self) -> Values | None:
        """Return the context of these rows."""
        return None if self.context is None else self.context[self.index]

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """Iterate over all rows in blocks of bounded size, each with the position of its first row."""
        rows = max(1, CHUNK // max(1, math.prod(self.event_shape)))
        for start in range(0, len(self), rows):
            yield start, self.take(start, start + rows)

    def classes(self) -> Values | None:
        """Return the labels of these rows."""
        return None if self.labels is None else self.labels[self.index]

    def weight(self) -> Values | None:
        """Return the weights of these rows."""
        return None if self.weights is None else self.weights[self.index]

    def subset(self, limit: int, seed: int) -> Part:
        """Return at most `limit` of the rows, drawn at random by a seed."""
        if len(self) <= limit:
            return self
        chosen = SeedStream.SUBSET.rng(seed).choice(len(self), limit, replace=False)
        return replace(self, index=self.index[np.sort(chosen)])

    def fingerprint(self) -> str:
        """Return the SHA-256 of the shape, type and bytes of the rows, of their weights and of their context."""
        digest = hashlib.sha256(repr((len(self), self.event_shape, str(self.values.dtype))).encode())
        for _, block in self.blocks():
            digest.update(np.ascontiguousarray(block).tobytes())
        for beside in (self.weights, self.context):
            if beside is not None:
                digest.update(beside[self.index].tobytes())
        return digest.hexdigest()


def all_rows(source: Source) -> Part:
    """Return all rows of a source as a part."""
    return Part(source.values, np.arange(len(source.values)), source.labels, source.weights, source.context)
