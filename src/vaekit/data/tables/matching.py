"""Conversion of cells to the type of a column, because libraries may read 007, TRUE or 2020-01-01 as other types."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.dates import looks_like_date, moment_of, read_dates
from vaekit.data.tables.types import Family, family, to_plain, with_own_digits
from vaekit.errors import DataError


class KnownTexts:
    """Finds how a column writes a number, a truth value or a date, such as '007' for 7.

    Args:
        texts: the texts, all different.
        name: name of the column, for refusals.

    Examples:
        >>> known = KnownTexts(["A12", "007", "TRUE"], "room")
        >>> known.find(7), known.find(True), known.find(1.5)
        ('007', 'TRUE', '1.5')
    """

    def __init__(self, texts: Iterable[str], name: str) -> None:
        self.texts, self.name = frozenset(texts), name

    def find(self, value: Any) -> str | None:
        """Find the known text that means a number, a truth value or a date.

        Args:
            value: a cell; None if it is missing.

        Returns:
            The known text, or the value as text if there is none.

        Raises:
            DataError: if several known texts mean the value, so that the original text is lost.
        """
        if value is None:
            return None
        same = self._same(value)
        if len(same) > 1:
            raise DataError(
                f"The value {value!r} in column '{self.name}' could mean {same[0]!r} or {same[1]!r}, two different values in training",
                mend="Read the column as text",
            )
        forms = _forms(value)
        return same[0] if same else next((form for form in forms if form in self.texts), forms[0])

    def _same(self, value: Any) -> list[str]:
        """Return the known texts that mean a value."""
        if isinstance(value, bool):
            return sorted(text for text in self.texts if text.lower() == str(value).lower())
        if isinstance(value, int | float | Decimal):
            return self._numbers.get(float(value), [])
        if not isinstance(value, datetime.date):
            return []
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
        return self._moments.get(moment.replace(tzinfo=None), [])

    @cached_property
    def _numbers(self) -> dict[Hashable, list[str]]:
        return self._by(_number)

    @cached_property
    def _moments(self) -> dict[Hashable, list[str]]:
        return self._by(lambda text: moment_of(text) if looks_like_date(text) else None)

    def _by(self, meaning: Callable[[str], Hashable]) -> dict[Hashable, list[str]]:
        found: dict[Hashable, list[str]] = {}
        for text in sorted(self.texts):
            if (said := meaning(text)) is not None:
                found.setdefault(said, []).append(text)
        return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _forms(value: Any) -> tuple[str, ...]:
    """Return the ways to write a value as text, the most likely first."""
    if isinstance(value, float) and value.is_integer():
        return repr(value), str(int(value))
    if isinstance(value, datetime.datetime):
        days = (value.date().isoformat(),) if value.time() == datetime.time() else ()
        return *days, str(value), value.isoformat()
    if isinstance(value, datetime.time) and not (value.second or value.microsecond):
        return f"{value:%H:%M}", str(value)
    return (repr(value) if isinstance(value, float) else str(value),)


class CellReader:
    """Converts cells of any type to the type of a column, if they keep their meaning.

    Args:
        name: name of the column, for refusals.
        wanted: the family of its type.
        form: how its cells are written (see `Column.form`).
        known: the texts of the column.
    """

    def __init__(self, name: str, wanted: Family, form: str, known: KnownTexts) -> None:
        self.name, self.wanted, self.form, self.known = name, wanted, form, known

    def read(self, cells: Any, first_row: int = 0) -> Any:
        """Convert cells to the family of the column: numbers, dates, truth values or text.

        Args:
            cells: an Arrow array.
            first_row: the number of its first row, for messages.

        Returns:
            float64, timestamps in microseconds, bool or text.

        Raises:
            DataError: if a cell cannot be read in this way.
        """
        wanted, found = self.wanted, to_plain(cells)
        have = family(found.type)
        if have == wanted:
            return found
        if wanted == "text":
            return self._as_known(found if have != "number" else with_own_digits(cells))
        target = {"number": pa.float64(), "truth": pa.bool_(), "date": pa.timestamp("us")}[wanted]
        try:
            return self._cast(found, target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            row, cell = self._first_bad(found, target)
            words = {"number": "a number", "truth": "true or false", "date": "a date"}[wanted]
            must = f"every cell of column '{self.name}' must be {words}, as in training, or empty"
            raise DataError(must, f"'{cell}' in row {first_row + row}") from error

    def _cast(self, cells: Any, target: Any) -> Any:
        """Convert cells of another family to that of the column, or raise an Arrow error."""
        number = family(cells.type) == "number"
        if target == pa.bool_() and number and pc.any(pc.not_equal(pc.abs(pc.subtract(cells, 0.5)), 0.5)).as_py():
            raise pa.ArrowInvalid("a number that is neither 0 nor 1")
        if not pa.types.is_timestamp(target):
            return cells.cast(target)
        if number and self.form:  # dates as in 20201231
            cells = cells.cast(pa.int64()).cast(pa.string())
        return read_dates(cells, self.form) if family(cells.type) == "text" else cells.cast(target)

    def _first_bad(self, cells: Any, target: Any) -> tuple[int, Any]:
        """Return the row and the content of the first cell that cannot be converted."""
        for row, cell in enumerate(cells):
            try:
                self._cast(pa.array([cell.as_py()], cells.type), target)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return row, cell.as_py()
        return 0, cells[0].as_py()

    def _as_known(self, cells: Any) -> Any:
        """Convert numbers, truth values and dates to the known texts with the same meaning: 1 to "1.0", true to "TRUE"."""
        cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        encoded = cells.dictionary_encode()
        texts = [self.known.find(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(encoded.indices)
