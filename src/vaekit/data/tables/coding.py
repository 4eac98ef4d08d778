"""From tables to rows of numbers: the cells of a frame coded by its columns, on disk where memory might not do."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.limits import room
from vaekit.data.tables.columns import Column
from vaekit.data.tables.dates import is_length, read_dates
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.types import family
from vaekit.data.tables.written import present
from vaekit.errors import DataError, did_you_mean

Values = npt.NDArray[Any]


def encode_frame(frame: Frame, columns: Sequence[Column]) -> tuple[Values, Values | None]:
    """Encode the cells of a table as numbers.

    Args:
        frame: the table; its columns may be in another order, and others may be among them.
        columns: what the columns are.

    Returns:
        Codes of the modelled columns, shape (n, C), NaN where a cell is missing (see `Column.code`); and codes of the
        columns that are given, likewise, or None if none is.

    Raises:
        DataError: if a column is missing, a cell does not fit its column, or what should be given is not.
    """
    modelled, context = [c for c in columns if c.modelled], [c for c in columns if c.context]
    as_written = frame.written or frame  # the one way in which a cell is read, in training and ever after
    ordered = as_written.in_order([c.name for c in ([*modelled, *context] if frame.named else columns)])
    values, beside = (room((frame.rows, len(some)), np.float64) for some in (modelled, context))
    row = 0
    for piece in ordered.read():
        for codes, some in ((values, modelled), (beside, context)):
            for place, column in enumerate(some):
                codes[row : row + len(piece), place] = column.code(ordered.cells(piece, column.name), frame.first + row)
        row += len(piece)
    for place, column in enumerate(context):
        _check_context(column, beside[:, place], frame.first)
    return values, beside if context else None


def _check_context(column: Column, codes: npt.NDArray[np.float64], first: int) -> None:
    """Refuse what no network has learned to read: a missing cell, and a category never seen that shares no place."""
    if len(missing := np.flatnonzero(np.isnan(codes))):
        raise DataError(
            f"column '{column.name}' must be there in every row, as the model is given it",
            f"an empty cell in row {first + missing[0]}",
            "Fill it, or leave the column out of data.context",
        )
    unheard = np.flatnonzero(codes == column.unseen)
    if len(unheard) and column.categories and not column.rare:
        known = ", ".join(_known(column)[:10])
        raise DataError(
            f"column '{column.name}' must hold values that were there in training, as the model is given it: {known}",
            f"another in row {first + unheard[0]}",
        )


def _known(column: Column) -> list[str]:
    """The categories of a column, as its cells are written."""
    return [str(cell) for cell in column.decode(np.arange(len(column.categories), dtype=np.float64)).to_pylist()]


def code_values(column: Column, values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """The codes of some values of a column, as a user names them.

    Raises:
        DataError: if one is of another type, impossible, or a category never seen.
    """
    try:
        codes = column.code(_cells_of(values, column))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the value of '{column.name}' must be of its type, {column.type}", f"{values[0]!r}") from error
    for value, code in zip(values, codes, strict=True):
        if (impossible := column.impossible(code)) is not None:
            raise DataError(f"the value of '{column.name}' must be {impossible}", f"{value!r}")
        if code == column.unseen and column.categories:
            hint = did_you_mean(str(value), _known(column))
            raise DataError(f"the value of '{column.name}' must be known", f"{value!r}", hint)
    return codes


def _cells_of(values: Sequence[Any], column: Column) -> Any:
    """Values as a user names them as an Arrow array: intervals and the like by their text, times as `03:30` by their clock."""
    kind, text = column.arrow_type, family(column.arrow_type) == "text"
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    plain = [None if value != value else value for value in plain]  # NaN, and NaT
    if pa.types.is_time(kind):
        plain = [datetime.time.fromisoformat(value) if isinstance(value, str) else value for value in plain]
    try:
        return pa.array([value.strip() if isinstance(value, str) and column.written else value for value in plain])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        if not text:
            raise
        return pa.array([None if value is None else str(value) for value in plain], pa.string())


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
    there = set() if given is None else set(given.column_names)
    for column in table:
        if column.modelled:
            cells[column.name] = column.decode(np.asarray(codes[:, place]))
            place += 1
        elif given is not None and column.name in there:
            cells[column.name] = given[column.name]
        elif column.kind == "constant":
            number = isinstance(column.value, float) and family(column.arrow_type) == "number"
            repeated = [column.value] * len(codes)
            cells[column.name] = (
                column.decode(np.array(repeated)) if number else pa.array(repeated).cast(column.arrow_type)
            )
    return pa.table(cells)


def fill(column: Column, given: Any, empty: Any, filled: Any, written: bool) -> Any:
    """Put filled cells where given ones are missing; every other cell stays as it was given.

    Args:
        column: what the cells are.
        given: an Arrow array of the rows' own type.
        empty: which of them are missing.
        filled: cells of the column's type.
        written: whether the given ones are text as it stands in a file.

    Returns:
        An Arrow array of the column's type where no given cell loses anything by it, else of the given type.
    """
    if written:
        return pc.if_else(empty, column.write(filled), given)
    given = given.cast(given.type.value_type) if pa.types.is_dictionary(given.type) else given
    if given.type == filled.type or pc.all(empty).as_py():
        return pc.if_else(empty, filled, given) if given.type == filled.type else filled
    alike = family(given.type) == family(filled.type)
    for kind, cells in ((filled.type, given if alike else column.reader.read(given)), (given.type, given)):
        try:
            kept = cells.cast(kind)
            if kept.cast(cells.type).equals(cells):
                return pc.if_else(empty, filled.cast(kind, safe=not is_length(kind)), kept)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return pc.if_else(empty, column.write(filled), given.cast(pa.string()))


def as_types(found: pa.Table, table: Sequence[Column], marks: tuple[str, ...]) -> pa.Table:
    """Read columns of text as the types that they had in training, where all their cells can be read as such.

    Args:
        found: rows, some columns of which are text as it is written in a file.
        table: what the columns are.
        marks: words for a missing cell.
    """
    columns = {column.name: column for column in table}
    cells = {
        name: _as_type(present(text, marks), columns[name]) if name in columns and text.type == pa.string() else text
        for name, text in zip(found.column_names, found.columns, strict=True)
    }
    return pa.table(cells)


def _as_type(text: Any, column: Column) -> Any:
    kind = column.arrow_type
    if kind == pa.string():
        return text
    try:
        if family(kind) != "date":
            return text.cast(kind)
        zone = getattr(kind, "tz", None)
        moments = read_dates(text, column.form).cast(pa.timestamp("us", "UTC" if zone else None))
        found = moments.cast(kind)
        return found if found.cast(moments.type).equals(moments) else moments  # a clock among days
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    try:
        return text.cast(pa.float64()) if family(kind) == "number" else text  # 2.5 among whole numbers
    except pa.ArrowInvalid:
        return text


def as_written(found: pa.Table, table: Sequence[Column]) -> pa.Table:
    """Write dates and truth values as text in the form that they had in the training file.

    Args:
        found: rows.
        table: what the columns are.
    """
    columns = {column.name: column for column in table if column.form or column.kind == "datetime"}
    cells = {
        name: columns[name].write(made) if name in columns else made
        for name, made in zip(found.column_names, found.columns, strict=True)
    }
    return pa.table(cells)
