"""The maps of several columns of numbers to normal scores, and back, in torch: the same values as those of `Marginal`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.data.tables.columns import NEAR, reciprocal
from vaekit.data.tables.marginals import FARTHEST, Marginal


class ScoreMaps(nn.Module):
    """Map numbers of R columns to normal scores and back, in double precision.

    Args:
        marginals: the map of each column.

    Examples:
        >>> maps = ScoreMaps([Marginal(knots=(0, 10), scores=(-1, 1), tails=(1, 1), spacing=1)])
        >>> maps.values(torch.tensor([[0.41]]), column := torch.tensor([0])).tolist(), maps.scores(torch.tensor([[7.0]]), column).tolist()
        ([[7.0]], [[0.4]])
    """

    knots: Tensor
    heights: Tensor
    slopes: Tensor
    spacing: Tensor
    parts: Tensor
    bounds: Tensor
    masses: Tensor
    counts: Tensor

    def __init__(self, marginals: Sequence[Marginal]) -> None:
        super().__init__()
        length = max(len(m.knots) for m in marginals)

        def keep(name: str, rows: list[list[float]], filler: float, length: int) -> None:
            padded = [[*row, *[filler] * (length - len(row))] for row in rows]
            value = torch.tensor(padded, dtype=torch.float64).reshape(len(rows), length)
            self.register_buffer(name, value, persistent=False)

        spacing = [m.spacing for m in marginals]
        keep("knots", [list(m.knots) for m in marginals], FARTHEST, length)
        keep("heights", [list(m.scores) for m in marginals], FARTHEST, length)
        keep("slopes", [m.slopes for m in marginals], 1.0, length + 1)
        keep("spacing", [[s] for s in spacing], 0.0, 1)
        keep("parts", [[reciprocal(s)] for s in spacing], 0.0, 1)
        keep("masses", [list(m.point_masses) for m in marginals], FARTHEST, max(len(m.point_masses) for m in marginals))
        self.register_buffer("counts", torch.tensor([len(m.point_masses) for m in marginals]), persistent=False)
        ends = (m.bounds for m in marginals)
        keep("bounds", [[-FARTHEST if a is None else a, FARTHEST if b is None else b] for a, b in ends], 0.0, 2)

    def values(self, y: Tensor, columns: Tensor) -> Tensor:
        """Map normal scores to values on the grids and within the bounds of columns.

        Args:
            y: normal scores, shape (..., P).
            columns: position of the column of each, shape (P,).

        Returns:
            Shape (..., P), double precision.
        """
        heights, rows, bounds = self.heights[columns], self._rows(y), self.bounds[columns]
        piece = torch.searchsorted(heights, rows, right=True)
        anchor = (piece - 1).clamp(min=0)
        run = (rows - heights.gather(1, anchor)) / self.slopes[columns].gather(1, piece)
        x = self._round(self.knots[columns].gather(1, anchor) + run, self.spacing[columns], self.parts[columns])
        return self._back(torch.clamp(x, bounds[:, :1], bounds[:, 1:]), y)

    def round(self, x: Tensor, columns: Tensor) -> Tensor:
        """Round values to the grids of columns; NaN where a column cannot have the value as a number.

        A value is outside the bounds of the column, or it is one of its point masses, which are categories.

        Args:
            x: values, shape (..., P).
            columns: position of the column of each, shape (P,).
        """
        rows, bounds = self._rows(x), self.bounds[columns]
        rows = self._round(rows, self.spacing[columns], self.parts[columns])
        slack = (NEAR * self.spacing[columns]).unsqueeze(-1)
        mass = ((rows.unsqueeze(-1) - self.masses[columns].unsqueeze(1)).abs() <= slack).any(-1)
        outside = (rows < bounds[:, :1]) | (rows > bounds[:, 1:])
        return self._back(rows.masked_fill(mass | outside, torch.nan), x)

    def mass(self, chosen: Tensor, columns: Tensor, otherwise: Tensor) -> Tensor:
        """Return the point mass with a number in its column, and another value where the number is that of no point mass.

        Args:
            chosen: numbers of point masses, from 0, shape (..., P).
            columns: position of the column of each, shape (P,).
            otherwise: values, shape (..., P).
        """
        rows, masses = chosen.reshape(-1, chosen.shape[-1]).T, self.masses[columns]
        found = masses.gather(1, rows.clamp(0, masses.shape[1] - 1)) if masses.shape[1] else torch.zeros_like(rows)
        return torch.where(chosen < self.counts[columns], self._back(found, chosen).to(otherwise), otherwise)

    @staticmethod
    def _round(x: Tensor, spacing: Tensor, parts: Tensor) -> Tensor:
        count = torch.round(x / spacing)
        return torch.where(spacing > 0, torch.where(parts > 0, count / parts, count * spacing), x)

    def scores(self, x: Tensor, columns: Tensor) -> Tensor:
        """Map values to the normal scores of columns: on a grid, to the middle of the interval of the value.

        Args:
            x: values, shape (..., P).
            columns: position of the column of each, shape (P,).

        Returns:
            Shape (..., P), double precision.
        """
        half, rows = self.spacing[columns] / 2, self._rows(x)
        below, above = self._forward(rows - half, columns), self._forward(rows + half, columns)
        return self._back(((below + above) / 2).clamp(-FARTHEST, FARTHEST), x)

    def _forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        knots = self.knots[columns]
        piece = torch.searchsorted(knots, rows, right=True)
        anchor = (piece - 1).clamp(min=0)
        rise = (rows - knots.gather(1, anchor)) * self.slopes[columns].gather(1, piece)
        return self.heights[columns].gather(1, anchor) + rise

    @staticmethod
    def _rows(cells: Tensor) -> Tensor:
        """Return cells (..., R) as one row for each column, shape (R, cells)."""
        return cells.double().reshape(-1, cells.shape[-1]).T.contiguous()

    @staticmethod
    def _back(rows: Tensor, like: Tensor) -> Tensor:
        return rows.T.reshape(like.shape)
