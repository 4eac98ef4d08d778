"""Numeric tables: CSV and Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from vaekit.data.source import Source
from vaekit.errors import DataError


def _is_name(text: str) -> bool:
    """Whether a cell of a first line is the name of a column: neither a number nor empty."""
    try:
        float(text)
    except ValueError:
        return bool(text.strip())
    return False


def _first_line(path: Path) -> tuple[list[str], str]:
    """The cells of the first line, and what separates them: a comma, a semicolon or a tab."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        line = file.readline()
    delimiter = max(",;\t", key=line.count)
    return [cell.strip().strip('"') for cell in line.rstrip("\r\n").split(delimiter)], delimiter


def _is_header(cells: list[str]) -> bool:
    """Whether a first line names columns: some cell is a name, or they count 0, 1, 2, … as data frames do."""
    numbered = [str(i) for i in range(len(cells))]
    return any(_is_name(cell) for cell in cells) or cells in (numbered, ["", *numbered[:-1]])


def open_csv(path: Path) -> Source:
    """A file of numbers separated by commas, semicolons or tabs; a first line of names is recognised by not being numbers."""
    cells, delimiter = _first_line(path)
    header = _is_header(cells)
    options = pyarrow.csv.ReadOptions(autogenerate_column_names=not header, use_threads=False)  # errors name the row
    try:
        table = pyarrow.csv.read_csv(
            path, read_options=options, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter)
        )
        return from_table(_without_index(table), path, named=header)
    except UnicodeDecodeError as error:
        raise DataError("a CSV file must be encoded in UTF-8", f"'{path}': {error}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("a CSV file must have as many cells in each line", f"'{path}': {error}") from error


def _without_index(table: Any) -> Any:
    """The table without the nameless first column 0, 1, 2, … in which data frames write their index."""
    if table.num_columns < 2 or table.column_names[0] or not pa.types.is_integer(table.column(0).type):
        return table
    index = table.column(0).to_numpy()
    return table.drop_columns([""]) if np.array_equal(index, np.arange(len(index))) else table


def open_parquet(path: Path) -> Source:
    """A Parquet file of numbers."""
    try:
        table = pyarrow.parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("a Parquet file must be whole", f"'{path}': {error}") from error
    return from_table(table, path, named=True)


def from_table(table: Any, path: Path, named: bool) -> Source:
    """Numeric columns side by side; integers stay integers if all columns are.

    Raises:
        DataError: for a column of text, an empty cell, or two columns of one name, each named.
    """
    names = tuple(table.column_names)
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise DataError("columns must have different names", f"'{min(double)}' twice in '{path.name}'")
    if not table.num_rows or not names:
        raise DataError("the source must hold examples", f"none in '{path}'")
    columns = []
    for name, column in zip(names, table.columns, strict=True):
        kind = column.type
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy())[0])
            raise DataError(
                "every cell must hold a finite number",
                f"an empty cell in column '{name}', row {row} ({column.null_count} of {len(column)} cells of the column are empty)",
                "Remove these rows, or fill the cells, before training",
            )
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise DataError(
                "every column must hold numbers",
                f"column '{name}' of type {kind} in '{path.name}'",
                "Leave it out, or code it as numbers",
            )
        columns.append(column.cast(pa.uint8()).to_numpy() if pa.types.is_boolean(kind) else column.to_numpy())
    return Source(np.column_stack(columns), columns=names if named else ())
