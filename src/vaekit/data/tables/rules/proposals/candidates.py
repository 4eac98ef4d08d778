"""What the searches for rules share: the columns of a table, and when a rule holds often enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.columns import CATEGORICAL, Column
from vaekit.data.tables.rules.base import Truth
from vaekit.data.tables.rules.scales import Scales, make_scales

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
HOLDS = 0.999
"""A rule is proposed if it holds in this share of the rows that have its cells."""
LEAST_ROWS = 20
"""Least rows that tell whether a rule is there by chance."""
MOST_COLUMNS = 100
"""Most columns with categories, and most other columns, that are searched."""
SCREENED = 2000
"""Rows with which most candidates are refused."""


@dataclass(frozen=True)
class Table:
    """Holds the values of all modelled columns in some training rows.

    Args:
        columns: the columns.
        scales: their scales.
        values: their values by name, each of shape (n,), NaN where a cell is missing.
    """

    columns: tuple[Column, ...]
    scales: Scales
    values: dict[str, Array]

    @classmethod
    def of(cls, columns: Sequence[Column], codes: Array) -> Table:
        """Make a table from codes, shape (n, C), with the first 100 columns of categories and the first 100 others."""
        listed = [i for i, column in enumerate(columns) if column.kind in CATEGORICAL][:MOST_COLUMNS]
        others = [i for i, column in enumerate(columns) if column.kind not in CATEGORICAL][:MOST_COLUMNS]
        places = {columns[i].name: i for i in sorted([*listed, *others])}
        chosen = tuple(columns[i] for i in places.values())
        scales = make_scales(chosen)
        values = {name: scales[name].values(codes[:, i]) for name, i in places.items()}
        return cls(chosen, scales, values)

    @cached_property
    def numbers(self) -> list[str]:
        """Return the columns of numbers and dates, without those of two values."""
        return [c.name for c in self.columns if self.scales[c.name].sort != "text" and c.kind != "binary"]

    @cached_property
    def categories(self) -> list[str]:
        """Return the columns with categories."""
        return [c.name for c in self.columns if c.kind in CATEGORICAL]

    @cached_property
    def labels(self) -> dict[str, Integers]:
        """Return the values of each column as 0, 1, …, in increasing order, −1 where a cell is missing."""
        found = {}
        for name, values in self.values.items():
            there = ~np.isnan(values)
            found[name] = np.full(len(values), -1)
            found[name][there] = np.unique(values[there], return_inverse=True)[1]
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """Return the number of different values of each column."""
        return {name: int(labels.max(initial=-1)) + 1 for name, labels in self.labels.items()}

    def pairs(self, first: str, second: str, most: int | None = None) -> tuple[Integers, Integers]:
        """Return the labels of two columns in the rows (at most the first `most`) that have both."""
        a, b = self.labels[first][:most], self.labels[second][:most]
        there = (a >= 0) & (b >= 0)
        return a[there], b[there]


def often(holds: Truth) -> bool:
    """Return whether a rule holds in nearly all of these rows, and there are enough of them."""
    return len(holds) >= LEAST_ROWS and bool(holds.mean() >= HOLDS)
