"""The distribution of each cell of a row given the observed cells, and the intervals and sets that hold a share of it.

    F_j(x) = P(X_j ≤ x | x_o) ≈ Σ_k w_k F_j(x|z_k, x_o)                 z_k ~ q(z|x_o) with importance weights w_k

Each term is a mixture of logistics with point masses, so F_j is computed and not sampled. An *interval* of level L has equal
tails: it ends at the quantiles (1 − L)/2 and (1 + L)/2 of F_j. A *set* of level L has the most probable values of a column
without order, as few as have the probability L together.

The position u of a cell's true value among the draws is uniform on (0, 1) if the distribution is right:

    numbers and ordered levels    u = P(X < x) + U·P(X = x)                                   U uniform on (0, 1)
    values without order          u = P(a value more probable than x) + U·P(x)

An interval holds x if 2|u − ½| < L, a set if u < L. Where single values have probability, intervals and sets hold more than L.

References:
    Dawid, "The Prequential Approach", 1984, and Czado, Gneiting and Held, "Predictive Model Assessment for Count Data",
    2009, for u; Romano, Sesia and Candès, "Classification with Valid and Adaptive Coverage", 2020, for values without order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Column, Rows
from vaekit.data.tables.cells import Categories, Cells
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.marginals import Marginal
from vaekit.distributions import TableCells
from vaekit.evaluation.bounds import evaluating
from vaekit.evaluation.tables.posterior import TablePosterior, Weighted

Array = npt.NDArray[np.float64]

SLACK = 1e-12
"""Sums of probabilities may miss a level by this much."""
FARTHEST_SCORE, HALVINGS = 1024.0, 42
"""Where the search of a quantile starts, in normal scores, and how often the stretch is halved."""


@dataclass(frozen=True)
class Predictive:
    """Hold the distribution of every cell of B rows given the observed cells.

    Args:
        found: K weighted draws of z for each row.
        cells: the transform from codes of cells to the model's inputs.
        columns: the modelled columns.
    """

    found: Weighted
    cells: Cells
    columns: tuple[Column, ...]

    @cached_property
    def _weights(self) -> Tensor:
        return self.found.log_weights.exp().unsqueeze(-1)  # (K, B, 1)

    @cached_property
    def _likelihood(self) -> TableCells:
        return self.found.likelihood.of_missing()

    @cached_property
    def _categories(self) -> list[Tensor]:
        """Return the probabilities of the categories of each category slot for every draw, shape (K, B, n)."""
        groups = self._likelihood.categories
        return [each for group in groups for each in group.log_probs.double().exp().unbind(-2)]

    @cached_property
    def _selected(self) -> Tensor:
        """Return w_k · P(the cell is a number|z_k) of each number, shape (K, B, R)."""
        layout = self.cells.layout
        there = [
            self._weights[..., 0] * (self._categories[slot][..., layout.sizes[slot] - 1] if slot >= 0 else 1.0)
            for slot in layout.lists
        ]
        return torch.stack(there, -1)  # only called if there are numbers

    def _below(self, scores: Array) -> Array:
        """Return P(the cell is a number whose normal score is at most y), for scores y of shape (B, R)."""
        numbers = self._likelihood.numbers
        if not numbers:
            return scores
        first, y = len(self.cells.layout.sizes), torch.from_numpy(scores).to(self._weights)
        own = [slice(group.cells.start - first, group.cells.stop - first) for group in numbers]
        reached = [group.mixture.cdf(y[:, some]) for group, some in zip(numbers, own, strict=True)]
        return (self._selected * torch.cat(reached, -1)).sum(0).cpu().numpy()

    def probabilities(self, column: int) -> Array:
        """Return the probability of each value of a column of categories, shape (B, values), without unseen values."""
        known = self.cells.columns[column]
        if not isinstance(known, Categories):
            raise TypeError(f"column {column} has no categories")
        category, _ = self.cells.column_slots[column]
        found = (self._weights * self._categories[category]).sum(0).cpu().numpy()
        own = np.minimum(np.arange(len(known.log_share) - 1), known.n_categories - 1)
        each = found[:, own] * np.exp(known.log_share[:-1])
        return each / each.sum(-1, keepdims=True)

    def positions(self, codes: Array) -> tuple[Array, Array]:
        """Return P(X < x) and P(X ≤ x) of a value of each cell; for values without order the more probable ones come first.

        Args:
            codes: a value of each cell, NaN for those that do not matter, shape (B, C).

        Returns:
            Two arrays of shape (B, C), NaN where the code is; a value that training did not see has 1 twice.
        """
        below, reached = np.full(codes.shape, np.nan), np.full(codes.shape, np.nan)
        lower, upper = self._edges(codes)
        numbers = self._below(lower), self._below(upper)
        for column, code in enumerate(codes.T):
            there, known = ~np.isnan(code), self.cells.columns[column]
            if isinstance(known, Marginal):
                _, score = self.cells.column_slots[column]
                place = score - len(self.cells.layout.sizes)
                found = [part[:, place] + mass for part, mass in zip(numbers, self._masses(column, code), strict=True)]
            else:
                found = list(self._position(column, code))
            below[there, column], reached[there, column] = (np.clip(part, 0, 1)[there] for part in found)
        return below, reached

    def _edges(self, codes: Array) -> tuple[Array, Array]:
        """Return the normal scores of both edges of numbers, shape (B, R) each; equal but on a grid."""
        size = len(self.cells.layout.sizes)
        lower = np.zeros((len(codes), len(self.cells.layout.on_grid)))
        upper = lower.copy()
        for column, code in enumerate(codes.T):
            known = self.cells.columns[column]
            if isinstance(known, Marginal):
                place, x = self.cells.column_slots[column][1] - size, np.nan_to_num(code)
                half = known.spacing / 2
                lower[:, place], upper[:, place] = known.forward(x - half), known.forward(x + half)
                if known.spacing:  # the outermost values take the tails
                    low, high = (np.inf if end is None else end for end in known.bounds)
                    low = -np.inf if known.bounds[0] is None else low
                    lower[x <= low, place] = -np.inf
                    upper[x >= high, place] = np.inf
        return lower, upper

    def _masses(self, column: int, code: Array) -> tuple[Array, Array]:
        """Return the probability of the point masses below each value, and of those up to it."""
        known, (category, _) = self.cells.columns[column], self.cells.column_slots[column]
        if category < 0 or not isinstance(known, Marginal):
            return np.zeros(len(code)), np.zeros(len(code))
        shares = (self._weights * self._categories[category]).sum(0).cpu().numpy()[:, : len(known.point_masses)]
        x, masses = known.snap(np.nan_to_num(code))[:, None], np.array(known.point_masses)
        return (shares * (masses < x)).sum(-1), (shares * (masses <= x)).sum(-1)

    def _position(self, column: int, code: Array) -> tuple[Array, Array]:
        shares = self.probabilities(column)
        values = np.arange(shares.shape[1])
        unseen = np.nan_to_num(code) >= len(values)
        chosen = np.where(unseen, 0, np.nan_to_num(code)).astype(np.int64)
        own = np.take_along_axis(shares, chosen[:, None], 1)
        if self.columns[column].kind == "ordinal":
            before = values < chosen[:, None]
        else:
            before = (shares > own) | ((shares == own) & (values < chosen[:, None]))
        below = (shares * before).sum(-1)
        return np.where(unseen, 1.0, below), np.where(unseen, 1.0, below + own[:, 0])

    def quantiles(self, u: Array) -> Array:
        """Return inf{x : P(X ≤ x) ≥ u} of each cell of numbers and ordered levels.

        Args:
            u: a probability for each column, between 0 and 1, shape (C,).

        Returns:
            Codes, shape (B, C), NaN for values without order.
        """
        found = np.full((self.found.z.shape[1], len(self.columns)), np.nan)
        size = len(self.cells.layout.sizes)
        wanted, steps = np.zeros(len(self.cells.layout.on_grid)), {}
        for column, known in self._lines:
            _, score = self.cells.column_slots[column]
            wanted[score - size] = u[column]
            steps[score - size] = self._steps(column, known)
        low, high = self._search(wanted, steps)
        for column, known in self._lines:
            place = self.cells.column_slots[column][1] - size
            x = known.inverse(high[:, place])
            for mass, edge in zip(known.point_masses, steps[place][0].tolist(), strict=True):
                x = np.where((low[:, place] < edge) & (edge <= high[:, place]), mass, x)
            found[:, column] = x
        for column, each in enumerate(self.columns):
            if each.kind == "ordinal":
                reached = self.probabilities(column).cumsum(-1)
                found[:, column] = (reached < u[column] - SLACK).sum(-1).clip(max=reached.shape[1] - 1)
        return found

    @property
    def _lines(self) -> list[tuple[int, Marginal]]:
        """Return the columns of numbers, each with its map to normal scores."""
        return [(i, known) for i, known in enumerate(self.cells.columns) if isinstance(known, Marginal)]

    def _steps(self, column: int, known: Marginal) -> tuple[Array, Array]:
        """Return the scores at which the point masses of a column begin, and their probabilities, shape (B, masses)."""
        category, _ = self.cells.column_slots[column]
        if category < 0:
            return np.empty(0), np.empty((self.found.z.shape[1], 0))
        shares = (self._weights * self._categories[category]).sum(0).cpu().numpy()
        edges = known.forward(np.array(known.point_masses) - known.spacing / 2)
        return edges, shares[:, : len(known.point_masses)]

    def _search(self, wanted: Array, steps: dict[int, tuple[Array, Array]]) -> tuple[Array, Array]:
        """Halve stretches of scores until they hold just the point where each probability is reached.

        Args:
            wanted: the probability of each number, shape (R,).
            steps: for each number, the scores of its point masses, and their probabilities.

        Returns:
            Both ends of the stretches, shape (B, R) each.
        """
        low = np.full((self.found.z.shape[1], len(wanted)), -FARTHEST_SCORE)
        high = -low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            reached = self._below(middle)
            for place, (edges, shares) in steps.items():
                reached[:, place] += (shares * (edges <= middle[:, place, None])).sum(-1)
            enough = reached >= wanted
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return low, high

    def smallest_set(self, column: int, level: float) -> npt.NDArray[np.bool_]:
        """Return which values are in the smallest set of values whose probability reaches the level, shape (B, values)."""
        shares = self.probabilities(column)
        order = np.argsort(-shares, axis=-1, kind="stable")
        sorted_shares = np.take_along_axis(shares, order, 1)
        before = sorted_shares.cumsum(-1) - sorted_shares
        inside = np.zeros(shares.shape, bool)
        np.put_along_axis(inside, order, before < level - SLACK, 1)
        return inside


@dataclass(frozen=True)
class Judged:
    """Hold where the true values of hidden cells lie in their distributions.

    Args:
        below: P(X < x), shape (n, C), NaN where a cell was not hidden, as in all arrays below.
        reached: P(X ≤ x).
        confidence: probability of the most probable value of a column of categories; NaN for numbers.
        hit: whether this value is the true one, 1 or 0.
    """

    below: Array
    reached: Array
    confidence: Array
    hit: Array


def judge(model: TablePosterior, rows: Rows, truth: Array) -> Judged:
    """Find where the true values of hidden cells lie in their distributions given the rest of their row.

    Args:
        model: the model.
        rows: rows without the hidden cells.
        truth: codes of the same rows before the cells were hidden, shape (n, C).

    Returns:
        Arrays of shape (n, C).
    """
    parts = []
    with evaluating(model.model) as device:
        for at, positions, x, codes, noise in model.tiles(rows):
            asked = np.where(np.isnan(codes), truth[positions], np.nan)
            found = at.draw_weighted(x, noise, device, hidden=True)
            known = Predictive(found, at.cells, at.schema.modelled)
            below, reached = known.positions(asked)
            confidence, hit = np.full(asked.shape, np.nan), np.full(asked.shape, np.nan)
            for column, each in enumerate(at.schema.modelled):
                there = ~np.isnan(asked[:, column])
                if each.kind in CATEGORICAL and there.any():
                    shares = known.probabilities(column)[there]
                    confidence[there, column] = shares.max(-1)
                    hit[there, column] = shares.argmax(-1) == asked[there, column]
            parts.append((below, reached, confidence, hit))
    return Judged(*(np.concatenate(each)[: len(rows)] for each in zip(*parts, strict=True)))


@dataclass(frozen=True)
class CellIntervals:
    """Hold the intervals and sets of missing cells.

    Args:
        lower: codes of the lower ends, shape (n, C), NaN where a cell is not missing or has no interval.
        upper: codes of the upper ends.
        sets: for each column of values without order, which values are in the set of each row, shape (n, values).
    """

    lower: Array
    upper: Array
    sets: dict[int, npt.NDArray[np.bool_]]


def find_intervals(model: TablePosterior, rows: Rows, levels: Array) -> CellIntervals:
    """Return an interval or a set for each missing cell.

    Args:
        model: the model.
        rows: coded rows, NaN where a cell is missing.
        levels: the level of each column, between 0 and 1, shape (C,).
    """
    columns = model.schema.modelled
    codes = np.asarray(rows.part.take(0, len(rows)), np.float64)
    lower, upper = np.full(codes.shape, np.nan), np.full(codes.shape, np.nan)
    unordered = [i for i, column in enumerate(columns) if column.kind in ("binary", "categorical")]
    sets = {i: np.zeros((len(codes), len(columns[i].categories) + len(columns[i].rare)), bool) for i in unordered}
    asked = np.flatnonzero(np.isnan(codes).any(1))
    some = Rows(replace(rows.part, index=rows.part.index[asked]), rows.transform, rows.seed)
    with evaluating(model.model) as device:
        for at, positions, x, own, noise in model.tiles(some):
            place, missing = asked[positions], np.isnan(own)
            known = Predictive(at.draw_weighted(x, noise, device), at.cells, columns)
            lower[place] = np.where(missing, known.quantiles((1 - levels) / 2), np.nan)
            upper[place] = np.where(missing, known.quantiles((1 + levels) / 2), np.nan)
            for i in unordered:
                sets[i][place] = known.smallest_set(i, levels[i]) & missing[:, i : i + 1]
    return CellIntervals(lower, upper, sets)
