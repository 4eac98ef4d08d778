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
"""Most numbers that are read at once, so that a memory-mapped file is never completely in memory."""


@dataclass(frozen=True)
class Part:
    """Holds a subset of the rows of an array, without copying the array.

    Args:
        values: the array, shape (n, *event). It is never copied, so it may be memory-mapped.
        index: positions of the rows, in order.
        labels: classes of all rows of the array.
        weights: weight of each row of the array in training; 1 by default.
        context: encoded context (covariates) of each row of the array, shape (n, ...).
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
        """Return the rows at positions start, …, stop − 1 of this part, shape (stop − start, *event)."""
        return self.values[self.index[start:stop]]

    def crop(self, start: int, stop: int) -> Part:
        """Return a smaller part with the rows at positions start, …, stop − 1 of this part."""
        return replace(self, index=self.index[start:stop])

    def take_context(self) -> Values | None:
        """Return the encoded context of the rows in this part, or None if the data have no context."""
        return None if self.context is None else self.context[self.index]

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """Iterate over the rows in this part in blocks of bounded size, as (position of the first row, rows)."""
        rows = max(1, CHUNK // max(1, math.prod(self.event_shape)))
        for start in range(0, len(self), rows):
            yield start, self.take(start, start + rows)

    def classes(self) -> Values | None:
        """Return the labels of the rows in this part, or None if the data have no labels."""
        return None if self.labels is None else self.labels[self.index]

    def weight(self) -> Values | None:
        """Return the training weights of the rows in this part, or None if all are 1."""
        return None if self.weights is None else self.weights[self.index]

    def subset(self, limit: int, seed: int) -> Part:
        """Return a random subset of at most `limit` rows, chosen by a seed."""
        if len(self) <= limit:
            return self
        chosen = SeedStream.SUBSET.rng(seed).choice(len(self), limit, replace=False)
        return replace(self, index=self.index[np.sort(chosen)])

    def fingerprint(self, dtype: str) -> str:
        """Return a SHA-256 hash of the rows, their weights and their context.

        Args:
            dtype: type to which values are converted first, so that the same rows from another file or library have the
                same hash.
        """
        digest = hashlib.sha256(repr((len(self), self.event_shape, dtype)).encode())
        for _, block in self.blocks():
            digest.update(np.ascontiguousarray(normalise(block, dtype)).tobytes())
        for beside in (self.weights, self.context):
            if beside is not None:
                digest.update(beside[self.index].tobytes())
        return digest.hexdigest()


def normalise(values: Values, dtype: str) -> Values:
    """Convert values to a type, so that equal values have equal bytes. Zeros of both signs are equal, as are all NaNs."""
    values = values.astype(dtype)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values + 0)
    return values


def all_rows(source: Source) -> Part:
    """Return a `Part` with all rows of a source."""
    return Part(source.values, np.arange(len(source.values)), source.labels, source.weights, source.context)
