"""How strongly columns hang together, in held-out rows and in generated ones: one measure for all kinds of columns.

Numbers are cut into at most eight bins that hold about equally many held-out cells, and of lists the rarer values are put
together; for a table n_ij of counts with r rows and c columns that are not empty, n in all,

    φ² = Σ_ij (n_ij − e_ij)²/(e_ij n)    with e_ij = n_i· n_·j / n
    V  = √( max(0, φ² − (r−1)(c−1)/(n−1)) / min(r̃ − 1, c̃ − 1) )    with r̃ = r − (r−1)²/(n−1), c̃ likewise

is Cramér's V without its bias: about 0 for independent columns of any number of values, 1 where the one column tells the other.
It has no sign; where both columns have an order, Spearman's rank correlation is looked at as well.

References:
    Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society, 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.report.table_rows import TableRows

Array = npt.NDArray[np.float64]
Bins = npt.NDArray[np.int64]

BINS = 8
"""Of numbers."""
VALUES = 12
"""Of lists, the rarer values together as one of them."""
LEAST_ROWS = 20
"""Rows in which both columns must be there for their association to be told."""


@dataclass(frozen=True)
class Difference:
    """A pair of columns.

    Args:
        pair: which two.
        real: V in held-out rows.
        generated: V in generated rows.
        rank_real: Spearman's correlation in held-out rows; NaN where one of the columns has no order.
        rank_generated: the same in generated rows.
    """

    pair: tuple[int, int]
    real: float
    generated: float
    rank_real: float
    rank_generated: float

    @property
    def gap(self) -> float:
        """By how much V differs."""
        return abs(self.real - self.generated)

    @property
    def size(self) -> float:
        """By how much they differ, in V or in rank correlation."""
        ranks = abs(self.rank_real - self.rank_generated)
        return max(self.gap, 0.0 if math.isnan(ranks) else ranks)


@dataclass(frozen=True)
class Dependence:
    """All pairs of columns.

    Args:
        real: V in held-out rows, shape (C, C), NaN where it cannot be told.
        generated: V in generated rows.
        differences: the pairs of which both can be told, the largest difference first.
        chance: by how much V differs, on average over pairs, between held-out rows and as many training rows.
    """

    real: Array
    generated: Array
    differences: list[Difference]
    chance: float

    @property
    def gap(self) -> float:
        """By how much V differs, on average over pairs, between held-out and generated rows."""
        return sum(d.gap for d in self.differences) / max(1, len(self.differences))


def measure_dependence(rows: TableRows) -> Dependence:
    """Associations of all pairs of columns, held-out and generated."""
    samples = (rows.real, rows.generated, rows.train)
    real, generated, train = (
        association_matrix([cut_up(c, rows.real[:, i], x[:, i]) for i, c in enumerate(rows.columns)]) for x in samples
    )
    ordered = [column.kind != "categorical" for column in rows.columns]
    ranks = [rank_correlations(x, ordered) for x in (rows.real, rows.generated)]
    upper = np.triu_indices(len(rows.columns), 1)
    found = [
        Difference((int(i), int(j)), *(float(m[i, j]) for m in (real, generated, *ranks)))
        for i, j in zip(*upper, strict=True)
        if np.isfinite(real[i, j]) and np.isfinite(generated[i, j])
    ]
    apart = np.abs(real - train)[upper]
    chance = float(apart[np.isfinite(apart)].sum()) / max(1, int(np.isfinite(apart).sum()))
    return Dependence(real, generated, sorted(found, key=lambda d: (-d.size, d.pair)), chance)


def cut_up(column: Column, real: Array, cells: Array) -> Bins:
    """Cells as the numbers of few bins; −1 where a cell is missing.

    Args:
        column: what they are.
        real: held-out cells, which make the bins.
        cells: of any sample, shape (n,).
    """
    there = real[~np.isnan(real)]
    known = np.nan_to_num(cells)
    if column.kind in CATEGORICAL:
        counts = np.bincount(there.astype(np.int64), minlength=column.n_categories)
        frequent = np.argsort(-counts, kind="stable")[: VALUES if column.n_categories <= VALUES else VALUES - 1]
        place = np.full(column.n_categories, VALUES - 1)
        place[frequent] = np.arange(len(frequent))
        found = place[known.astype(np.int64)]
    elif len(there):
        edges = np.unique(np.quantile(there, np.arange(1, BINS) / BINS, method="inverted_cdf"))
        found = np.searchsorted(edges, known)
    else:
        found = np.zeros(len(cells), np.int64)
    return np.where(np.isnan(cells), -1, found)


def association_matrix(bins: list[Bins]) -> Array:
    """V of all pairs, over the rows in which both columns are there, shape (C, C)."""
    sizes = [int(b.max(initial=0)) + 1 for b in bins]
    table = np.concatenate([b[:, None] == np.arange(size) for b, size in zip(bins, sizes, strict=True)], 1)
    counts = table.astype(np.float64).T @ table  # every pair's table of counts is a block of this
    ends = np.concatenate([[0], np.cumsum(sizes)])
    found = np.full((len(bins), len(bins)), np.nan)
    for i in range(len(bins)):
        for j in range(i + 1):
            block = counts[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            found[i, j] = found[j, i] = cramers_v(block)
    return found


def cramers_v(counts: Array) -> float:
    """V of a table of counts; NaN where a column does not vary, or too few rows have both.

    Examples:
        >>> cramers_v(np.array([[50.0, 0.0], [0.0, 50.0]])), cramers_v(np.array([[25.0, 25.0], [25.0, 25.0]]))
        (1.0, 0.0)
    """
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n, (r, c) = float(counts.sum()), counts.shape
    if n < LEAST_ROWS or min(r, c) < 2:
        return math.nan
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / n
    phi = float((np.square(counts - expected) / expected).sum()) / n
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(1.0, math.sqrt(phi / smaller)) if smaller > 0 else math.nan


def rank_correlations(x: Array, ordered: list[bool]) -> Array:
    """Spearman's correlation of all pairs of columns that have an order, over the rows in which both are there.

    Args:
        x: codes, shape (n, C), NaN where a cell is missing.
        ordered: of each column, whether its codes have an order.

    Returns:
        Shape (C, C), NaN where it is not defined.
    """
    there, count = ~np.isnan(x), x.shape[1]
    found = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            both = there[:, i] & there[:, j]
            if ordered[i] and ordered[j] and both.sum() >= LEAST_ROWS:
                one, other = (rankdata(x[both, k]) for k in (i, j))
                one, other = one - one.mean(), other - other.mean()
                scale = math.sqrt(float(one @ one) * float(other @ other))
                if scale > 0:
                    found[i, j] = found[j, i] = float(one @ other) / scale
    return found
