"""CSV files of any size: separator, header and types are found in a first reading, rows given a batch at a time."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from vaekit.data.frame import BATCH, Frame, check_columns
from vaekit.errors import DataError

MISSING = ("", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "?", "#N/A", "-", "<NA>")
"""Cells that say that there is no value."""
HEAD = 100
"""Rows after the first by which it is judged whether that is a header."""
BLOCK = 1 << 22
"""Bytes of a file that are parsed at once; a row must fit in."""
WIDEST = 1 << 12
"""Bytes of a cell, on average, below which a block of a very wide table still holds a row, and of usual cells some hundred."""
LADDERS = (
    (pa.int64(), pa.float64()),
    (pa.bool_(),),
    (pa.date32(), pa.timestamp("s"), pa.timestamp("us")),
    (pa.timestamp("us", "UTC"),),
)
"""Types that text is tried as; what does not fit one may fit the next of its ladder, and else stays text."""


@dataclass(frozen=True)
class _Form:
    """How a file is to be read.

    Args:
        path: the file.
        delimiter: what separates cells.
        names: names of the columns.
        named: whether these come from the file.
        skip: lines before the first row.
        indexed: whether the first has no name, as the index of a data frame.
    """

    path: Path
    delimiter: str
    names: tuple[str, ...]
    named: bool
    skip: int
    indexed: bool = False


def open_csv(path: Path) -> Frame:
    """Rows of cells separated by commas, semicolons or tabs; a first line of names is recognised.

    Whole numbers, numbers, true and false, and dates as in 2020-12-31 are read as such, if all cells of a column are.

    Args:
        path: a file, also one packed by gzip.

    Returns:
        Its rows; a nameless first column that counts them is left out.

    Raises:
        DataError: if lines differ in length, two columns have one name, there are no rows, or the file is no UTF-8.
    """
    form = _form(path)
    types, rows, index = _survey(form)
    first = 1 if index and len(types) > 1 else 0
    schema = pa.schema(list(zip(form.names, types, strict=True))[first:])
    check_columns(schema, rows)

    def read() -> Iterator[pa.Table]:
        for block in _blocks(form):
            try:
                columns = [_cells(c).cast(kind) for c, kind in zip(block.columns[first:], types[first:], strict=True)]
            except pa.ArrowInvalid as error:
                raise DataError("a CSV file must not change while it is read", f"'{path}': {error}") from error
            table = pa.Table.from_arrays(columns, schema=schema)
            yield from (table.slice(start, BATCH) for start in range(0, len(table), BATCH))

    return Frame(schema, rows, read, form.named, origin=str(path))


def _form(path: Path) -> _Form:
    """Separator, names and first row, from the first lines of a file."""
    packed = path.suffix.lower() == ".gz"
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if packed
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            lines = list(itertools.islice(file, 10 * HEAD))
    except UnicodeDecodeError as error:
        raise _encoding(path, error) from error
    except (OSError, EOFError) as error:
        raise DataError("a CSV file must be whole", f"'{path}': {error}") from error
    if not any(line.strip() for line in lines):
        raise DataError("the source must hold examples", f"an empty file, '{path}'")
    try:
        delimiter = _delimiter(lines)
        reader = csv.reader(lines, delimiter=delimiter)
        cells = next(row for row in reader if row)
        skip = reader.line_num
        rows = [row for row in itertools.islice(reader, HEAD) if row]
    except csv.Error as error:  # a cell without an end
        raise DataError("a CSV file must have cells of a reasonable length", f"'{path}': {error}") from error
    cells = [cell.strip() for cell in cells]
    if not is_header(cells, rows):
        return _Form(path, delimiter, tuple(f"column{i}" for i in range(len(cells))), False, skip - 1)
    if not rows:
        raise DataError("the source must hold examples", f"a header without rows in '{path}'")
    names = tuple(cell or f"column{i}" for i, cell in enumerate(cells))
    return _Form(path, delimiter, names, True, skip, indexed=not cells[0])


def _delimiter(lines: list[str]) -> str:
    """What separates cells: a tab or semicolon that divides all lines alike, as a comma may stand within numbers too."""
    widths = {}
    for mark in "\t;,":
        rows = [len(row) for row in itertools.islice(csv.reader(lines, delimiter=mark), HEAD) if row]
        if mark != "," and min(rows) == max(rows) > 1:
            return mark
        widths[mark] = rows[0]
    return max(",;\t", key=lambda mark: widths[mark])


def is_header(cells: list[str], rows: list[list[str]]) -> bool:
    """Whether a first line names columns.

    A name over numbers says so, as does a count 0, 1, 2, …; a word that comes again below says that it is a value.

    Args:
        cells: the cells of the first line.
        rows: the cells of some lines after it.

    Examples:
        >>> is_header(["city", "2020"], [["Bonn", "1"]]), is_header(["Bonn", "7"], [["Bonn", "1"], ["Ulm", "2"]])
        (True, False)
    """
    numbered = [str(i) for i in range(len(cells))]
    if cells in (numbered, ["", *numbered[:-1]]):
        return True
    names = [i for i, cell in enumerate(cells) if _is_name(cell)]
    below = {i: {row[i].strip() for row in rows if i < len(row)} - set(MISSING) for i in names}
    if any(below[i] and not any(map(_is_name, below[i])) for i in names):
        return True
    return bool(names) and not any(cells[i] in below[i] for i in names)


def _is_name(text: str) -> bool:
    """Whether a cell could be the name of a column: no number, date or truth value, and not missing."""
    if text in MISSING or text.lower() in ("true", "false"):
        return False
    try:
        float(text.replace(",", ""))
    except ValueError:
        return _as(pa.array([text]), pa.timestamp("us")) is None
    return False


def _survey(form: _Form) -> tuple[list[Any], int, bool]:
    """Type of each column, number of rows, and whether the first column only counts them, from all rows."""
    types, rows, index = [pa.null()] * len(form.names), 0, form.indexed
    start = None
    for block in _blocks(form):
        cells = [_cells(column) for column in block.columns]
        types = [_widened(kind, column) for kind, column in zip(types, cells, strict=True)]
        index = index and types[0] == pa.int64() and not cells[0].null_count
        if index:
            count = cells[0].cast(types[0]).to_numpy()
            start = int(count[0]) if start is None else start
            index = start in (0, 1) and np.array_equal(count, np.arange(rows, rows + len(count)) + start)
        rows += len(block)
    return [pa.string() if kind == pa.null() else kind for kind in types], rows, index


def _blocks(form: _Form) -> Iterator[Any]:
    """Record batches of text."""
    numbered = [str(i) for i in range(len(form.names))]
    options = {
        "read_options": pyarrow.csv.ReadOptions(
            use_threads=False,  # so that errors name the row
            block_size=max(BLOCK, WIDEST * len(form.names)),
            skip_rows=form.skip,
            column_names=numbered,
        ),
        "parse_options": pyarrow.csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(numbered, pa.string()), strings_can_be_null=False
        ),
    }
    packed = "gzip" if form.path.suffix.lower() == ".gz" else None
    try:
        with pa.input_stream(str(form.path), compression=packed) as file:
            yield from (block for block in pyarrow.csv.open_csv(file, **options) if len(block))
    except (pa.ArrowInvalid, OSError) as error:
        if "UTF8" in str(error):
            raise _encoding(form.path, error) from error
        if isinstance(error, pa.ArrowInvalid):
            raise DataError("a CSV file must have as many cells in each line", f"'{form.path}': {error}") from error
        raise DataError("a CSV file must be whole", f"'{form.path}': {error}") from error


def _encoding(path: Path, error: Exception) -> DataError:
    return DataError("a CSV file must be encoded in UTF-8", f"'{path}': {error}", "Save it as UTF-8")


def _cells(column: Any) -> Any:
    """Text without space around it, null where it says that there is no value."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), text)


def _widened(kind: Any, cells: Any) -> Any:
    """The first type that holds what was seen before and these cells."""
    if cells.null_count == len(cells) or kind == pa.string():
        return kind
    ladders = LADDERS if kind == pa.null() else [ladder[ladder.index(kind) :] for ladder in LADDERS if kind in ladder]
    fits = (step for ladder in ladders for step in ladder if _as(cells, step) is not None)
    return next(fits, pa.string())


def _as(cells: Any, kind: Any) -> Any:
    """The cells as this type, or None if one is not written like it."""
    if kind == pa.bool_() and not pc.all(pc.is_in(pc.utf8_lower(cells), value_set=pa.array(["true", "false", None]))).as_py():  # fmt: skip
        return None
    if kind == pa.int64() and pc.any(pc.match_substring(cells, "0x", ignore_case=True)).as_py():
        return None
    try:
        return cells.cast(kind)
    except pa.ArrowInvalid:
        return None
