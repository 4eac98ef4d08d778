"""Which missing cells of a table may be filled, and what identifies its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Source
from vaekit.data.readers.libraries import open_frame
from vaekit.errors import DataError, did_you_mean

Allowed = Mapping[str, npt.NDArray[np.bool_]]


def fillable_cells(names: Sequence[str], rows: int, columns: Collection[str] | None, where: object | None) -> Allowed:
    """Return for each column which of its cells may be filled; columns that are not listed may be filled everywhere.

    Args:
        names: names of the columns of the table.
        rows: number of rows n.
        columns: names of the columns to fill; all by default.
        where: truth values, shape (n,) or (n, columns), or a data frame of truth values with some of the columns.

    Raises:
        DataError: for an unknown column, or if `where` does not fit the table.

    Examples:
        >>> fillable_cells(["a", "b"], 2, ["a"], [True, False])
        {'a': array([ True, False]), 'b': array([False, False])}
    """
    names = list(names)
    check_columns(columns, names)
    found = {} if where is None else _read(where, names, rows)
    if columns is not None:
        nowhere = np.zeros(rows, bool)
        found = {name: found.get(name, np.ones(rows, bool)) if name in columns else nowhere for name in names}
    return found


def row_ids(source: Source, name: str | None) -> npt.NDArray[np.int64]:
    """Return a number for each row: its position, in the file or in the rows given, or a hash of its cell in a column.

    Args:
        source: rows of a table.
        name: name of the column that identifies rows; None for positions.

    Raises:
        DataError: if there is no such column, or it has an empty cell.
    """
    n, frame = len(source.values), source.as_frame()
    if name is None:
        return np.arange(frame.first, frame.first + n)
    if name not in frame.names:
        raise DataError("`ids` must name a column of the rows", f"'{name}'", did_you_mean(name, frame.names))
    cells = frame.cells(frame.table(), name).to_pylist()
    if None in cells:
        told = f"The column '{name}' of identifiers is empty in row {cells.index(None) + 1}"
        raise DataError(told, mend="Fill it, or leave out `ids`, so that positions identify rows")
    hashes = [hashlib.blake2b(str(cell).encode(), digest_size=8).digest() for cell in cells]
    return np.frombuffer(b"".join(hashes), np.int64)


def check_columns(columns: Collection[str] | None, names: Sequence[str]) -> None:
    """Refuse columns to fill that the table does not have.

    Raises:
        DataError: if `columns` is a text, or names an unknown column.
    """
    if isinstance(columns, str):
        raise DataError("`columns` must be a list of names", f"'{columns}'", f"Pass [{columns!r}]")
    for name in columns or ():
        if name not in names:
            raise DataError("a column to fill must be a column of the table", f"'{name}'", did_you_mean(name, names))


def _read(where: Any, names: list[str], rows: int) -> dict[str, npt.NDArray[np.bool_]]:
    frame = None if isinstance(where, np.ndarray | list | tuple) or not hasattr(where, "columns") else open_frame(where)
    if frame is not None:
        table = frame.table()
        if unknown := [name for name in table.column_names if name not in names]:
            raise DataError("`where` must have columns of the table", f"'{unknown[0]}'")
        cells = {name: np.asarray(table[name].to_numpy(zero_copy_only=False)) for name in table.column_names}
    else:
        values = np.asarray(where)
        if values.shape not in ((rows,), (rows, len(names))):
            must = f"`where` must have a truth value for each row, shape ({rows},), or each cell, shape ({rows}, {len(names)})"
            raise DataError(must, f"shape {values.shape}")
        cells = dict(zip(names, np.broadcast_to(values.T, (len(names), rows)), strict=True))
    for name, column in cells.items():
        if column.dtype != np.bool_ or len(column) != rows:
            raise DataError(
                f"`where` must hold {rows} truth values for each column",
                f"{len(column)} of type {column.dtype} ('{name}')",
            )
    return cells
