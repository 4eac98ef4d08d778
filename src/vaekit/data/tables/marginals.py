"""A monotone map from a column of numbers to normal scores, fitted to its distribution function.

    y = t(x), piecewise linear, with t(x_q) = Φ⁻¹(q) at quantiles x_q of the training rows

So columns of any scale, with several modes or heavy tails, look similar to the model, and each has the same influence. A
distribution of y gives the distribution of x exactly:

    density of a real column               log p(x) = log f(y) + log t'(x)
    probability on a grid of spacing h     P(x) = F(t(x + h/2)) − F(t(x − h/2))

Values that many rows share ("92 % are 0") are point masses, with their own probability. A density and a probability
cannot be compared. So in a real column with point masses, any other number has the probability of an interval. The
width of this interval is the resolution of the column, the median distance between neighbouring values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtri
from torch import Tensor

from vaekit.data.tables.columns import NEAR, Bounds, Column, round_to
from vaekit.data.tables.score_maps import ScoreMaps

Array = npt.NDArray[np.float64]

MOST_MASSES, LEAST_COUNT = 200, 10
"""Most point masses of a column, and least rows for one."""
RARE_MASS, COMMON_MASS = 0.001, 0.05
"""Least share of the rows for a point mass: of a value that stands out, such as a round amount or a simple fraction among
reals, and in a column with knots for each value."""
NEIGHBOURS, PROMINENT = 5, 3
"""A point mass on a grid has `PROMINENT` times as many rows as the mean of `NEIGHBOURS` values on either side."""
FEW_VALUES = 256
"""A column on a grid with at most this many different values has knots for each value."""
MOST_BINS, ROWS_PER_BIN, ROWS_BEYOND = 32, 50, 5
"""Most bins between quantiles, least rows in a bin, and least rows beyond an outer knot."""
OUTER = 0.1
"""Share of the rows at either end used to measure the slope of a tail."""
CENTRAL = (0.05, 0.95)
"""Shares of the rows below the middle 90 % of a column."""
LEAST_GAP = 1e-200
"""Least distance between knots; with a smaller one the slope would overflow."""
FLAT = 1e-9
"""A standard deviation of at most this share of the mean is a rounding error."""
FINEST = 8
"""Least spacing of a grid in units in the last place of its greatest number; a finer grid counts as continuous."""
FIRST = torch.zeros(1, dtype=torch.long)
"""The position of the only column among the maps of one."""


class Marginal(BaseModel):
    """Maps the numbers of a column to normal scores, and back.

    Args:
        bounds: the least and the greatest number that is drawn, point masses aside; None for no bound.
        knots: values, increasing.
        scores: the scores of these values, increasing.
        tails: slopes before the first and after the last knot, > 0.
        spacing: spacing of the grid of values; 0 for reals.
        point_masses: values with their own probability, increasing.
        resolution: the resolution of a real column with point masses; 1 for other columns, whose densities do not change.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    bounds: Bounds = (None, None)
    knots: tuple[float, ...] = Field(min_length=2)
    scores: tuple[float, ...] = Field(min_length=2)
    tails: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    spacing: float = Field(0.0, ge=0)
    point_masses: tuple[float, ...] = ()
    resolution: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _increases(self) -> Marginal:
        if len(self.knots) != len(self.scores) or min(np.diff(self.knots).min(), np.diff(self.scores).min()) <= 0:
            raise ValueError("knots and scores must have the same number, and increase")
        return self

    @property
    def n_categories(self) -> int:
        """Return the number of categories: one for each point mass, and one for all other values."""
        return len(self.point_masses) + 1

    @property
    def slopes(self) -> list[float]:
        """Return the slopes of the map before, between and after the knots."""
        return [self.tails[0], *(np.diff(self.scores) / np.diff(self.knots)).tolist(), self.tails[1]]

    @cached_property
    def _maps(self) -> ScoreMaps:
        return ScoreMaps([self])

    @staticmethod
    def _apply(found: Callable[[Tensor, Tensor], Tensor], x: Array) -> Any:
        """Apply a function of `ScoreMaps` to numbers of any shape."""
        return found(torch.from_numpy(np.array(x, np.float64)).unsqueeze(-1), FIRST).squeeze(-1).numpy()

    def forward(self, x: Array) -> Array:
        """Map values x of any shape to normal scores t(x)."""
        return self._apply(self._maps, x)

    def score_cells(self, x: Array) -> tuple[Array, Array]:
        """Return the score and the log-measure of each cell.

        In a real column, these are y and log(t′ · resolution). On a grid, they are the middle and the log width of the
        interval of scores that belongs to the value.
        """
        both = self._apply(lambda *cells: torch.stack(self._maps.score_cells(*cells)), x)
        return both[0], both[1]

    def inverse(self, y: Array) -> Array:
        """Map scores back to values, on the grid and within the bounds of the column."""
        return self._apply(self._maps.values, y)

    def round(self, x: Array) -> Array:
        """Round numbers to the nearest value on the grid."""
        return round_to(x, self.spacing)

    def point_mass(self, x: Array) -> npt.NDArray[np.int64]:
        """Return the index of the point mass that each value equals.

        Values that equal no point mass get the number of point masses as their index.
        """
        return self._apply(self._maps.point_mass, x)

    def snap(self, x: Array) -> Array:
        """Replace values that equal a point mass by this point mass; others stay as they are."""
        masses = np.append(self.point_masses, np.nan)
        chosen = self.point_mass(x)
        return np.where(chosen < len(self.point_masses), masses[chosen], x)

    @property
    def edge_scores(self) -> tuple[float, float]:
        """Return the scores of the bounds; ±inf at an unbounded end."""
        ends = [
            outside if end is None else float(self.score_cells(np.array([end]))[0][0])
            for end, outside in zip(self.bounds, (-np.inf, np.inf), strict=True)
        ]
        return ends[0], ends[1]


def standardize(x: Array) -> Marginal:
    """Return the map y = (x − mean)/sd, which keeps distances, fitted to the cells of a column of numbers.

    Args:
        x: the cells that are not missing, shape (n,).
    """
    mean, scale = (float(x.mean()), float(x.std())) if len(x) else (0.0, 1.0)
    if scale <= FLAT * abs(mean):
        scale = max(abs(mean), 1.0)
    return Marginal(knots=(mean - scale, mean + scale), scores=(-1.0, 1.0), tails=(1 / scale, 1 / scale))


def fit_marginal(column: Column, x: Array) -> Marginal:
    """Fit the map from a column to normal scores to its training cells.

    Args:
        column: the column, with its spacing and bounds.
        x: the cells that are not missing, shape (n,); no cells count as a single 0.

    Returns:
        The map.

    Examples:
        >>> t = fit_marginal(Column(name="x", kind="real", type="double"), np.random.default_rng(0).normal(5, 2, 4000))
        >>> bool(abs(t.forward(np.array([5.0]))[0]) < 0.1), bool(abs(t.forward(np.array([9.0]))[0] - 2) < 0.2)
        (True, True)
    """
    values, counts = np.unique(x if len(x) else np.zeros(1), return_counts=True)
    coarse = column.spacing >= FINEST * np.spacing(np.abs(values).max())  # else x ± spacing/2 would be x itself
    spacing = column.spacing if coarse else 0.0
    few = spacing > 0 and len(values) <= FEW_VALUES and len(x) >= 10 * len(values)
    least = COMMON_MASS if few else RARE_MASS
    shared = counts >= max(LEAST_COUNT, least * len(x))
    if spacing and not few:
        shared &= _stands_out(values, counts, spacing)
    point_masses = np.sort(values[shared][np.argsort(-counts[shared])][:MOST_MASSES])
    between = ~np.isin(values, point_masses)
    if between.sum() >= 2:
        values, counts = values[between], counts[between]
    knots, share = (
        _level_knots(values, counts, spacing) if few else _keep_gaps(*_quantile_knots(values, counts, spacing))
    )
    low = 0.5 / max(counts.sum(), ROWS_PER_BIN)  # half a row lies beyond the last knot
    scores = ndtri(np.clip(share, low, 1 - low))
    scores = np.maximum.accumulate(scores) + 1e-6 * np.arange(len(scores))
    return Marginal(
        bounds=_within_masses(column.bounds, point_masses, spacing),
        knots=tuple(knots.tolist()),
        scores=tuple(scores.tolist()),
        tails=(tail_slope(knots, scores, share <= OUTER), tail_slope(knots, scores, share >= 1 - OUTER)),
        spacing=spacing,
        point_masses=tuple(point_masses.tolist()),
        resolution=_resolution(values) if len(point_masses) and not spacing else 1.0,
    )


def _within_masses(bounds: Bounds, masses: Array, spacing: float) -> Bounds:
    """Return the bounds of the numbers that are no point masses: on a grid, a bound that is a point mass moves inwards."""
    low, high = bounds
    if not spacing:
        return bounds
    while low is not None and np.isclose(masses, low, rtol=0, atol=NEAR * spacing).any():
        low = float(round_to(np.array(low + spacing), spacing))
    while high is not None and np.isclose(masses, high, rtol=0, atol=NEAR * spacing).any():
        high = float(round_to(np.array(high - spacing), spacing))
    return bounds if low is not None and high is not None and low > high else (low, high)


def _stands_out(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> npt.NDArray[np.bool_]:
    """Return which values have far more rows than the values around them on the grid."""
    index, below = np.arange(len(values)), np.append(0, np.cumsum(counts))
    first, last = np.maximum(index - NEIGHBOURS, 0), np.minimum(index + NEIGHBOURS, len(values) - 1)
    levels = np.maximum((values[last] - values[first]) / spacing, 1)
    return counts > LEAST_COUNT / 2 + PROMINENT * (below[last + 1] - below[first] - counts) / levels


def _resolution(values: Array) -> float:
    """Return the median distance between neighbouring values.

    For a single value x, return max(|x|, 1).
    """
    gaps = np.diff(values)
    return float(np.median(gaps)) if len(gaps) else max(abs(float(values[0])), 1.0)


def _level_knots(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> tuple[Array, Array]:
    """Return knots at both edges of each grid value, and the share of rows below each knot.

    All gaps between the values together count as one row.
    """
    edges = np.stack([values - spacing / 2, values + spacing / 2], 1).ravel()
    gaps = np.maximum(np.diff(np.append(values, values[-1])) / spacing - 1, 0)
    gaps[gaps < 0.5] = 0
    mass = np.stack([counts.astype(float), gaps / max(gaps.sum(), 1.0)], 1).ravel()
    share = np.concatenate([[0.0], np.cumsum(mass)[:-1]]) / mass.sum()
    keep = np.append(True, np.diff(edges) > 1e-3 * spacing)
    return edges[keep], share[keep]


def _quantile_knots(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> tuple[Array, Array]:
    """Return knots at the quantiles of a column, and the share of rows below each knot."""
    total = counts.sum()
    bins = int(np.clip(total // ROWS_PER_BIN, 4, MOST_BINS))
    reached = np.cumsum(counts) / total
    halves = 0.5 ** np.arange(1, 50) / bins
    halves = halves[halves * total >= ROWS_BEYOND]
    inner = np.unique(np.searchsorted(reached, np.concatenate([np.arange(1, bins) / bins, halves, 1 - halves])))
    inner = inner[inner < len(values) - 1]
    if spacing:
        knots = np.concatenate([values[:1] - spacing / 2, values[inner] + spacing / 2, values[-1:] + spacing / 2])
        return knots, np.concatenate([[0.0], reached[inner], [1.0]])
    knots = np.concatenate([values[:1], (values[inner] + values[inner + 1]) / 2, values[-1:]])
    share = np.concatenate([[0.0], reached[inner], [1.0]])
    apart = np.append(True, np.diff(knots) > LEAST_GAP)
    if apart.sum() < 2:
        return values[0] + max(abs(values[0]), 1.0) * np.array([-1e-3, 1e-3]), np.array([0.0, 1.0])
    return knots[apart], share[apart]


def _keep_gaps(knots: Array, share: Array) -> tuple[Array, Array]:
    """Give the gap between two clusters a density, so that the scores of the clusters lie apart.

    Without a gap, the scores of a cluster end as sharply as half a normal distribution, and a mixture of a few logistics strays
    into the other cluster. The density is that of the lower cluster, but at most the mean density of the middle 90 % of the
    rows. A column with a single peak stays as it is.
    """
    width, (low, high) = np.diff(knots), np.interp(CENTRAL, share, knots)
    density = np.diff(share) / width
    peaks = np.minimum(np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1])
    mean = (CENTRAL[1] - CENTRAL[0]) / max(high - low, LEAST_GAP)
    filled = np.append(0.0, np.cumsum(np.maximum(density, np.minimum(peaks, mean)) * width))
    return knots, filled / filled[-1]


def tail_slope(knots: Array, scores: Array, outer: npt.NDArray[np.bool_]) -> float:
    """Return the slope of a tail, measured over the outermost tenth of the rows.

    If this tenth has only one knot, all rows are used.
    """
    some = outer if outer.sum() > 1 else np.ones_like(outer)
    return float((scores[some][-1] - scores[some][0]) / (knots[some][-1] - knots[some][0]))
