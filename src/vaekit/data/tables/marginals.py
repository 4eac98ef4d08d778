"""A monotone map that brings a column of numbers to normal scores, fitted to its distribution function.

    y = t(x), piecewise linear, with t(x_q) = Φ⁻¹(q) at quantiles x_q of the training rows

So columns of any scale, with several modes or heavy tails, look alike to the model: none dominates, none vanishes. What
the model says of y is turned into what it says of x exactly:

    density of a real column              log p(x) = log f(y) + log t'(x)
    probability on a lattice of spacing h    P(x) = F(t(x + h/2)) − F(t(x − h/2))

Values that many rows share ("92 % are 0") are point_masses: points with a probability of their own beside the continuum. A density
and a probability cannot be set beside each other, so in a real column with point_masses a number between them has the probability
of an interval as wide as neighbouring values usually are apart, its resolution.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtri

from vaekit.data.tables.columns import NEAR, Column, round_to

Array = npt.NDArray[np.float64]

MOST_ATOMS, LEAST_COUNT = 40, 10
RARE_ATOM, COMMON_ATOM = 0.01, 0.05
"""Share of the rows from which a value is an atom: in a column of many values, and in one whose every value has its knot."""
NEIGHBOURS, PROMINENT = 5, 3
"""On either side, and how many times as many rows an atom of a lattice has: the commonest of many levels is none for that."""
FEW_VALUES = 256
"""Up to so many different values on a lattice each get a knot of their own."""
MOST_BINS, ROWS_PER_BIN, ROWS_BEYOND = 32, 50, 5
"""Quantiles are so many, or fewer where rows are few; the outermost bins are halved as long as so many rows lie beyond."""
OUTER = 0.1
"""Share of the rows at either end from which the slope of a tail is measured."""
LEAST_GAP = 1e-200
"""Knots that are nearer to each other have no slope between them that is a number."""
FARTHEST = 1e30
"""Scores beyond this would overflow in single precision."""
FINEST = 8
"""A lattice whose spacing is fewer units in the last place of its greatest number is taken for the line."""


class Marginal(BaseModel):
    """The map of one column.

    Args:
        bounds: least and greatest value that are possible, where they are known: samples stay between them.
        knots: values, increasing.
        scores: their images, increasing.
        tails: slopes beyond the first and the last knot, > 0.
        spacing: distance of the lattice of values; 0 for reals.
        point_masses: values with a probability of their own, increasing.
        resolution: of a real column with point_masses; 1, which leaves densities as they are, without.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    bounds: tuple[float | None, float | None] = (None, None)
    knots: tuple[float, ...] = Field(min_length=2)
    scores: tuple[float, ...] = Field(min_length=2)
    tails: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    spacing: float = Field(0.0, ge=0)
    point_masses: tuple[float, ...] = ()
    resolution: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _increases(self) -> Marginal:
        if len(self.knots) != len(self.scores) or min(np.diff(self.knots).min(), np.diff(self.scores).min()) <= 0:
            raise ValueError("knots and scores must be as many, and increase")
        return self

    @cached_property
    def _lines(self) -> tuple[Array, Array, Array]:
        """Knots, scores, and the slopes before, between and after them."""
        knots, scores = np.array(self.knots), np.array(self.scores)
        return knots, scores, np.concatenate([self.tails[:1], np.diff(scores) / np.diff(knots), self.tails[1:]])

    def forward(self, x: Array) -> Array:
        """t(x), any shape."""
        knots, scores, slopes = self._lines
        place = np.searchsorted(knots, x, side="right")
        anchor = np.maximum(place - 1, 0)
        return scores[anchor] + (x - knots[anchor]) * slopes[place]

    def log_slope(self, x: Array) -> Array:
        """log t'(x)."""
        knots, _, slopes = self._lines
        found: Array = np.log(slopes[np.searchsorted(knots, x, side="right")])
        return found

    def score_cells(self, x: Array) -> tuple[Array, Array]:
        """Scores and log-measures of values: (y, log t′ · resolution) of reals, (middle, log width) on a lattice."""
        if not self.spacing:
            return self.forward(x).clip(-FARTHEST, FARTHEST), self.log_slope(x) + np.log(self.resolution)
        below, above = self.forward(x - self.spacing / 2), self.forward(x + self.spacing / 2)
        cancelled = self.spacing * np.exp(self.log_slope(x))  # far out, x ± spacing/2 is x
        width = np.where(above > below, above - below, cancelled)
        return ((below + above) / 2).clip(-FARTHEST, FARTHEST), np.log(width)

    def inverse(self, y: Array) -> Array:
        """From scores to values: on the lattice where there is one, within the bounds where there are any."""
        knots, scores, slopes = self._lines
        place = np.searchsorted(scores, y, side="right")
        anchor = np.maximum(place - 1, 0)
        x = knots[anchor] + (y - scores[anchor]) / slopes[place]
        if self.spacing:
            x = self.round(x)
        return x if self.bounds == (None, None) else np.clip(x, *self.bounds)

    def round(self, x: Array) -> Array:
        """The value of the lattice that is nearest."""
        return round_to(x, self.spacing)

    def point_mass(self, x: Array) -> npt.NDArray[np.int64]:
        """Which atom a value is; as many as there are point_masses where it is none."""
        point_masses, slack = np.array(self.point_masses), NEAR * self.spacing
        place = np.searchsorted(point_masses, x - slack).clip(max=len(point_masses) - 1)
        return np.where(np.abs(point_masses[place] - x) <= slack, place, len(point_masses))

    @property
    def edge_scores(self) -> tuple[float, float]:
        """Scores of the least and greatest level, which take the tails; ±inf where the lattice has no end."""
        if not self.spacing:
            return -np.inf, np.inf
        ends = [
            outside if end is None else float(self.score_cells(np.array([end]))[0][0])
            for end, outside in zip(self.bounds, (-np.inf, np.inf), strict=True)
        ]
        return ends[0], ends[1]


def fit_marginal(column: Column, x: Array) -> Marginal:
    """The map of a column, from its cells in training rows.

    Args:
        column: kind, spacing and bounds.
        x: values that are there, shape (n,); none at all are taken for a nought.

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
    shared = counts >= max(LEAST_COUNT, (COMMON_ATOM if few else RARE_ATOM) * len(x))
    if spacing and not few:
        shared &= _stands_out(values, counts, spacing)
    point_masses = np.sort(values[shared][np.argsort(-counts[shared])][:MOST_ATOMS])
    between = ~np.isin(values, point_masses)
    if between.sum() >= 2:
        values, counts = values[between], counts[between]
    knots, share = (_level_knots if few else _quantile_knots)(values, counts, spacing)
    low = 0.5 / max(counts.sum(), ROWS_PER_BIN)  # half a row lies beyond the last knot
    scores = ndtri(np.clip(share, low, 1 - low))
    scores = np.maximum.accumulate(scores) + 1e-6 * np.arange(len(scores))
    return Marginal(
        bounds=(column.lowest, column.highest),
        knots=tuple(knots.tolist()),
        scores=tuple(scores.tolist()),
        tails=(_tail(knots, scores, share <= OUTER), _tail(knots, scores, share >= 1 - OUTER)),
        spacing=spacing,
        point_masses=tuple(point_masses.tolist()),
        resolution=_resolution(values) if len(point_masses) and not spacing else 1.0,
    )


def _stands_out(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> npt.NDArray[np.bool_]:
    """Whether far more rows share a value than share, on average, a level of the lattice around it."""
    place, below = np.arange(len(values)), np.append(0, np.cumsum(counts))
    first, last = np.maximum(place - NEIGHBOURS, 0), np.minimum(place + NEIGHBOURS, len(values) - 1)
    levels = np.maximum((values[last] - values[first]) / spacing, 1)
    return counts > LEAST_COUNT / 2 + PROMINENT * (below[last + 1] - below[first] - counts) / levels


def _resolution(values: Array) -> float:
    """How far neighbouring values usually are apart; the whole scale of a single one."""
    gaps = np.diff(values)
    return float(np.median(gaps)) if len(gaps) else max(abs(float(values[0])), 1.0)


def _level_knots(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> tuple[Array, Array]:
    """Both edges of every level, and the share of rows below each; levels that nobody has get one row between them."""
    edges = np.stack([values - spacing / 2, values + spacing / 2], 1).ravel()
    gaps = np.maximum(np.diff(np.append(values, values[-1])) / spacing - 1, 0)
    gaps[gaps < 0.5] = 0
    mass = np.stack([counts.astype(float), gaps / max(gaps.sum(), 1.0)], 1).ravel()
    share = np.concatenate([[0.0], np.cumsum(mass)[:-1]]) / mass.sum()
    keep = np.append(True, np.diff(edges) > 1e-3 * spacing)
    return edges[keep], share[keep]


def _quantile_knots(values: Array, counts: npt.NDArray[np.int64], spacing: float) -> tuple[Array, Array]:
    """Quantiles, on the edges of the lattice where there is one, and the share of rows below each."""
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


def _tail(knots: Array, scores: Array, outer: npt.NDArray[np.bool_]) -> float:
    """The slope of a tail: that of the outermost tenth of the rows, or of all where one knot holds them."""
    some = outer if outer.sum() > 1 else np.ones_like(outer)
    return float((scores[some][-1] - scores[some][0]) / (knots[some][-1] - knots[some][0]))
