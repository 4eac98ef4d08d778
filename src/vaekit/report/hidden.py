"""How well the model tells a cell from the others of its row: observed cells are hidden, filled, and compared with what was there.

Every observed cell of some held-out rows is hidden once, a fifth of the cells at a time, and judged by

    error of a list           share of cells whose likeliest value is not the true one
    error of ordered levels   mean distance of the median level from the true one, in levels
    error of a number         √(mean (x − E[x|rest])²) / standard deviation in training
    log p                     log p(x_j | rest of its row), in nats, averaged over cells

The baseline knows nothing of the rest: the most frequent value, the median level, the mean of training rows, and the
distribution of each column by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Column, Part, Rows, RowStream, SeedStream
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.errors import VaekitError
from vaekit.evaluation import TableModel, block_rows, evaluating
from vaekit.evaluation.bounds import BUDGET, first_row, widest
from vaekit.models import VariationalAutoEncoder
from vaekit.models.likelihoods import Mixed
from vaekit.report.subject import Subject
from vaekit.report.table_rows import cells_of
from vaekit.runs.run import Run

Array = npt.NDArray[np.float64]

ROUNDS = 5
"""Times that cells are hidden, each cell once."""
MOST_ROWS, MOST_CELLS = 1000, 24_000
SAMPLES = 50
"""Draws K for each row, at most."""
TRAIN_ROWS = 10_000

Measure = Literal["error rate", "levels off", "RMSE / std"]


@dataclass(frozen=True)
class Told:
    """How well the cells of a column are told.

    Args:
        column: which.
        measure: what `error` and `baseline` are.
        cells: how many were hidden.
        error: of the model.
        baseline: of what knows nothing of the row.
        log_prob: mean log p of a cell given the rest of its row, in nats.
        gain: by how much that is above the column's own distribution.
        gain_error: standard error of the gain.
    """

    column: Column
    measure: Measure = "error rate"
    cells: int = 0
    error: float = math.nan
    baseline: float = math.nan
    log_prob: float = math.nan
    gain: float = math.nan
    gain_error: float = math.nan


def tell_cells(subject: Subject) -> dict[str, Told]:
    """Every column by name, judged by some held-out rows."""
    run = subject.run
    columns = len(run.schema.modelled)
    part = subject.some(max(100, min(MOST_ROWS, MOST_CELLS // columns)))
    codes = np.asarray(part.take(0, len(part)), np.float64)
    order = SeedStream.HIDE.rng(run.recipe.seed).permutation(codes.size).reshape(codes.shape) % ROUNDS
    filled, log_prob = np.full(codes.shape, np.nan), np.full(codes.shape, np.nan)
    judge = _Judge(run, part.given())
    for turn in range(ROUNDS):
        hidden = (order == turn) & ~np.isnan(codes)
        rest = np.where(hidden, np.nan, codes)
        filled[hidden] = judge.table.impute(judge.rows(rest), hidden=True)[0][hidden]
        log_prob[hidden] = judge.log_prob(rest, codes)[hidden]
    alone = judge.log_prob_alone(codes)
    return {
        column.name: _told(column, codes[:, i], filled[:, i], log_prob[:, i], alone[:, i], judge.train[:, i])
        for i, column in enumerate(run.schema.modelled)
    }


def _told(column: Column, codes: Array, filled: Array, log_prob: Array, alone: Array, train: Array) -> Told:
    there = ~np.isnan(codes)
    known = train[~np.isnan(train)]
    codes, filled, gain = codes[there], filled[there], (log_prob - alone)[there]
    cells = len(codes)
    if not cells or not len(known):
        return Told(column)
    measure, guess, scale = _yardstick(column, known)
    if column.kind in CATEGORICAL:
        codes = np.minimum(codes, column.places - 1)
    error, simple = (_error(measure, codes, made, scale) for made in (filled, np.full(cells, guess)))
    spread = float(gain.std(ddof=1)) / cells**0.5 if cells > 1 else math.nan
    return Told(column, measure, cells, error, simple, float(log_prob[there].mean()), float(gain.mean()), spread)


def _yardstick(column: Column, known: Array) -> tuple[Measure, float, float]:
    """How errors of a column are measured, what is guessed without the row, and in what unit."""
    if column.kind == "ordinal":
        return "levels off", float(np.quantile(known, 0.5, method="inverted_cdf")), 1.0
    if column.kind in CATEGORICAL:
        return "error rate", float(np.bincount(np.minimum(known, column.places - 1).astype(np.int64)).argmax()), 1.0
    return "RMSE / std", float(known.mean()), float(known.std()) or 1.0


def _error(measure: Measure, true: Array, made: Array, scale: float) -> float:
    if measure == "error rate":
        return float((true != made).mean())
    distance = (true - made) / scale
    return float(np.abs(distance).mean()) if measure == "levels off" else float(np.sqrt(np.square(distance).mean()))


class _Judge:
    """A model of a table, asked for cells given others.

    Args:
        run: the run.
        given: codes of what the model is given with the rows that it is asked for.
    """

    def __init__(self, run: Run, given: Array | None) -> None:
        if not isinstance(run.model, VariationalAutoEncoder):
            raise VaekitError("a run on a mixed table must have a likelihood", f"'{run.path}'")
        self.run, self.model, self.cells, self.given = run, run.model, cells_of(run), given
        self.samples = min(SAMPLES, run.recipe.evaluation.samples)
        self.table = TableModel(self.model, run.schema, self.cells, self.samples)

    @cached_property
    def train(self) -> Array:
        """Codes of some training rows."""
        return np.asarray(self.run.split().train.some(TRAIN_ROWS, self.run.recipe.seed).take(0, TRAIN_ROWS), np.float64)

    def rows(self, codes: Array) -> Rows:
        """Codes, ready for the model."""
        part = Part(codes, np.arange(len(codes)), context=self.given)
        return Rows(part, self.run.transform, self.run.recipe.seed)

    def log_prob(self, given: Array, codes: Array) -> Array:
        """log Σ_k w_k p(x_j|z_k) of every cell, with z_k and w_k as the given cells have them, shape (n, C)."""
        width = widest(self.model, *first_row(self.rows(given)))
        size = max(1, min(block_rows(width), BUDGET // (8 * self.samples * width)))
        latent_dim, found, start = self.model.prior().event_shape[0], [], 0
        with evaluating(self.model) as device:
            for x, noise, context in self.rows(given).blocks(size):
                epsilon = noise.normal((self.samples, latent_dim), RowStream.POSTERIOR).movedim(1, 0)
                joint = self.model.given(context).joint(x.to(device), noise=epsilon.to(device))
                seen = self._seen(codes[start : start + len(x)]).to(device)
                start += len(x)
                both: Any = joint.likelihood.base_dist
                slots = both.plain  # cells were not hidden for what they hold
                own = by_column(slots.log_prob(seen).double(), self.cells)
                plain = slots.log_prob(x.to(device)).sum(-1)
                weights = (joint.log_weights() - joint.log_likelihood + plain).double().log_softmax(0)
                found.append(torch.logsumexp(weights.unsqueeze(-1) + own, 0).cpu().numpy())
        return np.concatenate(found)

    def log_prob_alone(self, codes: Array) -> Array:
        """log p(x_j) of every cell by the frequencies of its column in training rows, shape (n, C)."""
        likelihood = self.model.decoder.likelihood
        if not isinstance(likelihood, Mixed):
            raise VaekitError("a run on a mixed table must have its likelihood", f"'{self.run.path}'")
        constant = Mixed(likelihood.layout, likelihood.options)
        constant.start(self._seen(self.train))  # numbers are normal scores, so that this is all but its optimum
        with torch.no_grad():
            slots = constant(torch.zeros_like(constant.offset)).base_dist.plain
            return by_column(slots.log_prob(self._seen(codes)).double(), self.cells).numpy()

    def _seen(self, codes: Array) -> Tensor:
        return self.cells.forward(torch.from_numpy(codes)).float()


def by_column(slots: Tensor, cells: Cells) -> Tensor:
    """What is said of slots (…, S), summed for each column (…, C)."""
    total = slots.new_zeros(*slots.shape[:-1], len(cells.columns))
    return total.index_add(-1, torch.from_numpy(cells.slot_columns).to(slots.device), slots)
