"""Tables with columns of any type, read in batches, so that a file may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from vaekit.data.tables.checks import check_cells, check_columns, check_names
from vaekit.data.tables.types import value_type
from vaekit.data.tables.written import present

BATCH = 1 << 16
"""Most rows of a batch."""

Native = Callable[[pa.Table], Any]
"""Converts an Arrow table to the library that the rows came from."""


def as_arrow(table: pa.Table) -> Any:
    """Return an Arrow table of results unchanged."""
    return table


@dataclass(frozen=True)
class Seen:
    """Records what a reader noticed about a column.

    Args:
        missing: the words for missing cells, with their counts.
        form: how its cells are written (see `Column.form`).
        remark: what the user should know about its cells.
        nameless: whether it has no name although other columns have one.
        written: whether its cells were text in a file.
    """

    missing: tuple[tuple[str, int], ...] = ()
    form: str = ""
    remark: str = ""
    nameless: bool = False
    written: bool = False


@dataclass(frozen=True)
class Frame:
    """Holds a table that is read batch by batch, with the names and types of its columns.

    Args:
        schema: names and Arrow types of the columns.
        rows: number of rows.
        read: returns a new iterator over the rows, in order, as Arrow tables of at most `BATCH` rows.
        named: whether the source names its columns; unnamed columns (`column0`, …) are matched by position.
        native: converts an Arrow table of results for these rows to the library that they came from, with their types,
            row labels and given cells.
        array: whether the rows came as an array.
        first: number of the first row, if this is a piece of a larger frame.
        marks: words for a missing cell if all cells are text as written in a file; None if columns have types.
        words: words for a missing cell in columns of text, if the model was trained on a text file.
        written: the same rows as text, if they were read from a text file; None for text itself and for a piece.
        seen: what the reader noticed about columns, by name.
        said: how the source was read, in words for the user.
        notes: sentences about the source, for `train` and `describe`.
        part: returns `native` for a piece, given its first row and its number of rows; by default `native` itself.
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
        """Return the names of the columns."""
        return tuple(self.schema.names)

    def pieces(self) -> Iterator[Frame]:
        """Iterate over the table in frames of at most `BATCH` rows."""
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
        """Return a column of one piece of the table, with null in missing cells."""
        cells, words = piece[name], self.words if self.marks is None else self.marks
        kind = value_type(cells.type)
        if words is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return cells
        return present(cells.cast(pa.string()), words)

    def table(self) -> pa.Table:
        """Read all rows into one Arrow table."""
        return pa.concat_tables([self.schema.empty_table(), *self.read()])

    def in_order(self, names: Sequence[str]) -> Frame:
        """Return the table with only the given columns, in the given order.

        Args:
            names: names of the columns; if the frame has as many unnamed columns, they are matched by position.

        Raises:
            DataError: if a column is missing.
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
        fields = {field.name: field for field in self.schema}  # looking up a name in a schema takes linear time
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
    """Make a frame from an Arrow table in memory; further arguments are those of `Frame`.

    Raises:
        DataError: if `check_columns` or `check_cells` refuses the table.
    """
    check_columns(table.schema, table.num_rows)
    check_cells(table)

    def read() -> Iterator[pa.Table]:
        for start in range(0, len(table), BATCH):
            yield table.slice(start, BATCH)

    return Frame(table.schema, len(table), read, named, native, array=array, part=part)
