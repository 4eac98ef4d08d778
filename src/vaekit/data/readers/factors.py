"""Known factors of variation, against which codes are scored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.readers.opening import open_source
from vaekit.errors import DataError


def open_factors(factors: object, rows: int) -> npt.NDArray[np.int64]:
    """Open known factors of variation, and number the values of each.

    Args:
        factors: a file, an array (n, f) or a data frame with a column for each factor: whole numbers or names.
        rows: n.

    Returns:
        Integers from 0 in each column, shape (n, f).

    Raises:
        DataError: if there are more or fewer rows, a cell is missing, or a factor is continuous.

    Examples:
        >>> open_factors([[3, 0], [5, 1], [3, 1]], 3).tolist()
        [[0, 0], [1, 1], [0, 1]]
    """
    opened = open_source(factors)
    if opened.values.ndim != 2:
        raise DataError("factors must be a table with a column for each factor", f"shape {opened.values.shape}")
    table = opened.as_frame().table()
    if len(table) != rows:
        raise DataError(f"there must be factors for each of the {rows} rows", f"{len(table)} rows of factors")
    return np.stack([_numbered(name, table[name]) for name in table.column_names], axis=1)


def _numbered(name: str, cells: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    if cells.null_count:
        raise DataError(
            "every row must have all factors",
            f"{cells.null_count} empty cells in column '{name}'",
            "Leave out these rows, from both files",
        )
    values = np.asarray(cells.to_pylist())
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise DataError(
            "factors must be whole numbers or names",
            f"{values[values != np.floor(values)][0]:g} in column '{name}'",
            "Put its values into classes, of equal width or equally frequent",
        )
    return np.unique(values, return_inverse=True)[1]
