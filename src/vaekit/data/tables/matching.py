"""Cells of other types as those of a column: libraries read 007, TRUE or 2020-01-01 as they like."""

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
    """The texts of a column, found by the numbers, truth values and dates that they say.

    Args:
        texts: all different.
        name: of the column, for the refusal.

    Examples:
        >>> known = KnownTexts(["A12", "007", "TRUE"], "room")
        >>> known.find(7), known.find(True), known.find(1.5)
        ('007', 'TRUE', '1.5')
    """

    def __init__(self, texts: Iterable[str], name: str) -> None:
        self.texts, self.name = frozenset(texts), name

    def find(self, value: Any) -> str | None:
        """Find the text as which a number, a truth value or a date is known.

        Args:
            value: a cell; None where it is missing.

        Returns:
            The text; how the value is written, where it is not known.

        Raises:
            DataError: if several texts say the same: the library has lost which of them it was.
        """
        if value is None:
            return None
        same = self._same(value)
        if len(same) > 1:
            raise DataError(
                f"cells of column '{self.name}' must be text, as in training, where {same[0]!r} and {same[1]!r} differ",
                f"{value!r}, which may be either",
                "Read the column as text",
            )
        forms = _forms(value)
        return same[0] if same else next((form for form in forms if form in self.texts), forms[0])

    def _same(self, value: Any) -> list[str]:
        """The texts that say a value in ways of their own."""
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
    """How a value is written in a text, the likeliest first."""
    if isinstance(value, float) and value.is_integer():
        return repr(value), str(int(value))
    if isinstance(value, datetime.datetime):
        days = (value.date().isoformat(),) if value.time() == datetime.time() else ()
        return *days, str(value), value.isoformat()
    if isinstance(value, datetime.time) and not (value.second or value.microsecond):
        return f"{value:%H:%M}", str(value)
    return (repr(value) if isinstance(value, float) else str(value),)


class CellReader:
    """Reads cells of any type as those of a column, where they say the same.

    Args:
        name: of the column, for refusals.
        wanted: what its cells are.
        form: how they are written, as `Column.form` has it.
        known: its texts.
    """

    def __init__(self, name: str, wanted: Family, form: str, known: KnownTexts) -> None:
        self.name, self.wanted, self.form, self.known = name, wanted, form, known

    def read(self, cells: Any, first_row: int = 0) -> Any:
        """Read cells as numbers, dates, truth values or text, whichever the column has, where they hold the same.

        Args:
            cells: an Arrow array.
            first_row: the number of its first row, for messages.

        Returns:
            float64, timestamps in microseconds, bool or text.

        Raises:
            DataError: if a cell cannot be read so.
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
            raise DataError(
                f"every cell of column '{self.name}' must be {words}, as in training, or empty",
                f"'{cell}' in row {first_row + row}",
            ) from error

    def _cast(self, cells: Any, target: Any) -> Any:
        """Cells of another family as the one of the column.

        Raises:
            pyarrow.ArrowInvalid: if a cell cannot be read so.
        """
        number = family(cells.type) == "number"
        if target == pa.bool_() and number and pc.any(pc.not_equal(pc.abs(pc.subtract(cells, 0.5)), 0.5)).as_py():
            raise pa.ArrowInvalid("a number that is neither 0 nor 1")
        if not pa.types.is_timestamp(target):
            return cells.cast(target)
        if number and self.form:  # 20201231
            cells = cells.cast(pa.int64()).cast(pa.string())
        return read_dates(cells, self.form) if family(cells.type) == "text" else cells.cast(target)

    def _first_bad(self, cells: Any, target: Any) -> tuple[int, Any]:
        """Row and content of the first cell that cannot be read."""
        for row, cell in enumerate(cells):
            try:
                self._cast(pa.array([cell.as_py()], cells.type), target)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return row, cell.as_py()
        return 0, cells[0].as_py()

    def _as_known(self, cells: Any) -> Any:
        """Numbers, truth values and dates as the known texts that say the same: 1 as "1.0", true as "TRUE"."""
        cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        encoded = cells.dictionary_encode()
        texts = [self.known.find(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(texts, pa.string()).take(encoded.indices)
