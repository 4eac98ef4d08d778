"""A Gaussian copula on ranks: the marginals of the training rows, joined by the correlation of their normal scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri


class RankCopula:
    """Normal scores of ranks have a joint normal distribution; quantiles of the training rows map them back.

        z_j = Φ⁻¹(rank of x_j),   z ~ N(0, R),   x_j = F_j⁻¹(Φ(z_j))

    Equal values, and so all rows of a category, are thresholds: they share an interval of ranks, and each gets a random
    rank within it.

    Args:
        frame: training rows without missing cells; categories are ordered as their dtype lists them.
        seed: determines ranks of equal values, and draws.
    """

    def __init__(self, frame: pd.DataFrame, seed: int) -> None:
        self.random, self.dtypes = np.random.default_rng(seed), frame.dtypes
        self.lists = {c: frame[c].cat.categories for c in frame if frame[c].dtype == "category"}
        cells = np.column_stack([frame[c].cat.codes if c in self.lists else frame[c] for c in frame]).astype(float)
        n = len(cells)
        ties = self.random.random(cells.shape)
        order = [np.lexsort((tie, column)) for tie, column in zip(ties.T, cells.T, strict=True)]
        scores = np.empty(cells.shape)
        for j, places in enumerate(order):
            scores[places, j] = ndtri((np.arange(n) + 0.5) / n)
        self.sorted = np.sort(cells, axis=0)
        self.correlation = np.corrcoef(scores, rowvar=False)

    def sample(self, n: int) -> pd.DataFrame:
        """Draw n rows."""
        width = len(self.dtypes)
        z = self.random.multivariate_normal(np.zeros(width), np.atleast_2d(self.correlation), size=n)
        places = np.minimum((ndtr(z) * len(self.sorted)).astype(int), len(self.sorted) - 1)
        cells = np.take_along_axis(self.sorted, places, axis=0)
        found = {
            c: pd.Categorical.from_codes(column.astype(int), dtype=self.dtypes[c]) if c in self.lists else column
            for c, column in zip(self.dtypes.index, cells.T, strict=True)
        }
        return pd.DataFrame(found).astype(self.dtypes)
