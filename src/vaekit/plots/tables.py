"""Draw the figures of a mixed table on matplotlib axes. Each function returns what the axes show, as a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import dates
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from vaekit.data.tables.dates import DAY
from vaekit.plots.colours import FIRST, SECOND, ink
from vaekit.plots.numbers import cut, significant

Array = npt.NDArray[np.float64]

FAINTEST = 0.03
"""Squares fainter than this share of the darkest shade are not drawn."""
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""The years 1 to 9999 in days since 1970: other dates cannot be formatted."""


def histogram(ax: Any, edges: Array, held_out: Array, generated: Array, axis: str) -> str:
    """Draw histograms of a column's held-out and generated cells in common bins.

    Args:
        ax: the axes to paint on.
        edges: edges of the bins, shape (b + 1,), increasing; dates are in microseconds since 1970.
        held_out: the share of held-out cells in each bin, shape (b,).
        generated: the share of generated cells in each bin, shape (b,).
        axis: `linear`, `log` or `date`.
    """
    if axis == "date":
        edges = edges / DAY
    named = axis == "date" and edges[0] > FIRST_DAY and edges[-1] < LAST_DAY
    ax.stairs(held_out, edges, fill=True, color=FIRST, alpha=0.55)
    ax.stairs(generated, edges, color=SECOND, linewidth=1.6)
    if named:
        locator = dates.AutoDateLocator(minticks=2, maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    elif axis == "log":
        ax.set_xscale("log")
        near = edges[-1] < 100 * edges[0]  # there would be only one or two powers of ten
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,), numticks=7))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write_short(value, value)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write_short(value, edges[-1] - edges[0])))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.grid(axis="x", visible=False)
    ax.set_xlim(edges[0], edges[-1])
    return f"histogram of {len(held_out)} bins, the fullest with {100 * held_out.max():.1f} % of held-out and {100 * generated.max():.1f} % of generated cells"


def write_short(value: float, spread: float) -> str:
    """Format a number for an axis, in thousands, millions or billions if the numbers on the axis are large.

    Examples:
        >>> write_short(-250_000.0, 1e6), write_short(2.5e6, 1e7), write_short(0.25, 1.0)
        ('−250k', '2.5M', '0.25')
    """
    size = max(abs(value), spread)
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if 10 * unit <= size < 1e13 and value:
            return f"{value / unit:.6g}{sign}".replace("-", "−")
    return significant(value + 0.0)


def shares(ax: Any, values: Sequence[str], held_out: Array, generated: Array) -> str:
    """Draw two bars for each value of a column: its share of the held-out and of the generated cells.

    Args:
        ax: the axes to paint on.
        values: the values as texts.
        held_out: shares from 0 to 1, shape (values,).
        generated: shares from 0 to 1, shape (values,).
    """
    rows = np.arange(len(values))[::-1]
    ax.barh(rows, held_out, height=0.8, color=FIRST, alpha=0.55, label="held out")
    ax.barh(rows, generated, height=0.8, facecolor="none", edgecolor=SECOND, linewidth=1.6, label="new")
    ax.set(yticks=rows, yticklabels=values)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    ax.legend(loc="best")
    return f"shares of {len(values)} values"


def matrix(ax: Any, values: Array, top: float, names: Sequence[str] = ()) -> str:
    """Draw a square for each pair of columns, darker for a stronger association.

    Args:
        ax: the axes to paint on.
        values: associations from 0 to 1, shape (C, C), NaN where they are unknown; the diagonal is ignored.
        top: the association that has the darkest shade.
        names: names of the columns; by default they have numbers.
    """
    count = len(values)
    shade = np.clip(values / top, 0, 1)
    shown = np.argwhere((shade >= FAINTEST) & ~np.eye(count, dtype=bool))
    _squares(ax, [(j - 0.46, i - 0.46, 0.92, 0.92) for i, j in shown], [shade[i, j] for i, j in shown])
    _squares(ax, [(i - 0.08, i - 0.08, 0.16, 0.16) for i in range(count)], [1.0] * count, ink())
    shades = np.linspace(0, 1, 6)
    left, high = count + 0.3, count / 6
    _squares(ax, [(left, count - 0.5 - (k + 1) * high, 0.045 * count, high) for k in range(6)], list(shades))
    for k, level in enumerate(shades):
        ax.text(left + 0.06 * count, count - 0.5 - (k + 0.5) * high, f"{top * level:.2g}", va="center", fontsize=8.5)
    numbers = np.arange(count)
    every = 1 if count <= 16 else 2
    labels = [cut(name) for name in names] or [str(i + 1) for i in numbers]
    every = 1 if names else every
    ax.set_xticks(numbers[::every], labels[::every], rotation=90 if names else 0)
    ax.set_yticks(numbers[::every], labels[::every])
    ax.set(xlim=(-0.5, count + 0.3 + 0.2 * count), ylim=(count - 0.5, -0.5), aspect="equal")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    known = values[~np.eye(count, dtype=bool) & np.isfinite(values)]
    return f"associations of {count} columns, on average {known.mean() if len(known) else 0:.2f}"


def _squares(
    ax: Any, rectangles: list[tuple[float, float, float, float]], shades: list[float], colour: str = FIRST
) -> None:
    """Paint rectangles (left, top, width, height) in one colour, with an opacity from 0 to 1 for each."""
    for (left, top, width, height), alpha in zip(rectangles, shades, strict=True):
        ax.add_patch(Rectangle((left, top), width, height, facecolor=colour, alpha=round(float(alpha), 2), linewidth=0))
