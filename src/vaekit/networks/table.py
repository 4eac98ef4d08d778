"""The first layer of a network for rows of a mixed table with missing cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Layout

REACH = 20.0
"""Normal scores are clamped to ±REACH, because the squares of larger ones would overflow."""


class TableInput(nn.Module):
    """Map rows of a table (B, 2S) to features (B, width): categories by learned vectors, numbers by a linear map.

    A missing category has its own vector. A missing number counts as 0, and the map also sees which numbers are observed.

    Args:
        layout: the cells of a row.
        width: number of features.

    Examples:
        >>> TableInput(Layout(sizes=(3,), on_grid=(False,), edges=((0, 0),)), 8)(torch.zeros(5, 4)).shape
        torch.Size([5, 8])
    """

    first: Tensor

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.categories, self.numbers = len(layout.sizes), len(layout.on_grid)
        self.width = width
        starts = torch.tensor([0, *(size + 1 for size in layout.sizes)]).cumsum(0)
        self.register_buffer("first", starts[:-1], persistent=False)
        self.register_buffer("missing", starts[1:] - 1, persistent=False)
        self.vectors = nn.EmbeddingBag(int(starts[-1]), width, mode="sum") if self.categories else None
        if self.vectors is not None:
            nn.init.normal_(self.vectors.weight, std=1 / math.sqrt(self.categories))
        self.scores = nn.Linear(2 * self.numbers, width) if self.numbers else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2S) to (B, width)."""
        categories, numbers = x[:, : self.categories], x[:, self.categories : self.categories + self.numbers]
        features = x.new_zeros(x.shape[0], self.width)  # not `len(x)`, which an export takes for a constant
        if self.scores is not None:
            observed = ~torch.isnan(numbers)
            clamped = torch.where(observed, numbers.clamp(-REACH, REACH), 0.0)
            features = features + self.scores(torch.cat([clamped, observed.to(x.dtype)], 1))
        if self.vectors is not None:
            rows = categories.nan_to_num() + self.first
            index = torch.where(torch.isnan(categories), self.get_buffer("missing"), rows)
            features = features + self.vectors(index.long())
        return features
