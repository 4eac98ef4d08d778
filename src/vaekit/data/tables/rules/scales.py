"""Values of cells that can be compared across columns: numbers, dates in microseconds, and texts by their alphabetical place.

Codes of categories mean something else in each column. Rules compare values, which mean the same in all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.tables.columns import CATEGORICAL, LARGEST, Category, Column

Array = npt.NDArray[np.float64]
Sort = Literal["number", "date", "text"]
PRECISION = {pa.float16(): 1e-3, pa.float32(): 1e-6}
"""Relative error of sums of cells of a floating type; that of all other types is 1e-9."""


class Scale(ABC):
    """Converts codes of one column to values, and back.

    Args:
        column: the column.
    """

    sort: Sort
    low, high = -np.inf, np.inf
    """The least and the greatest value of the column."""

    def __init__(self, column: Column) -> None:
        self.column = column

    @property
    def step(self) -> float:
        """Return the distance between neighbouring values; 0 if there is none."""
        return 0.0

    @property
    def precision(self) -> float:
        """Return the relative error of sums of values."""
        return 1e-9

    @abstractmethod
    def values(self, codes: Array) -> Array:
        """Convert codes (n,) to values, NaN where a cell is missing or was never seen in training."""

    @abstractmethod
    def codes(self, values: Array) -> Array:
        """Convert values (n,) to the nearest codes, NaN where the column cannot have the value."""

    @abstractmethod
    def at_least(self, values: Array, strict: bool) -> Array:
        """Return the least value of the column that is at least (if strict: above) each value; ∞ if there is none."""

    @abstractmethod
    def at_most(self, values: Array, strict: bool) -> Array:
        """Return the greatest value of the column that is at most (if strict: below) each value; −∞ if there is none."""


class Numbers(Scale):
    """The values of a column of numbers or dates, which are its codes, rounded as they are written.

    Args:
        column: the column.
    """

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.sort = "date" if column.kind == "datetime" else "number"
        low, high = column.bounds
        self.low, self.high = -LARGEST if low is None else low, LARGEST if high is None else high

    @property
    def step(self) -> float:
        """Return the distance between neighbouring values as they are written."""
        if self.sort == "date":
            return max(self.column.spacing, self.column.rounding, 1.0)
        whole = pa.types.is_integer(self.column.arrow_type)
        return self.column.rounding or float(whole)

    @property
    def precision(self) -> float:
        """Return the relative error of sums of values, which depends on the type of the column."""
        return PRECISION.get(self.column.arrow_type, 1e-9)

    def values(self, codes: Array) -> Array:
        """Return the codes."""
        return codes

    def codes(self, values: Array) -> Array:
        """Round values as they are written; return NaN outside the range of the column."""
        inside = (values >= self.low) & (values <= self.high)
        return self._written(np.where(inside, values, np.nan))

    def _written(self, values: Array) -> Array:
        return self.column.code(self.column.decode(values))

    def at_least(self, values: Array, strict: bool) -> Array:
        """Return the least written value that is at least (if strict: above) each value."""
        return self._next(values, strict, 1.0)

    def at_most(self, values: Array, strict: bool) -> Array:
        """Return the greatest written value that is at most (if strict: below) each value."""
        return self._next(values, strict, -1.0)

    def _next(self, values: Array, strict: bool, sign: float) -> Array:
        """Return the next written value, upwards (sign 1) or downwards (sign −1)."""
        finite = np.abs(values) < LARGEST
        known = np.where(finite, values, 0.0)
        found = self._written(known)
        further = found + sign * self.step
        if not self.step:
            kind = np.dtype(self.column.arrow_type.to_pandas_dtype() if self.precision > 1e-9 else np.float64)
            further = np.nextafter(found.astype(kind), kind.type(sign * np.inf)).astype(np.float64)
        short = (found - known) * sign
        moved = np.where((short <= 0) if strict else (short < 0), self._written(further), found)
        return np.where(finite, moved, values)


class Listed(Scale):
    """The values of a column with categories: numbers, or the places of texts in a list of all texts.

    Args:
        column: the column.
        listed: the value of each code, NaN for a value that was left out when the run was shared.
        sort: the sort of the values.
    """

    def __init__(self, column: Column, listed: Array, sort: Sort) -> None:
        super().__init__(column)
        self.listed, self.sort = listed, sort
        self.order = np.argsort(listed, kind="stable")[: np.count_nonzero(~np.isnan(listed))]
        self.sorted = listed[self.order]
        if len(self.sorted):
            self.low, self.high = float(self.sorted[0]), float(self.sorted[-1])

    def values(self, codes: Array) -> Array:
        """Return the value of each code, NaN for an unseen category."""
        known = np.append(self.listed, np.nan)
        return known[np.where(np.isnan(codes), len(self.listed), codes).astype(int).clip(max=len(self.listed))]

    def codes(self, values: Array) -> Array:
        """Return the code of each value, NaN for a value that is no category of the column."""
        if not len(self.sorted):
            return np.full(len(values), np.nan)
        place = np.searchsorted(self.sorted, values).clip(max=len(self.sorted) - 1)
        return np.where(self.sorted[place] == values, self.order[place].astype(float), np.nan)

    def at_least(self, values: Array, strict: bool) -> Array:
        """Return the least category that is at least (if strict: above) each value."""
        return _least(self.sorted, values, strict)

    def at_most(self, values: Array, strict: bool) -> Array:
        """Return the greatest category that is at most (if strict: below) each value."""
        return -_least(-self.sorted[::-1], -values, strict)


def _least(increasing: Array, values: Array, strict: bool) -> Array:
    place = np.searchsorted(increasing, values, side="right" if strict else "left")
    return np.append(increasing, np.inf)[place]


@dataclass(frozen=True)
class Scales:
    """Holds the scales of some columns, by name, and all of their texts in alphabetical order.

    Args:
        columns: the scale of each column.
        texts: the texts; the value of a text is its place in this list.
    """

    columns: Mapping[str, Scale]
    texts: tuple[str, ...]

    def __getitem__(self, name: str) -> Scale:
        return self.columns[name]


def make_scales(columns: Sequence[Column]) -> Scales:
    """Make the scales of modelled columns.

    Examples:
        >>> grade = Column(name="grade", kind="categorical", type="string", categories=("B", "A"))
        >>> make_scales([grade])["grade"].values(np.array([0.0, 1.0, np.nan])).tolist()
        [1.0, 0.0, nan]
    """
    categories = {c.name: c.listed for c in columns if c.kind in CATEGORICAL}
    texts = sorted({value for values in categories.values() for value in values if isinstance(value, str)})
    place: dict[Category | None, float] = {text: float(i) for i, text in enumerate(texts)}

    def scale(column: Column) -> Scale:
        if column.kind not in CATEGORICAL:
            return Numbers(column)
        values = categories[column.name]
        of_text = any(isinstance(value, str) for value in values)
        numbers = [np.nan if value is None else place[value] if of_text else float(value) for value in values]
        listed = np.array(numbers, np.float64)
        return Listed(column, listed, "text" if of_text else "number")

    return Scales({column.name: scale(column) for column in columns}, tuple(texts))
