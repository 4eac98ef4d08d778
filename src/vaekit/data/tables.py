"""Tables of any form as frames: CSV and Parquet files, data frames in memory; and tables of numbers as one array."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.columns import family
from vaekit.data.csv import open_csv
from vaekit.data.frame import Frame, Native, frame_of_table
from vaekit.data.parquet import frame_of_parquet
from vaekit.data.source import Source
from vaekit.errors import DataError

__all__ = ["numeric_source", "open_csv", "open_frame", "open_parquet"]

_INDEX = re.compile(r"__index_level_\d+__")
"""Names under which pandas writes an index that has none."""


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
        results back to the same library and types; None for what is no data frame.

    Raises:
        DataError: if it has no rows or columns, two columns of one name, or a column of mixed or unknown types.

    Examples:
        >>> frame = open_frame(pa.table({"animal": ["cat", None, "dog"]}))
        >>> frame.names, frame.rows
        (('animal',), 3)
        >>> open_frame([[1, 2]]) is None
        True
    """
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return _without_index(frame_of_table(value.replace_schema_metadata()))
    if isinstance(value, np.ndarray | Sequence) or type(value).__module__.startswith(("numpy", "torch")):
        return None  # not worth the import
    import narwhals as nw

    try:
        data: Any = nw.from_native(value, pass_through=True)
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in getattr(value, "columns", ())]
        double = min((name for name in names if names.count(name) > 1), default="")
        raise DataError("columns must have different names", f"'{double}' twice") from None
    if isinstance(data, nw.LazyFrame):
        data = data.collect()
    if not isinstance(data, nw.DataFrame):
        return None
    if data.implementation.is_pandas():
        return _frame_of_pandas(data.to_native())
    try:
        table = data.to_arrow()
    except Exception as error:  # each library has its own
        raise DataError("every column must be of a type that Arrow knows", str(error).partition("\n")[0]) from error
    return frame_of_table(table.replace_schema_metadata(), native=_back_to(data))


def _back_to(data: Any) -> Native:
    """From Arrow to the library and the types of a data frame of narwhals."""
    import narwhals as nw

    types = dict(data.schema)

    def back(table: pa.Table) -> Any:
        found = nw.from_arrow(table, backend=data.implementation)
        for name, kind in found.schema.items():
            if types.get(name, kind) != kind and not (kind.is_float() and types[name].is_integer()):
                try:
                    found = found.with_columns(nw.col(name).cast(types[name]))
                except Exception:
                    continue
        return found.to_native()

    return back


def _frame_of_pandas(data: Any) -> Frame:
    """A data frame of pandas; its index is left out."""
    names = [str(name) for name in data.columns]
    columns = [_column_of_pandas(name, data.iloc[:, i]) for i, name in enumerate(names)]
    given = dict(zip(names, data.columns, strict=True))
    types = dict(zip(names, data.dtypes, strict=True))

    def back(table: pa.Table) -> Any:
        found = table.to_pandas()
        for name in found.columns:
            if name in types and found[name].dtype != types[name]:
                try:
                    cells = found[name].astype(types[name])
                except (ValueError, TypeError):  # whole numbers of numpy have no place for a missing cell
                    continue
                if ((cells == found[name]) | found[name].isna()).all():
                    found[name] = cells
        return found.rename(columns=given)

    return frame_of_table(pa.table(columns, names=names), native=back)


def _column_of_pandas(name: str, column: Any) -> Any:
    try:
        return pa.chunked_array(pa.array(column, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError) as error:
        present = column.dropna()
        types = Counter(type(cell).__name__ for cell in present)
        if len(types) < 2:
            raise DataError(
                "every column must be of a type that Arrow knows", f"column '{name}' of type {column.dtype}"
            ) from error
        usual = types.most_common(1)[0][0]
        row = next(i for i, cell in enumerate(column) if type(cell).__name__ != usual and not _is_missing(cell))
        cell = column.iloc[row]
        raise DataError(
            f"every cell of column '{name}' must be of one type",
            f"{cell!r}, a {type(cell).__name__}, in row {row} among cells that are {usual}",
            f"Turn them all into one type, as with frame['{name}'].astype(str)",
        ) from error


def _is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


def _without_index(frame: Frame) -> Frame:
    kept = [name for name in frame.names if not _INDEX.fullmatch(name)]
    return frame.in_order(kept) if kept and len(kept) < len(frame.names) else frame


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
    columns = [_numbers(name, column, where) for name, column in zip(frame.names, table.columns, strict=True)]
    return Source(np.column_stack(columns), columns=frame.names if frame.named else (), origin=frame.origin)


def _numbers(name: str, column: Any, where: str) -> npt.NDArray[Any]:
    kind = column.type
    if column.null_count:
        row = pc.index(column.is_null(), value=True).as_py()
        raise DataError(
            "every cell must hold a finite number",
            f"an empty cell in column '{name}', row {row} ({column.null_count} of {len(column)} cells of the column are empty)",
            "Remove these rows, or fill the cells, before training",
        )
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
