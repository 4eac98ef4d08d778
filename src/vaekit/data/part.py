"""Some rows of an array that may be too large for memory."""

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
"""Numbers looked at in one go, so that a memory-mapped file is never read whole."""


@dataclass(frozen=True)
class Part:
    """Some rows of an array.

    Args:
        values: the array, shape (n, *event); never copied, so that it may be memory-mapped.
        index: which rows, in order.
        labels: classes of all rows of the array.
        weights: how often each row of the array counts in training; once each by default.
        context: what is given with each row of the array and not modelled, shape (n, ...).
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
        """Shape of one row."""
        return self.values.shape[1:]

    def take(self, start: int, stop: int) -> Values:
        """The given rows themselves, shape (stop − start, *event)."""
        return self.values[self.index[start:stop]]

    def between(self, start: int, stop: int) -> Part:
        """The rows from one position up to another."""
        return replace(self, index=self.index[start:stop])

    def take_context(self) -> Values | None:
        """Return what is given with these rows, as codes."""
        return None if self.context is None else self.context[self.index]

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """All rows in blocks of bounded size, each with the position of its first row."""
        rows = max(1, CHUNK // max(1, math.prod(self.event_shape)))
        for start in range(0, len(self), rows):
            yield start, self.take(start, start + rows)

    def classes(self) -> Values | None:
        """Labels of these rows."""
        return None if self.labels is None else self.labels[self.index]

    def weight(self) -> Values | None:
        """Weights of these rows."""
        return None if self.weights is None else self.weights[self.index]

    def some(self, limit: int, seed: int) -> Part:
        """At most `limit` of the rows, drawn by a seed."""
        if len(self) <= limit:
            return self
        chosen = SeedStream.SUBSET.rng(seed).choice(len(self), limit, replace=False)
        return replace(self, index=self.index[np.sort(chosen)])

    def fingerprint(self) -> str:
        """SHA-256 of shape, type and bytes of the rows, of their weights and of what is given with them."""
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
