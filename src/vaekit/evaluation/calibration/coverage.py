"""Count how many true values intervals and sets hold, and whether categories are as probable as the model says.

Where single values have probability, an interval as it is returned holds more than its level. So two shares are counted: of the
intervals as returned, and with their border drawn at random, which is exact. Only the second can be held against the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data import SeedStream
from vaekit.evaluation.record import Record

Array = npt.NDArray[np.float64]

LEVELS = (0.5, 0.9, 0.99)
CONFIDENCE_BINS, SIMULATED = 10, 200
"""Bins of probabilities, and simulated outcomes that show which error is due to chance."""


@dataclass(frozen=True)
class Coverage(Record):
    """Hold the share of true values that intervals or sets of a level hold.

    Args:
        level: L.
        cells: number n of cells.
        share: share of the cells inside, with borders drawn at random.
        error: standard error of the share: binomial at L, √(L(1 − L)/n), or from rows if cells of a row are alike.
        returned: share of the cells in the intervals or sets as they are returned.
    """

    level: float
    cells: int
    share: float
    error: float
    returned: float

    def __str__(self) -> str:
        return f"{100 * self.share:.1f} ± {100 * self.error:.1f} % at {100 * self.level:g} %"


def measure_coverage(inside: Array, returned: Array, level: float) -> Coverage:
    """Return the share of cells inside.

    Args:
        inside: 1 where a cell is in the interval with a random border, 0 where it is not, NaN for other cells, shape (n, …)
            for n rows.
        returned: the same for the interval as returned.
        level: L.
    """
    there = ~np.isnan(inside)
    cells = int(there.sum())
    if not cells:
        return Coverage(level, 0, math.nan, math.nan, math.nan)
    share = float(inside[there].mean())
    off = np.where(there, inside - share, 0.0).reshape(len(inside), -1).sum(1)
    rows = max(int(there.reshape(len(inside), -1).any(1).sum()), 2)
    by_rows = math.sqrt(np.square(off).sum() * rows / (rows - 1)) / cells
    error = max(math.sqrt(level * (1 - level) / cells), by_rows)
    return Coverage(level, cells, share, error, float(returned[there].mean()))


@dataclass(frozen=True)
class Reliability(Record):
    """Hold how often the most probable category is right, against the probability that it has.

    Args:
        cells: number of cells.
        counts: cells in each of ten equal bins of probability that is not empty.
        confidence: mean probability of the most probable category in each bin.
        accuracy: share of these that are the true category.
        error: expected calibration error, Σ_b n_b/n |accuracy − confidence|.
        by_chance: its mean if the probabilities were right, from simulated outcomes.
    """

    cells: int
    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    error: float
    by_chance: float


def measure_reliability(confidence: Array, hit: Array, seed: int = 0) -> Reliability | None:
    """Compare the probabilities of the most probable categories with how often these are true.

    Args:
        confidence: probabilities, shape (n,).
        hit: 1 where the category is the true one, else 0, shape (n,).
        seed: determines the simulated outcomes.

    Returns:
        The figures; None without cells.

    References:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
    """
    if not len(confidence):
        return None
    edges = np.linspace(0, 1, CONFIDENCE_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, CONFIDENCE_BINS - 1)
    counts = np.bincount(bins, minlength=CONFIDENCE_BINS)

    def error(outcomes: Array) -> float:
        return float(np.abs(np.bincount(bins, outcomes - confidence, CONFIDENCE_BINS)).sum() / len(confidence))

    rng = SeedStream.CALIBRATION_OUTCOME.rng(seed)
    chance = [error((rng.random(len(confidence)) < confidence).astype(float)) for _ in range(SIMULATED)]
    there = counts > 0
    mean, right = (np.bincount(bins, v, CONFIDENCE_BINS)[there] / counts[there] for v in (confidence, hit))
    return Reliability(
        len(confidence),
        tuple(counts[there].tolist()),
        tuple(mean.tolist()),
        tuple(right.tolist()),
        error(hit),
        float(np.mean(chance)),
    )
