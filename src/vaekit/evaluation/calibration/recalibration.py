"""Recalibrated levels: which level of the model's own intervals holds a share L of the true values?

Cells of rows that neither trained the model nor chose its weights are hidden, and the position u of each true value in its
distribution is found. The least level at which an interval or a set holds the value is its *score*:

    s = 2|u − ½| for intervals, s = u for sets

An interval of recalibrated level L is the model's interval of level q(L), the L-quantile of the scores. With the quantile of
rank L(n + 1) among n scores, it holds a value of a new row of the same kind with probability at least L, whatever the model
(split conformal prediction). A column has few cells, so the cells of all columns with the same form of answer count, too,
together as much as `SHARED` cells of its own.

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Chernozhukov, Wüthrich and Zhu, "Distributional
    Conformal Prediction", 2021; Romano, Sesia and Candès, "Classification with Valid and Adaptive Coverage", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from vaekit.data import Column

Array = npt.NDArray[np.float64]

SHARED = 50
"""Weight of the cells of all columns of one form together, in cells of the column."""
STEPS = 200
"""Levels at which the quantiles are kept, evenly spaced; between them they are interpolated."""
HIGHEST = 1 - 1e-4
"""Highest level of the model that is used; a higher one would end in tails that no data show."""
LEAST = 20
"""Least number of hidden cells of one form."""


def is_unordered(column: Column) -> bool:
    """Return whether a column has sets of values rather than intervals."""
    return column.kind in ("binary", "categorical")


class Recalibration(BaseModel):
    """Hold the level of the model's own intervals that holds each share of the true values, for each column.

    Args:
        rows: rows whose cells were hidden.
        cells: hidden cells of each column.
        levels: for each column, q(L) at L = 0, 1/200, …, 1; empty for the model's own levels, if too few cells were hidden.

    Examples:
        >>> Recalibration(rows=10, cells=(8,), levels=((0.0, 0.5, 1.0),)).level(0, 0.9)
        0.9
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=0)
    cells: tuple[Annotated[int, Field(ge=0)], ...]
    levels: tuple[tuple[Annotated[float, Field(ge=0, le=1)], ...], ...]

    def level(self, column: int, level: float) -> float:
        """Return q(L) of a column."""
        kept = self.levels[column]
        if not kept:
            return level
        return float(min(np.interp(level, np.linspace(0, 1, len(kept)), kept), max(HIGHEST, level)))


def fit_recalibration(columns: Sequence[Column], scores: Array, rows: int) -> Recalibration:
    """Find the recalibrated levels of each column.

    Args:
        columns: the modelled columns.
        scores: scores of hidden cells, NaN elsewhere, shape (n, C).
        rows: how many different rows these are.
    """
    forms = np.array([is_unordered(column) for column in columns])
    levels = []
    for column, form in enumerate(forms):
        own, others = (part[~np.isnan(part)] for part in (scores[:, column], scores[:, forms == form]))
        levels.append(_quantiles(own, others) if len(others) >= LEAST else ())
    return Recalibration(rows=rows, cells=tuple((~np.isnan(scores)).sum(0).tolist()), levels=tuple(levels))


def _quantiles(own: Array, others: Array) -> tuple[float, ...]:
    """Return weighted quantiles of the scores of a column and of all columns of its form, and of one score of 1."""
    values = np.concatenate([own, others, [1.0]])
    weights = np.concatenate([np.ones(len(own)), np.full(len(others), min(1, SHARED / len(others))), [1.0]])
    order = np.argsort(values, kind="stable")
    reached = weights[order].cumsum() / weights.sum()
    wanted = np.linspace(0, 1, STEPS + 1)
    found = values[order][np.searchsorted(reached, wanted - 1e-12).clip(max=len(values) - 1)]
    found[0] = 0.0
    return tuple(found.tolist())
