"""The base class of rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from vaekit.data.tables.rules.scales import Scales
from vaekit.errors import DataError

Array = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]
Values = Mapping[str, Array]
"""The values of some columns by name, each of shape (n,), NaN where a cell is missing."""


class Rule(BaseModel, ABC):
    """A rule that the cells of each row obey.

    Args:
        text: the rule as the user wrote it.
        tested: the number of training rows with all cells of the rule.
        broken: how many of these rows break the rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    tested: int = 0
    broken: int = 0

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of the rule."""

    @property
    def target(self) -> str | None:
        """Return the column that the rule computes from the others; None if it computes none."""
        return None

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the columns other than the target."""
        return tuple(name for name in self.columns if name != self.target)

    def check(self, scales: Scales) -> None:
        """Refuse columns of a wrong kind.

        Raises:
            DataError: names the column and its kind.
        """

    def fit(self, values: Values, scales: Scales) -> Self:  # noqa: ARG002 - most rules learn from one of the two
        """Return the rule with what it learns from training rows."""
        return self

    def tally(self, values: Values) -> Self:
        """Return the rule with the numbers of rows in which it could be tested, and that break it."""
        there = complete(values, self.columns)
        return self.model_copy(update={"tested": int(there.sum()), "broken": int((~self.holds(values)).sum())})

    @abstractmethod
    def holds(self, values: Values) -> Truth:
        """Return which rows obey the rule, shape (n,); a row that lacks a cell of the rule obeys it."""

    def solve(self, values: Values, name: str) -> Array:
        """Return the values of a column that follow from the other cells, shape (n,), NaN where none follows."""
        return np.full(len(values[name]), np.nan)


def complete(values: Values, names: Sequence[str]) -> Truth:
    """Return which rows have a value in all of these columns."""
    return ~np.isnan(np.stack([values[name] for name in names], 1).sum(1))


def refuse_kind(rule: Rule, scales: Scales, name: str, wanted: str, mend: str = "") -> DataError:
    """Make the error for a column whose kind does not fit a rule."""
    kind = scales[name].column.kind
    held = f"{kind}, of texts" if scales[name].sort == "text" else kind
    return DataError(f"the columns of the rule '{rule.text}' must be {wanted}", f"'{name}' ({held})", mend)
