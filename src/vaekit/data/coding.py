"""From tables to rows of numbers: the cells of a frame coded by its columns, on disk where memory might not do."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.columns import Column
from vaekit.data.frame import Frame, frame_of_table
from vaekit.data.source import Source, Values
from vaekit.errors import DataError

MOST_IN_MEMORY = 1 << 28
"""Bytes of coded rows that are kept in memory; more go to a temporary file, which is mapped."""


def code_frame(frame: Frame, table: Sequence[Column], origin: str = "memory") -> Source:
    """The rows of a frame as numbers, those of its columns that are modelled.

    Args:
        frame: the rows.
        table: what the columns are; the frame may have them in another order, and others besides.
        origin: where the rows come from.

    Returns:
        A source with values of shape (n, C), NaN where a cell is missing; a cell's code is `Column.code`'s.

    Raises:
        DataError: if a column is missing, or a cell does not fit its column.
    """
    modelled = [column for column in table if column.modelled]
    ordered = frame.in_order([column.name for column in (modelled if frame.named else table)])
    values, row = _room(frame.rows, len(modelled)), 0
    for piece in ordered.read():
        for place, column in enumerate(modelled):
            values[row : row + len(piece), place] = column.code(piece[column.name], frame.first + row)
        row += len(piece)
    names = tuple(column.name for column in modelled)
    return Source(values, columns=names, table=tuple(table), frame=frame, origin=origin)


def _room(rows: int, columns: int) -> npt.NDArray[np.float64]:
    if rows * columns * 8 <= MOST_IN_MEMORY:
        return np.empty((rows, columns))
    with tempfile.TemporaryFile(prefix=".vaekit-") as file:  # gone with the last map of it
        return np.memmap(file, np.float64, "w+", shape=(rows, columns))


def frame_of_array(values: Values, columns: Sequence[str] = ()) -> Frame:
    """The rows of an array (n, C) as a frame whose results return to arrays.

    Raises:
        DataError: if the array is no table of numbers.
    """
    if values.ndim != 2:
        raise DataError("a mixed table must have an example per row: (n, columns)", f"shape {values.shape}")
    names = list(columns) or [f"column{i}" for i in range(values.shape[1])]
    table = pa.table({name: pa.array(np.asarray(cells)) for name, cells in zip(names, values.T, strict=True)})
    return frame_of_table(table, bool(columns), as_array, array=True)


def as_array(table: pa.Table) -> npt.NDArray[np.float64]:
    """A table of numbers as an array (n, C), NaN where a cell is missing."""
    return np.column_stack([c.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for c in table.columns])


def draw_rare(
    codes: npt.NDArray[np.float64], columns: Sequence[Column], uniform: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Drawn codes in which the shared place of a list has become one of its rare values.

    Args:
        codes: shape (..., C).
        columns: the modelled columns.
        uniform: numbers in (0, 1) of that shape.
    """
    return np.stack([c.draw_rare(codes[..., i], uniform[..., i]) for i, c in enumerate(columns)], -1)


def write_back(codes: npt.NDArray[np.float64], table: Sequence[Column], given: pa.Table | None = None) -> pa.Table:
    """Coded rows as a table with the columns' names, order and types.

    Args:
        codes: shape (n, C), the modelled columns.
        table: all columns. A constant one has its value in every row.
        given: rows from which the cells of left-out columns are taken; without them identifiers and text are left out.

    Returns:
        An Arrow table.
    """
    cells, place = {}, 0
    for column in table:
        if column.modelled:
            cells[column.name] = column.decode(np.asarray(codes[:, place]))
            place += 1
        elif given is not None and column.name in given.column_names:
            cells[column.name] = given[column.name]
        elif column.kind == "constant":
            number = isinstance(column.value, float) and not pa.types.is_temporal(column.arrow_type)
            repeated = [column.value] * len(codes)
            cells[column.name] = (
                column.decode(np.array(repeated)) if number else pa.array(repeated).cast(column.arrow_type)
            )
    return pa.table(cells)
