"""Tables with columns of any type, read in batches, so that a file may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pyarrow as pa

from vaekit.data.tables.checks import check_cells, check_columns, check_names
from vaekit.data.tables.types import value_type
from vaekit.data.tables.written import present

BATCH = 1 << 16
"""Most rows of a batch."""


class Library(Protocol):
    """Converts results, which are Arrow tables, to the library that rows came from."""

    @property
    def name(self) -> str:
        """Return the name of the library, as narwhals has it; empty for rows of a file."""

    def answer(self, found: pa.Table) -> Any:
        """Convert results for the given rows, with the types, column order and row labels of these rows.

        Args:
            found: as many rows as were given; cells equal to the given ones stay as given.
        """

    def convert(self, found: pa.Table) -> Any:
        """Convert any number of new rows, such as samples, with the types of the given rows."""

    def add_labels(self, found: pa.Table) -> Any:
        """Convert numbers computed for the given rows, such as the surprise of each cell, with their row labels."""

    def part(self, first: int, rows: int) -> Library:
        """Return the library for a slice of the rows: `rows` rows, starting at row `first`."""


class PlainLibrary:
    """Leaves results as Arrow tables: the library of rows that come from a file."""

    name = ""

    def answer(self, found: pa.Table) -> Any:
        """Return the table unchanged."""
        return found

    convert = add_labels = answer

    def part(self, first: int, rows: int) -> PlainLibrary:  # noqa: ARG002
        """Return the library itself."""
        return self


@dataclass(frozen=True)
class RenamedLibrary:
    """Converts results to a library in which the columns have other names than in the model.

    Args:
        library: the library.
        given: the name of each column as given, by its name in the model.
    """

    library: Library
    given: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the library."""
        return self.library.name

    def answer(self, found: pa.Table) -> Any:
        """Convert results for the given rows."""
        return self.library.answer(self._renamed(found))

    def convert(self, found: pa.Table) -> Any:
        """Convert new rows."""
        return self.library.convert(self._renamed(found))

    def add_labels(self, found: pa.Table) -> Any:
        """Convert numbers computed for the given rows."""
        return self.library.add_labels(self._renamed(found))

    def part(self, first: int, rows: int) -> RenamedLibrary:
        """Return the library for a slice of the rows."""
        return replace(self, library=self.library.part(first, rows))

    def _renamed(self, found: pa.Table) -> pa.Table:
        return found.rename_columns([self.given.get(name, name) for name in found.column_names])


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
        library: converts results for these rows to the library that they came from.
        array: whether the rows came as an array.
        first: number of the first row, if this is a piece of a larger frame.
        marks: words for a missing cell if all cells are text as written in a file; None if columns have types.
        words: words for a missing cell in columns of text, if the model was trained on a text file.
        written: the same rows as text, if they were read from a text file; None for text itself and for a piece.
        seen: what the reader noticed about columns, by name.
        line: returns the line of a row in a text file, in words; None if the rows have no lines.
        said: how the source was read, in words for the user.
        notes: sentences about the source, for `train` and `describe`.
    """

    schema: pa.Schema
    rows: int
    read: Callable[[], Iterator[pa.Table]]
    named: bool = True
    library: Library = PlainLibrary()  # noqa: RUF009 - it has no state
    array: bool = False
    first: int = 0
    marks: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None
    written: Frame | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    line: Callable[[int], str] | None = None
    said: str = ""
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self.schema.names)

    def where(self, row: int) -> str:
        """Name a row for a message: its number, and its line if it comes from a text file.

        Examples:
            >>> frame_of_table(pa.table({"age": [31, 7]})).where(1)
            'row 1'
        """
        line = self.line(row) if self.line else ""
        return f"row {row} ({line})" if line else f"row {row}"

    def pieces(self) -> Iterator[Frame]:
        """Iterate over the table in frames of at most `BATCH` rows."""
        first = 0
        for table in self.read():
            yield replace(
                self,
                rows=len(table),
                read=lambda table=table: iter((table,)),  # type: ignore[misc]
                library=self.library.part(first, len(table)),
                first=self.first + first,
                written=None,
                line=None,
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
            return replace(
                self,
                library=RenamedLibrary(self.library, given),
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
    library: Library | None = None,
    array: bool = False,
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

    return Frame(table.schema, len(table), read, named, library or PlainLibrary(), array=array)
