"""Columns of a table, and the encoding of their cells as numbers (codes).

The code of a categorical cell is the index of its value: first come values with their own category, then rare values,
which share one category, and last all unseen values. The code of a date is its microseconds since 1970, the code of any
other cell is its number, and the code of a missing cell is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from vaekit.data.tables.dates import CALENDAR, DAY, is_length, length_of, write_dates
from vaekit.data.tables.matching import CellReader, KnownTexts
from vaekit.data.tables.types import Narrow, family, integer_range, narrower, parse_type, to_plain
from vaekit.errors import DataError

ColumnKind = Literal[
    "real",
    "positive",
    "bounded",
    "count",
    "binary",
    "categorical",
    "ordinal",
    "datetime",
    "constant",
    "identifier",
    "text",
]
CATEGORICAL: tuple[ColumnKind, ...] = ("binary", "categorical", "ordinal")
"""Kinds of columns that have categories."""
LEFT_OUT: tuple[ColumnKind, ...] = ("constant", "identifier", "text")
"""Kinds that are not modelled."""
NEAR = 1e-3
"""Numbers within this share of the spacing count as values on the grid."""
FALSE = {"TRUE": "FALSE", "True": "False"}
"""Spelling of false for each spelling of true."""
MOST_WORDS = 4
"""Most words for missing cells that are shown."""
LARGEST = 1e30
"""Squares of larger numbers overflow in single precision."""

Array = npt.NDArray[np.float64]
Category = bool | float | str
Bounds = tuple[float | None, float | None]


def numbered_names(count: int) -> tuple[str, ...]:
    """Make the names of unnamed columns: `column0`, `column1`, …"""
    return tuple(f"column{i}" for i in range(count))


def round_to(x: Array, spacing: float) -> Array:
    """Round numbers to the nearest multiple of a spacing, without the rounding error of a product such as 3 · 0.1."""
    count, parts = np.round(x / spacing), reciprocal(spacing)
    return count / parts if parts else count * spacing


def reciprocal(spacing: float) -> int:
    """Return n if a spacing is 1/n for a whole number n, else 0."""
    parts = round(1 / spacing) if spacing else 0
    return parts if parts and np.isclose(parts * spacing, 1, rtol=1e-12) else 0


class Column(BaseModel):
    """Describes a column of a table, and encodes and decodes its cells.

    Args:
        name: its name.
        kind: the kind of its values.
        type: its Arrow type in the training data and in results.
        categories: the values with their own category, in order of their codes; None for a value that was left out when
            the run was shared.
        rare: values that share one further category, with their counts; unseen values share it, too. None stands for all
            values that were left out when the run was shared.
        spacing: distance between neighbouring numbers in the likelihood; 0 for a continuous column.
        rounding: distance between neighbouring numbers in results; 0 if they are not rounded. It can be finer than
            the grid of the likelihood.
        form: how its cells are written in text: a `strftime` format for dates, the word for true for truth values.
        missing: the words for its missing cells, with their counts.
        written: whether it came from a text file, where spaces around cells are ignored and words mean missing cells.
        lowest: the least possible value, if it is known.
        highest: the greatest possible value, if it is known.
        drawn: the least and the greatest number that is drawn; None to draw as far as `lowest` and `highest`.
        withheld: codes of the values that too few rows have to be drawn (`data.least_count`).
        draws: what is drawn, in words, for `vaekit describe`; empty if everything is.
        value: the only value of a constant column (None if all cells are missing).
        reason: why the kind was chosen, for `vaekit describe`.
        note: what the user should know about its cells, as a clause; empty if there is nothing to say.
        context: whether the model is conditional on the column (a covariate) and does not model it.
        blank_where: name and values of a categorical column; this column is empty in all training rows with such a value
            (structural blanks). None if it has no structural blanks.

    Examples:
        >>> colour = Column(name="colour", kind="categorical", type="string", categories=("blue", "red"))
        >>> colour.code(pa.array(["red", None, "green"])).tolist()
        [1.0, nan, 2.0]
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    name: str
    kind: ColumnKind
    type: str
    categories: tuple[Category | None, ...] = ()
    rare: tuple[tuple[Category | None, int], ...] = ()
    spacing: float = 0.0
    rounding: float = 0.0
    form: str = ""
    missing: tuple[tuple[str, int], ...] = ()
    written: bool = False
    lowest: float | None = None
    highest: float | None = None
    drawn: Bounds = (None, None)
    withheld: tuple[int, ...] = ()
    draws: str = ""
    value: Category | None = None
    reason: str = ""
    note: str = ""
    context: bool = False
    blank_where: tuple[str, tuple[Category, ...]] | None = None

    @property
    def modelled(self) -> bool:
        """Return whether the column is modelled."""
        return self.kind not in LEFT_OUT and not self.context

    @property
    def words(self) -> tuple[tuple[str, int], ...]:
        """Return the words for missing cells, with their counts; an empty tuple if no words are used."""
        if all(not mark for mark, _ in self.missing):
            return ()
        return tuple((f"'{mark}'" if mark else "empty", count) for mark, count in self.missing[:MOST_WORDS])

    @property
    def bounds(self) -> Bounds:
        """Return the least and the greatest number that is drawn; None at an open end."""
        low, high = self.drawn
        return self.lowest if low is None else low, self.highest if high is None else high

    @property
    def full_reason(self) -> str:
        """Return why the column has its kind, what is drawn, and where it has structural blanks, as text."""
        clauses = [self.reason, "" if self.context else self.draws]
        if self.blank_where is not None:
            name, values = self.blank_where
            shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
            more = f" or {len(shown) - MOST_WORDS} more" if len(shown) > MOST_WORDS else ""
            clauses.append(f"empty in all rows where {name} = {' or '.join(shown[:MOST_WORDS])}{more}")
        return "; ".join(filter(None, clauses))

    @property
    def n_categories(self) -> int:
        """Return the number of categories in the model; the last is for rare and unseen values."""
        return len(self.categories) + 1

    @property
    def unseen(self) -> int:
        """Return the code of unseen values."""
        return len(self.categories) + len(self.rare)

    @property
    def unlisted(self) -> int:
        """Return the code that a value outside the list of values gets: that of the values left out, if there are any."""
        rare = [*(value for value, _ in self.rare), None]
        return len(self.categories) + rare.index(None)

    @property
    def arrow_type(self) -> Any:
        """Return the Arrow type of the column in the training data."""
        return parse_type(self.type)

    @property
    def listed(self) -> list[Category | None]:
        """Return the value of each code, without that of unseen values."""
        return [*self.categories, *(value for value, _ in self.rare)]

    @cached_property
    def _codes(self) -> dict[Category, int]:
        return {value: code for code, value in enumerate(self.listed) if value is not None}

    @cached_property
    def reader(self) -> CellReader:
        """Return a reader that converts cells of other types to the type of the column."""
        wanted = "date" if self.kind == "datetime" else family(self.arrow_type)
        texts = (value for value in self._codes if isinstance(value, str))
        return CellReader(self.name, wanted, self.form, KnownTexts(texts, self.name))

    def code(self, cells: Any, first_row: int = 0) -> Array:
        """Encode cells of the column as numbers.

        Args:
            cells: an Arrow array of a type that can be read as that of the column.
            first_row: the number of its first row, for messages.

        Returns:
            Shape (n,), NaN where a cell is missing.

        Raises:
            DataError: if a cell is infinite, or cannot be read as a cell of the column.
        """
        if pa.types.is_null(cells.type):
            return np.full(len(cells), np.nan)
        given, cells = cells.type, self.reader.read(cells, first_row)
        if self.kind in CATEGORICAL:
            narrow = narrower(given, self.arrow_type) if family(cells.type) == "number" else None
            return self._code_categories(cells, narrow)
        if self.kind == "datetime":
            cells = cells.cast(pa.int64()).cast(pa.float64(), safe=False)
        else:
            cells = cells.cast(pa.float64())
        numbers: Array = cells.to_numpy(zero_copy_only=False)
        bad = np.abs(numbers) > LARGEST  # includes infinity, but not NaN
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            must = f"every cell of column '{self.name}' must be a finite number, at most {LARGEST:g} in size, or empty"
            raise DataError(must, f"{numbers[row]:g} in row {first_row + row}")
        return numbers

    def _code_categories(self, cells: Any, narrow: Narrow | None) -> Array:
        """Encode categorical cells as numbers.

        Args:
            cells: an Arrow array.
            narrow: rounds numbers before they are compared with the training data, or None.
        """
        codes, encoded = np.full(len(cells), np.nan), cells.dictionary_encode()
        positions, values = self._codes, encoded.dictionary.to_pylist()
        if narrow is not None:
            positions = {float(narrow(value)): code for value, code in positions.items()}
            values = [float(narrow(value)) for value in values]
        known = np.array([positions.get(value, self.unlisted) for value in values], np.float64)
        present = np.asarray(encoded.indices.is_valid())
        codes[present] = known[np.asarray(encoded.indices.drop_null())]
        return codes

    def decode(self, codes: Array) -> Any:
        """Decode codes to cells of the column in its original type.

        Args:
            codes: shape (n,), NaN for a missing cell.

        Returns:
            An Arrow array.
        """
        kind, missing = self.arrow_type, np.isnan(codes)
        if self.kind in CATEGORICAL:
            values = [*self.listed, None, None]
            found = pa.array([values[code] for code in np.where(missing, self.unseen, codes).astype(int)])
            return found.cast(kind)
        if self.kind == "datetime":
            spacing = max(self.spacing, self.rounding, 1.0)
            moments = np.round(np.where(missing, 0, codes) / spacing) * spacing
            moments = moments.clip(1e6 * CALENDAR[0], 1e6 * CALENDAR[1])  # the last doubles are 32 microseconds apart
            zone = getattr(kind, "tz", None)
            found = pa.array(moments.astype(np.int64), mask=missing).cast(pa.timestamp("us", "UTC" if zone else None))
            if not pa.types.is_temporal(kind):
                return write_dates(found, spacing, self.form).cast(kind)
            return found.cast(kind, safe=False)
        codes = (round_to(codes, self.rounding) if self.rounding else codes) + 0.0  # −0 becomes 0
        if is_length(kind):
            return length_of(codes, kind)
        if pa.types.is_integer(kind):
            integers = np.round(np.where(missing, 0, codes)).clip(*integer_range(kind))
            return pa.array(integers, mask=missing).cast(kind)
        return pa.array(codes, mask=missing).cast(kind, safe=False)

    def write(self, cells: Any) -> Any:
        """Write cells of the column as text, formatted as in the training file.

        Args:
            cells: an Arrow array of the type of the column, or text, which is returned unchanged.
        """
        if family(cells.type) == "date":
            text = write_dates(to_plain(cells), self.spacing or self.rounding, self.form)
            zoned = getattr(cells.type, "tz", None) and not self.form
            return pc.binary_join_element_wise(text, "Z", "") if zoned else text
        if self.form and pa.types.is_boolean(cells.type):
            return pc.if_else(cells, self.form, FALSE.get(self.form, "false"))
        return cells.cast(pa.string())

    def impossible(self, code: float) -> str | None:
        """Return None if a code is possible, else a description of the values that the column allows."""
        if np.isnan(code):
            return "given"
        if self.kind in CATEGORICAL:
            return None
        low, high = -np.inf if self.lowest is None else self.lowest, np.inf if self.highest is None else self.highest
        if not low <= code <= high:  # 0 is possible in a positive column, where it may be a point mass
            if np.isfinite(high - low):
                return f"between {low:g} and {high:g}"
            return f"at least {low:g}" if self.highest is None else f"at most {high:g}"
        spacing = self.spacing or self.rounding
        if self.kind == "datetime" and spacing and spacing % DAY == 0 and code % spacing:
            return "a day without a time"
        if spacing and self.kind != "datetime" and abs(code / spacing - round(code / spacing)) > NEAR:
            return f"a multiple of {spacing:g}"
        return None

    def log_share(self) -> Array:
        """Return log P(value | category) for each code; it is 0 for a value that has its own category."""
        counts = np.array([*(count for _, count in self.rare), 1.0])
        return np.concatenate([np.zeros(len(self.categories)), np.log(counts / counts.sum())])


def are_numbered(columns: Sequence[Column]) -> bool:
    """Return whether all columns are unnamed, that is, called `column0`, `column1`, …"""
    return bool(columns) and tuple(column.name for column in columns) == numbered_names(len(columns))
