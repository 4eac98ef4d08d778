"""Measure how well a model predicts cells from the rest of their row: hide observed cells, predict them, and compare.

Every observed cell of some held-out rows is hidden once, a fifth of the cells at a time:

    error of categories       share of cells for which the most probable category is wrong
    error of ordered levels   mean distance between the median level and the true level, in levels
    error of a number         √(mean (x − E[x|rest])²) / standard deviation in training rows
    log p                     log p(x_j | rest of its row), in nats, averaged over cells

The baseline ignores the rest of the row: it predicts the most frequent value, the median level or the mean of training rows,
and its log p is that of the column's marginal distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Column, Part, Rows, SeedStream
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables.model import TableModel
from vaekit.evaluation.tables.posterior import sum_by_column
from vaekit.evaluation.tables.rows import codes_of
from vaekit.models.likelihoods import Mixed

Array = npt.NDArray[np.float64]

ROUNDS = 5
"""Rounds of hiding; each cell is hidden in one of them."""
MOST_ROWS, MOST_CELLS = 1000, 24_000
SAMPLES = 50
"""Most draws K for each row."""
TRAIN_ROWS = 10_000

Measure = Literal["error rate", "levels off", "RMSE / std"]


@dataclass(frozen=True)
class HiddenCells(Record):
    """Scores of a model's predictions of the cells of one column, each from the other cells of its row.

    Args:
        column: the name of the column.
        measure: what `error` and `baseline` are: a share from 0 to 1, levels, or standard deviations of training rows.
        cells: the number of hidden cells.
        error: the model's error; NaN if no cell was hidden, like all figures below.
        baseline: the error of a guess that ignores the row.
        log_prob: mean log p of the true cell given the rest of its row, in nats (a log-density for numbers without a grid).
        gain: `log_prob` less the mean log p under the column's own distribution, in nats.
        gain_error: standard error of `gain`; NaN for a single cell.
        is_predicted: whether the rest of a row helps, that is, the gain is above two standard errors.
    """

    column: str
    measure: Measure = "error rate"
    cells: int = 0
    error: float = math.nan
    baseline: float = math.nan
    log_prob: float = math.nan
    gain: float = math.nan
    gain_error: float = math.nan
    is_predicted: bool = False


def measure_hidden(model: TableModel, rows: Rows, train: Rows) -> tuple[HiddenCells, ...]:
    """Hide cells of every column, predict them from the rest of their rows, and measure the errors.

    Args:
        model: the model; at most 50 draws are made for each row.
        rows: held-out rows; at most 1,000 of them are used, fewer in a wide table.
        train: training rows, from which the baseline is made.

    Returns:
        A record for each modelled column, in order.
    """
    model = replace(model, samples=min(SAMPLES, model.samples))
    columns = model.schema.modelled
    part = rows.part.subset(max(100, min(MOST_ROWS, MOST_CELLS // len(columns))), rows.seed)
    codes, known = np.asarray(part.take(0, len(part)), np.float64), codes_of(train, TRAIN_ROWS)
    order = SeedStream.HIDE.rng(rows.seed).permutation(codes.size).reshape(codes.shape) % ROUNDS
    predicted, log_prob = np.full(codes.shape, np.nan), np.full(codes.shape, np.nan)
    for turn in range(ROUNDS):
        hidden = (order == turn) & ~np.isnan(codes)
        rest = Part(np.where(hidden, np.nan, codes), np.arange(len(codes)), context=part.take_context())
        made, own = model.predict(Rows(rest, rows.transform, rows.seed), codes)
        predicted[hidden], log_prob[hidden] = made[hidden], own[hidden]
    alone = log_prob_alone(model, known, codes)
    return tuple(
        _summarise(column, codes[:, i], predicted[:, i], log_prob[:, i], alone[:, i], known[:, i])
        for i, column in enumerate(columns)
    )


def log_prob_alone(model: TableModel, train: Array, codes: Array) -> Array:
    """Compute every cell's log p(x_j), in nats, under the distribution of its column in training rows.

    Args:
        model: the model; its likelihood is used without z.
        train: codes of training rows, shape (m, C).
        codes: codes of the cells, shape (n, C).

    Returns:
        Shape (n, C), 0 where a cell is missing.
    """
    likelihood = model.model.decoder.likelihood
    if not isinstance(likelihood, Mixed):
        raise TypeError(f"the likelihood must be mixed, not {type(likelihood).__name__}")
    constant = Mixed(likelihood.layout, likelihood.components, likelihood.missing)
    constant.start(model.see(train))  # numbers are normal scores, so this is close to the optimum
    with torch.no_grad():
        parts = constant(torch.zeros_like(constant.offset)).base_dist.plain.log_prob(model.see(codes))
        return sum_by_column(parts.double(), model.cells.slot_columns).numpy()


def _summarise(
    column: Column, codes: Array, predicted: Array, log_prob: Array, alone: Array, train: Array
) -> HiddenCells:
    there, known = ~np.isnan(codes), train[~np.isnan(train)]
    codes, predicted, gain = codes[there], predicted[there], (log_prob - alone)[there]
    cells = len(codes)
    if not cells or not len(known):
        return HiddenCells(column.name)
    measure, guess, unit = _yardstick(column, known)
    if column.kind in CATEGORICAL:
        codes = np.minimum(codes, column.n_categories - 1)
    error, baseline = (_error(measure, codes, made, unit) for made in (predicted, np.full(cells, guess)))
    mean, gained = float(log_prob[there].mean()), float(gain.mean())
    gain_error = float(gain.std(ddof=1)) / cells**0.5 if cells > 1 else math.nan
    is_predicted = gained > 2 * gain_error
    return HiddenCells(column.name, measure, cells, error, baseline, mean, gained, gain_error, is_predicted)


def _yardstick(column: Column, known: Array) -> tuple[Measure, float, float]:
    """Return the measure of a column's errors, the baseline prediction, and the unit of the errors."""
    if column.kind == "ordinal":
        return "levels off", float(np.quantile(known, 0.5, method="inverted_cdf")), 1.0
    if column.kind in CATEGORICAL:
        categories = np.minimum(known, column.n_categories - 1).astype(np.int64)
        return "error rate", float(np.bincount(categories).argmax()), 1.0
    return "RMSE / std", float(known.mean()), float(known.std()) or 1.0


def _error(measure: Measure, true: Array, predicted: Array, unit: float) -> float:
    if measure == "error rate":
        return float((true != predicted).mean())
    distance = (true - predicted) / unit
    return float(np.abs(distance).mean()) if measure == "levels off" else float(np.sqrt(np.square(distance).mean()))
