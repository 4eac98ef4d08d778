"""A reader of CSV files of any size: a first pass finds the types of columns, later passes return rows in batches."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from vaekit.data.limits import check_size
from vaekit.data.readers.headers import Form, bad_encoding, find_forms
from vaekit.data.readers.pieces import even_pieces
from vaekit.data.readers.shards import Shard
from vaekit.data.readers.union import check_same_columns
from vaekit.data.tables.checks import check_columns
from vaekit.data.tables.coding import as_types
from vaekit.data.tables.columns import Column
from vaekit.data.tables.frame import Frame, PlainLibrary, Seen
from vaekit.data.tables.written import MISSING, Survey, present
from vaekit.errors import DataError

BLOCK = 1 << 22
"""Bytes of a file that are parsed at once; a line must be shorter."""
CELL_BYTES = 4096
"""Bytes that are parsed at once for each column, so that a block of a wide table has enough rows."""


class CsvShard(Shard):
    """A CSV file. Its cells are text."""

    format = "CSV"
    endings = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

    def cells(self) -> Iterator[Any]:
        """Iterate over the rows as record batches of text."""
        [form] = find_forms([self])
        for block in _blocks(form):
            yield block.rename_columns(list(form.names))

    def partition_value(self, name: str) -> Any:
        """Return the value of a folder as text; an empty text if it is missing."""
        value = self.partitions[name].cast(pa.string())
        return value if value.is_valid else pa.scalar("")


def open_csv(shards: Sequence[Shard], header: bool | None = None, marks: tuple[str, ...] = MISSING) -> Frame:
    """Open CSV files with cells separated by commas, semicolons, tabs or bars, with or without a line of column names.

    A column becomes integers, numbers, truth values or dates if all of its cells fit without loss: 02116 stays text.
    The original text is available as `Frame.written`.

    Args:
        shards: the files, which may be gzipped, in the order of their rows.
        header: whether the first line names the columns; by default it is inferred.
        marks: words for a missing cell.

    Returns:
        The rows, without an unnamed first column of row numbers.

    Raises:
        DataError: if lines differ in length, two columns have the same name, there are no rows, a file is not UTF-8, or
            files differ in their columns.
    """
    text = _Text(find_forms(shards, header))
    surveys, rows, counts = _survey(text, marks)
    written = _written(text, rows, marks)
    kept = list(text.names[1 if counts and len(surveys) > 1 else 0 :])
    written = written if len(kept) == len(text.names) else written.in_order(kept)
    types = {name: survey.type for name, survey in zip(text.names, surveys, strict=True)}
    schema = pa.schema([(name, types[name]) for name in kept])
    check_columns(schema, rows)

    def read() -> Iterator[pa.Table]:
        for table in written.read():
            try:
                columns = [present(table[name], marks).cast(types[name]) for name in kept]
            except pa.ArrowInvalid as error:
                what = f"The CSV file '{shards[0].address}'" if len(shards) == 1 else f"One of {len(shards)} CSV files"
                raise DataError(f"{what} changed while it was read: {error!s:.200}") from error
            yield pa.Table.from_arrays(columns, schema=schema)

    form = text.forms[0]
    nameless = form.names[:1] if form.nameless else ()
    seen = {
        name: Seen(survey.missing, survey.form, survey.remark, name in nameless, written=True)
        for name, survey in zip(text.names, surveys, strict=True)
    }
    return replace(
        written,
        schema=schema,
        read=read,
        marks=None,
        written=written,
        seen=seen,
        line=text.line,
        said=form.said,
        notes=form.notes,
    )


def open_written(
    shards: Sequence[Shard], known: Sequence[Column], header: bool | None, marks: tuple[str, ...]
) -> Frame:
    """Open CSV files as text, with columns that are known from training.

    Args:
        shards: the files, which may be gzipped, in the order of their rows.
        known: the columns.
        header: whether the first line names the columns, if the known names do not decide it.
        marks: words for a missing cell.

    Returns:
        Rows of text, each cell as written in the file.

    Raises:
        DataError: in the cases of `open_csv`.
    """
    text = _Text(find_forms(shards, header, known))
    written = _written(text, sum(map(len, text.read())), marks)
    return replace(written, library=TypedText(tuple(known), marks))


@dataclass(frozen=True)
class TypedText(PlainLibrary):
    """Gives the cells of a text file the types that their columns had in training.

    Args:
        known: the columns.
        marks: words for a missing cell.
    """

    known: tuple[Column, ...]
    marks: tuple[str, ...]

    def answer(self, found: pa.Table) -> pa.Table:
        """Convert each column of text to its type, if all of its cells can be converted."""
        return as_types(found, self.known, self.marks)


@dataclass(frozen=True)
class _Text:
    """Holds CSV files as one table of text.

    Args:
        forms: the form of each file.
    """

    forms: Sequence[Form]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the names of all columns: those of the first file, then those in names of folders."""
        own = {form.shard.address: _names(form) for form in self.forms}
        for names in own.values():
            check_columns(pa.schema([(name, pa.string()) for name in names]), 1)
        check_same_columns(own)
        return own[self.forms[0].shard.address]

    def read(self) -> Iterator[pa.Table]:
        """Read all rows in pieces whose ends do not depend on the files."""
        names = list(self.names)
        return even_pieces(table.select(names) for form in self.forms for table in _tables(form))

    def line(self, row: int) -> str:
        """Say on which line of which file a row begins; return an empty text if a line is too long to be counted."""
        lines = ((form.shard.name, line) for form in self.forms for line in _first_lines(form))
        try:
            name, line = next(itertools.islice(lines, row, None))
        except csv.Error:
            return ""
        return f"line {line:,} of '{name}'"


def _names(form: Form) -> tuple[str, ...]:
    return (*form.names, *(name for name in form.shard.partitions if name not in form.names))


def _tables(form: Form) -> Iterator[pa.Table]:
    """Read a CSV file as tables of text, with the values in names of folders as further columns."""
    names = list(form.names)
    for block in _blocks(form):
        yield pa.Table.from_batches([form.shard.with_partitions(block.rename_columns(names))])


def _first_lines(form: Form) -> Iterator[int]:
    """Iterate over the numbers of the lines on which the rows of a CSV file begin, counted from 1."""
    with form.shard.open(_packing(form.shard)) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        for _ in range(form.skip):
            next(text)
        reader = csv.reader(text, delimiter=form.delimiter)
        first = form.skip + 1
        for row in reader:
            if row or len(form.names) == 1:  # in a single column, an empty line is a missing cell
                yield first
            first = form.skip + reader.line_num + 1


def _packing(shard: Shard) -> str | None:
    return "gzip" if shard.name.lower().endswith(".gz") else None


def _written(text: _Text, rows: int, marks: tuple[str, ...]) -> Frame:
    schema = pa.schema([(name, pa.string()) for name in text.names])
    if not rows and len(text.forms) == 1:
        raise DataError(f"The source '{text.forms[0].shard.address}' has a line of names but no rows")
    check_columns(schema, rows)
    return Frame(schema, rows, text.read, text.forms[0].named, marks=marks)


def _survey(text: _Text, marks: tuple[str, ...]) -> tuple[list[Survey], int, bool]:
    """Survey each column of CSV files, count the rows, and check whether the first column is a row number."""
    surveys, rows, counts = [Survey(marks) for _ in text.names], 0, text.forms[0].nameless
    start = None
    for piece in text.read():
        for survey, column in zip(surveys, piece.columns, strict=True):
            survey.add(column.combine_chunks())
        if counts := counts and surveys[0].type == pa.int64() and not surveys[0].missing:
            numbers = present(piece.column(0), marks).cast(pa.int64()).to_numpy()
            start = int(numbers[0]) if start is None else start
            counts = start in (0, 1) and np.array_equal(numbers, np.arange(rows, rows + len(numbers)) + start)
        rows += len(piece)
    return surveys, rows, counts


def _blocks(form: Form) -> Iterator[Any]:
    """Iterate over a CSV file in record batches of text."""
    numbered = [str(i) for i in range(len(form.names))]
    options = {
        "read_options": pyarrow.csv.ReadOptions(
            use_threads=False,  # so errors name the row
            block_size=max(BLOCK, CELL_BYTES * len(numbered)),
            skip_rows=form.skip,
            column_names=numbered,
        ),
        "parse_options": pyarrow.csv.ParseOptions(
            delimiter=form.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=len(numbered) > 1,  # in a single column, an empty line is a missing cell
        ),
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(numbered, pa.string()), strings_can_be_null=False
        ),
    }
    shard, size, last = form.shard, 0, None
    if form.empty:
        return
    packed = _packing(shard)
    with shard.open(packed) as file:
        try:
            for block in pyarrow.csv.open_csv(file, **options):
                size += block.nbytes
                check_size(size if packed else 0, f"'{shard.name}'", [shard.stored])
                if len(block):
                    last = block.slice(len(block) - 1)
                    yield block
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _refusal(shard.address, error) from error
    if last is not None and any("\n" in column[0].as_py() for column in last.columns):
        _check_quotes(shard, packed)


def _check_quotes(shard: Shard, packed: str | None) -> None:
    """Refuse a CSV file with an unclosed quote, because one cell would contain all following lines."""
    quotes = 0
    with shard.open(packed) as file:
        while chunk := file.read(BLOCK):
            quotes += chunk.count(b'"')
    if quotes % 2:
        raise DataError(f"The last of the {quotes} quotes in the CSV file '{shard.address}' is not closed")


def _refusal(path: str, error: Exception) -> DataError:
    """Convert Arrow's error for a CSV file to a `DataError` that names the file."""
    if "UTF8" in str(error):
        return bad_encoding(path, error)
    if "straddling" in str(error):
        return DataError(f"a line of a CSV file must be shorter than {BLOCK:,} bytes", f"a longer line in '{path}'")
    return DataError(f"The lines of '{path}' do not all have the same number of cells: {error}")
