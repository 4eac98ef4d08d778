"""Scores of imputed cells: the energy score of draws, and the coverage of intervals between draws.

Arrays of cells have shape (n, columns), with categories as numbers; a stack of M tables has shape (M, n, columns).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

DRAWS = 19
"""With 19 draws, a true value lies between the least and the greatest with probability 1 - 2/20, which is 90 %."""


def energy_score(draws: np.ndarray, truth: np.ndarray, hidden: np.ndarray, scale: np.ndarray) -> float:
    """Return the energy score of the hidden cells of a row, averaged over the rows that have hidden cells.

        mean_m |x_m - y|  -  1/2 mean_{m≠m'} |x_m - x_m'|

    The distance is Euclidean over the hidden cells of a row: a number counts in units of its scale, and a wrong category
    counts 1. The expectation does not depend on M, and is least for draws from the true distribution. A single fill
    (M = 1) is a point: its score is its distance from the truth.

    Args:
        draws: M filled tables.
        truth: the true cells.
        hidden: which cells were hidden.
        scale: standard deviation of each column, NaN for categories.

    References:
        Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", 2007;
        Ferro, "Fair Scores for Ensemble Forecasts", 2014.
    """
    rows = hidden.any(axis=1)
    draws, truth, hidden = draws[:, rows], truth[rows], hidden[rows]

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        parts = np.where(np.isnan(scale), a != b, (a - b) / scale)
        return np.sqrt((np.where(hidden, parts, 0.0) ** 2).sum(axis=1))

    score = np.mean([distance(draw, truth) for draw in draws], axis=0)
    if len(draws) > 1:
        score = score - 0.5 * np.mean([distance(a, b) for a, b in combinations(draws, 2)], axis=0)
    return float(score.mean())


def coverage(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return how often true values lie between the least and the greatest draw, with ties broken at random.

    If draws and truth have the same distribution, the expectation is 1 - 2/(M + 1), also if values repeat: a true value
    that equals the least draw, and t draws altogether, is below all of them with probability 1/(t + 1).

    Args:
        draws: M draws of each cell of a column, shape (M, n).
        truth: the true values, shape (n,).
    """
    outside = np.zeros(len(truth))
    for sign in (1, -1):
        ends = (sign * draws).min(axis=0)
        ties = (sign * draws == ends).sum(axis=0)
        outside += np.where(sign * truth < ends, 1.0, np.where(sign * truth == ends, 1 / (ties + 1), 0.0))
    return float(1 - outside.mean())
