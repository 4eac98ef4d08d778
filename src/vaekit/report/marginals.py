"""Column by column: do generated cells follow the distribution of the held-out ones?

    numbers     Kolmogorov–Smirnov distance   sup_x |F(x) − G(x)|
    lists       total variation distance      ½ Σ_v |p(v) − q(v)|

Beside each stands what chance makes of two samples of one distribution on average: (√(π/2) log 2) √(1/n + 1/m) for numbers
(the mean of Kolmogorov's distribution; less where values repeat), ½ Σ_v √(2/π) √(p(v)(1 − p(v))(1/n + 1/m)) for lists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.dates import DAY
from vaekit.report.panel import cut
from vaekit.report.table_rows import TableRows

Array = npt.NDArray[np.float64]
Axis = Literal["plain", "log", "date"]

MOST_BARS = 12
"""Values of a list that have bars of their own; all others share one."""
MOST_ATOMS, LEAST_ATOM = 6, 0.05
"""Values of a column of numbers that have bars rather than a place in the histogram, and the share of cells they must have."""
BINS = 30
RANGE = 30.0
"""From this ratio of the outermost hundredths on, positive numbers stand on a logarithmic axis."""
KOLMOGOROV = math.sqrt(math.pi / 2) * math.log(2)


@dataclass(frozen=True)
class Share:
    """How often a value comes: among held-out cells, and among generated ones.

    Args:
        label: the value.
        real: from 0 to 1.
        generated: from 0 to 1.
        others: how many values share the line, where it is not a single one.
    """

    label: str
    real: float
    generated: float
    others: int = 0


@dataclass(frozen=True)
class Histogram:
    """Shares of all cells of a column in common bins; cells beyond the bins count in the outermost ones.

    Args:
        edges: shape (b + 1,), increasing.
        real: shape (b,).
        generated: shape (b,).
        axis: how the values are written.
    """

    edges: Array
    real: Array
    generated: Array
    axis: Axis


@dataclass(frozen=True)
class Compared:
    """A column, held-out cells against generated ones.

    Args:
        column: which.
        cells: how many held-out cells there are.
        distance: of the two distributions, from 0 to 1; NaN where no cell is held out.
        chance: the distance that chance would make.
        shares: of the values of a list, or of the frequent values of a column of numbers.
        histogram: of numbers.
        spreads: median and range of held-out numbers and of generated ones, in words.
    """

    column: Column
    cells: int
    distance: float
    chance: float
    shares: list[Share]
    histogram: Histogram | None = None
    spreads: tuple[str, str] | None = None


def compare(rows: TableRows) -> list[Compared]:
    """Every column."""
    found = []
    for i, column in enumerate(rows.columns):
        real, generated = rows.column(i)
        if not len(real):
            found.append(Compared(column, 0, math.nan, math.nan, []))
        elif column.kind in CATEGORICAL:
            found.append(_lists(column, real, generated))
        else:
            found.append(_numbers(column, real, generated, rows.atoms[i]))
    return found


def _lists(column: Column, real: Array, generated: Array) -> Compared:
    p, q = (np.bincount(x.astype(np.int64), minlength=column.n_categories) / len(x) for x in (real, generated))
    spread = np.sqrt(p * (1 - p) * (1 / len(real) + 1 / len(generated)))
    chance = 0.5 * math.sqrt(2 / math.pi) * float(spread.sum())
    return Compared(column, len(real), 0.5 * float(np.abs(p - q).sum()), chance, list_shares(column, p, q))


def list_shares(column: Column, real: Array, generated: Array) -> list[Share]:
    """The most frequent values, in order where they have one, and all others together.

    Args:
        column: a list.
        real: the share of each place among held-out cells, summing to one.
        generated: likewise.
    """
    own = len(column.categories)
    frequent = np.argsort(-real[:own], kind="stable")
    frequent = frequent if own <= MOST_BARS + 1 else frequent[:MOST_BARS]
    shown = frequent if column.kind == "categorical" else np.sort(frequent)
    shares = [Share(written(column, float(k)), float(real[k]), float(generated[k])) for k in shown]
    rest = np.setdiff1d(np.arange(len(real)), shown)
    others = own - len(shown) + len(column.rare)
    if others or real[rest].sum() or generated[rest].sum():
        shares.append(Share("", float(real[rest].sum()), float(generated[rest].sum()), max(others, 1)))
    return shares


def _numbers(column: Column, real: Array, generated: Array, atoms: Sequence[float]) -> Compared:
    shares = [Share(written(column, a), float((real == a).mean()), float((generated == a).mean())) for a in atoms]
    pairs = sorted(zip(shares, atoms, strict=True), key=lambda pair: -pair[0].real)
    pairs = [pair for pair in pairs if pair[0].real >= LEAST_ATOM][:MOST_ATOMS]
    apart = np.array([atom for _, atom in pairs])
    chance = KOLMOGOROV * math.sqrt(1 / len(real) + 1 / len(generated))
    return Compared(
        column,
        len(real),
        kolmogorov_smirnov(real, generated),
        chance,
        [share for share, _ in sorted(pairs, key=lambda pair: pair[1])],
        make_histogram(column, real, generated, apart),
        (_spread(column, real), _spread(column, generated)),
    )


def _spread(column: Column, x: Array) -> str:
    low, middle, high = (written(column, float(v), 3) for v in np.quantile(x, [0.05, 0.5, 0.95], method="inverted_cdf"))
    text = f"median {middle}; 90 % in {low} to {high}"
    return text.replace("-", "\u2011") if column.kind == "datetime" else text  # a date stays on its line


def kolmogorov_smirnov(one: Array, other: Array) -> float:
    """sup |F − G| of two samples."""
    places = np.concatenate([one, other])
    reached = [np.searchsorted(np.sort(x), places, side="right") / len(x) for x in (one, other)]
    return float(np.abs(reached[0] - reached[1]).max())


def make_histogram(column: Column, real: Array, generated: Array, apart: Array) -> Histogram | None:
    """Both samples in common bins.

    Args:
        column: of numbers or dates.
        real: held-out cells, shape (n,), n ≥ 1.
        generated: shape (m,), m ≥ 1.
        apart: values that are left out, as they have bars of their own.

    Returns:
        Shares of all cells, or None where nothing is left; with the shares of `apart` they sum to one.
    """
    left = [x[~np.isin(x, apart)] for x in (real, generated)]
    if not len(left[0]):
        return None
    edges, axis = bin_edges(column, *left)
    inside = (np.clip(x, np.nextafter(edges[0], np.inf), np.nextafter(edges[-1], -np.inf)) for x in left)
    counts = [np.histogram(x, edges)[0] for x in inside]
    return Histogram(edges, counts[0] / len(real), counts[1] / len(generated), axis)


def bin_edges(column: Column, real: Array, generated: Array) -> tuple[Array, Axis]:
    """Bins over the range of nearly all held-out cells and the bulk of the generated ones.

    On a lattice every bin holds equally many of its points, so that none looks rare for being cut off.
    """
    low, high = (float(v) for v in np.quantile(real, [0.002, 0.998]))
    if len(generated):
        bulk = np.quantile(generated, [0.02, 0.98])
        low, high = min(low, float(bulk[0])), max(high, float(bulk[1]))
    step = column.spacing
    if column.kind == "positive" and low > 0 and high > RANGE * low:
        edges = np.geomspace(low, high, BINS + 1)
        if step:
            edges = np.unique(np.maximum(np.round(edges / step - 0.5), 0) * step + 0.5 * step)
        if len(edges) > 2:
            return edges, "log"
    axis: Axis = "date" if column.kind == "datetime" else "plain"
    if step:
        width = step * max(1, math.ceil((high - low + step) / step / BINS))
        start = math.floor(low / step + 0.5) * step - step / 2
        bins = math.ceil((high + step / 2 - start) / width - 1e-9)
        return start + width * np.arange(bins + 1, dtype=np.float64), axis
    if high <= low:
        spread = max(abs(low), 1.0) * 0.05
        low, high = low - spread, high + spread
    return np.linspace(low, high, BINS + 1), axis


def written(column: Column, code: float, digits: int = 4) -> str:
    """A cell as the page shows it, a number that is not whole with so many digits."""
    if column.kind in CATEGORICAL:
        value = column.categories[int(code)]
        return (
            cut(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else number(value)
        )
    if column.kind == "datetime":
        date = str(np.datetime64(int(code), "us"))
        return date[:10] if column.spacing and column.spacing % DAY == 0 else date[:16].replace("T", " ")
    return number(code, digits)


def number(value: float, digits: int = 4) -> str:
    """A number as in a text: whole ones whole, others with so many digits.

    Examples:
        >>> number(215650.0), number(-0.123456)
        ('215,650', '−0.1235')
    """
    whole = float(value).is_integer() and abs(value) < 1e12
    text = f"{value:,.0f}" if whole and abs(value) >= 1e4 else f"{value:.0f}" if whole else f"{value:.{digits}g}"
    return text.replace("-", "−") if float(value) else "0"
