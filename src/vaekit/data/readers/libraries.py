"""Data frames of any library as Arrow tables that a model reads, and results back in their library, types and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vaekit.data.readers.raw_columns import Fit, RawColumn, raw_column, typed
from vaekit.data.tables.checks import check_columns, first_repeated
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
        from vaekit.data.readers.pandas_library import PandasLibrary  # which imports pandas

        return PandasLibrary(data.to_native())
    return NarwhalsLibrary(data)


class ArrowLibrary:
    """A table of Arrow; the row labels of pandas that it may hold are no columns, and come back with it."""

    def __init__(self, data: pa.Table) -> None:
        check_columns(data.schema, data.num_rows)
        index = [name for name in data.column_names if INDEX.fullmatch(name)]
        self._index = data.select(index) if len(index) < data.num_columns else data.select([])
        self._whole, self._data = data, data.drop_columns(self._index.column_names)
        self._columns = {name: raw_column(self._data[name]) for name in self._data.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> pa.Table:
        """Rows that answer the given ones, in their types and with their metadata."""
        rows = typed(found, self._columns, self._data.schema, RawColumn.answer)
        for name, field in zip(self._index.column_names, self._index.schema, strict=True):
            rows = rows.append_column(field, self._index[name])
        return rows.replace_schema_metadata(self._data.schema.metadata)

    def alike(self, found: pa.Table) -> pa.Table:
        """Further rows in the types of the given ones."""
        return typed(found, self._columns, self._data.schema, RawColumn.fit)

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
        self._columns = {name: raw_column(exported[name]) for name in exported.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> Any:
        """Rows that answer the given ones, in their types and with the row labels of libraries that have some."""
        return self._labelled(self._typed(found, RawColumn.answer))

    def alike(self, found: pa.Table) -> Any:
        """Further rows in the types of the given ones."""
        return self._typed(found, RawColumn.fit).to_native()

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
