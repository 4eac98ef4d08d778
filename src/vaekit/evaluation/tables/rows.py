"""Pair held-out rows of a mixed table with as many generated rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vaekit.data import Column, Rows
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.marginals import Marginal
from vaekit.evaluation.tables.model import TableModel

Array = npt.NDArray[np.float64]
Sampler = Callable[[Tensor | None, int], npt.NDArray[Any]]
"""A function that draws n coded rows, given the context of each row."""

MOST_ROWS = 5000


@dataclass(frozen=True)
class ComparedRows:
    """Hold held-out rows of a mixed table, as many generated rows, and as many training rows.

    Args:
        columns: the modelled columns, C of them.
        held_out: codes of held-out rows, shape (n, C), NaN where a cell is missing.
        generated: codes of generated rows, shape (m, C).
        train: codes of training rows, which show differences by chance; empty if the rows are not available.
        point_masses: for each column, the single numbers that have a positive probability.
    """

    columns: tuple[Column, ...]
    held_out: Array
    generated: Array
    train: Array
    point_masses: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, model: TableModel, rows: Rows, train: Rows | None, sample: Sampler) -> ComparedRows:
        """Choose at most 5,000 held-out rows, and generate as many rows with the model."""
        columns = model.schema.modelled
        shared = np.array([c.n_categories - 1 if c.kind in CATEGORICAL else np.inf for c in columns])
        part = rows.part.subset(MOST_ROWS, rows.seed)
        context = Rows(part, rows.transform, rows.seed).context()
        generated = np.asarray(sample(context, len(part)), np.float64)
        masses = tuple(c.point_masses if isinstance(c, Marginal) else () for c in model.cells.columns)
        trained = np.empty((0, len(columns))) if train is None else codes_of(train, len(part))
        held_out, generated, trained = (
            np.minimum(codes, shared) for codes in (codes_of(rows, MOST_ROWS), generated, trained)
        )
        return cls(columns, held_out, generated, trained, masses)

    def cells(self, index: int) -> tuple[Array, Array]:
        """Return the observed held-out cells of a column, and its generated cells."""
        held_out = self.held_out[:, index]
        return held_out[~np.isnan(held_out)], self.generated[:, index]


def codes_of(rows: Rows, limit: int) -> Array:
    """Return at most `limit` coded rows of a table, chosen at random with the seed `rows.seed`."""
    return np.asarray(rows.part.subset(limit, rows.seed).take(0, limit), np.float64)
