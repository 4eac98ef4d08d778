"""The maps of several columns of numbers to normal scores, and back, in double precision.

    y = t(x), piecewise linear and increasing

This is the only place where these maps are computed: `Marginal` says what the map of a column is, `Cells` maps tables, and
an exported model (`vaekit.export`) holds the same operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vaekit.data.tables.columns import NEAR, reciprocal

if TYPE_CHECKING:
    from vaekit.data.tables.marginals import Marginal

FARTHEST = 1e30
"""Largest score; larger scores would overflow in single precision."""


class ScoreMaps(nn.Module):
    """Map numbers of R columns to normal scores and back, in double precision.

    Args:
        marginals: the map of each column.

    Examples:
        >>> from vaekit.data.tables.marginals import Marginal
        >>> maps = ScoreMaps([Marginal(knots=(0, 10), scores=(-1, 1), tails=(1, 1), spacing=1)])
        >>> maps.values(torch.tensor([[0.41]]), column := torch.tensor([0])).tolist(), maps.scores(torch.tensor([[7.0]]), column).tolist()
        ([[7.0]], [[0.4]])
    """

    knots: Tensor
    heights: Tensor
    slopes: Tensor
    log_slopes: Tensor
    spacing: Tensor
    parts: Tensor
    bounds: Tensor
    masses: Tensor
    counts: Tensor

    def __init__(self, marginals: Sequence[Marginal]) -> None:
        super().__init__()

        def keep(name: str, rows: list[list[float]], filler: float = math.inf, least: int = 2) -> None:
            length = max([least, *(len(row) for row in rows)])  # there may be no columns, or no point masses
            padded = [[*row, *[filler] * (length - len(row))] for row in rows]
            value = torch.tensor(padded, dtype=torch.float64).reshape(len(rows), length)
            self.register_buffer(name, value, persistent=False)

        keep("knots", [list(m.knots) for m in marginals])
        keep("heights", [list(m.scores) for m in marginals])
        keep("slopes", [m.slopes for m in marginals], 1.0)
        logs = [[math.log(slope) + math.log(m.resolution) for slope in m.slopes] for m in marginals]
        keep("log_slopes", logs, 0.0)
        keep("spacing", [[m.spacing] for m in marginals], least=1)
        keep("parts", [[reciprocal(m.spacing)] for m in marginals], least=1)
        keep("masses", [list(m.point_masses) for m in marginals])
        self.register_buffer("counts", torch.tensor([len(m.point_masses) for m in marginals]).long(), persistent=False)
        ends = (m.bounds for m in marginals)
        keep("bounds", [[-math.inf if a is None else a, math.inf if b is None else b] for a, b in ends])

    def forward(self, x: Tensor, columns: Tensor) -> Tensor:
        """Map values to t(x), without regard to the grids of columns.

        Args:
            x: values, shape (..., P).
            columns: position of the column of each, shape (P,).

        Returns:
            Shape (..., P), double precision.
        """
        rows = self._rows(x)
        return self._back(self._heights(rows, columns, self._pieces(rows, columns)), x)

    def score_cells(self, x: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the score and the log-measure of each cell; arguments as in `forward`.

        In a real column, these are y and log(t′ · resolution). On a grid, they are the middle and the log width of the
        interval of scores that belongs to the value.
        """
        rows, spacing = self._rows(x), self.spacing[columns]
        below, above, piece = self._edges(rows, columns)
        cancelled = spacing * self.slopes[columns].gather(1, piece)  # far out, x ± spacing/2 rounds to x
        width = torch.where(above > below, above - below, cancelled)
        measure = torch.where(spacing > 0, torch.log(width), self.log_slopes[columns].gather(1, piece))
        return self._back(((below + above) / 2).clamp(-FARTHEST, FARTHEST), x), self._back(measure, x)

    def scores(self, x: Tensor, columns: Tensor) -> Tensor:
        """Map values to the scores of `score_cells` alone."""
        below, above, _ = self._edges(self._rows(x), columns)
        return self._back(((below + above) / 2).clamp(-FARTHEST, FARTHEST), x)

    def values(self, y: Tensor, columns: Tensor) -> Tensor:
        """Map normal scores to values on the grids and within the bounds of columns.

        Args:
            y: normal scores, shape (..., P).
            columns: position of the column of each, shape (P,).

        Returns:
            Shape (..., P), double precision.
        """
        bounds = self.bounds[columns]
        x = self._round(self._positions(self._rows(y), columns), columns)
        return self._back(torch.clamp(x, bounds[:, :1], bounds[:, 1:]), y)

    def to_grid(self, x: Tensor, columns: Tensor) -> Tensor:
        """Round values to the nearest value on the grids of columns; arguments as in `forward`."""
        return self._back(self._round(self._rows(x), columns), x)

    def point_mass(self, x: Tensor, columns: Tensor) -> Tensor:
        """Return the index of the point mass that each value equals, or the number of point masses; as in `forward`."""
        return self._back(self._mass(self._rows(x), columns), x)

    def round(self, x: Tensor, columns: Tensor) -> Tensor:
        """Round values to the grids of columns; NaN where a column cannot have the value as a number.

        A value is outside the bounds of the column, or it is one of its point masses, which are categories.

        Args:
            x: values, shape (..., P).
            columns: position of the column of each, shape (P,).
        """
        rows, bounds = self._round(self._rows(x), columns), self.bounds[columns]
        mass = self._mass(rows, columns) < self.counts[columns].unsqueeze(-1)
        outside = (rows < bounds[:, :1]) | (rows > bounds[:, 1:])
        return self._back(rows.masked_fill(mass | outside, torch.nan), x)

    def mass(self, chosen: Tensor, columns: Tensor, otherwise: Tensor) -> Tensor:
        """Return the point mass with a number in its column, and another value where the number is that of no point mass.

        Args:
            chosen: numbers of point masses, from 0, shape (..., P).
            columns: position of the column of each, shape (P,).
            otherwise: values, shape (..., P).
        """
        rows, masses = torch.atleast_2d(chosen).flatten(0, -2).T, self.masses[columns]
        found = self._back(masses.gather(1, rows.clamp(0, masses.shape[1] - 1)), chosen)
        return torch.where(chosen < self.counts[columns], found.to(otherwise), otherwise)

    def _pieces(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return between which knots each value lies: 0 before the first."""
        return torch.searchsorted(self.knots[columns], rows, right=True)

    def _heights(self, rows: Tensor, columns: Tensor, piece: Tensor) -> Tensor:
        anchor = (piece - 1).clamp(min=0)
        rise = (rows - self.knots[columns].gather(1, anchor)) * self.slopes[columns].gather(1, piece)
        return self.heights[columns].gather(1, anchor) + rise

    def _edges(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the scores of both edges of each value, and the piece of the lower edge; without a grid both are t(x)."""
        half = self.spacing[columns] / 2
        first, last = (self._pieces(end, columns) for end in (rows - half, rows + half))
        return self._heights(rows - half, columns, first), self._heights(rows + half, columns, last), first

    def _positions(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return t⁻¹(y)."""
        heights = self.heights[columns]
        piece = torch.searchsorted(heights, rows, right=True)
        anchor = (piece - 1).clamp(min=0)
        run = (rows - heights.gather(1, anchor)) / self.slopes[columns].gather(1, piece)
        return self.knots[columns].gather(1, anchor) + run

    def _round(self, x: Tensor, columns: Tensor) -> Tensor:
        """Round to the nearest multiple of the spacing, without the rounding error of a product such as 3 · 0.1."""
        spacing, parts = self.spacing[columns], self.parts[columns]
        count = torch.round(x / spacing)
        return torch.where(spacing > 0, torch.where(parts > 0, count / parts, count * spacing), x)

    def _mass(self, x: Tensor, columns: Tensor) -> Tensor:
        masses, slack = self.masses[columns], NEAR * self.spacing[columns]
        index = torch.searchsorted(masses, x - slack).clamp(max=masses.shape[1] - 1)
        equal = (masses.gather(1, index) - x).abs() <= slack
        return torch.where(equal, index, self.counts[columns].unsqueeze(-1))

    @staticmethod
    def _rows(cells: Tensor) -> Tensor:
        """Return cells (..., R) as one row for each column, shape (R, cells)."""
        return torch.atleast_2d(cells.double()).flatten(0, -2).T.contiguous()

    @staticmethod
    def _back(rows: Tensor, like: Tensor) -> Tensor:
        return rows.T.reshape(like.shape)
