"""A reader of CSV files of any size: a first pass finds the types of columns, later passes return rows in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from vaekit.data.limits import check_size
from vaekit.data.readers.headers import Form, bad_encoding, find_form
from vaekit.data.tables.checks import check_columns
from vaekit.data.tables.coding import as_types
from vaekit.data.tables.columns import Column
from vaekit.data.tables.frame import BATCH, Frame, PlainLibrary, Seen
from vaekit.data.tables.written import MISSING, Survey, present
from vaekit.errors import DataError

BLOCK = 1 << 22
"""Bytes of a file that are parsed at once; a line must be shorter."""
CELL_BYTES = 4096
"""Bytes that are parsed at once for each column, so that a block of a wide table has enough rows."""


def open_csv(path: Path, header: bool | None = None, marks: tuple[str, ...] = MISSING) -> Frame:
    """Open a CSV file with cells separated by commas, semicolons, tabs or bars, with or without a line of column names.

    A column becomes integers, numbers, truth values or dates if all of its cells fit without loss: 02116 stays text.
    The original text is available as `Frame.written`.

    Args:
        path: the file, which may be gzipped.
        header: whether the first line names the columns; by default it is inferred.
        marks: words for a missing cell.

    Returns:
        The rows, without an unnamed first column of row numbers.

    Raises:
        DataError: if lines differ in length, two columns have the same name, there are no rows, or the file is not UTF-8.
    """
    form = find_form(path, header)
    surveys, rows, counts = _survey(form, marks)
    written = _written(form, rows, marks)
    kept = list(form.names[1 if counts and len(surveys) > 1 else 0 :])
    written = written if len(kept) == len(form.names) else written.in_order(kept)
    types = {name: survey.type for name, survey in zip(form.names, surveys, strict=True)}
    schema = pa.schema([(name, types[name]) for name in kept])
    check_columns(schema, rows)

    def read() -> Iterator[pa.Table]:
        for table in written.read():
            try:
                columns = [present(table[name], marks).cast(types[name]) for name in kept]
            except pa.ArrowInvalid as error:
                raise DataError(f"The CSV file '{path}' changed while it was read: {error!s:.200}") from error
            yield pa.Table.from_arrays(columns, schema=schema)

    nameless = form.names[:1] if form.nameless else ()
    seen = {
        name: Seen(survey.missing, survey.form, survey.remark, name in nameless, written=True)
        for name, survey in zip(form.names, surveys, strict=True)
    }
    return replace(
        written, schema=schema, read=read, marks=None, written=written, seen=seen, said=form.said, notes=form.notes
    )


def open_written(path: Path, known: Sequence[Column], header: bool | None, marks: tuple[str, ...]) -> Frame:
    """Open a CSV file as text, with columns that are known from training.

    Args:
        path: the file, which may be gzipped.
        known: the columns.
        header: whether the first line names the columns, if the known names do not decide it.
        marks: words for a missing cell.

    Returns:
        Rows of text, each cell as written in the file.

    Raises:
        DataError: in the cases of `open_csv`.
    """
    form = find_form(path, header, known)
    written = _written(form, sum(block.num_rows for block in _blocks(form)), marks)
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


def _written(form: Form, rows: int, marks: tuple[str, ...]) -> Frame:
    schema = pa.schema([(name, pa.string()) for name in form.names])
    check_columns(schema, rows)

    def read() -> Iterator[pa.Table]:
        for block in _blocks(form):
            table = pa.Table.from_arrays(block.columns, schema=schema)
            yield from (table.slice(start, BATCH) for start in range(0, len(table), BATCH))

    return Frame(schema, rows, read, form.named, marks=marks)


def _survey(form: Form, marks: tuple[str, ...]) -> tuple[list[Survey], int, bool]:
    """Survey each column of a CSV file, count the rows, and check whether the first column is a row number."""
    surveys, rows, counts = [Survey(marks) for _ in form.names], 0, form.nameless
    start = None
    for block in _blocks(form):
        for survey, column in zip(surveys, block.columns, strict=True):
            survey.add(column)
        if counts := counts and surveys[0].type == pa.int64() and not surveys[0].missing:
            numbers = present(block.columns[0], marks).cast(pa.int64()).to_numpy()
            start = int(numbers[0]) if start is None else start
            counts = start in (0, 1) and np.array_equal(numbers, np.arange(rows, rows + len(numbers)) + start)
        rows += len(block)
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
    packed, size, last = "gzip" if form.path.suffix.lower() == ".gz" else None, 0, None
    try:
        with pa.input_stream(str(form.path), compression=packed) as file:
            for block in pyarrow.csv.open_csv(file, **options):
                size += block.nbytes
                check_size(size if packed else 0, f"'{form.path.name}'", [form.path])
                if len(block):
                    last = block.slice(len(block) - 1)
                    yield block
        if last is not None and any("\n" in column[0].as_py() for column in last.columns):
            _check_quotes(form.path, packed)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise _refusal(form.path, error) from error


def _check_quotes(path: Path, packed: str | None) -> None:
    """Refuse a CSV file with an unclosed quote, because one cell would contain all following lines."""
    quotes = 0
    with pa.input_stream(str(path), compression=packed) as file:
        while chunk := file.read(BLOCK):
            quotes += chunk.count(b'"')
    if quotes % 2:
        raise DataError(f"The last of the {quotes} quotes in the CSV file '{path}' is not closed")


def _refusal(path: Path, error: Exception) -> DataError:
    """Convert Arrow's error for a CSV file to a `DataError` that names the file."""
    if "UTF8" in str(error):
        return bad_encoding(path, error)
    if "straddling" in str(error):
        return DataError(f"a line of a CSV file must be shorter than {BLOCK:,} bytes", f"a longer line in '{path}'")
    if isinstance(error, pa.ArrowInvalid):
        return DataError(f"The lines of '{path}' do not all have the same number of cells: {error}")
    return DataError("a CSV file must be undamaged", f"'{path}' ({error})")
