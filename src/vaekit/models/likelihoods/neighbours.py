"""Numbers that are near a cell of another column in the same row, or equal to it: as outcomes, and as what other cells see."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
BUMPS = (0.01, 0.1, 0.5)
"""Widths of the bumps that show how near two numbers are, in normal scores."""
STEPS = (0.05, 0.5)
"""Normal scores over which smooth steps show which of two numbers is greater."""
FEATURES = len(BUMPS) + len(STEPS) + 1
"""Numbers that describe a pair."""
MOST_PAIRS = 128
"""Cells see at most so many pairs, or as many as there are numbers if these are more: pairs cost little more than cells."""


def number_slots(layout: Layout) -> Tensor:
    """Return the cells that say what each number is: its score, and its choice of a point mass or again its score, (R, 2)."""
    own = torch.arange(len(layout.sizes), layout.slots)
    lists = torch.tensor(layout.lists or [-1] * len(own), dtype=torch.long)
    return torch.stack([own, torch.where(lists >= 0, lists, own)], -1)


class NumberValues(nn.Module):
    """Read the numbers of rows from their cells, also where a number is one of its column's point masses.

    Args:
        layout: the cells of a row.
        maps: the maps of the numbers to normal scores.
    """

    slots: Tensor

    def __init__(self, layout: Layout, maps: ScoreMaps) -> None:
        super().__init__()
        self.maps = maps
        self.register_buffer("slots", number_slots(layout), persistent=False)

    def forward(self, cells: Tensor, which: Tensor) -> Tensor:
        """Return numbers in their own unit, NaN where not seen.

        Args:
            cells: the cells of rows, NaN where not seen, shape (..., S).
            which: positions of the numbers, shape (P,).

        Returns:
            Shape (..., P), double precision.
        """
        own, choice = self.slots[which].unbind(-1)
        scores = cells[..., own]
        values = self.maps.values(torch.nan_to_num(scores), which).masked_fill(torch.isnan(scores), torch.nan)
        chosen = torch.nan_to_num(cells[..., choice], nan=-1.0).long()  # not used by columns without point masses
        return torch.where(chosen >= 0, self.maps.mass(chosen, which, values), values)


def nearness_features(difference: Tensor) -> Tensor:
    """Return features of differences d of normal scores, shape (..., 6), 0 where a difference is NaN.

    They are bumps exp(−½(d/w)²), smooth steps tanh(d/w), and whether d = 0, as for equal values on a grid.
    """
    there = ~torch.isnan(difference).unsqueeze(-1)
    d = torch.nan_to_num(difference).unsqueeze(-1)
    bumps, steps = d.new_tensor(BUMPS), d.new_tensor(STEPS)
    return torch.cat([torch.exp(-0.5 * (d / bumps).square()), torch.tanh(d / steps), (d == 0).to(d)], -1) * there


def find_pairs(neighbours: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the pairs of neighbours: first each number's most frequent one, then each one's second, and so on.

    Args:
        neighbours: the neighbours of each number, the most frequent first.

    Returns:
        At most `MOST_PAIRS` pairs, or as many as there are numbers if they are more.

    Examples:
        >>> find_pairs([(2, 1), (0,), (0,)])
        [(2, 0), (1, 0)]
    """
    found: dict[tuple[int, int], None] = {}
    for rank in range(max(map(len, neighbours))):
        for number, own in enumerate(neighbours):
            if rank < len(own):
                found.setdefault((max(number, own[rank]), min(number, own[rank])))
    return list(found)[: max(MOST_PAIRS, len(neighbours))]


class PairVectors(nn.Module):
    """Map each pair of neighbours in a row to a vector that tells the other cells how near the two numbers are.

        d = y − t(x′)      normal scores of a number and of its neighbour's value in the number's column

    A sum of vectors of single cells shows each number only roughly, and so not whether two of them are equal. A pair of
    which a cell is missing has the vector 0.

    Args:
        layout: the cells of a row, with the neighbours of each number.
        read: gives the numbers of rows in their own unit.
        width: numbers in a vector.
    """

    members: Tensor
    """The two numbers of each pair, (P, 2)."""

    def __init__(self, layout: Layout, read: NumberValues, width: int) -> None:
        super().__init__()
        self.maps, self.read = read.maps, read
        pairs = find_pairs(layout.neighbours)
        self.register_buffer("members", torch.tensor(pairs), persistent=False)
        self.pairs_with = [[at for at, pair in enumerate(pairs) if n in pair] for n in range(len(layout.neighbours))]
        spread = 1 / math.sqrt(layout.slots * FEATURES)
        self.values = nn.Parameter(spread * torch.randn(len(pairs), FEATURES, width))

    def forward(self, cells: Tensor, only: list[int] | None = None) -> Tensor:
        """Map cells (..., S) to vectors of pairs, shape (..., P, width).

        Args:
            cells: the cells of rows, NaN where not seen, shape (..., S).
            only: positions of the pairs that are wanted; all by default.
        """
        chosen = slice(None) if only is None else only
        (targets, sources), values = self.members[chosen].unbind(-1), self.values[chosen]
        own = self.maps.scores(self.read(cells, targets), targets)
        other = self.maps.scores(self.maps.to_grid(self.read(cells, sources), targets), targets)
        return torch.einsum("...pf,pfh->...ph", nearness_features(own - other).to(values.dtype), values)


class Neighbours(nn.Module):
    """Add to the mixture of each number two components near each of its neighbours, and an exact copy of the neighbour.

        y_c = t(x_c)                                      normal score of the neighbour's value in the column itself;
                                                          the value may be one of its point masses
        components   logistic(y; y_c + δ_c, s_c)          two, each with a learned weight, shift and scale
        copies       x = x_c                              on a grid, with a learned weight

    Args:
        layout: the cells of a row, with the neighbours of each number.
        read: gives the numbers of rows in their own unit.
        width: number of features of a cell.
    """

    sources: Tensor
    targets: Tensor
    copies: Tensor

    def __init__(self, layout: Layout, read: NumberValues, width: int) -> None:
        super().__init__()
        numbers, most = len(layout.neighbours), max(map(len, layout.neighbours))
        self.maps, self.read, self.on_grid = read.maps, read, sum(layout.on_grid)
        listed = torch.tensor([[*own, *[-1] * (most - len(own))] for own in layout.neighbours])
        self.register_buffer("sources", listed, persistent=False)
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
        scores = self.maps.scores(self.maps.round(self.read(cells, sources), targets), targets)
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
