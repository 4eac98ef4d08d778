"""Tables whose columns may be of any type, read in batches so that a file need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from vaekit.data.written import present
from vaekit.errors import DataError

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
    """

    missing: tuple[tuple[str, int], ...] = ()
    form: str = ""
    remark: str = ""
    nameless: bool = False


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
        written: the same rows as they are written, where these were read from a text file.
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
        return piece[name] if self.marks is None else present(piece[name], self.marks)

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
            return replace(
                self,
                schema=renamed,
                read=lambda: (t.rename_columns(list(names)) for t in self.read()),
                named=True,
                written=written,
            )
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DataError(
                f"the data must have the columns the model was trained on: {', '.join(names)}",
                f"data without {', '.join(repr(name) for name in missing)}",
            )
        wanted = list(names)
        chosen = pa.schema([self.schema.field(name) for name in wanted])
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
        DataError: if it has no rows or columns, or two columns of one name.
    """
    check_columns(table.schema, table.num_rows)

    def read() -> Iterator[pa.Table]:
        for start in range(0, len(table), BATCH):
            yield table.slice(start, BATCH)

    return Frame(table.schema, len(table), read, named, native, array=array, part=part)


def frame_of_parquet(path: Path) -> Frame:
    """The rows of a Parquet file, read a batch at a time.

    Raises:
        DataError: if the file is damaged, has no rows or columns, or two columns of one name.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema, rows = file.schema_arrow.remove_metadata(), file.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("a Parquet file must be whole", f"'{path}': {error}") from error
    check_columns(schema, rows)

    def read() -> Iterator[pa.Table]:
        try:
            with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:  # else whole files are held
                for batch in file.iter_batches(BATCH, use_threads=False):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata()
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError("a Parquet file must be whole", f"'{path}': {error}") from error

    return Frame(schema, rows, read)


def check_columns(schema: pa.Schema, rows: int) -> None:
    """Refuse a table without rows or columns.

    Args:
        schema: names and types of the columns.
        rows: how many rows.

    Raises:
        DataError: if it has no rows or columns, or two columns of one name.
    """
    if not rows or not schema.names:
        raise DataError("the source must hold examples", f"{rows} rows of {len(schema.names)} columns")
    names = schema.names
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise DataError("columns must have different names", f"'{double}' twice")
