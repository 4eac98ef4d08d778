"""Sums of learned vectors, one for each cell of a row that has been seen: the context of the other cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Layout

CENTRES, WIDTH, REACH = 12, 0.45, 6.0
"""Number and width of the bumps that show a normal score at full resolution, and its greatest size."""
FEATURES = CENTRES + 2


def score_features(y: Tensor) -> Tensor:
    """Return features of normal scores, shape (..., 14): y itself, √|y| with its sign, and bumps exp(−½((y − c)/w)²)."""
    y = y.clamp(-REACH, REACH).unsqueeze(-1)
    centres = torch.linspace(-2.5, 2.5, CENTRES, dtype=y.dtype, device=y.device)
    return torch.cat([y, y.sign() * y.abs().sqrt(), torch.exp(-0.5 * ((y - centres) / WIDTH).square())], -1)


class CellVectors(nn.Module):
    """Map each cell of a row to a vector: a category to a learned one, a normal score by a linear map of its features.

    A missing cell has the vector 0, so the sum over some cells is a context that tells which cells have been seen.

    Args:
        layout: the cells of a row.
        width: numbers in a vector.

    Examples:
        >>> vectors = CellVectors(Layout(sizes=(3,), on_grid=(False,), edges=((0, 0),)), 8)
        >>> vectors(torch.tensor([[1.0, torch.nan]])).shape, float(vectors(torch.tensor([[1.0, torch.nan]]))[0, 1].norm())
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
        self.there = nn.Parameter(spread * torch.randn(self.numbers, width))

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (..., S), NaN where not seen, to vectors (..., S, width)."""
        seen = ~torch.isnan(cells)
        known = torch.where(seen, cells, 0.0)
        index = known[..., : self.categories].long() + self.first
        categories = nn.functional.embedding(index, self.values)
        features = score_features(known[..., self.categories :])
        numbers = torch.einsum("...rf,rfh->...rh", features, self.scores) + self.there
        return torch.cat([categories, numbers], -2) * seen.unsqueeze(-1)

    def one(self, cell: int, value: Tensor) -> Tensor:
        """Map the values of one cell (...) to vectors (..., width)."""
        seen = ~torch.isnan(value)
        known = torch.where(seen, value, 0.0)
        if cell < self.categories:
            found = nn.functional.embedding(known.long() + self.first[cell], self.values)
        else:
            number = cell - self.categories
            found = score_features(known) @ self.scores[number] + self.there[number]
        return found * seen.unsqueeze(-1)
