"""Hide cells of rows that did not train the model, and measure whether their intervals and sets hold them.

Cells are hidden in two ways: at random, each cell of a row once, a fifth of the cells at a time; and as cells of the training
rows are missing, if any are: the model of the pattern of missing cells says which cells of a row may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Part, Rows, SeedStream
from vaekit.data.tables.columns import CATEGORICAL, ColumnKind
from vaekit.evaluation.calibration.coverage import LEVELS, Coverage, Reliability, measure_coverage, measure_reliability
from vaekit.evaluation.calibration.recalibration import Recalibration, fit_recalibration, is_unordered
from vaekit.evaluation.calibration.uniformity import Uniformity, measure_uniformity
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables import TableModel
from vaekit.evaluation.tables.predictive import judge
from vaekit.models.missing_pattern import MissingPattern

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROUNDS, AS_MISSING = 5, 2
"""Rounds of hiding at random, and of hiding as cells are missing."""
MOST_ROWS, MOST_CELLS = 250, 5_000
"""Most rows whose cells are hidden, and about how many cells."""
SAMPLES = 100
"""Most draws K for each row."""

Mechanism = Literal["at random", "as in training"]


@dataclass(frozen=True)
class ColumnCalibration(Record):
    """Hold how the true values of one column's hidden cells lie in their distributions.

    Args:
        column: the name of the column.
        kind: its kind.
        cells: the number of hidden cells.
        coverage: of the intervals or sets that `intervals` returns, at each level; empty without cells.
        positions: the positions of the true values in the model's own distributions; None without cells.
    """

    column: str
    kind: ColumnKind
    cells: int
    coverage: tuple[Coverage, ...]
    positions: Uniformity | None


@dataclass(frozen=True)
class GroupCoverage(Record):
    """Hold the coverage of all columns that have intervals, or of all that have sets.

    Args:
        own: of the model's own intervals or sets, at each level.
        returned: of those that `intervals` returns; the same if the run is not recalibrated.
    """

    own: tuple[Coverage, ...]
    returned: tuple[Coverage, ...]


@dataclass(frozen=True)
class CellCalibration(Record):
    """Hold the calibration of hidden cells.

    Args:
        hidden: how cells were hidden.
        rows: rows with hidden cells.
        numbers: coverage of intervals: of numbers, dates and ordered levels; None if there are no such cells.
        categories: coverage of sets; None if there are no such cells.
        columns: every column for itself.
        reliability: probabilities of the most probable categories; None if no cell of a category was hidden.
    """

    hidden: Mechanism
    rows: int
    numbers: GroupCoverage | None
    categories: GroupCoverage | None
    columns: tuple[ColumnCalibration, ...]
    reliability: Reliability | None


@dataclass(frozen=True)
class Scored:
    """Hold the positions of hidden cells, one row for each row and round of hiding.

    Args:
        positions: u, shape (m, C), NaN where a cell was not hidden, as in all arrays.
        scores: the least level at which an interval or set holds the value, with borders drawn at random.
        returned: the same for intervals and sets as they are returned.
        confidence: probability of the most probable category.
        hit: whether it is the true one.
    """

    positions: Array
    scores: Array
    returned: Array
    confidence: Array
    hit: Array


def score_hidden(model: TableModel, rows: Rows, masks: Iterator[Mask]) -> Scored:
    """Hide cells, and find the positions of their values; a cell that is hidden again counts once.

    Args:
        model: the model.
        rows: rows that did not train it.
        masks: which cells are hidden in each round, shape (n, C) each.
    """
    model = replace(model, samples=min(SAMPLES, model.samples))
    codes, context = np.asarray(rows.part.take(0, len(rows)), np.float64), rows.part.take_context()
    unordered = np.array([is_unordered(column) for column in model.schema.modelled])
    found, seen = [], np.zeros(codes.shape, bool)
    for turn, hidden in enumerate(masks):
        rest = Part(np.where(hidden, np.nan, codes), np.arange(len(codes)), context=context)
        there = judge(model, Rows(rest, rows.transform, rows.seed), codes)
        new = hidden & ~seen
        seen |= hidden
        below, reached = (np.where(new, part, np.nan) for part in (there.below, there.reached))
        border = SeedStream.CALIBRATION_BORDER.rng(rows.seed, turn).random(codes.shape)
        confidence, hit = (np.where(new, part, np.nan) for part in (there.confidence, there.hit))
        found.append((*score_positions(below, reached, border, unordered), confidence, hit))
    return Scored(*(np.stack(each).transpose(1, 0, 2).reshape(-1, codes.shape[1]) for each in zip(*found, strict=True)))


def score_positions(
    below: Array, reached: Array, border: Array, unordered: npt.NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Return u, and the least levels at which intervals and sets hold the values: with random borders, and as returned.

    Args:
        below: P(X < x) of each value, shape (n, C).
        reached: P(X ≤ x).
        border: numbers in [0, 1) that draw the borders, shape (n, C).
        unordered: whether a column has sets rather than intervals, shape (C,).
    """
    u = below + border * (reached - below)
    scores = np.where(unordered, u, np.abs(2 * u - 1))
    nearest = np.where(unordered, below, np.maximum(np.maximum(2 * below - 1, 1 - 2 * reached), 0))
    return u, scores, nearest


def some_rows(rows: Rows) -> Rows:
    """Return rows whose cells are hidden: fewer for a wide table."""
    columns = rows.part.event_shape[0]
    part = rows.part.subset(max(50, min(MOST_ROWS, MOST_CELLS // columns)), rows.seed)
    return Rows(part, rows.transform, rows.seed)


def hide_at_random(rows: Rows) -> Iterator[Mask]:
    """Yield which cells are hidden in each of 5 rounds; every observed cell is hidden once."""
    there = ~np.isnan(np.asarray(rows.part.take(0, len(rows)), np.float64))
    order = SeedStream.CALIBRATION_HIDE.rng(rows.seed).permutation(there.size).reshape(there.shape) % ROUNDS
    for turn in range(ROUNDS):
        yield (order == turn) & there


def hide_as_missing(rows: Rows, missing: MissingPattern) -> Iterator[Mask]:
    """Yield which observed cells are hidden in each of 2 rounds, by the model of the pattern of missing cells."""
    there = ~np.isnan(np.asarray(rows.part.take(0, len(rows)), np.float64))
    x, rng = rows.tensor(), SeedStream.CALIBRATION_MISSING.rng(rows.seed)
    for _ in range(AS_MISSING):
        uniform = torch.from_numpy(rng.random((len(there), len(missing.order)))).to(x)
        hidden = np.zeros(there.shape, bool)
        hidden[:, list(missing.order)] = missing.draw(x, uniform, rows.context()).numpy()
        yield hidden & there


def recalibrate(model: TableModel, rows: Rows, missing: MissingPattern | None) -> Recalibration | None:
    """Find the recalibrated levels of each column; None without rows.

    Args:
        model: the model.
        rows: rows that neither trained the model nor chose its weights.
        missing: the model of the pattern of missing cells; None if no training row has missing cells.
    """
    if not len(rows):
        return None
    some = some_rows(rows)
    found = [score_hidden(model, some, hide_at_random(some)).scores]
    if missing is not None:
        found.append(score_hidden(model, some, hide_as_missing(some, missing)).scores)
    return fit_recalibration(model.schema.modelled, np.concatenate(found), len(some))


def measure_cells(
    model: TableModel, rows: Rows, missing: MissingPattern | None, recalibration: Recalibration | None
) -> tuple[CellCalibration, ...]:
    """Measure the calibration of hidden cells of rows that did not train the model.

    Args:
        model: the model.
        rows: the rows; some of them are used.
        missing: the model of the pattern of missing cells; None if no training row has missing cells.
        recalibration: recalibrated levels, if there are any.

    Returns:
        A record for each way of hiding.
    """
    some = some_rows(rows)
    found = [_summarise(model, "at random", some, hide_at_random(some), recalibration)]
    if missing is not None:
        found.append(_summarise(model, "as in training", some, hide_as_missing(some, missing), recalibration))
    return tuple(found)


def _summarise(
    model: TableModel, how: Mechanism, rows: Rows, masks: Iterator[Mask], recalibration: Recalibration | None
) -> CellCalibration:
    columns, scored = model.schema.modelled, score_hidden(model, rows, masks)
    unordered = np.array([is_unordered(column) for column in columns])
    own = [np.full(len(columns), level) for level in LEVELS]
    used = own
    if recalibration is not None:
        used = [np.array([recalibration.level(i, level) for i in range(len(columns))]) for level in LEVELS]
    tests = int((~np.isnan(scored.scores)).any(0).sum())
    count = len(rows)

    def covered(levels: list[Array], some: npt.NDArray[np.bool_]) -> tuple[Coverage, ...]:
        inside = [[_inside(part, each, count)[:, some] for part in (scored.scores, scored.returned)] for each in levels]
        return tuple(
            measure_coverage(drawn, returned, at) for (drawn, returned), at in zip(inside, LEVELS, strict=True)
        )

    def group(some: npt.NDArray[np.bool_]) -> GroupCoverage | None:
        there = some.any() and not np.isnan(scored.scores[:, some]).all()
        return GroupCoverage(covered(own, some), covered(used, some)) if there else None

    each = []
    for i, column in enumerate(columns):
        u = scored.positions[:, i][~np.isnan(scored.positions[:, i])]
        positions = measure_uniformity(column.name, u, tests) if len(u) else None
        own_coverage = covered(used, np.arange(len(columns)) == i) if len(u) else ()
        each.append(ColumnCalibration(column.name, column.kind, len(u), own_coverage, positions))
    listed = np.array([column.kind in CATEGORICAL for column in columns])
    confidence, hit = (part[:, listed][~np.isnan(part[:, listed])] for part in (scored.confidence, scored.hit))
    reliability = measure_reliability(confidence, hit, rows.seed)
    return CellCalibration(how, count, group(~unordered), group(unordered), tuple(each), reliability)


def _inside(scores: Array, levels: Array, rows: int) -> Array:
    """Return 1 where a score is below the level of its column, else 0, NaN where there is none; a row for each row."""
    inside = np.where(np.isnan(scores), np.nan, (scores < levels).astype(float))
    return inside.reshape(rows, -1, scores.shape[1]).swapaxes(1, 2).reshape(rows, scores.shape[1], -1)
