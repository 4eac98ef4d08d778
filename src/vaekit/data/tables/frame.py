"""Tables whose columns may be of any type, read in batches so that a file need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from vaekit.data.tables.checks import check_cells, check_columns, check_names
from vaekit.data.tables.types import value_type
from vaekit.data.tables.written import present

BATCH = 1 << 16
"""Rows of a batch."""

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
