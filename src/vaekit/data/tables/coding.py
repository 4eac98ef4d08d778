"""Conversion of tables to numeric codes, and back. Codes of large tables are kept in a temporary file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.limits import allocate
from vaekit.data.tables.columns import Column
from vaekit.data.tables.dates import is_length, read_dates
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.types import family
from vaekit.data.tables.written import present
from vaekit.errors import DataError, did_you_mean
from vaekit.reporters import track

Values = npt.NDArray[Any]


def encode_frame(frame: Frame, columns: Sequence[Column]) -> tuple[Values, Values | None]:
    """Encode the cells of a table as numbers.

    Args:
        frame: the table; its columns may be in another order, and it may have further columns.
        columns: the columns of the model.

    Returns:
        Codes of the modelled columns, shape (n, C), NaN where a cell is missing (see `Column.code`); and codes of the
        context, or None if the model has no context.

    Raises:
        DataError: if a column is missing, a cell does not fit its column, or a cell of the context is empty.
    """
    modelled, context = [c for c in columns if c.modelled], [c for c in columns if c.context]
    as_written = frame.written or frame  # so that cells are read in the same way in training and later
    ordered = as_written.in_order([c.name for c in ([*modelled, *context] if frame.named else columns)])
    values, beside = (allocate((frame.rows, len(some)), np.float64) for some in (modelled, context))
    row = 0
    with track(frame.rows) as advance:
        for piece in ordered.read():
            for codes, some in ((values, modelled), (beside, context)):
                for i, column in enumerate(some):
                    codes[row : row + len(piece), i] = column.code(ordered.cells(piece, column.name), frame.first + row)
            row += len(piece)
            advance(len(piece))
    for i, column in enumerate(context):
        _check_context(column, beside[:, i], frame.first)
    return values, beside if context else None


def _check_context(column: Column, codes: npt.NDArray[np.float64], first: int) -> None:
    """Refuse a context that the networks were not trained on: a missing cell, or a category without training rows."""
    if len(missing := np.flatnonzero(np.isnan(codes))):
        raise DataError(
            f"every cell of column '{column.name}' must have a value, because the model is conditional on it (data.context)",
            f"an empty cell in row {first + missing[0]}",
            "Fill it, or remove the column from data.context",
        )
    unknown = np.flatnonzero(codes == column.unlisted)
    if len(unknown) and column.categories and not column.rare:
        fault = f"The model is conditional on column '{column.name}', but its value in row {first + unknown[0]} is not in the training data"
        raise DataError(fault, mend=f"Pass one of: {', '.join(_known(column)[:10])}")


def _known(column: Column) -> list[str]:
    """Return the categories of a column as text, for messages."""
    cells = column.decode(np.arange(len(column.categories), dtype=np.float64)).to_pylist()
    return [str(cell) for cell in cells if cell is not None]


def code_values(column: Column, values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Encode the values that a user passes for a column.

    Raises:
        DataError: if a value has another type, is impossible, or is an unknown category.
    """
    try:
        codes = column.code(_cells_of(values, column))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the value of '{column.name}' must have the type {column.type}", f"{values[0]!r}") from error
    for value, code in zip(values, codes, strict=True):
        if (impossible := column.impossible(code)) is not None:
            raise DataError(f"the value of '{column.name}' must be {impossible}", f"{value!r}")
        if code == column.unlisted and column.categories:
            hint = did_you_mean(str(value), _known(column))
            raise DataError(f"the value of '{column.name}' must be one of its categories", f"{value!r}", hint)
    return codes


def _cells_of(values: Sequence[Any], column: Column) -> Any:
    """Convert values that a user passes to an Arrow array; intervals become text, and `03:30` becomes a time."""
    kind, text = column.arrow_type, family(column.arrow_type) == "text"
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    plain = [None if value != value else value for value in plain]  # NaN or NaT
    if pa.types.is_time(kind):
        plain = [datetime.time.fromisoformat(value) if isinstance(value, str) else value for value in plain]
    try:
        return pa.array([value.strip() if isinstance(value, str) and column.written else value for value in plain])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        if not text:
            raise
        return pa.array([None if value is None else str(value) for value in plain], pa.string())


def write_back(codes: npt.NDArray[np.float64], table: Sequence[Column], raw: pa.Table | None = None) -> pa.Table:
    """Decode encoded rows to a table with the original column names, order and types.

    Args:
        codes: codes of the modelled columns, shape (n, C).
        table: all columns; a constant column has its value in every row.
        raw: rows with the cells of all other columns; without them identifiers and text are left out.

    Returns:
        An Arrow table.
    """
    cells, position = {}, 0
    there = set() if raw is None else set(raw.column_names)
    for column in table:
        if column.modelled:
            cells[column.name] = column.decode(np.asarray(codes[:, position]))
            position += 1
        elif raw is not None and column.name in there:
            cells[column.name] = raw[column.name]
        elif column.kind == "constant":
            number = isinstance(column.value, float) and family(column.arrow_type) == "number"
            repeated = [column.value] * len(codes)
            cells[column.name] = (
                column.decode(np.array(repeated)) if number else pa.array(repeated).cast(column.arrow_type)
            )
    return pa.table(cells)


def fill(column: Column, given: Any, empty: Any, filled: Any, written: bool) -> Any:
    """Fill the missing cells of a column, and keep all other cells unchanged.

    Args:
        column: the column.
        given: its cells as an Arrow array in their own type.
        empty: which of the cells are missing.
        filled: imputed cells in the type of the column.
        written: whether the given cells are text as written in a file.

    Returns:
        An Arrow array in the type of the column if that changes no given cell, else in the given type.
    """
    if written:
        return pc.if_else(empty, column.write(filled), given)
    given = given.cast(given.type.value_type) if pa.types.is_dictionary(given.type) else given
    if given.type == filled.type or pc.all(empty).as_py():
        return pc.if_else(empty, filled, given) if given.type == filled.type else filled
    same_family = family(given.type) == family(filled.type)
    for kind, cells in ((filled.type, given if same_family else column.reader.read(given)), (given.type, given)):
        try:
            kept = cells.cast(kind)
            if kept.cast(cells.type).equals(cells):
                return pc.if_else(empty, filled.cast(kind, safe=not is_length(kind)), kept)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return pc.if_else(empty, column.write(filled), given.cast(pa.string()))


def as_types(found: pa.Table, table: Sequence[Column], marks: tuple[str, ...]) -> pa.Table:
    """Convert each text column of a table to its type in training, if all of its cells can be converted.

    Args:
        found: rows; some of their columns are text as written in a file.
        table: the columns of the model.
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
        return found if found.cast(moments.type).equals(moments) else moments  # some cells have a time of day
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    try:
        return text.cast(pa.float64()) if family(kind) == "number" else text  # some cells are fractions
    except pa.ArrowInvalid:
        return text


def as_written(found: pa.Table, table: Sequence[Column]) -> pa.Table:
    """Write the dates and truth values of a table as text, formatted as in the training file.

    Args:
        found: rows.
        table: the columns of the model.
    """
    columns = {column.name: column for column in table if column.form or column.kind == "datetime"}
    cells = {
        name: columns[name].write(made) if name in columns else made
        for name, made in zip(found.column_names, found.columns, strict=True)
    }
    return pa.table(cells)
