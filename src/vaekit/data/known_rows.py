"""Recognise training rows by their hashes, whatever file they come in. Of many rows only the smallest hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data.noise import RowNoise, mix
from vaekit.data.part import Part

MOST_HASHES = 1 << 16
"""Half a megabyte; of more different rows those with the smallest hashes are kept, a sample by chance."""
CHANCE = 1e-3
"""How often at most so many of other rows of the same kind would be taken for training rows."""

UInt = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class KnownRows:
    """Hashes of training rows.

    Args:
        hashes: of different rows, in order, shape (k,).
        rows: how many training rows have one of these hashes.
        repeated: how many of them have an equal one among the training rows, as rows that are new have, too.
        total: the sum of the hashes of all rows of the source, modulo 2⁶⁴: it does not depend on their order.
        dtype: of the values that are hashed.
    """

    hashes: UInt
    rows: int
    repeated: int
    total: int
    dtype: str

    @classmethod
    def of(cls, train: Part, dtype: str) -> KnownRows:
        """The hashes of training rows.

        Args:
            train: the rows; its array holds all rows of the source.
            dtype: in which values are hashed, whatever type they come in.
        """
        hashes = _hashes(replace(train, index=np.arange(len(train.values))), dtype)
        total = int(hashes.sum(dtype=np.uint64))
        found, counts = np.unique(hashes[train.index], return_counts=True)
        found, counts = found[:MOST_HASHES], counts[:MOST_HASHES]
        return cls(found, int(counts.sum()), int(counts[counts > 1].sum()), total, dtype)

    def among(self, rows: Part) -> int:
        """How many rows trained; 0 where as many would be equal to training rows by chance.

        Rows that are new can be equal to training rows where there are few different ones. Their share is estimated by that of
        the training rows that have an equal one; where it explains what is found, only the whole source is known again.

        Args:
            rows: codes and numbers as in training.

        Returns:
            Their number, an estimate where only some hashes were kept.
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
        """What is to be kept: the hashes as signed numbers, and the rest."""
        noted = {"rows": self.rows, "repeated": self.repeated, "total": self.total, "dtype": self.dtype}
        return self.hashes.view(np.int64), {key: str(value) for key, value in noted.items()}

    @classmethod
    def read(cls, hashes: npt.NDArray[np.int64], noted: dict[str, str]) -> KnownRows:
        """From what was kept.

        Raises:
            ValueError: if it is not what `content` gives.
            KeyError: if a part is missing.
        """
        rows, repeated, total = (int(noted[key][:20]) for key in ("rows", "repeated", "total"))
        unsigned = hashes.view(np.uint64)
        if hashes.ndim != 1 or not 0 <= repeated <= rows < 1 << 53 or not (unsigned[1:] > unsigned[:-1]).all():
            raise ValueError("hashes that are not in order, or other numbers of rows")
        return cls(unsigned, rows, repeated, total, str(np.dtype(noted["dtype"])))


def _hashes(rows: Part, dtype: str) -> UInt:
    """64 bits of each row and of what is given with it, shape (n,)."""
    parts = []
    for start, block in rows.blocks():
        hashes = RowNoise(_plain(block, dtype)).keys
        if (given := rows.between(start, start + len(block)).take_context()) is not None:
            with np.errstate(over="ignore"):
                hashes = mix(hashes + mix(RowNoise(_plain(given, "float64")).keys))
        parts.append(hashes)
    return np.concatenate([np.empty(0, np.uint64), *parts])


def _plain(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Values of one type, in which zero and missing have one form each."""
    values = values.astype(dtype)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values + 0)
    return values
