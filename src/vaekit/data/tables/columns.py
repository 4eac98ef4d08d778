"""What a column of a table is, and its cells as numbers: the code that the model's transform starts from.

A categorical cell is coded by the place of its value in a list (first those with a place of their own in the model, then
rare ones that share a place, last all that were never seen),
a date by its microseconds since 1970, any other cell by its number; a missing cell by NaN.
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
"""Kinds whose values are a list."""
LEFT_OUT: tuple[ColumnKind, ...] = ("constant", "identifier", "text")
"""Kinds of which the model says nothing."""
NEAR = 1e-3
"""Within this share of a spacing, a number is a value of the lattice."""
FALSE = {"TRUE": "FALSE", "True": "False"}
"""How false is written, by how true is."""
MOST_WORDS = 4
"""Words for missing cells that are shown."""
LARGEST = 1e30
"""Beyond this, squares overflow in single precision."""

Array = npt.NDArray[np.float64]
Category = bool | float | str


def numbered_names(count: int) -> tuple[str, ...]:
    """Return the names of columns that have none of their own: `column0`, `column1`, …"""
    return tuple(f"column{i}" for i in range(count))


def round_to(x: Array, spacing: float) -> Array:
    """Bring numbers to the nearest multiple of a spacing; 3 of 1/10 are 3/10, and not 3 · 0.1, which is another number."""
    whole, parts = np.round(x / spacing), round(1 / spacing)
    return whole / parts if parts and np.isclose(parts * spacing, 1, rtol=1e-12) else whole * spacing


class Column(BaseModel):
    """A column of a table.

    Args:
        name: its name.
        kind: what its values are.
        type: its Arrow type as given, to which output returns.
        categories: the values of a categorical kind that have a place of their own, in order of their codes.
        rare: values that share the place after the last, with their counts; values never seen share it too.
        spacing: distance between neighbouring values of a kind on the line, of which the likelihood speaks; 0 where there is none.
        rounding: distance between neighbouring values to which results go; the spacing, but that a wide range may be too fine for it.
        form: how its cells are written in text: dates as `strftime` has it, true and false by their true.
        missing: how its missing cells are written, and how many are written so.
        written: whether it was read from a text file, where blanks around a cell and words for a missing one say nothing else.
        lowest: the least value that is possible, where that is known.
        highest: the greatest value that is possible, where that is known.
        value: of a constant column, its only value (None: all missing).
        reason: why the kind was chosen, for `vaekit describe`.
        note: what the user should know of its cells, a clause; empty where there is nothing.
        context: whether it is given to the model rather than modelled: a covariate.

    Examples:
        >>> colour = Column(name="colour", kind="categorical", type="string", categories=("blue", "red"))
        >>> colour.code(pa.array(["red", None, "green"])).tolist()
        [1.0, nan, 2.0]
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    name: str
    kind: ColumnKind
    type: str
    categories: tuple[Category, ...] = ()
    rare: tuple[tuple[Category, int], ...] = ()
    spacing: float = 0.0
    rounding: float = 0.0
    form: str = ""
    missing: tuple[tuple[str, int], ...] = ()
    written: bool = False
    lowest: float | None = None
    highest: float | None = None
    value: Category | None = None
    reason: str = ""
    note: str = ""
    context: bool = False

    @property
    def modelled(self) -> bool:
        """Whether the model speaks of it."""
        return self.kind not in LEFT_OUT and not self.context

    @property
    def words(self) -> tuple[tuple[str, int], ...]:
        """How missing cells are written, in quotes or `empty`, and how many are written so; none where all are empty."""
        if all(not mark for mark, _ in self.missing):
            return ()
        return tuple((f"'{mark}'" if mark else "empty", count) for mark, count in self.missing[:MOST_WORDS])

    @property
    def n_categories(self) -> int:
        """How many places the model has for the values of a categorical kind: the last is for rare and unknown ones."""
        return len(self.categories) + 1

    @property
    def unseen(self) -> int:
        """The code of values that were never seen."""
        return len(self.categories) + len(self.rare)

    @property
    def arrow_type(self) -> Any:
        """The Arrow type as given."""
        return parse_type(self.type)

    @cached_property
    def _codes(self) -> dict[Category, int]:
        values = [*self.categories, *(value for value, _ in self.rare)]
        return {value: code for code, value in enumerate(values)}

    @cached_property
    def reader(self) -> CellReader:
        """Reads cells of other types as those of this column."""
        wanted = "date" if self.kind == "datetime" else family(self.arrow_type)
        texts = (value for value in self._codes if isinstance(value, str))
        return CellReader(self.name, wanted, self.form, KnownTexts(texts, self.name))

    def code(self, cells: Any, first_row: int = 0) -> Array:
        """Cells as numbers.

        Args:
            cells: an Arrow array of a type akin to the column's.
            first_row: the number of its first row, for messages.

        Returns:
            Shape (n,), NaN where a cell is missing.

        Raises:
            DataError: if a cell is no number, no date, or infinite.
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
        bad = np.abs(numbers) > LARGEST  # infinity too, but not NaN
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"every cell of column '{self.name}' must be a finite number, at most {LARGEST:g} in size, or empty",
                f"{numbers[row]:g} in row {first_row + row}",
            )
        return numbers

    def _code_categories(self, cells: Any, narrow: Narrow | None) -> Array:
        """Places in the list; numbers are compared in the narrower of the two precisions that they went through."""
        codes, encoded = np.full(len(cells), np.nan), cells.dictionary_encode()
        places, values = self._codes, encoded.dictionary.to_pylist()
        if narrow is not None:
            places = {float(narrow(value)): code for value, code in places.items()}
            values = [float(narrow(value)) for value in values]
        known = np.array([places.get(value, self.unseen) for value in values], np.float64)
        present = np.asarray(encoded.indices.is_valid())
        codes[present] = known[np.asarray(encoded.indices.drop_null())]
        return codes

    def decode(self, codes: Array) -> Any:
        """Numbers back to cells of the type as given.

        Args:
            codes: shape (n,), NaN for a missing cell.

        Returns:
            An Arrow array.
        """
        kind, missing = self.arrow_type, np.isnan(codes)
        if self.kind in CATEGORICAL:
            values = [*self._codes, None, None]
            found = pa.array([values[code] for code in np.where(missing, self.unseen, codes).astype(int)])
            return found.cast(kind)
        if self.kind == "datetime":
            spacing = max(self.spacing, self.rounding, 1.0)
            moments = np.round(np.where(missing, 0, codes) / spacing) * spacing
            moments = moments.clip(1e6 * CALENDAR[0], 1e6 * CALENDAR[1])  # doubles so late are 32 microseconds apart
            zone = getattr(kind, "tz", None)
            found = pa.array(moments.astype(np.int64), mask=missing).cast(pa.timestamp("us", "UTC" if zone else None))
            if not pa.types.is_temporal(kind):
                return write_dates(found, spacing, self.form).cast(kind)
            return found.cast(kind, safe=False)
        if self.rounding:
            codes = round_to(codes, self.rounding)
        if is_length(kind):
            return length_of(codes, kind)
        if pa.types.is_integer(kind):
            whole = np.round(np.where(missing, 0, codes)).clip(*integer_range(kind))
            return pa.array(whole, mask=missing).cast(kind)
        return pa.array(codes, mask=missing).cast(kind, safe=False)

    def write(self, cells: Any) -> Any:
        """Write cells as text, as they are written in the column.

        Args:
            cells: an Arrow array of the column's type, or text, which stays as it is.
        """
        if family(cells.type) == "date":
            text = write_dates(to_plain(cells), self.spacing or self.rounding, self.form)
            zoned = getattr(cells.type, "tz", None) and not self.form
            return pc.binary_join_element_wise(text, "Z", "") if zoned else text
        if self.form and pa.types.is_boolean(cells.type):
            return pc.if_else(cells, self.form, FALSE.get(self.form, "false"))
        return cells.cast(pa.string())

    def impossible(self, code: float) -> str | None:
        """What a value would have to be, if it cannot be one of this column; None if it can."""
        if np.isnan(code):
            return "given"
        if self.kind in CATEGORICAL:
            return None
        low, high = -np.inf if self.lowest is None else self.lowest, np.inf if self.highest is None else self.highest
        if self.kind == "positive" and code <= 0:
            return "above 0"
        if not low <= code <= high:
            return f"between {low:g} and {high:g}"
        spacing = self.spacing or self.rounding
        if self.kind == "datetime" and spacing and spacing % DAY == 0 and code % spacing:
            return "a day without a clock"
        if spacing and self.kind != "datetime" and abs(code / spacing - round(code / spacing)) > NEAR:
            return f"a multiple of {spacing:g}"
        return None

    def draw_rare(self, codes: Array, uniform: Array) -> Array:
        """Codes in which the shared place has become one of the rare values, drawn by their counts.

        Args:
            codes: any shape, as a model draws them: the shared place stands after the last category.
            uniform: numbers in [0, 1) of the same shape.
        """
        if self.kind not in CATEGORICAL or len(self.rare) < 2:
            return codes
        reached = np.cumsum([count for _, count in self.rare])
        rare = np.searchsorted(reached, uniform * reached[-1], side="right").clip(max=len(reached) - 1)
        return np.where(codes == len(self.categories), codes + rare, codes)

    def log_share(self) -> Array:
        """log P(value | its place) by code: 0 for a place of its own; in the shared one by counts, one for all unseen."""
        counts = np.array([*(count for _, count in self.rare), 1.0])
        return np.concatenate([np.zeros(len(self.categories)), np.log(counts / counts.sum())])


def are_numbered(columns: Sequence[Column]) -> bool:
    """Whether columns have no names but the numbers that they were given."""
    return bool(columns) and tuple(column.name for column in columns) == numbered_names(len(columns))
