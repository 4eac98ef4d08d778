"""Checks of tables, which refuse columns and cells that later steps cannot process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.dates import CALENDAR, PER_SECOND
from vaekit.data.tables.types import value_type
from vaekit.errors import DataError

MOST_LISTED = 20
"""Most names of columns that a message lists."""


def check_names(names: Collection[str], wanted: Sequence[str]) -> None:
    """Refuse data that lack a column of the training data.

    Args:
        names: the columns of the data.
        wanted: the columns of the model.

    Raises:
        DataError: if a column is missing.
    """
    missing = [repr(name) for name in wanted if name not in names]
    if missing:
        fault = f"The data lack columns that the model was trained on: {_listed(missing)}"
        raise DataError(fault, mend=f"Pass all columns of the model: {_listed(wanted)}")


def _listed(names: Sequence[str]) -> str:
    """Join column names for a message: the first 20, and the total number if there are more."""
    first = ", ".join(f"{name:.200}" for name in names[:MOST_LISTED])
    return first if len(names) <= MOST_LISTED else f"{first}, … ({len(names):,} in total)"


def first_repeated(texts: Iterable[str]) -> str | None:
    """Return the first text that occurs twice; None if all differ."""
    return next((text for text, count in Counter(texts).items() if count > 1), None)


def check_columns(schema: pa.Schema, rows: int) -> None:
    """Refuse a table without rows or columns, or with columns that are ambiguous or unreadable.

    Args:
        schema: names and types of the columns.
        rows: how many rows.

    Raises:
        DataError: if it has no rows or columns, two columns with the same name, or dates of an unknown time zone.
    """
    if not rows or not schema.names:
        raise DataError(f"The source holds no examples: it has {rows} rows and {len(schema.names)} columns")
    if (double := first_repeated(schema.names)) is not None:
        raise DataError("columns must have different names", f"'{double:.200}' twice")
    for zone in {zone for kind in schema.types if (zone := getattr(value_type(kind), "tz", None)) is not None}:
        if not _is_zone(zone):
            name = next(field.name for field in schema if getattr(value_type(field.type), "tz", None) == zone)
            raise DataError(f"the dates of column '{name:.200}' must have a known time zone", f"'{zone:.200}'")


def _is_zone(name: str) -> bool:
    """Return whether a time zone exists; the name may be any text, such as a path."""
    try:
        pa.lib.string_to_tzinfo(name)
    except (pa.ArrowException, KeyError, ValueError, OSError):
        return False
    return True


def check_cells(table: pa.Table, first_row: int = 0) -> None:
    """Refuse invalid cells: text that is not UTF-8, and dates outside the years 1 to 9999.

    Args:
        table: rows from any reader.
        first_row: the number of the first row, for the message.

    Raises:
        DataError: for text that is not UTF-8 and for dates outside the years 1 to 9999; the message names column and row.

    Examples:
        >>> check_cells(pa.table({"day": pa.array([0, 3_000_000], pa.date32())}))
        Traceback (most recent call last):
            ...
        vaekit.errors.DataError: Column 'day' holds a date outside the years 1 to 9999 in row 1. Correct the cell, or leave it empty.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            row = next((row for row in range(len(column)) if not _is_valid(column.slice(row, 1))), 0)
            must = f"every cell of column '{name:.200}' must be valid for its type, {column.type!s:.80}"
            raise DataError(must, f"an invalid cell in row {first_row + row} ({error!s:.150})") from error
        _check_dates(name, column, first_row)


def _is_valid(cell: pa.ChunkedArray) -> bool:
    try:
        pa.concat_arrays(cell.chunks).take(pa.array([0])).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _check_dates(name: str, column: pa.ChunkedArray, first_row: int) -> None:
    kind = value_type(column.type)
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    unit = PER_SECOND["ms" if pa.types.is_date64(kind) else getattr(kind, "unit", "s")]
    numbers = column.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(kind) else column.cast(pa.int64())
    margin = 86_400 if getattr(kind, "tz", None) else 0  # local time is up to a day off
    low, high = CALENDAR[0] + margin, CALENDAR[1] - margin
    if pa.types.is_date32(kind):
        low, high = low // 86_400, high // 86_400
    else:
        low, high = max(low * unit, -(2**63)), min((high + 1) * unit - 1, 2**63 - 1)
    ends = pc.min_max(numbers)
    if ends["min"].is_valid and (ends["min"].as_py() < low or ends["max"].as_py() > high):
        row = pc.index(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), value=True).as_py()
        fault = f"Column '{name:.200}' holds a date outside the years 1 to 9999 in row {first_row + row}"
        raise DataError(fault, mend="Correct the cell, or leave it empty")
