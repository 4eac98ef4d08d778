"""Conversion of pandas cells to Arrow arrays; Python objects are grouped into families, such as numbers or dates."""

from __future__ import annotations

import datetime
import numbers
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vaekit.errors import DataError

_FAILURES = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError, OverflowError)
_SINGLE = {
    "numbers": "a number",
    "dates": "a date",
    "truth values": "a truth value",
    "lengths of time": "a length of time",
}


def export(name: str, cells: Any) -> Any:
    """Convert a pandas series or index to a chunked Arrow array.

    Args:
        name: name of the column.
        cells: a series or an index.

    Raises:
        DataError: if Arrow does not have their type.
    """
    try:
        found = pa.array(cells, from_pandas=True)
    except _FAILURES as error:
        must = "every column must be of a type that Arrow supports"
        raise DataError(must, f"column '{name}' of type {cells.dtype}") from error
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def export_objects(name: str, series: Any) -> Any:
    """Convert Python objects of one family to a chunked Arrow array.

    Numbers that do not share an Arrow type become floats, and dates among timestamps become timestamps.
    """
    families = set(families_of(series.dropna()))
    if families == {"dates"}:
        return export(name, _moments(name, series))
    try:
        return export(name, series)
    except DataError:
        if families != {"numbers"}:
            raise
        return export(name, pd.Series([np.nan if gone else float(cell) for cell, gone in _with_missing(series)]))


def _with_missing(series: Any) -> Any:
    """Pair each cell of a series with a flag for a missing cell."""
    return zip(series, series.isna(), strict=True)


def _moments(name: str, series: Any) -> Any:
    """Convert a column of dates to timestamps if at least one cell is a timestamp.

    Arrow alone would use the type of the first cell.
    """
    moments = [isinstance(cell, datetime.datetime | np.datetime64) and not gone for cell, gone in _with_missing(series)]
    if not any(moments):
        return series
    zones = [getattr(cell, "tzinfo", None) is not None for cell in series]
    if any(zones) and not all(zones[row] or gone for row, gone in enumerate(series.isna())):
        row = next(row for row, (_, gone) in enumerate(_with_missing(series)) if not gone and not zones[row])
        must = f"the timestamps of column '{name}' must all have a time zone, or all be without one"
        mend = f"Convert them, as with pandas.to_datetime(frame[{name!r}], utc=True)"
        raise DataError(must, f"{series.iloc[row]!r} without a time zone in {_name_row(series, row)}", mend)
    return pd.Series([_moment(cell) for cell in series], dtype=object)


def _moment(cell: Any) -> Any:
    if isinstance(cell, np.datetime64):
        return pd.Timestamp(cell).to_pydatetime(warn=False)
    if isinstance(cell, datetime.date) and not isinstance(cell, datetime.datetime):
        return datetime.datetime(cell.year, cell.month, cell.day)
    return cell


def check_objects(name: str, series: Any) -> None:
    """Refuse a pandas column with Python objects of several families, such as numbers and text.

    Raises:
        DataError: names the first cell of the rarest family.
    """
    families = families_of(series.dropna())
    if len(families) < 2:
        return
    (usual, _), *_, (odd, _) = families.most_common()
    row = next(i for i, (cell, gone) in enumerate(_with_missing(series)) if not gone and _family(type(cell)) == odd)
    reader = {"numbers": "to_numeric", "dates": "to_datetime", "lengths of time": "to_timedelta"}.get(usual)
    raise DataError(
        f"all cells of column '{name}' must have the same type",
        f"{series.iloc[row]!r} in {_name_row(series, row)}, {_SINGLE.get(odd, odd)} among {usual}",
        f'Replace cells of other types with missing values, as with frame[{name!r}] = pandas.{reader}(frame[{name!r}], errors="coerce")'
        if reader
        else f"Convert all cells to one type, as with frame[{name!r}].astype(str)",
    )


def _name_row(series: Any, row: int) -> str:
    """Return a row's number for a message, followed by its index label if the two differ."""
    label = series.index[row]
    counted = isinstance(series.index, pd.RangeIndex) and label == row
    shown = label.item() if isinstance(label, np.generic) else label
    return f"row {row}" if counted else f"row {row} (index {shown!r})"


def families_of(cells: Any) -> Counter[str]:
    """Count Python objects by family, such as numbers, text or dates."""
    found: Counter[str] = Counter()
    for kind, count in Counter(map(type, cells)).items():
        found[_family(kind)] += count
    return found


def _family(kind: type) -> str:
    if issubclass(kind, bool | np.bool_):
        return "truth values"
    if issubclass(kind, numbers.Number) and not issubclass(kind, complex):
        return "numbers"
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, datetime.timedelta | np.timedelta64):
        return "lengths of time"
    return "dates" if issubclass(kind, datetime.date | np.datetime64) else kind.__name__
