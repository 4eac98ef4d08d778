"""Numeric tables: CSV and Parquet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from vaekit.data.source import Source
from vaekit.errors import DataError


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _has_header(path: Path) -> bool:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        first = next(csv.reader(file), [])
    return not all(_is_number(cell) for cell in first)


def open_csv(path: Path) -> Source:
    """A comma-separated file of numbers; a first line of names is recognised by not being numbers."""
    header = _has_header(path)
    try:
        table = pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=not header))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError("a CSV file must have as many cells in each line", f"'{path}': {error}") from error
    return from_table(table, path, named=header)


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
    columns = []
    for name, column in zip(names, table.columns, strict=True):
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise DataError(
                "every column must hold numbers",
                f"column '{name}' of type {kind} in '{path.name}'",
                "Leave it out, or code it as numbers",
            )
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy())[0])
            raise DataError(
                "every cell must hold a finite number",
                f"{column.null_count} empty cells in column '{name}', the first in row {row}",
                "Remove these rows, or fill the cells, before training",
            )
        columns.append(column.cast(pa.uint8()).to_numpy() if pa.types.is_boolean(kind) else column.to_numpy())
    if not columns or not len(columns[0]):
        raise DataError("the source must hold examples", f"none in '{path}'")
    return Source(np.column_stack(columns), columns=names if named else ())
