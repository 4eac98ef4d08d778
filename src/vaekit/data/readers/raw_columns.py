"""Conversion of columns of data frames to a form that a model reads, and of results back to their types."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.checks import first_repeated
from vaekit.data.tables.types import family, to_plain
from vaekit.errors import DataError


@dataclass(frozen=True)
class RawColumn:
    """Holds a column of a data frame in its original Arrow type and in the form that a model reads.

    Args:
        cells: its cells in the Arrow type of their library.
        seen: its cells as a model reads them (see `see`).
    """

    cells: Any
    seen: Any

    def part(self, first: int, rows: int) -> RawColumn:
        """Return a slice of the column: `rows` rows, starting at row `first`."""
        return RawColumn(self.cells.slice(first, rows), self.seen.slice(first, rows))

    @property
    def tells_nothing(self) -> bool:
        """Return whether the column has neither a value nor a type."""
        return bool(pa.types.is_null(self.cells.type))

    def fit(self, found: Any) -> Any:
        """Convert cells that a model returns to the original type of the column.

        Args:
            found: an Arrow array.

        Returns:
            A chunked Arrow array; None if the original type is of another family or cannot hold a cell.
        """
        kind = self.cells.type
        if found.equals(self.seen):
            return self.cells
        if pa.types.is_null(found.type):
            return pa.chunked_array([pa.nulls(len(found), kind)])
        found = found.cast(found.type.value_type) if pa.types.is_dictionary(found.type) else found
        if self.tells_nothing or family(found.type) != family(self.seen.type):
            return None
        if pa.types.is_dictionary(kind):
            return self._categorise(found)
        cells = cast_exactly(found, kind)
        if cells is None and pa.types.is_integer(kind) and cast_exactly(self.cells, found.type) is None:
            return cast_exactly(
                pc.round(found), kind
            )  # fractions are rounded only if floats cannot hold the given integers
        return cells

    def answer(self, found: Any) -> Any:
        """Convert results for the original rows to the original type; unchanged cells keep all of their digits."""
        cells = self.fit(found)
        kind = self.cells.type
        if cells is None or family(kind) not in ("number", "date") or pa.types.is_dictionary(kind):
            return cells
        same = pc.fill_null(pc.equal(to_plain(found), to_plain(self.seen)), fill_value=False)
        return pc.if_else(pa.chunked_array([same]), self.cells, cells)

    def _categorise(self, found: Any) -> Any:
        """Convert cells to the categories of the column; new values become new categories if these are unordered text."""
        kind = self.cells.type
        values = self.cells.chunk(0).dictionary
        found = to_plain(found)
        indices = pc.index_in(found, to_plain(_readable(values)))
        unknown = pc.and_(found.is_valid(), indices.is_null())
        if pc.any(unknown).as_py():
            if kind.ordered or family(kind.value_type) != "text":
                return None
            values = pa.concat_arrays([values, found.filter(unknown).unique().cast(kind.value_type)])
            indices = pc.index_in(found, to_plain(values))
        if len(values) - 1 > np.iinfo(kind.index_type.to_pandas_dtype()).max:
            return None
        listed = pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), values, ordered=kind.ordered)
        return pa.chunked_array([listed])


def raw_column(cells: Any) -> RawColumn:
    """Make a `RawColumn` from the cells of a column in their original Arrow type."""
    if pa.types.is_dictionary(cells.type) and cells.num_chunks != 1:
        cells = pa.chunked_array([cells.unify_dictionaries().combine_chunks()], cells.type)
    return RawColumn(cells, see(cells))


def see(cells: Any) -> Any:
    """Convert the cells of a column to a form that a model reads.

    Categories of text and numbers do not change. Categories true and false become truth values, and all others (dates, periods,
    intervals, bytes) become labels, in the order of the type.

    Args:
        cells: a chunked Arrow array.

    Examples:
        >>> days = pa.array([datetime.date(2020, 1, 31), None]).dictionary_encode()
        >>> see(pa.chunked_array([days])).to_pylist()
        ['2020-01-31', None]
    """
    kind = cells.type
    if not pa.types.is_dictionary(kind):
        return cells
    known = family(kind.value_type) in ("text", "number") and not pa.types.is_decimal(kind.value_type)
    if known and not pa.types.is_null(kind.value_type):
        return cells
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, _readable(chunk.dictionary), ordered=kind.ordered)
        for chunk in cells.chunks
    ]
    if family(kind.value_type) in ("truth", "text"):
        chunks = [chunk.dictionary_decode() for chunk in chunks]
    return pa.chunked_array(chunks)


def _readable(values: Any) -> Any:
    """Convert the values of a categorical type to a form that a model reads."""
    kind = values.type
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64())
    return pa.array(label_categories(values.to_pylist()), pa.string()) if family(kind) in ("date", "other") else values


def label_categories(values: Sequence[Any]) -> list[str | None]:
    """Convert categories, such as dates or bytes, to text labels that do not depend on the library.

    Raises:
        DataError: if two categories have the same label.
    """
    found = [None if value is None else _label(value) for value in values]
    if (double := first_repeated(text for text in found if text is not None)) is not None:
        raise DataError("the categories of a column must differ when written as text", f"'{double}' twice")
    return found


def _label(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, datetime.timedelta):  # pandas writes it differently
        return str(datetime.timedelta(value.days, value.seconds, value.microseconds))
    return str(value)


def cast_exactly(found: Any, kind: pa.DataType) -> Any:
    """Convert cells to another Arrow type if this type can hold them; only floats and decimals may be rounded.

    Args:
        found: an Arrow array.
        kind: the type.

    Returns:
        An Arrow array, or None if the type cannot hold a cell.

    Examples:
        >>> cast_exactly(pa.array([1.0, None]), pa.int8()).to_pylist(), cast_exactly(pa.array([1.5]), pa.int8())
        ([1, None], None)
    """
    try:
        cells = found.cast(kind)
        if pa.types.is_floating(found.type) and (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            return cells
        return cells if cells.cast(found.type, safe=False).equals(found) else None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


Fit = Callable[[RawColumn, Any], Any]
"""Converts cells to the type of a given column, or returns None."""


def restore_types(found: pa.Table, columns: dict[str, RawColumn], schema: pa.Schema, fit: Fit) -> pa.Table:
    """Restore the original type of each column of a table if this type can hold the cells.

    Args:
        found: cells of a model.
        columns: the given columns, by name.
        schema: their fields.
        fit: the conversion: `RawColumn.answer` for results for the given rows, else `RawColumn.fit`.

    Returns:
        The table, with the given columns first.
    """
    fields, arrays = [], []
    for name in in_order(found, columns):
        cells = fit(columns[name], found[name]) if name in columns else None
        cells = found[name] if cells is None else cells
        same = name in columns and cells.type == schema.field(name).type
        fields.append(schema.field(name) if same else pa.field(name, cells.type))
        arrays.append(cells)
    return pa.table(arrays, schema=pa.schema(fields))


def in_order(found: pa.Table, names: Sequence[str] | dict[str, Any]) -> Iterator[str]:
    """Iterate over a table's columns: first those named in the given order, then the rest."""
    there, known = set(found.column_names), set(names)
    yield from (name for name in names if name in there)
    yield from (name for name in found.column_names if name not in known)
