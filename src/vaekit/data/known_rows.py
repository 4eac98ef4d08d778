"""The recognition of training rows in any file by their hashes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vaekit.data.noise import RowNoise
from vaekit.data.part import Part, normalise
from vaekit.row_noise import mix

MOST_HASHES = 1 << 16
"""Most hashes that are kept (half a megabyte). The smallest are kept, which belong to a random sample of rows."""
CHANCE = 1e-3
"""Largest probability that new rows from the same distribution are mistaken for training rows."""

UInt = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class KnownRows:
    """Recognises training rows by their hashes.

    Args:
        hashes: the different hashes that are kept, increasing, shape (k,).
        rows: how many training rows have one of these hashes.
        repeated: how many of these rows occur more than once among the training rows.
        total: the sum of the hashes of all rows of the source, modulo 2⁶⁴; it does not depend on their order.
        dtype: type to which values are converted before they are hashed.
    """

    hashes: UInt
    rows: int
    repeated: int
    total: int
    dtype: str

    @classmethod
    def of(cls, train: Part, dtype: str) -> KnownRows:
        """Compute the hashes by which training rows are recognised.

        Args:
            train: the training rows; their array holds all rows of the source.
            dtype: type to which values are converted before they are hashed.
        """
        hashes = _hashes(replace(train, index=np.arange(len(train.values))), dtype)
        total = int(hashes.sum(dtype=np.uint64))
        found, counts = np.unique(hashes[train.index], return_counts=True)
        found, counts = found[:MOST_HASHES], counts[:MOST_HASHES]
        return cls(found, int(counts.sum()), int(counts[counts > 1].sum()), total, dtype)

    def among(self, rows: Part) -> int:
        """Count how many of the new rows are training rows; return 0 if chance can explain the matches.

        New rows can equal training rows by chance if few different rows are possible. The probability is estimated from
        repeated training rows. If it explains the matches, only the complete source is recognised.

        Args:
            rows: rows encoded as in training.

        Returns:
            The number of training rows, an estimate if only some hashes were kept.
        """
        from scipy.stats import betabinom  # slow to import

        hashes = _hashes(rows, self.dtype)
        is_source = int(hashes.sum(dtype=np.uint64)) == self.total
        kept = hashes if len(self.hashes) < MOST_HASHES else hashes[hashes <= self.hashes[-1]]
        different = np.unique(kept)
        equal = int(np.isin(different, self.hashes).sum())
        repeated, single = self.repeated + 1, self.rows - self.repeated + 1
        if not equal or (betabinom.sf(equal - 1, len(different), repeated, single) > CHANCE and not is_source):
            return 0
        return max(1, round(len(rows) * float(np.isin(kept, self.hashes).mean())))

    def content(self) -> tuple[npt.NDArray[np.int64], dict[str, str]]:
        """Return the contents to save: the hashes as signed integers, and all other fields as text."""
        noted = {"rows": self.rows, "repeated": self.repeated, "total": self.total, "dtype": self.dtype}
        return self.hashes.view(np.int64), {key: str(value) for key, value in noted.items()}

    @classmethod
    def read(cls, hashes: npt.NDArray[np.int64], noted: dict[str, str]) -> KnownRows:
        """Restore the hashes of training rows from the saved output of `content`.

        Raises:
            ValueError: if the output is damaged.
            KeyError: if a field is missing.
        """
        rows, repeated, total = (int(noted[key][:20]) for key in ("rows", "repeated", "total"))
        unsigned = hashes.view(np.uint64)
        if hashes.ndim != 1 or not 0 <= repeated <= rows < 1 << 53 or not (unsigned[1:] > unsigned[:-1]).all():
            raise ValueError("hashes that do not increase, or impossible numbers of rows")
        return cls(unsigned, rows, repeated, total, str(np.dtype(noted["dtype"])))


def _hashes(rows: Part, dtype: str) -> UInt:
    """Return a 64-bit hash of each row and its context, shape (n,)."""
    parts = []
    for start, block in rows.blocks():
        hashes = RowNoise(normalise(block, dtype)).keys
        if (given := rows.crop(start, start + len(block)).take_context()) is not None:
            with np.errstate(over="ignore"):
                hashes = mix(hashes + mix(RowNoise(normalise(given, "float64")).keys))
        parts.append(hashes)
    return np.concatenate([np.empty(0, np.uint64), *parts])
