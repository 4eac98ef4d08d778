"""Intervals and sets of missing cells as a table, and the recalibration of their levels after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import Column, Rows
from vaekit.data.blanks import blank_cells
from vaekit.errors import VaekitError
from vaekit.evaluation import TableModel
from vaekit.evaluation.calibration import Recalibration
from vaekit.evaluation.calibration.recalibration import is_unordered
from vaekit.evaluation.tables.predictive import CellIntervals, find_intervals

Array = npt.NDArray[np.float64]
LOWER, UPPER, SET = ".lower", ".upper", ".set"
"""Endings of the names of columns."""


def check_level(level: float) -> float:
    """Return a level of intervals; refuse one that is not between 0 and 1."""
    if not 0 < level < 1:
        raise VaekitError("`level` must be between 0 and 1", f"{level}", "Give 0.9 for intervals of 90 %")
    return level


def fill_intervals(
    model: TableModel, rows: Rows, level: float, recalibration: Recalibration | None, blanks: bool
) -> CellIntervals:
    """Return intervals and sets of missing cells at a recalibrated level.

    Args:
        model: the model.
        rows: coded rows, NaN where a cell is missing.
        level: L.
        recalibration: recalibrated levels; the model's own by default.
        blanks: whether structural blanks have intervals, too.
    """
    columns = model.schema.modelled
    levels = [level if recalibration is None else recalibration.level(i, level) for i in range(len(columns))]
    found = find_intervals(model, rows, np.array(levels))
    if blanks or not any(column.blank_where for column in columns):
        return found
    blank = blank_cells(model.schema.table, model.impute(rows)[0], rows.part.take_context())
    lower, upper = (np.where(blank, np.nan, ends) for ends in (found.lower, found.upper))
    return CellIntervals(lower, upper, {i: own & ~blank[:, i : i + 1] for i, own in found.sets.items()})


def tabulate_intervals(found: CellIntervals, columns: Sequence[Column]) -> pa.Table:
    """Return the ends of intervals as cells `NAME.lower` and `NAME.upper`, and sets as lists `NAME.set`.

    Args:
        found: the intervals and sets.
        columns: the modelled columns.
    """
    cells: dict[str, Any] = {}
    for i, column in enumerate(columns):
        if is_unordered(column):
            cells[column.name + SET] = _lists(column, found.sets[i])
        else:
            cells[column.name + LOWER] = column.decode(found.lower[:, i])
            cells[column.name + UPPER] = column.decode(found.upper[:, i])
    return pa.table(cells)


def _lists(column: Column, inside: npt.NDArray[np.bool_]) -> Any:
    """Return the values in the set of each row as a list; null for an empty set."""
    values = column.decode(np.nonzero(inside)[1].astype(np.float64))
    counts = inside.sum(1)
    offsets = np.append(0, counts.cumsum())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=pa.array(counts == 0))
