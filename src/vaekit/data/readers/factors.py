"""A reader of known factors of variation, for comparing latent codes with these factors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.readers.opening import open_source
from vaekit.errors import DataError


def open_factors(factors: object, rows: int) -> npt.NDArray[np.int64]:
    """Open known factors of variation, and encode the different values of each factor as integers.

    Args:
        factors: a file, an array (n, f) or a data frame with a column for each factor: integers or names.
        rows: the number n of rows.

    Returns:
        Integers from 0 in each column, shape (n, f).

    Raises:
        DataError: if the number of rows differs, a cell is missing, or a factor is continuous.

    Examples:
        >>> open_factors([[3, 0], [5, 1], [3, 1]], 3).tolist()
        [[0, 0], [1, 1], [0, 1]]
    """
    opened = open_source(factors)
    if opened.values.ndim != 2:
        raise DataError("factors must be a table with a column for each factor", f"shape {opened.values.shape}")
    table = opened.as_frame().table()
    if len(table) != rows:
        raise DataError(f"factors must have {rows} rows, like the data", f"{len(table)} rows")
    return np.stack([_numbered(name, table[name]) for name in table.column_names], axis=1)


def _numbered(name: str, cells: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    if cells.null_count:
        must = "every cell of the factors must have a value"
        mend = "Remove these rows from the data and the factors"
        raise DataError(must, f"{cells.null_count} empty cells in column '{name}'", mend)
    values = np.asarray(cells.to_pylist())
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        must = "factors must be integers or names"
        mend = "Discretise the column into bins of equal width or equal frequency"
        raise DataError(must, f"{values[values != np.floor(values)][0]:g} in column '{name}'", mend)
    return np.unique(values, return_inverse=True)[1]
