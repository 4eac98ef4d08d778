"""All metrics for the columns of a mixed table, as `vaekit evaluate --tables --json` prints them under `tables`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vaekit.data import Rows
from vaekit.evaluation.estimate import Estimate
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables.associations import Associations, measure_associations
from vaekit.evaluation.tables.hidden import HiddenCells, measure_hidden
from vaekit.evaluation.tables.marginals import MarginalDistance, compare_marginals
from vaekit.evaluation.tables.model import TableModel
from vaekit.evaluation.tables.privacy import Privacy, measure_privacy
from vaekit.evaluation.tables.rows import ComparedRows, Sampler, codes_of
from vaekit.models.missing_pattern import MissingPattern

MOST_ROWS = 20_000
"""Most rows in which missing cells are counted."""
PATTERN_BLOCK = 4096
"""Rows whose pattern of missing cells is measured at a time."""
WORST = 5
"""Most columns, or pairs of columns, named in a printed row."""


@dataclass(frozen=True)
class MissingCells(Record):
    """Hold the shares and counts of missing cells in a mixed table.

    Args:
        held_out: share of missing cells in each modelled column of held-out rows, from 0 to 1.
        train: the same shares in training rows; None if these are not available.
        complete_rows: share of held-out rows without missing cells.
        cells_per_row: mean number of missing cells in a held-out row.
    """

    held_out: tuple[float, ...]
    train: tuple[float, ...] | None
    complete_rows: float
    cells_per_row: float


@dataclass(frozen=True)
class PatternFit(Record):
    """Hold how well the pattern of missing cells is predicted from the observed cells of held-out rows.

    Args:
        columns: number of columns with missing cells in training.
        log_p: mean log p(m|x) of a row, in nats.
        independent: the same, if cells went missing independently of everything, at the rates of the training rows.
    """

    columns: int
    log_p: Estimate
    independent: Estimate

    def __str__(self) -> str:
        return f"log p(pattern|row) {self.log_p} nats ({self.independent} if cells went missing independently)"


@dataclass(frozen=True)
class TableFigures(Record):
    """Hold a model's metrics for the columns of a mixed table.

    Args:
        columns: the names of the modelled columns, in the order of all tuples below.
        compared_rows: the number of held-out rows that were compared with as many generated rows.
        missing: how many cells are missing.
        marginals: for each column, the distance between held-out and generated cells.
        associations: associations between columns; None if the training rows are not available.
        hidden: how well cells are predicted from the rest of their row; None if the training rows are not available.
        privacy: whether the model gives away training rows; None if these are not available.
        pattern: how well the pattern of missing cells is predicted; None if no training row has missing cells.
    """

    columns: tuple[str, ...]
    compared_rows: int
    missing: MissingCells
    marginals: tuple[MarginalDistance, ...]
    associations: Associations | None
    hidden: tuple[HiddenCells, ...] | None
    privacy: Privacy | None
    pattern: PatternFit | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines that `vaekit evaluate` prints, each as a name and a text."""
        known = [each for each in self.marginals if each.cells]
        known.sort(key=lambda each: -each.distance / max(each.by_chance, 1e-9))
        found = [("columns furthest apart", "; ".join(map(str, known[:WORST])))]
        if (pairs := self.associations) is not None:
            mean = f"V differs by {pairs.gap:.3f} on average ({pairs.gap_by_chance:.3f} by chance)"
            found.append(("associations", "; ".join([mean, *map(str, pairs.differences[:WORST])])))
        if hidden := [each for each in self.hidden or () if each.cells]:
            others = [each.column for each in hidden if not each.is_predicted]
            text = (
                f"{len(hidden) - len(others)} of {len(hidden)} columns are predicted better from the rest of their row"
            )
            named = f"; not {', '.join(others[:WORST])}{' …' if others[WORST:] else ''}" if others else ""
            found.append(("hidden cells", text + named))
        if self.privacy is not None:
            found.append(("privacy", str(self.privacy)))
        if self.pattern is not None:
            found.append(("missing cells", str(self.pattern)))
        return found


def measure_tables(
    model: TableModel, rows: Rows, train: Rows | None, sample: Sampler, missing: MissingPattern | None = None
) -> TableFigures:
    """Measure how well a model has learned the columns of a mixed table.

    Args:
        model: the model.
        rows: held-out rows.
        train: training rows; if None, associations, hidden cells and privacy are not measured.
        sample: draws n coded rows from the model, given the context of each row.
        missing: the model of the pattern of missing cells; None if no training row has missing cells.

    Returns:
        The metrics; distances and shares from 0 to 1, log-probabilities in nats.
    """
    compared = ComparedRows.of(model, rows, train, sample)
    return TableFigures(
        tuple(column.name for column in compared.columns),
        len(compared.held_out),
        _count_missing(rows, train),
        compare_marginals(compared),
        None if train is None else measure_associations(compared),
        None if train is None else measure_hidden(model, rows, train),
        None if train is None else measure_privacy(model, rows, train, sample),
        None if missing is None else measure_pattern(missing, rows),
    )


@torch.no_grad()
def measure_pattern(missing: MissingPattern, rows: Rows) -> PatternFit:
    """Measure log p(m|x) of the pattern of missing cells of held-out rows.

    Args:
        missing: the model of the pattern.
        rows: held-out rows.
    """
    found = [
        torch.stack([missing.log_prob(x, context), missing.log_independent(x)]).double().numpy()
        for x, _, context in rows.blocks(PATTERN_BLOCK)
    ]
    own, independent = np.concatenate(found, 1)
    return PatternFit(len(missing.order), Estimate.of(own), Estimate.of(independent))


def _count_missing(rows: Rows, train: Rows | None) -> MissingCells:
    held_out = np.isnan(codes_of(rows, MOST_ROWS))
    trained = None if train is None else tuple(np.isnan(codes_of(train, MOST_ROWS)).mean(0).tolist())
    count = held_out.sum(1)
    return MissingCells(tuple(held_out.mean(0).tolist()), trained, float((count == 0).mean()), float(count.mean()))
