"""Held-out rows of a mixed table beside as many generated ones, both as the codes of their cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.marginals import Marginal
from vaekit.errors import VaekitError
from vaekit.report.panel import cut
from vaekit.report.subject import Subject
from vaekit.runs.run import Run

Array = npt.NDArray[np.float64]

MOST_ROWS = 5000
MOST_COLUMNS = 24
"""Columns that are shown one by one; further ones are named."""


@dataclass(frozen=True)
class TableRows:
    """Rows of a mixed table and what a model makes in their place.

    Args:
        columns: the first modelled columns, C of them.
        real: codes of held-out rows, shape (n, C), NaN where a cell is missing.
        generated: codes of sampled rows, shape (m, C).
        train: codes of as many training rows: what the model should do no better than; none where they cannot be had.
        atoms: of each column, values with a probability of their own beside numbers on the line.
    """

    columns: tuple[Column, ...]
    real: Array
    generated: Array
    train: Array
    atoms: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, subject: Subject) -> TableRows:
        """Held-out rows of a run, and as many rows that it draws."""
        run = subject.run
        columns = run.schema.modelled[:MOST_COLUMNS]
        part = subject.some(MOST_ROWS)
        real = np.asarray(part.take(0, len(part)), np.float64)
        some = subject.train and subject.train.subset(len(real), run.recipe.seed)
        train = np.asarray(some.take(0, len(real)), np.float64) if some else real[:0]
        drawn = np.asarray(subject.sample(part), np.float64)  # codes, not yet a table
        marginals = cells_of(run).columns[: len(columns)]
        atoms = tuple(m.point_masses if isinstance(m, Marginal) else () for m in marginals)
        shared = np.array([c.n_categories - 1 if c.kind in CATEGORICAL else np.inf for c in columns])
        real, drawn, train = (np.minimum(x[:, : len(columns)], shared) for x in (real, drawn, train))
        return cls(columns, real, drawn, train, atoms)

    def column(self, index: int) -> tuple[Array, Array]:
        """Cells of a column that are there, held-out and generated ones."""
        real = self.real[:, index]
        return real[~np.isnan(real)], self.generated[:, index]

    @property
    def names(self) -> list[str]:
        """How the columns are called, short enough to be shown."""
        return [cut(column.name) for column in self.columns]


def cells_of(run: Run) -> Cells:
    """How cells of a table become what its model sees."""
    cells = run.transform.cells
    if not isinstance(cells, Cells):
        raise VaekitError("a run on a mixed table must have cells", f"'{run.path}'")
    return cells
