"""Rules that follow from a list of combinations: a part of a text, a functional dependence, and fixed combinations."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.rules.base import Array, Rule, Truth, Values, complete, refuse_kind
from vaekit.data.tables.rules.scales import Scales

CATEGORIES = "categories"
NOWHERE = -1.0
"""A value that no column has."""


class Combinations(Rule):
    """A rule with a list of combinations of values that the training rows have.

    Args:
        combinations: values of the columns, each in the order of `columns`.
        counts: number of training rows of each combination.
    """

    combinations: tuple[tuple[float, ...], ...] = ()
    counts: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.combinations) != len(self.counts) or {len(row) for row in self.combinations} - {len(self.columns)}:
            raise ValueError(f"the combinations of the rule '{self.text}' have another form")
        return self

    @property
    def table(self) -> Array:
        """Return the combinations, shape (k, columns)."""
        return np.array(self.combinations).reshape(-1, len(self.columns))

    def with_counts(self, found: Array, counts: npt.NDArray[np.int64]) -> Self:
        """Return the rule with a list of combinations, shape (k, columns), and their counts."""
        update = {"combinations": tuple(map(tuple, found.tolist())), "counts": tuple(counts.tolist())}
        return self.model_copy(update=update)


class Lookup(Combinations):
    """A rule that computes a target from one source by a list of pairs.

    Args:
        target_column: the column that is computed.
        source: the column that it is computed from.
    """

    target_column: str
    source: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return source and target."""
        return (self.source, self.target_column)

    @property
    def target(self) -> str:
        """Return the column that is computed."""
        return self.target_column

    def solve(self, values: Values, name: str) -> Array:
        """Return the target of each source; a source does not follow from its target."""
        if name != self.target or not self.combinations:
            return super().solve(values, name)
        sources, targets = self.table.T
        given = values[self.source]
        place = np.searchsorted(sources, given).clip(max=len(sources) - 1)
        return np.where(sources[place] == given, targets[place], np.nan)

    def holds(self, values: Values) -> Truth:
        """Return which rows have the target that belongs to their source."""
        wanted, found = self.solve(values, self.target), values[self.target]
        return np.isnan(wanted) | np.isnan(found) | (wanted == found)


class TextSlice(Lookup):
    """A text that is a part of another one, `grade == sub_grade[0]` or `x == y[0:2]`.

    Args:
        start: place of the first character.
        stop: place after the last character.
    """

    kind: Literal["text_slice"] = "text_slice"
    start: int
    stop: int

    def check(self, scales: Scales) -> None:
        """Refuse columns that are not categories of text."""
        for name in self.columns:
            if scales[name].sort != "text":
                raise refuse_kind(self, scales, name, "categories of text")

    def fit(self, values: Values, scales: Scales) -> Self:
        """Return the rule with the part of each text."""
        place = {text: float(i) for i, text in enumerate(scales.texts)}
        source = scales[self.source]
        sources = np.sort(source.values(np.arange(source.column.unseen, dtype=float)))
        parts = [place.get(scales.texts[int(value)][self.start : self.stop], NOWHERE) for value in sources]
        given = values[self.source]
        counts = np.array([np.count_nonzero(given == source) for source in sources], np.int64)
        counts[np.array(parts) == NOWHERE] = 0  # never chosen
        return self.with_counts(np.stack([sources, np.array(parts)], 1), counts)


class Dependence(Lookup):
    """A column that is the same in all rows with the same source, `city -> country`."""

    kind: Literal["dependence"] = "dependence"

    def check(self, scales: Scales) -> None:
        """Refuse a source without categories."""
        if scales[self.source].column.kind not in CATEGORICAL:
            mend = f"Declare data.columns.{self.source}=categorical if its numbers are names"
            raise refuse_kind(self, scales, self.source, f"{CATEGORIES} on the left", mend)

    def fit(self, values: Values, scales: Scales) -> Self:  # noqa: ARG002
        """Return the rule with the most frequent target of each source."""
        pairs, counts = count_combinations(values, self.columns)
        order = np.lexsort([pairs[:, 1], -counts, pairs[:, 0]])
        pairs, counts = pairs[order], counts[order]
        first = np.append(True, pairs[1:, 0] != pairs[:-1, 0])[: len(pairs)]
        return self.with_counts(pairs[first], counts[first])


class Fixed(Combinations):
    """Columns of which only the combinations of training rows occur, `fixed(a, b)`.

    Args:
        names: the columns.
    """

    kind: Literal["fixed"] = "fixed"
    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns."""
        return self.names

    def check(self, scales: Scales) -> None:
        """Refuse columns without categories."""
        for name in self.names:
            if scales[name].column.kind not in CATEGORICAL:
                mend = f"Declare data.columns.{name}=categorical if its numbers are names"
                raise refuse_kind(self, scales, name, CATEGORIES, mend)

    def fit(self, values: Values, scales: Scales) -> Self:  # noqa: ARG002
        """Return the rule with all combinations of the training rows."""
        return self.with_counts(*count_combinations(values, self.columns))

    def holds(self, values: Values) -> Truth:
        """Return which rows have a combination of the training rows."""
        there = complete(values, self.names)
        known = {row.tobytes() for row in self.table}
        rows = np.ascontiguousarray(np.stack([values[name] for name in self.names], 1)[there] + 0.0)
        found = ~there
        found[there] = [row.tobytes() in known for row in rows]
        return found


def count_combinations(values: Values, names: tuple[str, ...]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the combinations of values that complete rows have, in increasing order, and their counts."""
    rows = np.stack([values[name] for name in names], 1)[complete(values, names)] + 0.0
    found, counts = np.unique(rows, axis=0, return_counts=True)
    return found, counts
