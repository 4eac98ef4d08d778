"""Conversion of objects in memory to arrays and tables: masked and sparse arrays, records, pictures, AnnData."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from vaekit.data.limits import allocate, check_size
from vaekit.data.part import CHUNK
from vaekit.data.readers.decoding import common_form, depth, form_of, is_picture_name, pixels_of
from vaekit.data.source import Source
from vaekit.data.tables.arrays import Values
from vaekit.data.tables.columns import numbered_names
from vaekit.data.tables.frame import frame_of_table
from vaekit.data.tables.written import EXACT
from vaekit.errors import DataError


def arrange(value: Any) -> Any:
    """Convert an object that holds rows to an array, a table, a frame or a source.

    Args:
        value: anything.

    Returns:
        Masked arrays with NaN in masked cells; dense arrays for sparse matrices; sources for lists of pictures and annotated
        data (`AnnData`); tables for records, dictionaries of columns, structured arrays and rows of several types. All other
        objects are returned unchanged.

    Raises:
        DataError: if the object holds rows that cannot be read; the message says how to pass them.

    Examples:
        >>> arrange(np.ma.masked_array([[1, 2]], [[False, True]])).tolist()
        [[1.0, nan]]
        >>> arrange([{"a": 1, "b": "x"}, {"a": 2}]).to_pydict()
        {'a': [1, 2], 'b': ['x', None]}
    """
    module = type(value).__module__.partition(".")[0]
    if isinstance(value, Source):
        return replace(value, values=unmask(value.values)) if _is_masked(value.values) else value
    if module == "scipy" and hasattr(value, "tocsr"):  # one of these is a dictionary, too
        return _dense(value)
    if isinstance(value, Mapping) or (isinstance(value, list | tuple) and value and isinstance(value[0], Mapping)):
        return _table_of_mapping(value) if isinstance(value, Mapping) else _table_of_records(value)
    if isinstance(value, list | tuple):
        value = _array_of_list(value)
    if module == "anndata" and hasattr(value, "var_names"):
        return _annotated(value)
    if module == "PIL":
        return _source_of_pictures([value])
    if isinstance(value, np.ndarray):
        if value.dtype.names is not None:
            return _table_of_fields(value)
        value = unmask(value)
        return _of_objects(value) if value.dtype == object and value.ndim == 2 else value
    return value


def _is_masked(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_masked(row) for row in value)
    return isinstance(value, np.ma.MaskedArray)


def unmask(values: Values) -> Values:
    """Replace masked cells with NaN, or with None in an array of objects, text or very large integers.

    Args:
        values: any array.

    Returns:
        The array itself if it has no mask; integers stay integers if no cell is masked.
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    plain, mask, kind = np.ma.getdata(values), np.ma.getmaskarray(values), values.dtype.kind
    if not mask.any() or kind not in "biufOUS":
        return plain
    exact = kind not in "iu" or plain.itemsize < 8 or np.abs(plain[~mask]).max(initial=0) <= EXACT
    if kind in "biuf" and exact:
        filled = plain.astype(plain.dtype if kind == "f" else np.float64)
        filled[mask] = np.nan
        return filled
    filled = plain.astype(object)
    filled[mask] = None
    return filled


def _array_of_list(value: Sequence[Any]) -> Any:
    """Convert a list of rows to an array, which is masked if any row is masked."""
    first = value[0] if value else None
    if type(first).__module__.partition(".")[0] == "PIL":
        return _source_of_pictures(value)
    if isinstance(first, str | Path) and is_picture_name(str(first)):
        raise DataError(
            "pictures must be passed as a folder, or as opened pictures",
            f"a list of {len(value)} paths ('{Path(str(first)).name:.100}', …)",
            "Pass the folder, or [PIL.Image.open(path) for path in paths]",
        )
    if isinstance(first, Tensor):
        with contextlib.suppress(RuntimeError, TypeError):  # the reader of arrays refuses several shapes
            return torch.stack(list(value))
        return value
    if hasattr(first, "__dataframe__") or isinstance(first, pa.Table):
        must, mend = "a data frame must be passed on its own", "Combine the data frames, as with pandas.concat"
        raise DataError(must, f"a list of {len(value)} {type(first).__name__}s", mend)
    try:
        array = np.ma.array(value) if _is_masked(value) else np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # the reader of arrays refuses several lengths
        return value
    return np.asarray(value, dtype=object) if array.dtype.kind in "US" and array.ndim == 2 else array


def _source_of_pictures(pictures: Sequence[Any]) -> Source:
    """Open a list of Pillow pictures as a source, in the same way as picture files."""
    sizes = [(picture.height, picture.width) for picture in pictures]
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise DataError("all pictures must have the same size", f"{sizes[0]} and {sizes[other]} (picture {other})")
    form = common_form({form_of(p, f"picture {i}"): f"picture {i}" for i, p in enumerate(pictures)})
    values = np.stack([pixels_of(picture, sizes[0], form) for picture in pictures])
    return Source(values, picture=True, levels=depth(form, values))


def _dense(matrix: Any) -> Values:
    """Convert a sparse matrix to a dense array, block by block."""
    shape, dtype = matrix.shape, matrix.dtype
    if len(shape) != 2 or dtype.kind not in "buif":
        must = "a sparse matrix must hold real numbers, with an example per row, shape (n, columns)"
        raise DataError(must, f"type {dtype} and shape {shape}")
    check_size(math.prod(shape) * dtype.itemsize, f"the sparse matrix of shape {shape}")
    rows, values = matrix.tocsr(), allocate(shape, dtype)
    step = max(1, CHUNK // max(1, shape[1]))
    for start in range(0, shape[0], step):
        values[start : start + step] = rows[start : start + step].toarray()
    return values


def _annotated(data: Any) -> Source:
    """Open the matrix X of an AnnData object, with the names of the variables as column names."""
    names = tuple(str(name) for name in data.var_names)
    values = arrange(data.X)
    if not isinstance(values, np.ndarray):
        values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise DataError("an AnnData object must have a matrix X of numbers", f"X of type {type(data.X).__name__}")
    return Source(values, columns=names if len(set(names)) == len(names) else ())


def _table_of_records(records: Sequence[Any]) -> pa.Table:
    """Convert a list of dictionaries to a table; absent keys become missing cells."""
    odd = next((i for i, record in enumerate(records) if not isinstance(record, Mapping)), None)
    if odd is not None:
        raise DataError("records must all be dictionaries", f"a {type(records[odd]).__name__} in row {odd}")
    names = list(dict.fromkeys(name for record in records for name in record))
    return _table({name: [record.get(name) for record in records] for name in names})


def _table_of_mapping(columns: Mapping[Any, Any]) -> Any:
    """Convert a dictionary of columns to a table, or a dictionary of named arrays to a source."""
    from vaekit.data.readers.arrays import TRAIN_NAMES, from_archive

    if any(np.ndim(columns[name]) >= 2 for name in TRAIN_NAMES if name in columns):
        return from_archive(list(columns), lambda name: arrange(np.asanyarray(columns[name])), "the dictionary")
    odd = next((name for name, column in columns.items() if np.ndim(column) != 1), None)
    if odd is not None or not columns:
        given = f"{type(columns[odd]).__name__} for '{odd!s:.100}'" if columns else "an empty dictionary"
        raise DataError("a dictionary must hold columns, each a list of cells", given)
    if len({len(column) for column in columns.values()}) > 1:
        told = ", ".join(f"{len(column)} in '{name}'" for name, column in list(columns.items())[:5])
        raise DataError("all columns must have the same number of cells", told)
    return _table(columns)


def _table_of_fields(values: Values) -> pa.Table:
    """Convert a structured array to a table with a column for each field."""
    if values.ndim != 1:
        raise DataError("a structured array must have one dimension, with a record per row", f"shape {values.shape}")
    for name in values.dtype.names or ():
        if values.dtype[name].shape or values.dtype[name].names:
            must = "each field of a structured array must hold one value"
            raise DataError(must, f"{values.dtype[name]} for '{name}'")
    return _table({name: values[name] for name in values.dtype.names or ()})


def _of_objects(values: Values) -> Any:
    """Convert an array of objects to numbers if all cells are numbers or None, else to a table without column names."""
    numbers: Any = (bool, int, float, np.integer, np.floating, np.bool_)
    if all(cell is None or (isinstance(cell, numbers) and not abs(cell) > EXACT) for cell in values.flat):
        return values.astype(np.float64)
    table = _table(dict(zip(numbered_names(values.shape[1]), values.T.tolist(), strict=True)))
    return frame_of_table(table, named=False)


def _table(columns: Mapping[Any, Iterable[Any]]) -> pa.Table:
    return pa.table({str(name): _column(str(name), cells) for name, cells in columns.items()})


def _column(name: str, cells: Any) -> pa.Array:
    """Convert the cells of a column to an Arrow array; NaN becomes missing, and very large integers become text."""
    cells = cells.numpy() if isinstance(cells, Tensor) else cells
    mask = np.ma.getmaskarray(cells) if isinstance(cells, np.ma.MaskedArray) else None
    cells = cells if mask is None else np.ma.getdata(cells)
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "S":
        cells = np.char.decode(cells, "utf-8", "replace")
    try:
        return pa.array(cells, mask=mask, from_pandas=True)
    except OverflowError:
        return pa.array([None if cell is None else str(cell) for cell in cells])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError, TypeError) as error:
        types = Counter(type(cell).__name__ for cell in cells if cell is not None)
        usual = types.most_common(1)[0][0]
        odd = next(((i, c) for i, c in enumerate(cells) if c is not None and type(c).__name__ != usual), None)
        if odd is None:
            must = f"column '{name}' must hold numbers, truth values, text or dates"
            raise DataError(must, f"cells of type {usual}", "Leave out the column, or encode it as numbers") from error
        row, cell = odd
        raise DataError(
            f"all cells of column '{name}' must have the same type",
            f"{cell!r:.100} of type {type(cell).__name__} in row {row} among cells of type {usual}",
            "Convert all cells to one type, for example with [str(cell) for cell in column]",
        ) from error


ARRAYS = ("__array__", "__array_interface__")
"""Attributes that mark an object as an array."""


def refuse_sequence(value: object) -> None:
    """Refuse a sequence that is not an array, because numpy would misread the sequence item by item.

    Args:
        value: a value that is neither a data frame nor a list.

    Raises:
        DataError: if it has items; the message says how to pass its rows.
    """
    if isinstance(value, Dataset | DataLoader):
        held = value.dataset if isinstance(value, DataLoader) else value
        way, what = "dataset" if held is value else "loader.dataset", type(held).__name__
        what = what if held is value else f"{type(value).__name__} of a {what}"
        if isinstance(held, TensorDataset):
            count = len(held.tensors)
            what, way = f"{what} of {count} tensor{'s' if count > 1 else ''}", f"{way}.tensors[0]"
        else:
            way = f"torch.stack([x for x, *_ in {way}]), or the part of each item that holds a row"
    elif (
        not isinstance(value, list | tuple | str | bytes | memoryview | Tensor)
        and (hasattr(value, "__getitem__") or hasattr(value, "__iter__"))
        and not any(hasattr(value, name) for name in ARRAYS)
    ):
        what = type(value).__name__ + (f" of {len(value)} items" if hasattr(value, "__len__") else "")
        way = "numpy.stack([row for row in it]), or the part of each item that holds a row"
    else:
        return
    raise DataError("data must be an array or a table", f"a {what}", f"Pass {way}")
