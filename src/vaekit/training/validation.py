"""The figures of the validation rows, by which the weights are chosen."""

from __future__ import annotations

import math

import numpy as np

from vaekit.data import Rows
from vaekit.evaluation import active_units, measure, measure_shares
from vaekit.models import LatentModel
from vaekit.objectives import Objective


def measure_validation(
    model: LatentModel, rows: Rows, objective: Objective, samples: int
) -> tuple[dict[str, float], float | None]:
    """Measure the validation rows; each of several processes measures a share of them.

    Args:
        model: the model with the weights to measure.
        rows: the validation rows; may be empty.
        objective: the objective of training.
        samples: draws of z for each row, if the objective is importance-weighted; else there is one.

    Returns:
        A row of metrics, and the score that chooses the weights; without rows it is None, and the last weights are kept.
    """
    if not len(rows):
        return dict.fromkeys(("elbo", "distortion", "rate", "active_units", "bound"), math.nan), None
    draws = samples if objective.importance_weighted else 1
    measured = measure_shares(lambda own: measure(model, own, draws), rows)
    distortion, rate, bound = (
        float(np.average(part, weights=rows.part.weight()))
        for part in (measured.distortion, measured.rate, measured.score)
    )
    if not objective.importance_weighted:  # else the bound that training raises, which has weight 1 as well
        bound = -(distortion + rate)
    row = {
        "elbo": -(distortion + rate),
        "distortion": distortion,
        "rate": rate,
        "active_units": int(active_units(measured.mean).sum()),
        "bound": bound,
    }
    return row, bound if math.isfinite(bound) else -math.inf
