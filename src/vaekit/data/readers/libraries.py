"""Conversion between Arrow tables and the data frames of any library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vaekit.data.readers.raw_columns import Fit, RawColumn, raw_column, restore_types
from vaekit.data.tables.checks import check_columns, first_repeated
from vaekit.data.tables.frame import Frame, Library, frame_of_table
from vaekit.errors import DataError

INDEX = re.compile(r"__index_level_\d+__")
"""Names that pandas writes for an unnamed index."""


class FrameLibrary(Library, Protocol):
    """The library of a data frame, with the rows of the frame."""

    @property
    def table(self) -> pa.Table:
        """Return the rows of the data frame as an Arrow table that a model can read."""


def library_of(value: object) -> FrameLibrary | None:
    """Recognise a data frame, and return the reader for its library.

    Args:
        value: anything.

    Returns:
        The reader; None if the value is not a data frame.

    Raises:
        DataError: if two columns have the same name, or a column has cells of mixed or unknown types.
    """
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return ArrowLibrary(value)
    if isinstance(value, np.ndarray | Sequence) or type(value).__module__.startswith(("numpy", "torch")):
        return None  # avoids the slow import
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


def open_frame(value: object) -> Frame | None:
    """Open a data frame of any library as a table.

    Args:
        value: anything.

    Returns:
        The rows of a data frame of pandas, polars, Arrow or another library that narwhals supports. Their `library` converts
        results to the same library, types and row labels. None if the value is not a data frame.

    Raises:
        DataError: if it has no rows or columns, two columns with the same name, or a column of mixed or unknown types.

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
    return frame_of_table(library.table, library=library)


class ArrowLibrary:
    """Reads an Arrow table. Columns that hold an unnamed pandas index are set aside, and added to the results."""

    name = "pyarrow"

    def __init__(self, data: pa.Table) -> None:
        check_columns(data.schema, data.num_rows)
        index = [name for name in data.column_names if INDEX.fullmatch(name)]
        self._index = data.select(index) if len(index) < data.num_columns else data.select([])
        self._whole, self._data = data, data.drop_columns(self._index.column_names)
        self._columns = {name: raw_column(self._data[name]) for name in self._data.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> pa.Table:
        """Convert results for the original rows to the table's types, and add the table's index and metadata."""
        rows = restore_types(found, self._columns, self._data.schema, RawColumn.answer)
        for name, field in zip(self._index.column_names, self._index.schema, strict=True):
            rows = rows.append_column(field, self._index[name])
        return rows.replace_schema_metadata(self._data.schema.metadata)

    def convert(self, found: pa.Table) -> pa.Table:
        """Convert new rows to the types of the original table."""
        return restore_types(found, self._columns, self._data.schema, RawColumn.fit)

    def add_labels(self, found: pa.Table) -> pa.Table:
        """Add the table's index to computed values."""
        for name, field in zip(self._index.column_names, self._index.schema, strict=True):
            found = found.append_column(field, self._index[name])
        return found

    def part(self, first: int, rows: int) -> ArrowLibrary:
        """Return a reader for a slice of the table: `rows` rows, starting at row `first`."""
        return ArrowLibrary(self._whole.slice(first, rows))


class NarwhalsLibrary:
    """Reads a data frame of polars, or of another library that narwhals supports."""

    def __init__(self, data: Any) -> None:
        import narwhals as nw

        check_columns(pa.schema([(name, pa.null()) for name in data.columns]), len(data))
        unknown = next((name for name, kind in data.schema.items() if kind == nw.Object), None)
        if unknown is not None:
            raise DataError(
                "every column must be of a type that Arrow supports", f"column '{unknown}' of Python objects"
            )
        self._data, self.name = data, str(data.implementation.value)
        try:
            exported = data.to_arrow()
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            must = "every column must be of a type that Arrow supports"
            raise DataError(must, str(error).partition("\n")[0]) from error
        self._schema = exported.schema
        self._columns = {name: raw_column(exported[name]) for name in exported.column_names}
        self.table = pa.table({name: column.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> Any:
        """Convert results for the original rows to the original types, with the original row labels, if any."""
        return self._labelled(self._typed(found, RawColumn.answer))

    def convert(self, found: pa.Table) -> Any:
        """Convert new rows to the types of the original data frame."""
        return self._typed(found, RawColumn.fit).to_native()

    def add_labels(self, found: pa.Table) -> Any:
        """Convert computed values to a data frame with the original row labels, if any."""
        import narwhals as nw

        return self._labelled(nw.from_arrow(found, backend=self._data.implementation))

    def part(self, first: int, rows: int) -> NarwhalsLibrary:
        """Return a reader for a slice of the data frame: `rows` rows, starting at row `first`."""
        return NarwhalsLibrary(self._data[first : first + rows])

    def _typed(self, found: pa.Table, fit: Fit) -> Any:
        """Convert results to a narwhals data frame, and restore types that Arrow lacks, such as enumerations."""
        import narwhals as nw

        rows = restore_types(found, self._columns, self._schema, fit)
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
