"""Unusual rows of a run: their scores, and p-values from rows that were held out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vaekit.data import Rows, Split
from vaekit.errors import DataError
from vaekit.evaluation import measure, p_values
from vaekit.evaluation.outliers import Detection, OutlierScore
from vaekit.runs.run import Run

Array = npt.NDArray[np.float64]


def fit_detection(run: Run, split: Split) -> Detection:
    """Fit the score of a run's rows to its training rows, and measure the rows held out for p-values.

    Args:
        run: a run with the recipe `outliers`.
        split: its rows; the test rows are those held out.
    """
    train, held_out = (Rows(part, run.transform, run.recipe.seed) for part in (split.train, split.test))
    score = OutlierScore.fit(run.model, train, float(run.recipe.data.blur), run.recipe.evaluation.samples)
    return Detection(score, score(run.model, held_out) if len(held_out) else np.empty(0))


def outlier_scores(run: Run, X: object) -> Array:
    """Return the score of each row, shape (n,); unusual rows have low scores.

    A run of a detector has its own score. Any other run has log p(x) in nats.

    Args:
        run: the run.
        X: rows, as in `Run.encode`.
    """
    if run.detection is None:
        return run.score_samples(X)
    return run.detection.score(run.model, run.rows(X))


def outlier_p_values(run: Run, X: object) -> Array:
    """Return the conformal p-value of each row, from the rows that neither trained the run nor chose its weights.

        p(x) = (1 + number of held-out rows with a score of at most s(x))/(m + 1)

    Args:
        run: the run.
        X: rows, as in `Run.encode`.

    Returns:
        Shape (n,). If the row is a new one of the same distribution, then P(p ≤ α) ≤ α.

    Raises:
        DataError: if the run held out no rows, or they cannot be read any more.
    """
    return p_values(outlier_scores(run, X), calibration_scores(run))


def calibration_scores(run: Run) -> Array:
    """Return the scores of the held-out rows: those kept by a detector, or log p(x) of the run's test rows."""
    if run.detection is not None:
        kept = run.detection.calibration
    else:
        test = run.split().test
        rows, samples = Rows(test, run.transform, run.recipe.seed), run.recipe.evaluation.samples
        kept = measure(run.model, rows, samples).score if len(test) else np.empty(0)
    if not len(kept):
        told = "No rows were held out for p-values"
        raise DataError(told, mend="Train again with `calibration=` (in a recipe, data.test) above 0")
    return kept
