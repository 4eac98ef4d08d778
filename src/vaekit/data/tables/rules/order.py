"""The rule that one column is below another, or beyond a constant."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np

from vaekit.data.tables.rules.base import Array, Rule, Truth, Values, refuse_kind
from vaekit.data.tables.rules.scales import Scales

QUANTILES = 33
"""Number of quantiles that describe the differences of the two sides."""


class Order(Rule):
    """Two numbers or dates in order: lower ≤ upper, or lower < upper if strict.

    Args:
        lower: the name of the lower column, or a constant (of dates in microseconds since 1970).
        upper: the name of the upper column, or a constant.
        strict: whether the two must differ.
        dated: whether the constant is a date.
        differences: quantiles of upper − lower in the training rows that obey the rule, at equal distances from 0 to 1.
    """

    kind: Literal["order"] = "order"
    lower: str | float
    upper: str | float
    strict: bool
    dated: bool = False
    differences: tuple[float, ...] = (0.0,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, without a constant."""
        return tuple(side for side in (self.lower, self.upper) if isinstance(side, str))

    def check(self, scales: Scales) -> None:
        """Refuse texts, and a number beside a date."""
        for name in self.columns:
            if scales[name].sort == "text":
                raise refuse_kind(self, scales, name, "numbers or dates")
        first = "date" if self.dated else "number"
        sorts = [scales[side].sort if isinstance(side, str) else first for side in (self.lower, self.upper)]
        if sorts[0] != sorts[1]:
            wanted = "both numbers or both dates" if len(self.columns) == 2 else f"{first}s, as the constant is"
            raise refuse_kind(self, scales, self.columns[-1], wanted)

    def fit(self, values: Values, scales: Scales) -> Self:  # noqa: ARG002
        """Return the rule with the quantiles of its differences."""
        difference = self.side(values, self.upper) - self.side(values, self.lower)
        obeyed = difference[(difference > 0) | ((difference == 0) & (not self.strict))]
        if not len(obeyed):
            return self
        quantiles = np.quantile(obeyed, np.linspace(0, 1, QUANTILES), method="inverted_cdf")
        return self.model_copy(update={"differences": tuple(quantiles.tolist())})

    def side(self, values: Values, side: str | float) -> Array:
        """Return the values of one side, shape (n,)."""
        return values[side] if isinstance(side, str) else np.full(len(values[self.columns[0]]), side)

    def holds(self, values: Values) -> Truth:
        """Return which rows have their two values in order."""
        lower, upper = self.side(values, self.lower), self.side(values, self.upper)
        return ~((lower >= upper) if self.strict else (lower > upper))

    def draw_difference(self, uniform: Array) -> Array:
        """Return differences drawn from those of the training rows, given numbers in (0, 1)."""
        return np.interp(uniform, np.linspace(0, 1, len(self.differences)), self.differences)
