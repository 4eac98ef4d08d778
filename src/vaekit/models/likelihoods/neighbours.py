"""Numbers that are near a cell of another column in the same row, or equal to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.data import Layout
from vaekit.data.tables.score_maps import ScoreMaps
from vaekit.distributions import CopyMixture, LogisticMixture
from vaekit.networks.layers import soft_clamp

NEAR, SHIFT, SCALE, COPY = slice(0, 2), slice(2, 4), slice(4, 6), 6
"""What the network gives for each neighbour: logits, shifts and log-scales of two components near it, and the logit of a copy."""
START = (-1.0, -1.0, 0.0, 0.0, -2.5, -4.5, -3.0)
"""Their values at the start: one component is narrow, the other wide."""
STRIDE = 0.3
"""Normal scores by which a shift of 1 moves a component."""
NARROWEST, WIDEST = -9.0, 1.0
"""Bounds of the log-scale of a component near a neighbour."""


class Neighbours(nn.Module):
    """Add to the mixture of each number two components near each of its neighbours, and an exact copy of the neighbour.

        y_c = t(x_c)                                      normal score of the neighbour's value in the column itself;
                                                          the value may be one of its point masses
        components   logistic(y; y_c + δ_c, s_c)          two, each with a learned weight, shift and scale
        copies       x = x_c                              on a grid, with a learned weight

    Args:
        layout: the cells of a row, with the neighbours of each number.
        maps: the maps of the numbers to normal scores.
        width: number of features of a cell.
    """

    sources: Tensor
    lists: Tensor
    targets: Tensor
    copies: Tensor

    def __init__(self, layout: Layout, maps: ScoreMaps, width: int) -> None:
        super().__init__()
        numbers, most = len(layout.neighbours), max(map(len, layout.neighbours))
        self.maps, self.on_grid = maps, sum(layout.on_grid)
        listed = torch.tensor([[*own, *[-1] * (most - len(own))] for own in layout.neighbours])
        self.first = len(layout.sizes)
        self.register_buffer("sources", listed, persistent=False)
        self.register_buffer(
            "lists", torch.where(listed >= 0, torch.tensor(layout.lists)[listed], -1), persistent=False
        )
        self.register_buffer("targets", torch.arange(numbers).unsqueeze(-1).expand(-1, most), persistent=False)
        self.register_buffer("copies", torch.tensor(layout.exact).unsqueeze(-1), persistent=False)
        self.head = nn.Parameter(0.1 / width**0.5 * torch.randn(numbers, width, len(START) * most))
        self.offset = nn.Parameter(torch.tensor(START).unsqueeze(-1).repeat(numbers, 1, most))

    def nearby(self, cells: Tensor, number: int | None = None) -> Tensor:
        """Map the cells of rows to normal scores of the neighbours of each number in its own column, shape (..., R, C).

        Args:
            cells: the cells of rows, NaN where not seen, shape (..., S).
            number: the position of a number, for its neighbours alone, shape (..., 1, C).
        """
        own = slice(None) if number is None else slice(number, number + 1)
        shape, sources, targets = self.sources[own].shape, self.sources[own].flatten(), self.targets[own].flatten()
        scores, lists = cells[..., self.first + sources], self.lists[own].flatten()
        values = self.maps.values(torch.nan_to_num(scores), sources).masked_fill(torch.isnan(scores), torch.nan)
        chosen = torch.where(lists >= 0, torch.nan_to_num(cells[..., lists], nan=-1.0), -1.0).long()
        values = torch.where(chosen >= 0, self.maps.mass(chosen, sources, values), values)
        scores = self.maps.scores(self.maps.round(values, targets), targets)
        return scores.masked_fill(sources < 0, torch.nan).unflatten(-1, shape).to(cells)

    def forward(self, mixture: LogisticMixture, features: Tensor, nearby: Tensor, own: slice) -> LogisticMixture:
        """Return the mixture with components near the neighbours and, on a grid, with copies of them.

        Args:
            mixture: batch shape (..., r).
            features: shape (..., r, width).
            nearby: normal scores of the neighbours, NaN where there is no value, shape (..., r, C).
            own: which of the numbers these are; all are on a grid, or all are real.
        """
        output = torch.einsum("...rh,rhn->...rn", features, self.head[own]).to(self.offset.dtype)
        given = output.unflatten(-1, (len(START), -1)) + self.offset[own]
        there = ~torch.isnan(nearby)
        own_parameters = (
            torch.where(there.unsqueeze(-2), given[..., NEAR, :], -torch.inf).flatten(-2),
            (torch.where(there, nearby, 0.0).unsqueeze(-2) + STRIDE * given[..., SHIFT, :]).flatten(-2),
            soft_clamp(given[..., SCALE, :], NARROWEST, WIDEST).flatten(-2),
        )
        leading = torch.broadcast_shapes(mixture.location.shape[:-1], given.shape[:-2])
        logits, location, log_scale = (
            torch.cat([first.expand(*leading, -1), second.expand(*leading, -1)], -1)
            for first, second in zip(
                (mixture.log_weights, mixture.location, mixture.log_scale), own_parameters, strict=True
            )
        )
        if own.start >= self.on_grid:
            return LogisticMixture(logits, location, log_scale, mixture.limits)
        copied = torch.where(self.copies[own], nearby, torch.nan)
        return CopyMixture(logits, location, log_scale, given[..., COPY, :], copied)
