"""Tables of any form as frames: CSV and Parquet files, data frames in memory; and tables of numbers as one array."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.readers.csv import open_csv
from vaekit.data.readers.frames import INDEX, library_of
from vaekit.data.readers.parquet import frame_of_parquet
from vaekit.data.source import Source
from vaekit.data.tables.columns import family
from vaekit.data.tables.frame import Frame, frame_of_table
from vaekit.data.tables.written import as_type
from vaekit.errors import DataError

__all__ = ["numeric_source", "open_csv", "open_frame", "open_parquet"]


def open_parquet(path: Path) -> Frame:
    """Rows of a Parquet file.

    Args:
        path: the file.

    Returns:
        Its rows; an index without a name is left out.

    Raises:
        DataError: if the file is damaged, has no rows or columns, or two columns of one name.
    """
    return replace(_without_index(frame_of_parquet(path)), origin=str(path))


def open_frame(value: object) -> Frame | None:
    """A data frame in memory.

    Args:
        value: anything.

    Returns:
        The rows of a data frame of pandas, polars, Arrow or another library that narwhals knows, whose `native` brings
        results back to the same library, types and row labels; None for what is no data frame.

    Raises:
        DataError: if it has no rows or columns, two columns of one name, or a column of mixed or unknown types.

    Examples:
        >>> frame = open_frame(pa.table({"animal": ["cat", None, "dog"]}))
        >>> frame.names, frame.rows
        (('animal',), 3)
        >>> open_frame([[1, 2]]) is None
        True
    """
    library = library_of(value)
    if library is None:
        return None
    return frame_of_table(
        library.table, native=library.answer, part=lambda first, rows: library.part(first, rows).answer
    )


def _without_index(frame: Frame) -> Frame:
    kept = [name for name in frame.names if not INDEX.fullmatch(name)]
    return frame.in_order(kept) if kept and len(kept) < len(frame.names) else frame


NUMBERS = (pa.int64(), pa.float64(), pa.bool_())
"""Types of numbers that are written in a text file, the first that fits all cells."""


def numeric_source(frame: Frame, where: str | Path = "the table") -> Source:
    """Numeric columns side by side; integers stay integers if all columns are.

    Args:
        frame: the rows, all of which are read.
        where: how an error speaks of them; of a path, its last part.

    Returns:
        The source, with the names of the columns where they have any.

    Raises:
        DataError: for a column of text, or an empty cell, each named.

    Examples:
        >>> numeric_source(open_frame(pa.table({"a": [1, 2], "b": [0.5, 1.5]}))).values.tolist()
        [[1.0, 0.5], [2.0, 1.5]]
    """
    where = f"'{where.name}'" if isinstance(where, Path) else where
    table = frame.table()
    columns = [_numbers(name, frame.cells(table, name), where, frame.marks is not None) for name in frame.names]
    return Source(
        np.column_stack(columns), columns=frame.names if frame.named else (), origin=frame.origin, notes=frame.notes
    )


def _numbers(name: str, column: Any, where: str, written: bool) -> npt.NDArray[Any]:
    kind = column.type
    if column.null_count:
        row = pc.index(column.is_null(), value=True).as_py()
        raise DataError(
            "every cell must hold a finite number",
            f"an empty cell in column '{name}', row {row} ({column.null_count} of {len(column)} cells of the column are empty)",
            "Remove these rows, or fill the cells, before training",
        )
    readings = (as_type(column, number) for number in NUMBERS) if written else ()
    column = next((read for read in readings if read is not None), column)
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.uint8()).to_numpy()
    if pa.types.is_decimal(kind) or (pa.types.is_dictionary(kind) and family(kind) == "number"):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else kind.value_type)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            "every column must hold numbers",
            f"column '{name}' of type {kind} in {where}",
            "Leave it out, or code it as numbers",
        )
    return column.to_numpy()
