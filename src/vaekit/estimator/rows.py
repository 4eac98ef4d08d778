"""Convert the rows that an estimator takes and returns, keeping their library and types."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from vaekit.data import Frame
from vaekit.data.readers.objects import arrange, refuse_sequence
from vaekit.runs.run import Run


def collect(X: Any) -> Any:
    """Turn lazy frames, masked arrays and sparse matrices into plain rows in memory."""
    if isinstance(X, pa.RecordBatch):
        return pa.Table.from_batches([X])
    lazy = nw.from_native(X, pass_through=True)
    if isinstance(lazy, nw.LazyFrame):
        return lazy.collect().to_native()
    if isinstance(lazy, nw.DataFrame) or (isinstance(X, np.ndarray) and X.dtype == object):
        return X
    found = arrange(X)
    refuse_sequence(found)
    return found.table() if isinstance(found, Frame) else found


def name_columns(values: Mapping[Any, Any], array: bool) -> dict[str, Any]:
    """Return a mapping with column names as keys instead of column numbers.

    Args:
        values: values by name or number of the column.
        array: whether the rows are an array.

    Examples:
        >>> name_columns({0: "count"}, array=True)
        {'column0': 'count'}
    """
    return {f"column{key}" if array and isinstance(key, Integral) else str(key): value for key, value in values.items()}


def to_trained_types(found: Any, run: Run) -> Any:
    """Convert an array of generated rows to the type of the training array; leave data frames unchanged.

    Args:
        found: a table or an array.
        run: the run that generated the rows.
    """
    if not run.reads_tables or not isinstance(found, np.ndarray):
        return found
    dtype = np.result_type(*(column.arrow_type.to_pandas_dtype() for column in run.schema.table))
    return found if dtype.kind != "f" and np.isnan(found).any() else found.astype(dtype)


def match_type(found: Any, X: Any) -> Any:
    """Convert an array of results to the dtype of the user's array; leave other results unchanged."""
    if isinstance(found, np.ndarray) and isinstance(X, np.ndarray) and X.ndim == 2:
        found = found.astype(X.dtype, copy=False)
    return found
