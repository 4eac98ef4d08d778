"""Whether the codes of a column are levels in order, or names of categories: told from the other columns.

Rows with neighbouring levels are alike in other ways, too: the sum over neighbours of the distances between their mean
profiles is less than for nearly all other orders of the codes. Codes of categories stand in no order, and any is as good.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.float64]

CHANCE = 0.02
"""How likely codes in no order may be taken for levels. Fewer than five codes have too few orders to tell."""
RARE = 1e-3
"""Codes of a lesser share of the rows are left aside: "unknown" is often rare, unlike all others, and the last."""
ORDERS, ALL_UP_TO = 4000, 7
"""Orders that are compared: all of up to seven codes, else so many drawn."""


def in_order(codes: Array, profile: Array) -> bool:
    """Whether codes stand in an order that the other columns show.

    Args:
        codes: shape (n,), NaN where missing.
        profile: the other columns, shape (n, features), each of mean 0.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> level = rng.integers(0, 8, 2000).astype(float)
        >>> size = level[:, None] + rng.normal(size=(2000, 1))
        >>> in_order(level, size - size.mean()), in_order((level * 3) % 8, size - size.mean())
        (True, False)
    """
    here = ~np.isnan(codes)
    values, counts = np.unique(codes[here], return_counts=True)
    values = values[counts >= RARE * counts.sum()]
    if len(values) < 3 or not profile.shape[1]:
        return False
    member = (codes[:, None] == values).astype(np.float64)
    means = (member.T @ profile) / member.sum(0)[:, None]
    distance = np.sqrt(((means[:, None] - means[None]) ** 2).sum(2))
    orders = _orders(len(values))
    length = distance[orders[:, :-1], orders[:, 1:]].sum(1)
    return bool((length <= length[0] * (1 + 1e-12)).mean() <= CHANCE)


@lru_cache(maxsize=32)
def _orders(places: int) -> npt.NDArray[np.int64]:
    """Orders of so many codes, their own first."""
    if places <= ALL_UP_TO:
        return np.array(list(itertools.permutations(range(places))))
    drawn = np.random.default_rng(0).permuted(np.tile(np.arange(places), (ORDERS, 1)), axis=1)
    drawn[0] = np.arange(places)
    return drawn


def normal_scores(numbers: Array) -> Array:
    """Numbers (n,) as normal scores of their ranks, of mean 0 and variance 1; 0 where missing."""
    here = ~np.isnan(numbers)
    scores = np.zeros(len(numbers))
    if here.any():
        from scipy.stats import rankdata  # here, since importing it takes a second

        found = ndtri((rankdata(numbers[here]) - 0.5) / here.sum())
        scores[here] = (found - found.mean()) / (found.std() or 1.0)
    return scores


def indicators(cells: Sequence[object], values: Sequence[object]) -> Array:
    """For each value whether a cell (n,) is it: shape (n, values), of mean 0 and variance 1."""
    place = {value: i for i, value in enumerate(values)}
    found = np.zeros((len(cells), len(values)))
    for row, cell in enumerate(cells):
        if cell in place:
            found[row, place[cell]] = 1.0
    spread = found.std(0)
    return (found - found.mean(0)) / np.where(spread > 0, spread, 1.0)
