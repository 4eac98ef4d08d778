"""Measure associations between columns of any kind, in held-out rows and in generated rows.

Numbers are put into at most eight bins with about equally many held-out cells each. Rare categories share one bin. For a
table of counts n_ij with r non-empty rows, c non-empty columns and the sum n,

    φ² = Σ_ij (n_ij − e_ij)²/(e_ij n)    with e_ij = n_i· n_·j / n
    V  = √( max(0, φ² − (r−1)(c−1)/(n−1)) / min(r̃ − 1, c̃ − 1) )    with r̃ = r − (r−1)²/(n−1), c̃ likewise

is the bias-corrected Cramér's V. It is about 0 for independent columns with any number of values, and 1 if one column
determines the other. V has no sign. If both columns have an order, Spearman's rank correlation is measured as well.

References:
    Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society, 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency, spearmanr

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables.rows import ComparedRows

Array = npt.NDArray[np.float64]
Bins = npt.NDArray[np.int64]

MOST_COLUMNS = 24
"""Most columns between which associations are measured."""
BINS = 8
"""Most bins of a numeric column."""
VALUES = 12
"""Most bins of a categorical column; one of them may hold all rare categories."""
LEAST_ROWS = 20
"""Fewest rows with both cells observed for which an association is measured."""


@dataclass(frozen=True)
class PairDifference(Record):
    """Hold the association between two columns, in held-out rows and in generated rows.

    Args:
        columns: the names of the two columns.
        held_out: V in held-out rows, from 0 to 1.
        generated: V in generated rows.
        held_out_rank: Spearman's correlation in held-out rows, from −1 to 1; NaN if one of the columns has no order.
        generated_rank: Spearman's correlation in generated rows.
    """

    columns: tuple[str, str]
    held_out: float
    generated: float
    held_out_rank: float
    generated_rank: float

    @property
    def gap(self) -> float:
        """Return the absolute difference in V between held-out and generated rows."""
        return abs(self.held_out - self.generated)

    @property
    def size(self) -> float:
        """Return the larger of the absolute differences in V and in rank correlation."""
        ranks = abs(self.held_out_rank - self.generated_rank)
        return max(self.gap, 0.0 if math.isnan(ranks) else ranks)

    def __str__(self) -> str:
        text = f"{' × '.join(self.columns)} {self.held_out:.2f} → {self.generated:.2f}"
        ranks = f" (ranks {self.held_out_rank:.2f} → {self.generated_rank:.2f})"
        return text if math.isnan(self.held_out_rank - self.generated_rank) else text + ranks


@dataclass(frozen=True)
class Associations(Record):
    """Hold the associations between all pairs of the first C ≤ 24 columns of a mixed table.

    Args:
        columns: the names of the columns.
        held_out: V in held-out rows, shape (C, C), NaN where it is not defined.
        generated: V in generated rows, shape (C, C).
        differences: the pairs with V defined in both samples, largest difference in V or in rank correlation first.
        gap: mean absolute difference in V between held-out and generated rows, over pairs.
        gap_by_chance: the same between held-out rows and as many training rows.
    """

    columns: tuple[str, ...]
    held_out: Array
    generated: Array
    differences: tuple[PairDifference, ...]
    gap: float
    gap_by_chance: float


def measure_associations(rows: ComparedRows) -> Associations:
    """Measure the association between every pair of columns, in held-out rows and in generated rows.

    Args:
        rows: held-out, generated and training rows.

    Returns:
        Associations of the first 24 columns.
    """
    columns = rows.columns[:MOST_COLUMNS]
    names = tuple(column.name for column in columns)
    held_out, generated, trained = (
        association_matrix([bin_cells(c, rows.held_out[:, i], x[:, i]) for i, c in enumerate(columns)])
        for x in (rows.held_out, rows.generated, rows.train)
    )
    ordered = [column.kind != "categorical" for column in columns]
    ranks = [rank_correlations(x[:, : len(columns)], ordered) for x in (rows.held_out, rows.generated)]
    upper = np.triu_indices(len(columns), 1)
    found = [
        PairDifference((names[i], names[j]), *(float(m[i, j]) for m in (held_out, generated, *ranks)))
        for i, j in zip(*upper, strict=True)
        if np.isfinite(held_out[i, j]) and np.isfinite(generated[i, j])
    ]
    gaps = [np.abs(held_out - other)[upper] for other in (generated, trained)]
    gap, by_chance = (float(g[np.isfinite(g)].sum()) / max(1, int(np.isfinite(g).sum())) for g in gaps)
    differences = tuple(sorted(found, key=lambda d: -d.size))
    return Associations(names, held_out, generated, differences, gap, by_chance)


def bin_cells(column: Column, held_out: Array, cells: Array) -> Bins:
    """Assign the cells of a column to a few bins; the held-out cells determine the bins.

    Args:
        column: the column.
        held_out: its held-out cells.
        cells: cells of any sample, shape (n,).

    Returns:
        The bin of each cell, shape (n,); −1 where a cell is missing.
    """
    there = held_out[~np.isnan(held_out)]
    known = np.nan_to_num(cells)
    if column.kind in CATEGORICAL:
        counts = np.bincount(there.astype(np.int64), minlength=column.n_categories)
        frequent = np.argsort(-counts, kind="stable")[: VALUES if column.n_categories <= VALUES else VALUES - 1]
        bins = np.full(column.n_categories, VALUES - 1)
        bins[frequent] = np.arange(len(frequent))
        found = bins[known.astype(np.int64)]
    elif len(there):
        edges = np.unique(np.quantile(there, np.arange(1, BINS) / BINS, method="inverted_cdf"))
        found = np.searchsorted(edges, known)
    else:
        found = np.zeros(len(cells), np.int64)
    return np.where(np.isnan(cells), -1, found)


def association_matrix(bins: list[Bins]) -> Array:
    """Compute Cramér's V of every pair of columns, from the rows in which both cells are observed.

    Args:
        bins: for each of C columns, the bin of every cell, −1 where it is missing.

    Returns:
        Shape (C, C), NaN where V is not defined.
    """
    sizes = [int(b.max(initial=0)) + 1 for b in bins]
    table = np.concatenate([b[:, None] == np.arange(size) for b, size in zip(bins, sizes, strict=True)], 1)
    counts = table.astype(np.float64).T @ table  # one block holds the counts of one pair
    ends = np.concatenate([[0], np.cumsum(sizes)])
    found = np.full((len(bins), len(bins)), np.nan)
    for i in range(len(bins)):
        for j in range(i + 1):
            block = counts[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            found[i, j] = found[j, i] = cramers_v(block)
    return found


def cramers_v(counts: Array) -> float:
    """Compute the bias-corrected Cramér's V of a table of counts.

    Returns:
        V; NaN if a column is constant or the counts sum to less than 20.

    Examples:
        >>> cramers_v(np.array([[50.0, 0.0], [0.0, 50.0]])), cramers_v(np.array([[25.0, 25.0], [25.0, 25.0]]))
        (1.0, 0.0)
    """
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n, (r, c) = float(counts.sum()), counts.shape
    if n < LEAST_ROWS or min(r, c) < 2:
        return math.nan
    phi = float(chi2_contingency(counts, correction=False).statistic) / n
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(1.0, math.sqrt(phi / smaller)) if smaller > 0 else math.nan


def rank_correlations(x: Array, ordered: list[bool]) -> Array:
    """Compute Spearman's correlation of every pair of ordered columns, from the rows in which both cells are observed.

    Args:
        x: codes, shape (n, C), NaN where a cell is missing.
        ordered: whether the codes of each column have an order.

    Returns:
        Shape (C, C), NaN where the correlation is not defined.
    """
    there, count = ~np.isnan(x), x.shape[1]
    found = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            both = x[there[:, i] & there[:, j]][:, [i, j]]
            if ordered[i] and ordered[j] and len(both) >= LEAST_ROWS and np.ptp(both, axis=0).all():
                found[i, j] = found[j, i] = float(spearmanr(both).statistic)
    return found
