"""A plane through the latent space: its points, the code at a point, and the picture of all points in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Window = tuple[float, float, float, float]
"""Left, right, bottom and top of the part of the plane that is seen."""


@dataclass(frozen=True)
class Plane:
    """Hold the points of codes in a plane.

        p = A (z − o)

    A code with one dimension has one axis, and the second coordinate is another value of the row.

    Args:
        points: p of every code, shape (n, 2).
        axes: A, orthonormal rows, shape (2, d), or (1, d) for codes with one dimension.
        origin: o, shape (d,).
        labels: labels of both axes.
    """

    points: Array
    axes: Array
    origin: Array
    labels: tuple[str, str]

    @classmethod
    def of_dimensions(cls, codes: Array, x: int, y: int, names: tuple[str, str]) -> Plane:
        """Return the plane of two latent dimensions."""
        axes = np.eye(codes.shape[1])[[x, y]]
        return cls(codes[:, [x, y]], axes, np.zeros(codes.shape[1]), names)

    @classmethod
    def of_line(cls, codes: Array, height: Array, names: tuple[str, str]) -> Plane:
        """Return a plane for codes with one dimension, shape (n, 1): the second coordinate is `height`, shape (n,)."""
        return cls(np.column_stack([codes[:, 0], height]), np.eye(1), np.zeros(1), names)

    @classmethod
    def of_principal_components(cls, codes: Array) -> Plane:
        """Return the plane of the first two principal components of codes, shape (n, d), d ≥ 2.

        Examples:
            >>> plane = Plane.of_principal_components(np.array([[0.0, 2.0], [0.0, -2.0], [1.0, 0.0], [-1.0, 0.0]]))
            >>> plane.axes.tolist(), plane.labels[0]
            ([[0.0, 1.0], [1.0, 0.0]], 'principal component 1 (80 % of the variance)')
        """
        origin = codes.mean(0)
        centred = codes - origin
        variance, vectors = np.linalg.eigh(centred.T @ centred)
        axes = vectors.T[::-1][:2]
        axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])[:, None]  # fix the arbitrary sign
        shares = 100 * variance[::-1][:2] / max(float(variance.sum()), 1e-300)
        named = [f"principal component {i + 1} ({share:.0f} % of the variance)" for i, share in enumerate(shares)]
        return cls(centred @ axes.T, axes, origin, (named[0], named[1]))

    def project(self, z: Array) -> Array:
        """Return the coordinates of a code, shape (d,), along the axes."""
        found: Array = self.axes @ (z - self.origin)
        return found

    def move(self, z: Array, point: Array) -> Array:
        """Move a code, shape (d,), within the plane to a point, shape (2,); its other directions stay."""
        moved: Array = z + (point[: len(self.axes)] - self.project(z)) @ self.axes
        return moved

    def window(self) -> Window:
        """Return a window that shows all points, with a margin."""
        low, high = self.points.min(0), self.points.max(0)
        margin = np.maximum(0.04 * (high - low), 1e-3 * np.maximum(1, np.abs(high)))
        (left, bottom), (right, top) = low - margin, high + margin
        return float(left), float(right), float(bottom), float(top)

    def nearest(self, point: Array, window: Window) -> int:
        """Return the position of the code that is nearest to a point on the screen."""
        scale = np.array([window[1] - window[0], window[3] - window[2]])
        return int(np.square((self.points - point) / scale).sum(1).argmin())


@dataclass(frozen=True)
class Bins:
    """Hold how many points fall into each cell of a grid, and a value for each cell.

    Args:
        count: points in each cell, shape (rows, columns), from bottom to top.
        value: their mean or their most frequent category; NaN where no point has a value.
    """

    count: npt.NDArray[np.int64]
    value: Array


def bin_points(points: Array, values: Array, window: Window, cells: int, categories: int = 0) -> Bins:
    """Count points in the cells of a grid, and average their values.

    Args:
        points: shape (n, 2).
        values: a number or a category 0, 1, … for each point, NaN where it is missing; shape (n,).
        window: the part of the plane that the grid covers.
        cells: cells in each direction.
        categories: number of categories; 0 if the values are numbers.

    Examples:
        >>> points = np.array([[0.1, 0.1], [0.2, 0.2], [0.9, 0.1], [5.0, 5.0]])
        >>> bins = bin_points(points, np.array([1.0, 3.0, np.nan, 9.0]), (0, 1, 0, 1), 2)
        >>> bins.count.tolist(), bins.value.tolist()
        ([[2, 1], [0, 0]], [[2.0, nan], [nan, nan]])
    """
    left, right, bottom, top = window
    column, row = ((points - [left, bottom]) / [right - left, top - bottom] * cells).T
    inside = (column >= 0) & (column < cells) & (row >= 0) & (row < cells)
    cell = row[inside].astype(np.int64) * cells + column[inside].astype(np.int64)
    count = np.bincount(cell, minlength=cells * cells)
    known = np.isfinite(values[inside])
    value, cell = values[inside][known], cell[known]
    if categories:
        votes = np.bincount(cell * categories + value.astype(np.int64), minlength=cells * cells * categories)
        votes = votes.reshape(-1, categories)
        mean = np.where(votes.any(1), votes.argmax(1), np.nan)
    else:
        many = np.bincount(cell, minlength=cells * cells)
        mean = np.divide(np.bincount(cell, value, cells * cells), many, np.full(cells * cells, np.nan), where=many > 0)
    return Bins(count.reshape(cells, cells), mean.reshape(cells, cells))
