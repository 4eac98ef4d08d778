"""Move the extremes of a column of numbers inwards, so that no value of a few rows can be read from its map.

The map of a column has knots at quantiles of the training rows, and the outermost knots are its least and its greatest value.
The outer knots go until at least k rows lie at or beyond each end. Beyond its last knot, the map continues in a straight
line, whose slope is measured again: the slope to the greatest value would give that value away.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from vaekit.data import Column
from vaekit.data.tables.marginals import OUTER, Marginal, tail_slope
from vaekit.runs.sharing.rebuild import rebuild

Array = npt.NDArray[np.float64]
LINEAR = (-1.0, 1.0)
"""The scores of the knots of a map that only shifts and scales, which are a mean ± a standard deviation."""
ONE_VALUE = 1.01
"""Knots on a grid that are at most this many spacings apart have one value between them."""


def is_linear(marginal: Marginal) -> bool:
    """Tell whether a map only shifts and scales."""
    return marginal.scores == LINEAR


def blunt_marginal(marginal: Marginal, least: int) -> Marginal | None:
    """Move the extremes of a map inwards.

    Args:
        marginal: the map of a column to normal scores.
        least: least number of rows at or beyond each end.

    Returns:
        The map, or None if the column has too few rows for that.

    Examples:
        >>> import numpy as np
        >>> from vaekit.data.tables.marginals import fit_marginal
        >>> x = np.append(np.random.default_rng(0).normal(size=999), 1e6)  # one row stands out
        >>> whole = fit_marginal(Column(name="x", kind="real", type="double"), x)
        >>> blunted = blunt_marginal(whole, 5)
        >>> whole.knots[-1], bool(blunted.knots[-1] < 3)
        (1000000.0, True)
    """
    if is_linear(marginal):
        return marginal
    knots, scores = np.array(marginal.knots), np.array(marginal.scores)
    rows = 0.5 / ndtr(scores[0])  # half a row lies below the first knot
    below = rows * ndtr(scores)
    first = _end(knots, below, marginal.spacing, least)
    last = len(knots) - 1 - _end(-knots[::-1], rows - below[::-1], marginal.spacing, least)
    many = np.diff(below) >= least
    beside = np.append(False, many) | np.append(many, False)  # a knot between few and few tells two rare values apart
    kept = [i for i in range(first, last + 1) if i in (first, last) or beside[i]]
    if len(kept) < 2:
        return None
    knots, scores, share = knots[kept], scores[kept], below[kept] / rows
    tails = tail_slope(knots, scores, share <= OUTER), tail_slope(knots, scores, share >= 1 - OUTER)
    return rebuild(marginal, knots=tuple(knots.tolist()), scores=tuple(scores.tolist()), tails=tails)


def _end(knots: Array, below: Array, spacing: float, least: int) -> int:
    """Return the first knot that stays: no fewer than `least` rows lie below it, or at the value above it."""
    for i in range(len(knots) - 1):
        if below[i + 1] >= least:
            return i if spacing and knots[i + 1] - knots[i] <= ONE_VALUE * spacing else i + 1
    return len(knots)


def blunt_dates(column: Column, marginal: Marginal) -> tuple[Column, Marginal]:
    """Draw the dates of a column only from the first to the last knot of its map, unless its range was declared.

    Args:
        column: a column of dates, which are drawn from the first to the last date of the training rows.
        marginal: its map, with blunted extremes.
    """
    if (column.lowest, column.highest) != (None, None):
        return column, marginal
    half = marginal.spacing / 2
    ends = np.array([marginal.knots[0] + half, marginal.knots[-1] - half])
    low, high = (marginal.round(ends) if marginal.spacing else ends).tolist()
    bounds = (low, max(low, high))
    return rebuild(column, drawn=bounds), rebuild(marginal, bounds=bounds)
