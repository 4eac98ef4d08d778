"""Measure for each column how far the distribution of generated cells is from that of held-out cells.

    numbers and dates     Kolmogorov–Smirnov distance   sup_x |F(x) − G(x)|
    categories            total variation distance      ½ Σ_v |p(v) − q(v)|

Each distance comes with the average distance between two samples of the same distribution. For numbers, this is
(√(π/2) log 2) √(1/n + 1/m), the mean of Kolmogorov's distribution (less if values repeat). For categories, it is
½ Σ_v √(2/π) √(p(v)(1 − p(v))(1/n + 1/m)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables.histograms import Histogram, make_histogram
from vaekit.evaluation.tables.rows import ComparedRows

Array = npt.NDArray[np.float64]

MOST_VALUES = 12
"""Most categories that are counted separately; all others are counted together."""
MOST_MASSES, LEAST_MASS = 6, 0.05
"""Most point masses of a numeric column that are counted separately, and the smallest share of cells for each."""
KOLMOGOROV = math.sqrt(math.pi / 2) * math.log(2)
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class ValueShare(Record):
    """Hold the shares of one value of a column among held-out cells and among generated cells.

    Args:
        value: the value (for a date, microseconds since 1970); None for all other values together.
        held_out: share of the held-out cells, from 0 to 1.
        generated: share of the generated cells, from 0 to 1.
        others: the number of values that are counted together; 0 for a single value.
    """

    value: str | float | bool | None
    held_out: float
    generated: float
    others: int = 0


@dataclass(frozen=True)
class MarginalDistance(Record):
    """Hold the distance between the distributions of a column's held-out cells and generated cells.

    Args:
        column: the name of the column.
        kind: its kind, as `vaekit describe` shows it.
        measure: the distance that is measured.
        cells: the number of held-out cells that are not missing.
        distance: from 0 (the same distribution) to 1; NaN if all held-out cells are missing.
        by_chance: the average distance between two samples of the same distribution, of the same sizes.
        shares: shares of categories, or of the frequent point masses of a numeric column.
        histogram: a histogram of all other numbers; None for categories.
        held_out_quantiles: the 5, 50 and 95 % quantiles of held-out numbers, in units of the column; None for categories.
        generated_quantiles: the same quantiles of generated numbers.
    """

    column: str
    kind: str
    measure: Literal["Kolmogorov-Smirnov", "total variation"]
    cells: int
    distance: float = math.nan
    by_chance: float = math.nan
    shares: tuple[ValueShare, ...] = ()
    histogram: Histogram | None = None
    held_out_quantiles: tuple[float, ...] | None = None
    generated_quantiles: tuple[float, ...] | None = None

    def __str__(self) -> str:
        return f"{self.column} {self.distance:.2f} ({self.by_chance:.2f} by chance)"


def compare_marginals(rows: ComparedRows) -> tuple[MarginalDistance, ...]:
    """Measure for every column how far the distribution of generated cells is from that of held-out cells.

    Args:
        rows: held-out and generated rows.

    Returns:
        A record for each column, in order.
    """
    found = []
    for i, column in enumerate(rows.columns):
        held_out, generated = rows.cells(i)
        if column.kind in CATEGORICAL:
            found.append(_compare_categories(column, held_out, generated))
        else:
            found.append(_compare_numbers(column, held_out, generated, rows.point_masses[i]))
    return tuple(found)


def _compare_categories(column: Column, held_out: Array, generated: Array) -> MarginalDistance:
    if not len(held_out):
        return MarginalDistance(column.name, column.kind, "total variation", 0)
    p, q = (np.bincount(x.astype(np.int64), minlength=column.n_categories) / len(x) for x in (held_out, generated))
    spread = np.sqrt(p * (1 - p) * (1 / len(held_out) + 1 / len(generated)))
    return MarginalDistance(
        column.name,
        column.kind,
        "total variation",
        len(held_out),
        0.5 * float(np.abs(p - q).sum()),
        0.5 * math.sqrt(2 / math.pi) * float(spread.sum()),
        category_shares(column, p, q),
    )


def category_shares(column: Column, held_out: Array, generated: Array) -> tuple[ValueShare, ...]:
    """Return the shares of a column's most frequent categories, and the total share of its other categories.

    Args:
        column: a categorical column; ordered categories keep their order, others are sorted by frequency.
        held_out: the share of each category among held-out cells, summing to one.
        generated: the same among generated cells.
    """
    own = len(column.categories)
    frequent = np.argsort(-held_out[:own], kind="stable")
    frequent = frequent if own <= MOST_VALUES + 1 else frequent[:MOST_VALUES]
    shown = frequent if column.kind == "categorical" else np.sort(frequent)
    shares = [ValueShare(column.categories[k], float(held_out[k]), float(generated[k])) for k in shown]
    rest = np.setdiff1d(np.arange(len(held_out)), shown)
    others = own - len(shown) + len(column.rare)
    if others or held_out[rest].sum() or generated[rest].sum():
        shares.append(ValueShare(None, float(held_out[rest].sum()), float(generated[rest].sum()), max(others, 1)))
    return tuple(shares)


def _compare_numbers(column: Column, held_out: Array, generated: Array, masses: Sequence[float]) -> MarginalDistance:
    if not len(held_out):
        return MarginalDistance(column.name, column.kind, "Kolmogorov-Smirnov", 0)
    shares = [ValueShare(x, float((held_out == x).mean()), float((generated == x).mean())) for x in masses]
    frequent = [share for share in sorted(shares, key=lambda s: -s.held_out) if share.held_out >= LEAST_MASS]
    frequent = frequent[:MOST_MASSES]
    apart = np.array([share.value for share in frequent])
    return MarginalDistance(
        column.name,
        column.kind,
        "Kolmogorov-Smirnov",
        len(held_out),
        float(ks_2samp(held_out, generated, method="asymp").statistic),
        KOLMOGOROV * math.sqrt(1 / len(held_out) + 1 / len(generated)),
        tuple(share for share in shares if share in frequent),
        make_histogram(column, held_out, generated, apart),
        _quantiles(held_out),
        _quantiles(generated),
    )


def _quantiles(x: Array) -> tuple[float, ...]:
    return tuple(np.quantile(x, QUANTILES, method="inverted_cdf").tolist())
