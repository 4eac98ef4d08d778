"""Convert the rows that an estimator takes and returns, keeping their library and types."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from vaekit.data import Frame
from vaekit.data.readers.libraries import library_of
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


HEAD = 1000
"""Rows of the training data that determine the types of the pattern."""


def make_pattern(run: Run, X: Any, rows: object) -> Any:
    """Return a typical row of the model as a data frame with the library and types of the training data.

    Args:
        run: the trained run.
        X: the training data as they were given.
        rows: the training data as the run read them.

    Returns:
        A data frame of one row with all columns (empty for columns that are not modelled); None for other data.
    """
    if not run.reads_tables or not isinstance(rows, Frame):
        return None
    given = {column.name: next(rows.read())[column.name][0].as_py() for column in run.schema.context}
    made: Any = run.decode(np.zeros((1, int(run.recipe.latent_dim))), given)
    cells = {c.name: made[c.name] if c.name in made.column_names else pa.nulls(1) for c in run.schema.table}
    return to_library(pa.table(cells), nw.from_native(X).head(HEAD).to_native())


def to_library(found: pa.Table, pattern: Any) -> Any:
    """Convert an Arrow table to the library and types of another data frame."""
    library = library_of(pattern)
    return found if library is None else library.convert(found)


def to_trained_types(found: Any, run: Run, pattern: Any) -> Any:
    """Convert generated rows to the library and types of the training data.

    Args:
        found: an Arrow table or an array.
        run: the run that generated the rows.
        pattern: a data frame of one row, if the training data were a data frame.
    """
    if isinstance(found, pa.Table):
        return to_library(found, pattern)
    if not run.reads_tables:
        return found
    dtype = np.result_type(*(column.arrow_type.to_pandas_dtype() for column in run.schema.table))
    return found if dtype.kind != "f" and np.isnan(found).any() else found.astype(dtype)


def match_type(found: Any, X: Any) -> Any:
    """Convert an array of results to the dtype of the user's array; leave other results unchanged."""
    if isinstance(found, np.ndarray) and isinstance(X, np.ndarray) and X.ndim == 2:
        found = found.astype(X.dtype, copy=False)
    return found
