"""Distributions of a table's columns given the values of some columns, beside those without these values."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.marginals import Marginal
from vaekit.errors import DataError
from vaekit.evaluation.tables.marginals import MarginalDistance, compare_marginals
from vaekit.evaluation.tables.rows import ComparedRows
from vaekit.runs.table_run import TableRun

Array = npt.NDArray[np.float64]
DRAWS = 2000
"""Rows that are drawn for each distribution."""


@dataclass(frozen=True)
class Changed:
    """Hold the distributions of a column without and with a condition.

    Args:
        column: the column.
        distance: the distributions and their distance. Its `held_out` cells are those without the condition, and its
            `generated` cells are those with it.
    """

    column: Column
    distance: MarginalDistance


@dataclass(frozen=True)
class Conditional:
    """Hold the distributions of the other columns given some values.

    Args:
        given: the values.
        size: effective sample size of the proposals; None if no modelled column is given.
        notes: what the model says about the condition, as sentences.
        changed: the other columns, the one that changes most first.
    """

    given: dict[str, Any]
    size: float | None
    notes: tuple[str, ...]
    changed: tuple[Changed, ...]


def condition_on(run: TableRun, given: Mapping[str, Any], context: Mapping[str, Any], seed: int = 0) -> Conditional:
    """Compare rows drawn from the model given the values of some columns with rows drawn without them.

        p(x_j|x_given, c)   beside   p(x_j|c)

    Args:
        run: a run on a mixed table.
        given: values of modelled columns.
        context: values of the columns that a conditional model needs.
        seed: the same seed gives the same rows.

    Raises:
        DataError: if a value is impossible.
    """
    plain = _codes(run, run.sample(DRAWS, seed, given=context, complete=True))
    drawn, size, notes = plain, None, []
    if given:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found, size = run.condition(DRAWS, {**context, **given}, seed, complete=True)
        drawn = _codes(run, found)
        notes = [f"{each.message}." for each in caught if issubclass(each.category, UserWarning)]
    cells = run.transform.cells
    if cells is None:
        raise DataError("The explorer sets columns of a mixed table only")
    compared = [
        Changed(column, _compare(column, plain[:, i], drawn[:, i], marginal))
        for i, (column, marginal) in enumerate(zip(run.schema.modelled, cells.columns, strict=True))
        if column.name not in given
    ]
    compared.sort(key=lambda each: -np.nan_to_num(each.distance.distance))
    return Conditional(dict(given), size, tuple(notes), tuple(compared))


def _compare(column: Column, plain: Array, drawn: Array, marginal: object) -> MarginalDistance:
    """Compare the cells of a column; a cell is empty if all values that it could have are withheld."""
    plain, drawn = (cells[~np.isnan(cells)][:, None] for cells in (plain, drawn))
    if not len(plain) or not len(drawn):
        return MarginalDistance(column.name, column.kind, "total variation", 0)
    if column.kind in CATEGORICAL:  # rare values share one category
        plain, drawn = (np.minimum(cells, column.n_categories - 1) for cells in (plain, drawn))
    masses = marginal.point_masses if isinstance(marginal, Marginal) else ()
    return compare_marginals(ComparedRows((column,), plain, drawn, np.empty((0, 1)), (masses,)))[0]


def _codes(run: TableRun, rows: Any) -> Array:
    return np.asarray(run.open(rows).values, np.float64)
