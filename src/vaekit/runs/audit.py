"""Audit a run: its function x ↦ log p(x), over all rows that its schema allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vaekit.auditing import Cell, Space, Subject
from vaekit.data import Part, Rows, Transform
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.marginals import Marginal
from vaekit.evaluation import measure, simulate

if TYPE_CHECKING:
    from vaekit.runs.model_run import ModelRun

Array = npt.NDArray[np.float64]

DRAWN = 512
"""Rows that the model draws, which show where its mass is."""
MOST_ON_GRID = 4096
"""Most values of a column of whole numbers."""
BEYOND = 8.0
"""How far such a column is summed beyond its knots, in normal scores."""


def make_subject(run: ModelRun, samples: int, evaluations: int, seed: int) -> Subject:
    """Return log p(x) of a run, as `run.score_samples` computes it, with all that an audit needs to know.

    A conditional model is audited at one context, the first category of each column. Where grey levels are binarised at
    random, the rows are zeros and ones.

    Args:
        run: the run.
        samples: draws K ≥ 1 of z for each row.
        evaluations: greatest number of rows that one sum evaluates.
        seed: seed of everything random.

    Raises:
        VaekitError: if the model has no likelihood.
    """
    model = run.model.with_likelihood("an audit")
    codes = np.zeros((1, len(run.schema.context))) if run.schema.context else None
    context = None if codes is None else run.transform.encode_context(torch.from_numpy(codes)).float()
    plain = Transform(context=run.transform.context)
    binarized, table = run.transform.binarizes, run.transform.cells is not None
    transform = plain if binarized else run.transform
    many = None if context is None else context.expand(DRAWN, *context.shape[1:])
    rows = simulate(model, DRAWN, seed, many)[1].cpu().numpy() if binarized else run.sample_at(many, DRAWN, seed)
    space = make_space(run, rows)

    def log_prob(X: npt.NDArray[Any], k: int = 1, seed: int = 0, through: Transform = transform) -> Array:
        given = None if codes is None else codes.repeat(len(X), 0)
        part = Part(X, np.arange(len(X)), context=given)
        return measure(model, Rows(part, through, seed), k * samples).score

    def simulated(X: npt.NDArray[Any], seed: int) -> Array:
        return log_prob(X, seed=seed, through=plain)

    moved = run.schema.kind == "real" and not run.schema.constant
    return Subject(
        log_prob,
        space,
        rows.astype(np.float64),
        dtype=np.dtype(np.float64 if binarized or table else run.schema.dtype),
        module=model,
        decoder=None if table else model,
        inner=simulated,
        context=context,
        refine=log_prob,
        transform=(_forward(transform), lambda _: np.array([transform.log_det()])) if moved else None,
        evaluations=evaluations,
        seed=seed,
        title=f"'{run.path}', K = {samples}, over {space.title}",
    )


def _forward(transform: Transform) -> Any:
    return lambda X: transform.forward(torch.from_numpy(X), None)


def make_space(run: ModelRun, rows: npt.NDArray[Any]) -> Space:
    """Describe the rows that the schema of a run allows; `rows` show how large counts are."""
    schema, cells = run.schema, run.transform.cells
    if cells is not None:
        columns = tuple(map(_cell, cells.columns))
        return Space((len(columns),), columns, False, f"{len(columns)} columns of a table")
    if run.transform.binarizes:
        return Space.of(schema.event_shape, "binary", 0, None)
    levels = schema.levels if schema.kind == "levels" else 0
    space = Space.of(schema.shape, schema.kind, levels, rows.astype(np.float64))
    constant = schema.constant
    kept = (Cell((constant[i],)) if i in constant else cell for i, cell in enumerate(space.cells))
    return Space(space.shape, tuple(kept), space.complete, space.title)


def _cell(column: Categories | Marginal) -> Cell:
    """Describe the codes of a column of a table."""
    if isinstance(column, Categories):
        return Cell(tuple(map(float, range(len(column.log_share)))))
    if not column.spacing:
        return Cell(column.point_masses, True, column.resolution)
    ends = np.array([column.knots[0] - BEYOND / column.tails[0], column.knots[-1] + BEYOND / column.tails[1]])
    low, high = (ends / column.spacing).round().astype(int)
    numbers = column.round(np.arange(low, min(high, low + MOST_ON_GRID) + 1) * column.spacing)
    return Cell(tuple(np.unique([*numbers, *column.point_masses]).tolist()))
