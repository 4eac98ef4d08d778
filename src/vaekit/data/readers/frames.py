"""Data frames of any library as Arrow tables that a model reads, and results back in their library, types and labels."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.checks import check_columns, first_repeated
from vaekit.data.tables.columns import family, plain
from vaekit.errors import DataError

INDEX = re.compile(r"__index_level_\d+__")
"""Names under which pandas writes an index that has none."""


class Library(Protocol):
    """A data frame in memory, and how results return to its library."""

    @property
    def table(self) -> pa.Table:
        """The rows as a model reads them."""

    def answer(self, found: pa.Table) -> Any:
        """Rows that answer the given ones: in their types, order of columns and row labels, equal cells as given.

        Args:
            found: as many rows as were given.
        """

    def alike(self, found: pa.Table) -> Any:
        """Any number of further rows, in the types of the given ones."""

    def labelled(self, found: pa.Table) -> Any:
        """Figures of the given rows, in types of their own, with the names of the columns and the row labels."""

    def part(self, first: int, rows: int) -> Library:
        """Some of the rows, from a first one on."""


def library_of(value: object) -> Library | None:
    """The data frame that a value is.

    Args:
        value: anything.

    Returns:
        How to read it and to answer it; None for what is not a data frame.

    Raises:
        DataError: if two columns have one name, or a column has cells of mixed or unknown types.
    """
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return ArrowLibrary(value)
    if isinstance(value, np.ndarray | Sequence) or type(value).__module__.startswith(("numpy", "torch")):
        return None  # not worth the import
    import narwhals as nw

    try:
        data: Any = nw.from_native(value, pass_through=True)
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in getattr(value, "columns", ())]
        double = first_repeated(names) or ""
        raise DataError("columns must have different names", f"'{double}' twice") from None
    if isinstance(data, nw.LazyFrame):
        data = data.collect()
    if not isinstance(data, nw.DataFrame):
        return None
    if data.implementation.is_pandas():
        from vaekit.data.readers.pandas_frames import PandasLibrary  # which imports pandas

        return PandasLibrary(data.to_native())
    return NarwhalsLibrary(data)


@dataclass(frozen=True)
class Given:
    """A column as it was given.

    Args:
        cells: in the Arrow type of their library.
        seen: the same cells as a model reads them, see `see`.
    """

    cells: Any
    seen: Any

    def part(self, first: int, rows: int) -> Given:
        """Some of its cells, from a first one on."""
        return Given(self.cells.slice(first, rows), self.seen.slice(first, rows))

    @property
    def tells_nothing(self) -> bool:
        """Whether it has neither a cell nor a type."""
        return bool(pa.types.is_null(self.cells.type))

    def fit(self, found: Any) -> Any:
        """Other cells in the type of the given ones.

        Args:
            found: an Arrow array of cells as a model makes them.

        Returns:
            A chunked Arrow array; None if the type is of another family, or has no place for one of the cells.
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
            return self._listed(found)
        cells = cast_exactly(found, kind)
        if cells is None and pa.types.is_integer(kind) and cast_exactly(self.cells, found.type) is None:
            return cast_exactly(pc.round(found), kind)  # a fraction is given up, but no digit of a given number
        return cells

    def answer(self, found: Any) -> Any:
        """As `fit`, for the same rows: a cell that says what the given one says is that one, to the last digit."""
        cells = self.fit(found)
        kind = self.cells.type
        if cells is None or family(kind) not in ("number", "date") or pa.types.is_dictionary(kind):
            return cells
        same = pc.fill_null(pc.equal(plain(found), plain(self.seen)), fill_value=False)
        return pc.if_else(pa.chunked_array([same]), self.cells, cells)

    def _listed(self, found: Any) -> Any:
        """Cells as places in the list of the type; a list of text without an order grows by what is new."""
        kind = self.cells.type
        values = self.cells.chunk(0).dictionary
        found = plain(found)
        places = pc.index_in(found, plain(_readable(values)))
        unknown = pc.and_(found.is_valid(), places.is_null())
        if pc.any(unknown).as_py():
            if kind.ordered or family(kind.value_type) != "text":
                return None
            values = pa.concat_arrays([values, found.filter(unknown).unique().cast(kind.value_type)])
            places = pc.index_in(found, plain(values))
        if len(values) - 1 > np.iinfo(kind.index_type.to_pandas_dtype()).max:
            return None
        listed = pa.DictionaryArray.from_arrays(places.cast(kind.index_type), values, ordered=kind.ordered)
        return pa.chunked_array([listed])


def given_column(cells: Any) -> Given:
    """A column from its cells in the Arrow type of their library."""
    if pa.types.is_dictionary(cells.type) and cells.num_chunks != 1:
        cells = pa.chunked_array([cells.unify_dictionaries().combine_chunks()], cells.type)
    return Given(cells, see(cells))


def see(cells: Any) -> Any:
    """Cells as a model reads them.

    Categories of text and numbers are what they are. Those that are true or false are truth values, and any others
    (dates, periods, intervals, bytes) are known by their labels, whose order is that of the type.

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
    """The categories of a type as a model reads them."""
    kind = values.type
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64())
    return pa.array(labels(values.to_pylist()), pa.string()) if family(kind) in ("date", "other") else values


def labels(values: Sequence[Any]) -> list[str | None]:
    """The text that stands for each category of an odd type, the same in any library and process.

    Raises:
        DataError: if two categories have the same.
    """
    found = [None if value is None else _label(value) for value in values]
    if (double := first_repeated(text for text in found if text is not None)) is not None:
        raise DataError("categories must differ in how they are written", f"'{double}' twice")
    return found


def _label(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, datetime.timedelta):  # which pandas writes in another way
        return str(datetime.timedelta(value.days, value.seconds, value.microseconds))
    return str(value)


def cast_exactly(found: Any, kind: pa.DataType) -> Any:
    """Cells in another type, where it holds them: floats and decimals are rounded to it, nothing else is.

    Args:
        found: an Arrow array.
        kind: the type wanted.

    Returns:
        An Arrow array, or None if a cell does not survive.

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


class ArrowLibrary:
    """A table of Arrow; the row labels of pandas that it may hold are no columns, and come back with it."""

    def __init__(self, data: pa.Table) -> None:
        check_columns(data.schema, data.num_rows)
        index = [name for name in data.column_names if INDEX.fullmatch(name)]
        self._index = data.select(index) if len(index) < data.num_columns else data.select([])
        self._whole, self._data = data, data.drop_columns(self._index.column_names)
        self._columns = {name: given_column(self._data[name]) for name in self._data.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> pa.Table:
        """Rows that answer the given ones, in their types and with their metadata."""
        rows = typed(found, self._columns, self._data.schema, Given.answer)
        for name, field in zip(self._index.column_names, self._index.schema, strict=True):
            rows = rows.append_column(field, self._index[name])
        return rows.replace_schema_metadata(self._data.schema.metadata)

    def alike(self, found: pa.Table) -> pa.Table:
        """Further rows in the types of the given ones."""
        return typed(found, self._columns, self._data.schema, Given.fit)

    def labelled(self, found: pa.Table) -> pa.Table:
        """Figures of the given rows as they are."""
        return found

    def part(self, first: int, rows: int) -> ArrowLibrary:
        """Some of the rows, from a first one on."""
        return ArrowLibrary(self._whole.slice(first, rows))


class NarwhalsLibrary:
    """A data frame of polars, or of another library that narwhals knows."""

    def __init__(self, data: Any) -> None:
        import narwhals as nw

        check_columns(pa.schema([(name, pa.null()) for name in data.columns]), len(data))
        unknown = next((name for name, kind in data.schema.items() if kind == nw.Object), None)
        if unknown is not None:
            raise DataError("every column must be of a type that Arrow knows", f"column '{unknown}' of objects")
        self._data = data
        try:
            exported = data.to_arrow()
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            must = "every column must be of a type that Arrow knows"
            raise DataError(must, str(error).partition("\n")[0]) from error
        self._schema = exported.schema
        self._columns = {name: given_column(exported[name]) for name in exported.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> Any:
        """Rows that answer the given ones, in their types and with the row labels of libraries that have some."""
        return self._labelled(self._typed(found, Given.answer))

    def alike(self, found: pa.Table) -> Any:
        """Further rows in the types of the given ones."""
        return self._typed(found, Given.fit).to_native()

    def labelled(self, found: pa.Table) -> Any:
        """Figures of the given rows."""
        import narwhals as nw

        return self._labelled(nw.from_arrow(found, backend=self._data.implementation))

    def part(self, first: int, rows: int) -> NarwhalsLibrary:
        """Some of the rows, from a first one on."""
        return NarwhalsLibrary(self._data[first : first + rows])

    def _typed(self, found: pa.Table, fit: Fit) -> Any:
        """A data frame of narwhals; Arrow does not know each type of the library, such as an enumeration."""
        import narwhals as nw

        rows = typed(found, self._columns, self._schema, fit)
        made = nw.from_arrow(rows, backend=self._data.implementation)
        wrong = [
            nw.col(field.name).cast(self._data.schema[field.name])
            for field in rows.schema
            if field.name in self._columns
            and field.type == self._schema.field(field.name).type
            and made.schema[field.name] != self._data.schema[field.name]
        ]
        return made.with_columns(wrong) if wrong else made

    def _labelled(self, rows: Any) -> Any:
        import narwhals as nw

        index = nw.maybe_get_index(self._data)
        return (rows if index is None else nw.maybe_set_index(rows, index=index)).to_native()


Fit = Callable[[Given, Any], Any]
"""Brings cells into the type of a given column, or is None."""


def typed(found: pa.Table, columns: dict[str, Given], schema: pa.Schema, fit: Fit) -> pa.Table:
    """Cells in the types that were given, wherever these hold them; columns in the given order, then any others.

    Args:
        found: cells as a model makes them.
        columns: the given columns, by name.
        schema: their fields.
        fit: whether the cells answer the given ones (`Given.answer`) or are others (`Given.fit`).
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
    """The columns of a table in a given order, then those that have no place in it."""
    there, known = set(found.column_names), set(names)
    yield from (name for name in names if name in there)
    yield from (name for name in found.column_names if name not in known)
