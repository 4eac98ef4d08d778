"""Training rows, recognised by their hashes in whatever file they come. Of many rows only the smallest hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data.noise import RowNoise, mix
from vaekit.data.part import Part

MOST_HASHES = 1 << 16
"""Most hashes that are kept, half a megabyte. The rows with the smallest hashes are a random sample of all rows."""
CHANCE = 1e-3
"""Largest probability that new rows of the same distribution are taken for training rows."""

UInt = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class KnownRows:
    """Hashes of training rows.

    Args:
        hashes: hashes of different rows, increasing, shape (k,).
        rows: how many training rows have one of these hashes.
        repeated: how many of these rows have an equal row among the training rows.
        total: the sum of the hashes of all rows of the source, modulo 2⁶⁴; it does not depend on their order.
        dtype: type of the values that are hashed.
    """

    hashes: UInt
    rows: int
    repeated: int
    total: int
    dtype: str

    @classmethod
    def of(cls, train: Part, dtype: str) -> KnownRows:
        """Hash training rows.

        Args:
            train: the training rows; the array behind them holds all rows of the source.
            dtype: type in which values are hashed, whatever type they have.
        """
        hashes = _hashes(replace(train, index=np.arange(len(train.values))), dtype)
        total = int(hashes.sum(dtype=np.uint64))
        found, counts = np.unique(hashes[train.index], return_counts=True)
        found, counts = found[:MOST_HASHES], counts[:MOST_HASHES]
        return cls(found, int(counts.sum()), int(counts[counts > 1].sum()), total, dtype)

    def among(self, rows: Part) -> int:
        """Count the rows that were training rows; 0 if that many equal rows can be chance.

        New rows can equal training rows if there are few different rows. The share of such rows is estimated from the training
        rows that have an equal row. If it explains the count, only the complete source is recognised.

        Args:
            rows: rows encoded as in training.

        Returns:
            Their number, which is an estimate if only some hashes were kept.
        """
        from scipy.stats import betabinom  # slow to import

        hashes = _hashes(rows, self.dtype)
        is_source = int(hashes.sum(dtype=np.uint64)) == self.total
        kept = hashes if len(self.hashes) < MOST_HASHES else hashes[hashes <= self.hashes[-1]]
        different = np.unique(kept)
        equal = int(np.isin(different, self.hashes).sum())
        alike, other = self.repeated + 1, self.rows - self.repeated + 1
        if not equal or (betabinom.sf(equal - 1, len(different), alike, other) > CHANCE and not is_source):
            return 0
        return max(1, round(len(rows) * float(np.isin(kept, self.hashes).mean())))

    def content(self) -> tuple[npt.NDArray[np.int64], dict[str, str]]:
        """Return what is saved: the hashes as signed numbers, and the rest as text."""
        noted = {"rows": self.rows, "repeated": self.repeated, "total": self.total, "dtype": self.dtype}
        return self.hashes.view(np.int64), {key: str(value) for key, value in noted.items()}

    @classmethod
    def read(cls, hashes: npt.NDArray[np.int64], noted: dict[str, str]) -> KnownRows:
        """Read what `content` returned.

        Raises:
            ValueError: if it is damaged.
            KeyError: if a part is missing.
        """
        rows, repeated, total = (int(noted[key][:20]) for key in ("rows", "repeated", "total"))
        unsigned = hashes.view(np.uint64)
        if hashes.ndim != 1 or not 0 <= repeated <= rows < 1 << 53 or not (unsigned[1:] > unsigned[:-1]).all():
            raise ValueError("hashes that do not increase, or impossible numbers of rows")
        return cls(unsigned, rows, repeated, total, str(np.dtype(noted["dtype"])))


def _hashes(rows: Part, dtype: str) -> UInt:
    """Return a hash of 64 bits for each row and its context, shape (n,)."""
    parts = []
    for start, block in rows.blocks():
        hashes = RowNoise(_normalise(block, dtype)).keys
        if (given := rows.crop(start, start + len(block)).take_context()) is not None:
            with np.errstate(over="ignore"):
                hashes = mix(hashes + mix(RowNoise(_normalise(given, "float64")).keys))
        parts.append(hashes)
    return np.concatenate([np.empty(0, np.uint64), *parts])


def _normalise(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Return values in one type, in which zero and missing have one form each."""
    values = values.astype(dtype)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values + 0)
    return values
