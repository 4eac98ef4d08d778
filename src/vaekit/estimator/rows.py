"""Rows on their way into an estimator, and rows that come out of it: in the library and the types of those that went in."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from vaekit.data import Frame, Schema
from vaekit.data.readers.libraries import library_of
from vaekit.data.readers.objects import arrange, refuse_sequence
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun


def materialize(X: Any) -> Any:
    """Rows whose cells are there: those of a lazy frame are computed, masked cells are NaN, sparse matrices dense."""
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


def by_name(values: Mapping[Any, Any], array: bool) -> dict[str, Any]:
    """Values by name of column; the columns of an array may be given by their numbers.

    Args:
        values: by name or number.
        array: whether the rows are an array.

    Examples:
        >>> by_name({0: "count"}, array=True)
        {'column0': 'count'}
    """
    return {f"column{key}" if array and isinstance(key, Integral) else str(key): value for key, value in values.items()}


HEAD = 1000
"""Rows of the training data by which the types of its columns are known."""


def own_row(run: Run, X: Any, rows: object) -> Any:
    """A typical row of a model, in the library and types of the data frame that it was trained on: a pattern for others.

    Args:
        run: the trained run.
        X: what it was trained on.
        rows: the same as the run read it.

    Returns:
        A data frame of one row with all columns, empty where they are not modelled; None where rows are not a table's.
    """
    if not isinstance(run, TableRun) or not isinstance(rows, Frame):
        return None
    given = {column.name: next(rows.read())[column.name][0].as_py() for column in run.schema.context}
    made = run.decode(np.zeros((1, int(run.recipe.latent_dim))), given)
    cells = {c.name: made[c.name] if c.name in made.column_names else pa.nulls(1) for c in run.schema.table}
    return in_library(pa.table(cells), nw.from_native(X).head(HEAD).to_native())


def in_library(found: pa.Table, pattern: Any) -> Any:
    """Rows of the model's own making in the library and types of a data frame."""
    library = library_of(pattern)
    return found if library is None else library.convert(found)


def as_trained(found: Any, schema: Schema, pattern: Any) -> Any:
    """Rows of the model's own making in the library and types of the training data.

    Args:
        found: an Arrow table or an array.
        schema: what the data are.
        pattern: a row in their library, where they were a data frame.
    """
    if isinstance(found, pa.Table):
        return in_library(found, pattern)
    if schema.kind != "mixed":
        return found
    dtype = np.result_type(*(column.arrow_type.to_pandas_dtype() for column in schema.table))
    return found if dtype.kind != "f" and np.isnan(found).any() else found.astype(dtype)


def like(found: Any, X: Any) -> Any:
    """Rows that answer given ones, in the type of an array."""
    if isinstance(found, np.ndarray) and isinstance(X, np.ndarray) and X.ndim == 2:
        found = found.astype(X.dtype, copy=False)
    return found
