"""Sums of learned vectors, one for each cell of a row that has been seen: the context of the other cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Layout

CENTRES, WIDTH, REACH = 12, 0.45, 6.0
"""Number and width of the bumps that show a normal score at full resolution, and its greatest size."""
FEATURES = CENTRES + 3


def score_features(y: Tensor) -> Tensor:
    """Return features of normal scores, shape (..., 15), 0 where a score is NaN.

    They are y itself, √|y| with its sign, bumps exp(−½((y − c)/w)²), and 1.
    """
    there = ~torch.isnan(y).unsqueeze(-1)
    y = torch.nan_to_num(y).clamp(-REACH, REACH).unsqueeze(-1)
    centres = torch.linspace(-2.5, 2.5, CENTRES, dtype=y.dtype, device=y.device)
    bumps = torch.exp(-0.5 * ((y - centres) / WIDTH).square())
    return torch.cat([y, y.sign() * y.abs().sqrt(), bumps, torch.ones_like(y)], -1) * there


class CellVectors(nn.Module):
    """Map each cell of a row to a vector: a category to a learned one, a normal score by a linear map of its features.

    A missing cell has the vector 0, so the sum over some cells is a context that tells which cells have been seen.

    Args:
        layout: the cells of a row.
        width: numbers in a vector.

    Examples:
        >>> vectors = CellVectors(Layout(sizes=(3,), on_grid=(False,), edges=((0, 0),)), 8)
        >>> vectors(torch.tensor([[1.0, torch.nan]])).shape, vectors(torch.tensor([[1.0, torch.nan]]))[0, 1].abs().sum().item()
        (torch.Size([1, 2, 8]), 0.0)
    """

    first: Tensor

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.categories, self.numbers = len(layout.sizes), len(layout.on_grid)
        starts = torch.tensor([0, *layout.sizes]).cumsum(0)
        self.register_buffer("first", starts[:-1], persistent=False)
        spread = 1 / math.sqrt(max(1, layout.slots))
        self.values = nn.Parameter(spread * torch.randn(int(starts[-1]), width))
        self.scores = nn.Parameter(spread / math.sqrt(2) * torch.randn(self.numbers, FEATURES, width))

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (..., S), NaN where not seen, to vectors (..., S, width)."""
        categories = self._categories(cells[..., : self.categories], self.first)
        features = score_features(cells[..., self.categories :].to(self.scores.dtype))
        numbers = torch.einsum("...rf,rfh->...rh", features, self.scores)
        return torch.cat([categories, numbers.to(categories.dtype)], -2)

    def one(self, cell: int, value: Tensor) -> Tensor:
        """Map the values of one cell (...) to vectors (..., width)."""
        if cell < self.categories:
            return self._categories(value, self.first[cell])
        return score_features(value.to(self.scores.dtype)) @ self.scores[cell - self.categories]

    def _categories(self, cells: Tensor, first: Tensor) -> Tensor:
        absent = len(self.values)
        index = torch.where(torch.isnan(cells), absent, torch.nan_to_num(cells).long() + first)
        return nn.functional.embedding(index, nn.functional.pad(self.values, (0, 0, 0, 1)))
