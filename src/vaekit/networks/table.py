"""The first layer of a network that reads rows of a mixed table, cells of which may be missing."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Layout

REACH = 20.0
"""Scores beyond this are read as this: stranger than strange, and their squares would overflow."""


class TableInput(nn.Module):
    """Slots and measures (B, 2S) to features (B, width): a learned vector for each place, a linear map of the scores.

    A missing place has a vector of its own; a missing score counts as 0, and the map sees which are there.

    Args:
        layout: what the slots are.
        width: number of features.

    Examples:
        >>> TableInput(Layout(sizes=(3,), on_grid=(False,), edges=((0, 0),)), 8)(torch.zeros(5, 4)).shape
        torch.Size([5, 8])
    """

    first: Tensor

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.places, self.numbers = len(layout.sizes), len(layout.on_grid)
        self.width = width
        starts = torch.tensor([0, *(size + 1 for size in layout.sizes)]).cumsum(0)
        self.register_buffer("first", starts[:-1], persistent=False)
        self.register_buffer("missing", starts[1:] - 1, persistent=False)
        self.vectors = nn.EmbeddingBag(int(starts[-1]), width, mode="sum") if self.places else None
        if self.vectors is not None:
            nn.init.normal_(self.vectors.weight, std=1 / math.sqrt(self.places))
        self.scores = nn.Linear(2 * self.numbers, width) if self.numbers else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2S) to (B, width)."""
        places, scores = x[:, : self.places], x[:, self.places : self.places + self.numbers]
        features = x.new_zeros(len(x), self.width)
        if self.scores is not None:
            there = ~torch.isnan(scores)
            read = torch.where(there, scores.clamp(-REACH, REACH), 0.0)
            features = features + self.scores(torch.cat([read, there.to(x.dtype)], 1))
        if self.vectors is not None:
            index = torch.where(torch.isnan(places), self.get_buffer("missing"), places.nan_to_num() + self.first)
            features = features + self.vectors(index.long())
        return features
