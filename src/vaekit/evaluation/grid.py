"""Grids on which densities are integrated and probabilities are summed.

Points z = c + s·tan(π(u − ½)) at equal steps of u cover a real line. The sum for the integral

    ∫ f(z) dz = ∫₀¹ f(z(u)) · π s (1 + tan²) du

then reaches into tails as heavy as Cauchy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MOST_POINTS = 60_000
"""Greatest number of points of a grid."""
ON_A_LINE = 6003
"""Number of points of a grid on one real line."""


@dataclass(frozen=True)
class Axis:
    """Points on a line, with weights for a sum over all points and for three coarser sums.

    Args:
        points: shape (n,).
        weights: weights of the sum over all points, shape (n,).
        coarse: weights of three sums over every third point, shape (3, n). How far these are from the sum over all points
            tells how exact that sum is.
    """

    points: Array
    weights: Array
    coarse: Array


def real_axis(draws: Array, dimensions: int, most: int = MOST_POINTS) -> Axis:
    """Return an axis with points that cover the real line, dense where the draws are.

    Args:
        draws: draws, which show where most of the mass is, shape (m,).
        dimensions: number of real lines in the grid; more lines have fewer points each.
        most: greatest number of points of the grid.

    Returns:
        An axis with median and half interquartile range of the draws as c and s.
    """
    count = min(ON_A_LINE, 3 * int(most ** (1 / dimensions) / 3))
    low, centre, high = np.quantile(draws, [0.25, 0.5, 0.75])
    scale = max(0.5 * (high - low), 1e-6 * max(1.0, abs(centre)))
    tangent = np.tan(np.pi * ((np.arange(count) + 0.5) / count - 0.5))
    weights = np.pi * scale * (1 + tangent**2) / count
    return Axis(centre + scale * tangent, weights, 3 * weights * (np.arange(count) % 3 == np.arange(3)[:, None]))


def listed_axis(values: npt.ArrayLike) -> Axis:
    """Return an axis of discrete values, over which probabilities are summed."""
    points = np.asarray(values, dtype=np.float64)
    return Axis(points, np.ones(len(points)), np.ones((3, len(points))))


@dataclass(frozen=True)
class Grid:
    """All combinations of points from several axes.

    Args:
        points: shape (n, d).
        weights: shape (n,).
        coarse: as in `Axis`, shape (3, n).

    Examples:
        >>> grid = Grid.of([real_axis(np.linspace(-1, 1, 9), 1)])
        >>> total, error = grid.integrate(np.exp(-0.5 * grid.points[:, 0] ** 2))
        >>> bool(np.isclose(total**2, 2 * np.pi)), bool(error < 1e-6)
        (True, True)
    """

    points: Array
    weights: Array
    coarse: Array

    @classmethod
    def of(cls, axes: Sequence[Axis]) -> Grid:
        """Return the grid of all combinations of points from several axes."""
        points = np.stack(np.meshgrid(*(axis.points for axis in axes), indexing="ij"), -1).reshape(-1, len(axes))
        weights, coarse = np.ones(1), np.ones((3, 1))
        for axis in axes:
            weights = np.outer(weights, axis.weights).ravel()
            coarse = (coarse[:, :, None] * axis.coarse[:, None]).reshape(3, -1)
        return cls(points, weights, coarse)

    def integrate(self, values: Array) -> tuple[Array, Array]:
        """Integrate functions over the real axes, and sum them over the discrete axes.

        Args:
            values: values of k functions at the points, shape (n,) or (n, k).

        Returns:
            The k integrals, and for each the largest distance to an estimate from every third point.
        """
        whole = self.weights @ values
        return whole, np.abs(self.coarse @ values - whole).max(0)
