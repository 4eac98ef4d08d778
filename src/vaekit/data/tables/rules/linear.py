"""Rules that a column equals another one, or a sum of others."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np

from vaekit.data.tables.rules.base import Array, Rule, Truth, Values, complete, refuse_kind
from vaekit.data.tables.rules.scales import Scales

OUTLIERS, MARGIN = 0.05, 2.0
"""Share of the training rows whose difference does not count for the tolerance, and the tolerance as a multiple of the others."""


class Linear(Rule):
    """A column that equals a sum of other columns: total = Σ sign · term.

    Args:
        total: the column on the left, which the rule computes.
        terms: names and signs of the columns on the right.
        tolerance: the greatest difference: twice that of 95 % of the training rows, and at most half the distance of
            neighbouring totals. It is 0 if sums are exact, and that half if totals were rounded.
        precision: the greatest difference relative to the sum of the absolute terms, from rounding.
    """

    total: str
    terms: tuple[tuple[str, Literal[1, -1]], ...]
    tolerance: float = 0.0
    precision: float = 1e-9

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the total and the terms."""
        return (self.total, *(name for name, _ in self.terms))

    @property
    def target(self) -> str:
        """Return the total."""
        return self.total

    def fit(self, values: Values, scales: Scales) -> Self:
        """Return the rule with the differences that come from the digits and the types of its columns."""
        found = self._differences(values)[complete(values, self.columns)]
        usual = float(np.quantile(found, 1 - OUTLIERS, method="inverted_cdf")) if len(found) else np.inf
        tolerance = min(scales[self.total].step / 2, MARGIN * usual)
        precision = max(scales[name].precision for name in self.columns)
        return self.model_copy(update={"tolerance": tolerance, "precision": precision})

    def holds(self, values: Values) -> Truth:
        """Return which rows have the same number on both sides."""
        size = sum((np.abs(values[name]) for name, _ in self.terms), np.abs(values[self.total]))
        return ~(self._differences(values) > self.tolerance + self.precision * size)

    def _differences(self, values: Values) -> Array:
        """Return how far the total is from the sum of the terms, shape (n,)."""
        return np.abs(sum((-sign * values[name] for name, sign in self.terms), values[self.total]))

    def solve(self, values: Values, name: str) -> Array:
        """Return the total, or the term that makes up the difference."""
        rest = np.zeros(len(values[name]))
        own = -1
        for other, sign in ((self.total, -1), *self.terms):
            if other == name:
                own = sign
            else:
                rest += sign * values[other]
        return -own * rest + 0.0  # not −0


class Equality(Linear):
    """Two columns with the same value, `a == b`; the left one is computed from the right one."""

    kind: Literal["equality"] = "equality"

    def check(self, scales: Scales) -> None:
        """Refuse columns of different sorts."""
        first, second = self.columns
        if scales[first].sort != scales[second].sort:
            raise refuse_kind(self, scales, second, f"of the same sort, and '{first}' is {scales[first].column.kind}")


class Sum(Linear):
    """A column that is a sum of others, `total == x + y - w`."""

    kind: Literal["sum"] = "sum"

    def check(self, scales: Scales) -> None:
        """Refuse columns that are not numbers."""
        for name in self.columns:
            if scales[name].sort != "number":
                raise refuse_kind(self, scales, name, "numbers")
