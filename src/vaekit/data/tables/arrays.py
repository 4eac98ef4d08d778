"""Conversion of arrays to tables, and of tables of numbers to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.columns import numbered_names
from vaekit.data.tables.frame import Frame, frame_of_table
from vaekit.data.tables.types import family
from vaekit.data.tables.written import as_type
from vaekit.errors import DataError

Values = npt.NDArray[Any]
LABEL = "label"
"""Name of the column that the labels of pictures and arrays become."""
NUMBERS = (pa.int64(), pa.float64(), pa.bool_())
"""Types of numbers in a text file; the first type that fits all cells is used."""


def frame_of_array(values: Values, columns: Sequence[str] = (), labels: Values | None = None) -> Frame:
    """Convert an array (n, C) to a table; results for this table are converted back to arrays.

    Args:
        values: numbers, shape (n, C).
        columns: names of the columns.
        labels: class of each row, which becomes the last column.

    Raises:
        DataError: if the array does not have two dimensions.
    """
    if values.ndim != 2:
        raise DataError("a mixed table must have an example per row, shape (n, columns)", f"shape {values.shape}")
    names = columns or numbered_names(values.shape[1])
    table = pa.table({name: pa.array(np.asarray(cells)) for name, cells in zip(names, values.T, strict=True)})
    if labels is not None:
        table = table.append_column(LABEL, pa.array(labels))
    return frame_of_table(table, bool(columns), ArrayLibrary(), array=True)


def as_array(table: pa.Table) -> npt.NDArray[np.float64]:
    """Convert a table of numbers to an array (n, C), with NaN for missing cells."""
    return np.column_stack([c.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for c in table.columns])


class ArrayLibrary:
    """Converts results to arrays (n, C), without the column of labels."""

    name = "numpy"

    def answer(self, found: pa.Table) -> npt.NDArray[np.float64]:
        """Convert results to an array."""
        return as_array(found.drop_columns([LABEL]) if LABEL in found.column_names else found)

    convert = add_labels = answer

    def part(self, first: int, rows: int) -> ArrayLibrary:  # noqa: ARG002
        """Return the library itself."""
        return self


def numbers_of(frame: Frame) -> Values:
    """Convert a table of numbers to one array, with an integer type if all columns hold integers.

    Args:
        frame: the table; all of its rows are read.

    Returns:
        An array (n, C).

    Raises:
        DataError: if a column does not hold numbers, or a cell is empty; the message names the column.

    Examples:
        >>> numbers_of(frame_of_table(pa.table({"a": [1, 2], "b": [0.5, 1.5]}))).tolist()
        [[1.0, 0.5], [2.0, 1.5]]
    """
    table = frame.table()
    columns = [_numbers(name, frame.cells(table, name), frame.marks is not None) for name in frame.names]
    return np.column_stack(columns)


def _numbers(name: str, column: Any, written: bool) -> Values:
    if column.null_count:
        row = pc.index(column.is_null(), value=True).as_py()
        raise DataError(
            "every cell must hold a finite number",
            f"an empty cell in column '{name}', row {row} ({column.null_count} of its {len(column)} cells are empty)",
            "Remove such rows, or fill the cells, before training",
        )
    readings = (as_type(column, number) for number in NUMBERS) if written else ()
    column = next((read for read in readings if read is not None), column)
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.uint8()).to_numpy()
    if pa.types.is_decimal(kind) or (pa.types.is_dictionary(kind) and family(kind) == "number"):
        column = column.cast(pa.float64() if pa.types.is_decimal(kind) else kind.value_type)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        must = "every column must hold numbers"
        raise DataError(must, f"column '{name}' of type {kind}", "Leave it out, or encode it as numbers")
    return column.to_numpy()
