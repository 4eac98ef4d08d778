"""Conversion between pandas data frames and Arrow tables. Results get the original types, row labels and names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.readers.pandas_objects import check_objects, export, export_objects, families_of
from vaekit.data.readers.raw_columns import RawColumn, in_order, label_categories, raw_column
from vaekit.data.tables.checks import check_columns
from vaekit.data.tables.types import to_plain

REPEATED = 2
"""Intervals that occur at least this often, on average, are categories; other intervals are text."""


@dataclass(frozen=True)
class PandasColumn:
    """Converts a pandas column to an Arrow array, and results back to a pandas series.

    Args:
        series: the column as given.
        raw: its cells in Arrow.
        build: converts a chunked Arrow array of the type of `raw.cells` to the type of the series, or returns None if
            that is impossible.
    """

    series: Any
    raw: RawColumn
    build: Callable[[Any], Any]

    def part(self, first: int, rows: int) -> PandasColumn:
        """Return a slice of the column: `rows` rows, starting at row `first`."""
        return replace(self, series=self.series.iloc[first : first + rows], raw=self.raw.part(first, rows))

    @property
    def tells_nothing(self) -> bool:
        """Return whether all cells are missing and the type is one that pandas gives to any empty column."""
        kind = self.series.dtype
        usual = isinstance(kind, np.dtype) and kind.kind in "Of"
        return self.raw.tells_nothing or (usual and bool(self.series.isna().all()))

    def convert(self, found: Any) -> Any:
        """Convert new cells to a pandas series, in the type of this column if it can hold them."""
        built = self._built(self.raw.fit(found))
        return found.to_pandas() if built is None else pd.Series(built)

    def answer(self, found: Any) -> Any:
        """Convert results for the original rows to a pandas series; unchanged cells stay the same objects."""
        if found.equals(self.raw.seen):
            return self.series.reset_index(drop=True)
        built = None if self.tells_nothing else self._built(self.raw.answer(found))
        if built is None:
            return found.to_pandas()
        if self.series.dtype == object:
            return pd.Series(built, dtype=object).where(~_same(self.raw.seen, found), self.series.to_numpy())
        return pd.Series(built)

    def _built(self, fitted: Any) -> Any:
        return None if fitted is None else self.build(fitted)


class PandasLibrary:
    """Reads a pandas data frame as an Arrow table, and converts results back."""

    name = "pandas"

    def __init__(self, data: Any) -> None:
        names = [str(name) for name in data.columns]
        check_columns(pa.schema([(name, pa.null()) for name in names]), len(data))
        self._columns = {name: open_column(name, data.iloc[:, i]) for i, name in enumerate(names)}
        self._positions = {name: i for i, name in enumerate(names)}
        self._header, self._index = data.columns, data.index
        self.table = pa.table({name: column.raw.seen for name, column in self._columns.items()})

    def answer(self, found: pa.Table) -> Any:
        """Convert results for the original rows to a pandas data frame with the original types and row labels."""
        return self._frame(self._typed(found, PandasColumn.answer), self._index)

    def convert(self, found: pa.Table) -> Any:
        """Convert new rows to a pandas data frame with the original types."""
        return self._frame(self._typed(found, PandasColumn.convert), pd.RangeIndex(len(found)))

    def add_labels(self, found: pa.Table) -> Any:
        """Convert new columns, such as codes, to a pandas data frame with the original row labels."""
        return self._frame({name: found[name].to_pandas() for name in found.column_names}, self._index)

    def part(self, first: int, rows: int) -> PandasLibrary:
        """Return a slice of `rows` rows, starting at row `first`; columns keep the types of the whole data frame."""
        some = copy.copy(self)
        some._columns = {name: column.part(first, rows) for name, column in self._columns.items()}
        some._index, some.table = self._index[first : first + rows], self.table.slice(first, rows)
        return some

    def _typed(self, found: pa.Table, fit: Callable[[PandasColumn, Any], Any]) -> dict[str, Any]:
        known = self._columns
        return {
            name: fit(known[name], found[name]) if name in known else found[name].to_pandas()
            for name in in_order(found, known)
        }

    def _frame(self, cells: dict[str, Any], index: Any) -> Any:
        made = pd.concat([cell.reset_index(drop=True) for cell in cells.values()], axis=1)
        known = [self._positions[name] for name in cells if name in self._positions]
        further = [name for name in cells if name not in self._positions]
        header = self._header[known]
        made.columns = header.append(pd.Index(further)) if further else header
        made.index = index
        return made


def open_column(name: str, series: Any) -> PandasColumn:
    """Read a pandas column as an Arrow array.

    Args:
        name: its name.
        series: the column.

    Raises:
        DataError: if its cells have several types, or a type that Arrow does not have.
    """
    kind = series.dtype
    if isinstance(kind, pd.SparseDtype):
        dense = open_column(name, series.sparse.to_dense())
        return replace(dense, series=series, build=lambda cells: _then(dense.build(cells), kind))
    if isinstance(kind, pd.CategoricalDtype):
        return _categories(name, series)
    if isinstance(kind, pd.IntervalDtype):
        return _intervals(series)
    if isinstance(kind, pd.PeriodDtype):
        return _periods(series)
    if kind == np.dtype(object):
        return _objects(name, series)
    return PandasColumn(series, raw_column(export(name, series)), lambda cells: _in_dtype(cells, kind))


def _then(cells: Any, kind: Any) -> Any:
    return None if cells is None else pd.Series(cells).astype(kind)


def _in_dtype(cells: Any, kind: Any) -> Any:
    """Convert Arrow cells to a pandas type; return None if the type cannot hold the missing cells."""
    if hasattr(kind, "__from_arrow__"):
        return kind.__from_arrow__(cells)
    if cells.null_count and kind.kind in "iub":
        return None
    return cells.to_pandas().astype(kind)


def _categories(name: str, series: Any) -> PandasColumn:
    """Read a categorical pandas column; categories other than numbers, text or truth values become text labels."""
    kind = series.dtype
    values = kind.categories
    families = set(families_of(values)) if values.dtype == np.dtype(object) else set()
    if families == {"text"}:
        known = pa.array(values, pa.string())
    elif families == {"numbers"}:
        known = pa.array([float(value) for value in values])
    elif families == {"truth values"}:
        known = pa.array([bool(value) for value in values])
    elif families or isinstance(values, pd.IntervalIndex | pd.PeriodIndex | pd.DatetimeIndex | pd.TimedeltaIndex):
        known = pa.array(label_categories(list(values)), pa.string())
    else:
        known = export(name, values).combine_chunks()
    codes = series.cat.codes.to_numpy()
    listed = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), known, ordered=bool(kind.ordered))

    def build(cells: Any) -> Any:
        chunk = cells.combine_chunks()
        indices = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        new = chunk.dictionary[len(values) :].to_pylist()
        if new and families - {"text"}:
            return None
        wide = pd.CategoricalDtype([*values, *new], kind.ordered) if new else kind
        return pd.Categorical.from_codes(indices, dtype=wide)

    return PandasColumn(series, raw_column(pa.chunked_array([listed])), build)


def _intervals(series: Any) -> PandasColumn:
    """Read a pandas column of intervals as text, or as ordered categories if intervals repeat."""
    kind = series.dtype
    listed = pd.Categorical(series, ordered=True)
    written = np.array([*label_categories(list(listed.categories)), None], dtype=object)
    cells = pa.chunked_array([pa.array(written[listed.codes], pa.string())])
    seen = cells
    if REPEATED * len(listed.categories) <= len(series):
        codes = pa.array(listed.codes, mask=listed.codes < 0)
        seen = pa.chunked_array(
            [pa.DictionaryArray.from_arrays(codes, pa.array(written[:-1], pa.string()), ordered=True)]
        )
    return PandasColumn(series, RawColumn(cells, seen), lambda cells: _read_intervals(cells, kind))


def _read_intervals(cells: Any, kind: Any) -> Any:
    """Convert text such as (0.5, 1.0] to pandas intervals, or return None if a text does not fit the type."""
    opening, closing = "[" if kind.closed in ("left", "both") else "(", "]" if kind.closed in ("right", "both") else ")"
    different = cells.unique().drop_null().to_pylist()
    if not all(text.startswith(opening) and text.endswith(closing) and text.count(", ") == 1 for text in different):
        return None
    ends = [text[1:-1].split(", ") for text in different]
    try:
        left, right = (pd.Series([pair[i] for pair in ends], dtype=object).astype(kind.subtype) for i in (0, 1))
        found = pd.arrays.IntervalArray.from_arrays(left, right, closed=kind.closed)
        indices = pc.index_in(cells.combine_chunks(), pa.array(different, pa.string())).fill_null(-1)
        return found.take(indices.to_numpy(zero_copy_only=False), allow_fill=True)
    except (TypeError, ValueError):
        return None


_UNITS = dict.fromkeys(("h", "min", "s"), "s") | dict.fromkeys(("ms", "us", "ns"), "ns")
"""Unit of the start of a period, by its frequency; for other frequencies the unit is a day."""


def _periods(series: Any) -> PandasColumn:
    """Read a pandas column of periods as the dates or times at which they start."""
    kind = series.dtype
    unit = _UNITS.get(kind.freq.name, "D")
    starts = pd.PeriodIndex(series).asfreq(unit, how="start")
    gone = np.asarray(starts.isna())
    ordinals = np.where(gone, 0, starts.asi8).astype(np.int32 if unit == "D" else np.int64)
    moments = pa.array(ordinals, mask=gone).cast(pa.date32() if unit == "D" else pa.timestamp(unit))
    cells = pa.chunked_array([moments])

    def build(found: Any) -> Any:
        ordinals = found.cast(pa.int32() if unit == "D" else pa.int64())
        numbers = ordinals.fill_null(0).to_numpy().astype(np.int64)
        periods = pd.PeriodIndex.from_ordinals(numbers, freq=unit).asfreq(kind.freq)
        return periods.where(~np.asarray(ordinals.is_null()))

    return PandasColumn(series, RawColumn(cells, cells), build)


def _objects(name: str, series: Any) -> PandasColumn:
    """Read a pandas column of Python objects, such as text, numbers, intervals or periods."""
    check_objects(name, series)
    inferred = series.infer_objects()
    if isinstance(inferred.dtype, pd.IntervalDtype | pd.PeriodDtype):
        column = open_column(name, inferred)
        return replace(column, series=series, build=lambda cells: _then(column.build(cells), object))
    given = raw_column(export_objects(name, series))
    return PandasColumn(series, given, lambda cells: cells.to_pandas().astype(object))


def _same(given: Any, found: Any) -> npt.NDArray[np.bool_]:
    """Compare two Arrow arrays of the same family cell by cell; two missing cells count as equal."""
    given, found = to_plain(given), to_plain(found)
    both_missing = pc.and_(given.is_null(), found.is_null())
    equal = pc.fill_null(pc.equal(found, given), fill_value=False)
    return np.asarray(pc.or_(equal, both_missing).to_numpy(zero_copy_only=False), dtype=bool)
