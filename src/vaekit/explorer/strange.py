"""The rows that the model finds strangest, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Source
from vaekit.evaluation import TableModel, measure
from vaekit.explorer.explorer import Explorer
from vaekit.models import VariationalAutoEncoder
from vaekit.plots.numbers import nats

Array = npt.NDArray[Any]
CANDIDATES = 5
"""For each strange row, this many rows with a low ELBO are scored with the recipe's number of draws."""
REASONS = 3
"""Most reasons for a row."""
LEAST_NATS, LEAST_ERROR = 0.5, 2.0
"""Smaller surprises of cells, and smaller multiples of the usual error, are no reasons."""
SCALED = 2000
"""Most rows from which the usual error of a feature is measured."""


@dataclass(frozen=True)
class StrangeRow:
    """Hold a row that the model finds strange.

    Args:
        position: its position among the rows that are shown.
        score: its score from `Run.score_samples`.
        reconstruction: the mean of p(x|z) at its code, shape (*shape,); a typical row of a table as codes.
        reasons: why it is strange, the strongest reason first; empty if that is unknown.
    """

    position: int
    score: float
    reconstruction: Array
    reasons: tuple[str, ...]


def find_strange(explorer: Explorer, count: int = 12) -> list[StrangeRow]:
    """Find the rows with the lowest log p(x), or the largest squared error of an autoencoder.

    The ELBO of one draw chooses candidates. Their scores use the recipe's number of draws, as `Run.score_samples` does.

    Args:
        explorer: the explorer.
        count: number of rows.
    """
    run = explorer.run
    candidates = np.argsort(explorer.quick_scores, kind="stable")[: CANDIDATES * count]
    scores = measure(run.model, explorer.rows.pick_rows(candidates.tolist()), run.recipe.evaluation.samples).score
    order = np.argsort(scores, kind="stable")[:count]
    chosen = [int(candidates[i]) for i in order]
    made = [explorer.decode(explorer.codes[i], explorer.context_of(i)) for i in chosen]
    reasons = _explain(explorer, chosen, made)
    return [StrangeRow(*each) for each in zip(chosen, scores[order].tolist(), made, reasons, strict=True)]


def _explain(explorer: Explorer, positions: list[int], made: list[Array]) -> list[tuple[str, ...]]:
    run = explorer.run
    if run.reads_tables:
        if not isinstance(run.model, VariationalAutoEncoder) or run.transform.cells is None:
            return [()] * len(positions)
        table = TableModel(run.model, run.schema, run.transform.cells, run.recipe.evaluation.samples)
        return [
            tuple(f"{name} = {text} ({nats(size)} nats stranger than usual)" for name, text, size in reasons)
            for reasons in _strongest(
                explorer, positions, table.explain(explorer.rows.pick_rows(positions)), LEAST_NATS
            )
        ]
    if run.schema.picture:
        return [()] * len(positions)
    errors = np.stack([explorer.example(i) for i in positions]).astype(np.float64) - np.stack(made)
    sizes = np.abs(errors).reshape(len(errors), -1) / _usual_errors(explorer)
    return [
        tuple(
            f"{name} = {text}, reconstructed as {other} ({size:.1f} times the usual error)"
            for (name, text, size), other in zip(reasons, _others(explorer, reasons, y), strict=True)
        )
        for reasons, y in zip(_strongest(explorer, positions, sizes, LEAST_ERROR), made, strict=True)
    ]


def _strongest(
    explorer: Explorer, positions: list[int], sizes: Array, least: float
) -> list[list[tuple[str, str, float]]]:
    """Return the features with the greatest sizes, of at least `least`: their name, their value and their size."""
    names, found = explorer.features(), []
    for position, row in zip(positions, np.nan_to_num(sizes), strict=True):
        texts = explorer.texts(explorer.example(position))
        top = np.argsort(-row, kind="stable")[:REASONS]
        found.append([(names[j], texts[j], float(row[j])) for j in top if row[j] >= least])
    return found


def _others(explorer: Explorer, reasons: list[tuple[str, str, float]], made: Array) -> list[str]:
    texts = dict(zip(explorer.features(), explorer.texts(made), strict=True))
    return [texts[name] for name, _, _ in reasons]


def _usual_errors(explorer: Explorer) -> Array:
    """Return the root mean square of the reconstruction error of each feature over some rows, shape (features,)."""
    at = np.unique(np.linspace(0, len(explorer.rows) - 1, SCALED).astype(np.int64))
    part = explorer.rows.pick([int(i) for i in at])
    made = explorer.run.reconstruct(Source(part.values, columns=explorer.run.schema.columns, context=part.context))
    errors = (part.values.astype(np.float64) - made).reshape(len(at), -1)
    return np.sqrt(np.maximum(np.square(errors).mean(0), 1e-12))
