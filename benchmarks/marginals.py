"""The independent-columns baseline: the log-probability of rows whose columns are independent, by counting.

Rows are arrays of codes, shape (n, columns), NaN where missing; `units.py` makes them.
"""

from __future__ import annotations

import numpy as np

MOST_BINS, ROWS_PER_BIN = 100, 20
"""Most bins between quantiles, and least rows in a bin."""


class IndependentColumns:
    """A frequency table for each column of categories, and a histogram between quantiles for each column of numbers.

    Args:
        codes: training rows.
        categories: number of categories of each column, 0 for numbers.
        widths: width of the interval whose probability each number has; 0 where numbers have a density.
    """

    def __init__(self, codes: np.ndarray, categories: list[int], widths: list[float]) -> None:
        known = [column[~np.isnan(column)] for column in codes.T]
        self.columns = [
            Frequencies(column, count) if count else Histogram(column, width)
            for column, count, width in zip(known, categories, widths, strict=True)
        ]

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Return the log-probability of each row; missing cells are left out of it."""
        found = np.zeros(len(codes))
        for column, cells in zip(self.columns, codes.T, strict=True):
            here = ~np.isnan(cells)
            found[here] += column.log_prob(cells[here])
        return found


class Frequencies:
    """The log-probability of categories, with one added to every count, so that unseen categories have a probability."""

    def __init__(self, known: np.ndarray, count: int) -> None:
        counts = np.bincount(known.astype(int), minlength=count + 1) + 1  # the last one is for unseen values
        self.log_share = np.log(counts / counts.sum())

    def log_prob(self, cells: np.ndarray) -> np.ndarray:
        return self.log_share[np.minimum(cells.astype(int), len(self.log_share) - 1)]


class Histogram:
    """A histogram between quantiles, with exponential tails that hold half a row each.

    A value that many rows share has a bin of its own, as wide as its interval. With a width, the log-probability of a
    value is that of its interval; without, it is a log-density.

    Args:
        known: the numbers, shape (n,).
        width: width of the interval of each number; 0 for densities.
    """

    def __init__(self, known: np.ndarray, width: float) -> None:
        self.width = width
        bins = int(np.clip(len(known) // ROWS_PER_BIN, 1, MOST_BINS))
        points = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1), method="nearest"))
        edges = np.sort(np.concatenate([points - width / 2, points + width / 2])) if width else points
        if len(points) < 2 and not width:  # a constant: the density of a bin around it
            edges = points[0] + max(abs(points[0]), 1.0) * np.array([-0.5, 0.5])
        keep = np.append(True, np.diff(edges) > 1e-6 * width)
        self.edges = edges[keep]
        counts = np.histogram(known, self.edges)[0] + 0.5
        self.rows = counts.sum() + 1  # half a row in each tail
        self.log_density = np.log(counts / self.rows / np.diff(self.edges))

    def log_prob(self, cells: np.ndarray) -> np.ndarray:
        last = len(self.log_density) - 1
        inside = self.log_density[np.clip(np.searchsorted(self.edges, cells, side="right") - 1, 0, last)]
        low, high = self.edges[[0, -1]]
        beyond = np.maximum(np.maximum(low - cells, cells - high), 0) / (high - low)
        tail = np.log(0.5 / self.rows / (high - low)) - beyond
        return np.where(beyond > 0, tail, inside) + (np.log(self.width) if self.width else 0.0)
