"""Tables whose columns may be of any type, read in batches so that a file need not fit into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.columns import value_type
from vaekit.data.tables.dates import CALENDAR, PER_SECOND
from vaekit.data.tables.written import present
from vaekit.errors import DataError

BATCH = 1 << 16
"""Rows of a batch."""

MOST_LISTED = 20
"""Names of columns that a message lists."""

Native = Callable[[pa.Table], Any]
"""From an Arrow table to a data frame of the library that the rows came from."""


def as_arrow(table: pa.Table) -> Any:
    """The table as it is."""
    return table


@dataclass(frozen=True)
class Seen:
    """What a reader saw of a column.

    Args:
        missing: how missing cells are written, and how many are written so.
        form: how its cells are written, as `Column.form` has it.
        remark: what should be known of its cells.
        nameless: whether the source has no name for it, though it names others.
        written: whether its cells were text of a file.
    """

    missing: tuple[tuple[str, int], ...] = ()
    form: str = ""
    remark: str = ""
    nameless: bool = False
    written: bool = False


@dataclass(frozen=True)
class Frame:
    """Rows of named columns.

    Args:
        schema: names and Arrow types of the columns.
        rows: how many rows.
        read: gives the rows anew, in order, as Arrow tables of at most `BATCH` rows.
        named: whether the source names its columns; made-up names (`column0`, …) are matched by position.
        native: brings an Arrow table of rows that answer these back to the library that they came from, with the types,
            row labels and given cells of these.
        origin: where the rows come from: a path, an address, or `memory`.
        array: whether the rows came as an array.
        first: number of the first row, where this is a piece of a larger frame.
        marks: words for a missing cell, where cells are as they are written in a text file; None where they have types.
        words: words for a missing cell in columns of text, where the run that these rows are for was trained on a text file.
        written: the same rows as they are written, where these were read from a text file; None where `marks` is not, and of
            a piece.
        seen: what the reader saw of columns, by name.
        said: how the reader understood the source, for people.
        notes: sentences on it that training and `describe` say.
        part: `native` for a piece, from the number of its first row here and its length; by default that of the whole.
    """

    schema: pa.Schema
    rows: int
    read: Callable[[], Iterator[pa.Table]]
    named: bool = True
    native: Native = as_arrow
    origin: str = "memory"
    array: bool = False
    first: int = 0
    marks: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None
    written: Frame | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    said: str = ""
    notes: tuple[str, ...] = ()
    part: Callable[[int, int], Native] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def pieces(self) -> Iterator[Frame]:
        """The same rows as frames of at most `BATCH` rows."""
        first = 0
        for table in self.read():
            native = self.native if self.part is None else self.part(first, len(table))
            yield replace(
                self,
                rows=len(table),
                read=lambda table=table: iter((table,)),  # type: ignore[misc]
                native=native,
                first=self.first + first,
                part=None,
                written=None,
            )
            first += len(table)

    def cells(self, piece: pa.Table, name: str) -> Any:
        """A column of a piece of these rows, null where a cell is missing."""
        cells, words = piece[name], self.words if self.marks is None else self.marks
        kind = value_type(cells.type)
        if words is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return cells
        return present(cells.cast(pa.string()), words)

    def table(self) -> pa.Table:
        """All rows at once."""
        return pa.concat_tables([self.schema.empty_table(), *self.read()])

    def in_order(self, names: Sequence[str]) -> Frame:
        """The same rows with these columns, in this order; further columns are left out.

        Args:
            names: the columns wanted. A frame without names of its own is matched by position.

        Raises:
            DataError: if a column is missing, or a nameless frame has another number of columns.
        """
        if not self.named and len(self.names) == len(names):
            renamed = pa.schema([field.with_name(n) for field, n in zip(self.schema, names, strict=True)])
            written = None if self.written is None else self.written.in_order(names)
            given = dict(zip(names, self.names, strict=True))

            def under_given_names(native: Native) -> Native:
                return lambda table: native(table.rename_columns([given.get(n, n) for n in table.column_names]))

            part = self.part
            return replace(
                self,
                native=under_given_names(self.native),
                part=None if part is None else lambda first, rows: under_given_names(part(first, rows)),
                schema=renamed,
                read=lambda: (t.rename_columns(list(names)) for t in self.read()),
                named=True,
                written=written,
            )
        fields = {field.name: field for field in self.schema}  # a schema looks through all of its names
        check_names(fields, names)
        wanted = list(names)
        chosen = pa.schema([fields[name] for name in wanted])
        written = None if self.written is None else self.written.in_order(names)
        return replace(self, schema=chosen, read=lambda: (t.select(wanted) for t in self.read()), written=written)


def check_names(names: Collection[str], wanted: Sequence[str]) -> None:
    """Refuse data without the columns of a model.

    Args:
        names: the columns of the data.
        wanted: the columns of the model.

    Raises:
        DataError: if one of these is missing.
    """
    missing = [repr(name) for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"the data must have the columns the model was trained on: {_listed(wanted)}",
            f"data without {_listed(missing)}",
        )


def _listed(names: Sequence[str]) -> str:
    """Names for a message: the first of them, and how many there are."""
    first = ", ".join(f"{name:.200}" for name in names[:MOST_LISTED])
    return first if len(names) <= MOST_LISTED else f"{first}, … ({len(names):,} in all)"


def frame_of_table(
    table: pa.Table,
    named: bool = True,
    native: Native = as_arrow,
    array: bool = False,
    part: Callable[[int, int], Native] | None = None,
) -> Frame:
    """The rows of an Arrow table in memory; further arguments as in `Frame`.

    Raises:
        DataError: as `check_columns` and `check_cells` raise it.
    """
    check_columns(table.schema, table.num_rows)
    check_cells(table)

    def read() -> Iterator[pa.Table]:
        for start in range(0, len(table), BATCH):
            yield table.slice(start, BATCH)

    return Frame(table.schema, len(table), read, named, native, array=array, part=part)


def first_repeated(texts: Iterable[str]) -> str | None:
    """Find the first of some texts that comes twice."""
    return next((text for text, count in Counter(texts).items() if count > 1), None)


def check_columns(schema: pa.Schema, rows: int) -> None:
    """Refuse a table without rows or columns, and columns that could not be told apart or read.

    Args:
        schema: names and types of the columns.
        rows: how many rows.

    Raises:
        DataError: if it has no rows or columns, two columns of one name, or dates of a time zone that does not exist.
    """
    if not rows or not schema.names:
        raise DataError("the source must hold examples", f"{rows} rows of {len(schema.names)} columns")
    if (double := first_repeated(schema.names)) is not None:
        raise DataError("columns must have different names", f"'{double:.200}' twice")
    for zone in {zone for kind in schema.types if (zone := getattr(value_type(kind), "tz", None)) is not None}:
        if not _is_zone(zone):
            name = next(field.name for field in schema if getattr(value_type(field.type), "tz", None) == zone)
            raise DataError(f"the dates of column '{name:.200}' must be of a known time zone", f"'{zone:.200}'")


def _is_zone(name: str) -> bool:
    """Whether a time zone exists; a name that is none may be anything, a path too."""
    try:
        pa.lib.string_to_tzinfo(name)
    except (pa.ArrowException, KeyError, ValueError, OSError):
        return False
    return True


def check_cells(table: pa.Table, first_row: int = 0) -> None:
    """Refuse cells at which something later would stumble.

    Args:
        table: some rows, from whatever reader.
        first_row: the number of the first of them, for the message.

    Raises:
        DataError: for text that is not UTF-8, and dates outside the years 1 to 9999, with column and row.

    Examples:
        >>> check_cells(pa.table({"day": pa.array([0, 3_000_000], pa.date32())}))
        Traceback (most recent call last):
            ...
        vaekit.errors.DataError: every date in column 'day' must be in the years 1 to 9999. Got another in row 1 instead. Mend the cell, or leave it empty.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            row = next((row for row in range(len(column)) if not _is_valid(column.slice(row, 1))), 0)
            raise DataError(
                f"every cell of column '{name:.200}' must be of its type, {column.type!s:.80}",
                f"{error!s:.200} in row {first_row + row}",
            ) from error
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
        raise DataError(
            f"every date in column '{name:.200}' must be in the years 1 to 9999",
            f"another in row {first_row + row}",
            "Mend the cell, or leave it empty",
        )
