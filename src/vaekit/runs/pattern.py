"""Store the library and types of a training data frame as a Parquet file with a single row, called the pattern."""

from __future__ import annotations

import io
import json
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet

KEY = b"vaekit.columns"
"""The key of the file's metadata that holds names and types of pandas columns."""


def write_pattern(pattern: Any) -> bytes:
    """Write a one-row data frame as a Parquet file; a pandas frame's types go into the file's metadata.

    Args:
        pattern: a data frame of one row.

    Returns:
        Content of the file.
    """
    frame, content = nw.from_native(pattern), io.BytesIO()
    if frame.implementation.is_pandas():
        pyarrow.parquet.write_table(_table_of_pandas(pattern), content)
    else:
        frame.write_parquet(content)
    return content.getvalue()


def read_pattern(content: bytes, library: Any) -> Any:
    """Read a one-row data frame that `write_pattern` wrote.

    Args:
        content: content of the file.
        library: name of the library in narwhals.

    Returns:
        A data frame of one row.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is damaged, or has more than one row.
        ImportError: if the library is not installed.
    """
    if (rows := pyarrow.parquet.read_metadata(io.BytesIO(content)).num_rows) != 1:
        raise ValueError(f"it has {rows:,} rows")
    if library == "pandas":
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        if KEY in (table.schema.metadata or {}):
            return _pandas_of_table(table)
    return nw.read_parquet(io.BytesIO(content), backend=library).to_native()


def _table_of_pandas(pattern: Any) -> pa.Table:
    """Convert a one-row pandas frame to an Arrow table, with column names, types and categories."""
    cells, types = [], []
    for position in range(pattern.shape[1]):
        series = pattern.iloc[:, position]
        kind = _describe(series.dtype)
        values = series.cat.categories if "categories" in kind else series
        stored = _storage(values.sparse.to_dense() if "sparse" in kind else values)
        cells.append(pa.ListArray.from_arrays([0, len(stored)], stored))
        types.append(kind)
    names = [list(name) if isinstance(name, tuple) else name for name in pattern.columns.tolist()]
    table = pa.table(cells, names=[str(position) for position in range(len(cells))])
    return table.replace_schema_metadata({KEY: json.dumps({"names": names, "types": types}, default=str)})


def _storage(values: Any) -> Any:
    """Convert cells to a type that Parquet supports; objects of several types become text."""
    try:
        found = pa.array(values.array, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        found = pa.array([str(value) for value in values])
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return found.storage if isinstance(found, pa.ExtensionArray) else found


def _describe(kind: Any) -> dict[str, Any]:
    import pandas as pd

    if isinstance(kind, pd.CategoricalDtype):
        return {"categories": _describe(kind.categories.dtype), "ordered": bool(kind.ordered)}
    if isinstance(kind, pd.SparseDtype):
        fill = None if pd.isna(kind.fill_value) else kind.subtype.type(kind.fill_value).item()
        return {"sparse": _describe(kind.subtype), "fill": fill}
    if isinstance(kind, pd.StringDtype):
        return {"text": kind.storage, "nan": kind.na_value is not pd.NA}
    return {"arrow": True} if isinstance(kind, pd.ArrowDtype) else {"type": str(kind)}


def _pandas_of_table(table: pa.Table) -> Any:
    import pandas as pd

    said = json.loads(table.schema.metadata[KEY])
    columns = [
        _series(kind, cells.combine_chunks().flatten())
        for kind, cells in zip(said["types"], table.columns, strict=True)
    ]
    frame = pd.DataFrame(dict(enumerate(columns)))
    names = [tuple(name) if isinstance(name, list) else name for name in said["names"]]
    frame.columns = pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else pd.Index(names)
    return frame


def _series(kind: dict[str, Any], cells: Any) -> Any:
    """Make a one-row pandas column from a stored cell, or from stored categories."""
    import pandas as pd

    if "categories" in kind:
        categories = pd.Index(_series(kind["categories"], cells))
        return pd.Series(pd.Categorical([None], categories, kind["ordered"]))
    if "sparse" in kind:
        dense = _series(kind["sparse"], cells)
        fill = dense.dtype.type("nan") if kind["fill"] is None else kind["fill"]
        return dense.astype(pd.SparseDtype(dense.dtype, fill))
    if "text" in kind:
        missing = {"na_value": float("nan")} if kind["nan"] else {}
        return pd.Series(cells.to_pandas(), dtype=pd.StringDtype(kind["text"], **missing))
    if "arrow" in kind:
        return pd.Series(pd.arrays.ArrowExtensionArray(cells))
    dtype = pd.api.types.pandas_dtype(kind["type"])
    if hasattr(dtype, "__from_arrow__"):
        return pd.Series(dtype.__from_arrow__(pa.chunked_array([cells])))
    return cells.to_pandas().astype(dtype)
