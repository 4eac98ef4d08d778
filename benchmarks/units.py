"""The units in which log p(x) is given: what has a probability, what has a density, and how wide intervals are.

vaekit decides from the training rows on which grid the numbers of a column lie. A number on a grid has the probability
of an interval as wide as the spacing of the grid, a category has a probability, and any other number has a density in
the units of the data. In a column without a grid but with values that many rows share, such a value has a probability,
and any other number the probability of an interval as wide as the median distance of neighbouring values. All methods
are compared in these units: a density is multiplied by the width of the interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from vaekit.data import Cells, open_both
from vaekit.data.options import DataOptions
from vaekit.data.tables.cells import fit_cells
from vaekit.data.tables.marginals import Marginal


@dataclasses.dataclass(frozen=True)
class Units:
    """Rows as arrays of codes, and the unit of each column.

    Args:
        train: codes of the training rows, shape (n, columns), NaN where missing.
        test: codes of the other rows.
        cells: the columns as vaekit's likelihood sees them.
    """

    train: np.ndarray
    test: np.ndarray
    cells: Cells

    @property
    def categories(self) -> list[int]:
        """Return the number of categories of each column, 0 for numbers."""
        return [0 if isinstance(c, Marginal) else len(c.log_share) - 1 for c in self.cells.columns]

    @property
    def widths(self) -> list[float]:
        """Return the width of the interval whose probability a number has, 0 for a density."""
        return [width(c) if isinstance(c, Marginal) else 0.0 for c in self.cells.columns]

    def correction(self, cells: Cells) -> np.ndarray:
        """Return what to add to the log p(x) of the other rows by a model with other intervals, shape (n,).

        A model that was fitted to fewer rows has the same grids, but other distances of neighbouring values.
        """
        found = np.zeros(len(self.test))
        for ours, theirs, codes in zip(self.cells.columns, cells.columns, self.test.T, strict=True):
            if isinstance(ours, Marginal) and isinstance(theirs, Marginal) and theirs.point_masses and width(ours):
                between = ~np.isnan(codes) & (theirs.point_mass(codes) == len(theirs.point_masses))
                found[between] += np.log(width(ours) / width(theirs))
        return found


def width(column: Marginal) -> float:
    return column.spacing or (column.resolution if column.point_masses else 0.0)


def find_units(train: pd.DataFrame, test: pd.DataFrame, declared: Mapping[str, str]) -> Units:
    """Return the units of a table, and its rows as codes."""
    opened, other = open_both(train, test, DataOptions(columns=dict(declared)), mixed=True)
    columns = [column for column in opened.table if column.modelled]
    codes, others = (np.asarray(source.values, float) for source in (opened, other))
    return Units(codes, others, fit_cells(columns, codes))
