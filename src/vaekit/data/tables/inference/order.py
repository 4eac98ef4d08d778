"""A test of whether the codes of a column are ordered levels or names of categories, judged from the other columns.

Rows of neighbouring levels resemble each other. So the sum of the distances between the mean profiles of neighbours is smaller
than for nearly all other orders of the codes. Codes of categories have no order, so their sum is not unusually small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.float64]

CHANCE = 0.02
"""Probability that unordered codes are taken for levels. Fewer than five codes have too few orders to tell."""
RARE = 1e-3
"""Codes with a smaller share of the rows are ignored, because a rare last code often means "unknown"."""
ORDERS = 5040
"""Orders that are compared: all orders of up to seven codes, else this many random ones."""


def shows_order(codes: Array, profile: Array) -> bool:
    """Test whether the codes of a column are ordered levels, judged from the other columns.

    Args:
        codes: shape (n,), NaN where missing.
        profile: the other columns, shape (n, features), each of mean 0.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> level = rng.integers(0, 8, 2000).astype(float)
        >>> size = level[:, None] + rng.normal(size=(2000, 1))
        >>> shows_order(level, size - size.mean()), shows_order((level * 3) % 8, size - size.mean())
        (True, False)
    """
    from scipy.stats import permutation_test  # slow to import

    values, counts = np.unique(codes[~np.isnan(codes)], return_counts=True)
    values = values[counts >= RARE * counts.sum()]
    if len(values) < 3 or not profile.shape[1]:
        return False
    member = (codes[:, None] == values).astype(np.float64)
    means = (member.T @ profile) / member.sum(0)[:, None]
    distance = np.sqrt(((means[:, None] - means[None]) ** 2).sum(2))

    def length(order: npt.NDArray[np.int64], axis: int) -> Array:
        order = np.moveaxis(order, axis, -1)
        found: Array = distance[order[..., :-1], order[..., 1:]].sum(-1)
        return found

    orders = {"permutation_type": "pairings", "n_resamples": ORDERS, "rng": np.random.default_rng(0)}
    test = permutation_test((np.arange(len(values)),), length, alternative="less", vectorized=True, **orders)
    return bool(test.pvalue <= CHANCE)


def normal_scores(numbers: Array) -> Array:
    """Return the normal scores of numbers (n,) by rank, of mean 0 and variance 1; 0 where a number is missing."""
    from scipy.stats import rankdata

    here = ~np.isnan(numbers)
    scores = np.zeros(len(numbers))
    if here.any():
        found = ndtri((rankdata(numbers[here]) - 0.5) / here.sum())
        scores[here] = (found - found.mean()) / (found.std() or 1.0)
    return scores


def indicators(cells: Sequence[object], values: Sequence[object]) -> Array:
    """Return standardised indicators of the value of each cell, shape (n, values), of mean 0 and variance 1."""
    found = np.equal(np.array(cells, object)[:, None], np.array(values, object)).astype(np.float64)
    spread = found.std(0)
    return (found - found.mean(0)) / np.where(spread > 0, spread, 1.0)
