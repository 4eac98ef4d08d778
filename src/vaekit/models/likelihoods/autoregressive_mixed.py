"""The likelihood of a mixed table whose columns depend on each other, and not only on z.

p(x|z) = Π_j p(x_j | z, observed cells before j)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.data import Layout
from vaekit.data.tables.score_maps import ScoreMaps
from vaekit.distributions import AutoregressiveCells, CategoryGroup, NumberGroup, Subsets, TableCells
from vaekit.models.likelihoods.mixed import Mixed, make_mixture
from vaekit.models.likelihoods.neighbours import Neighbours, NumberValues, PairVectors, number_slots
from vaekit.networks.cell_context import CellVectors
from vaekit.options import Width
from vaekit.parts import PartOptions, Plan

ALONE = 0.3
"""Share of the training rows whose cells see no other cells, so that z must carry what the cells have in common."""
ORDERED = 0.35
"""Share of the training rows whose cells see the cells before them. In the rest they see a random subset of the other columns,
so that the network also learns p(x_j | z, any cells)."""
FEWEST = 0.3
"""Least share of the columns of a random subset; the greatest is 1."""
DROPOUT = 0.1
"""Share of the units of the network of cells that are left out in training."""


class AutoregressiveMixed(Mixed):
    """p(x|z) = Π_j p(x_j | z, observed cells before j), each cell with the family that `Mixed` gives it.

    The cells of complete columns come first, then those of the others, the columns of fewest missing cells first.

    The cells seen so far are a sum of vectors, one for each; a network maps the sum and the decoder's output to the next
    cell's distribution. So equal columns, functions of other columns and other close dependence need not pass through z. In
    training, cells of some rows see a random subset of the other columns: missing cells are then filled from
    p(x_j | z, all observed cells).

    Args:
        layout: the cells of a row.
        components: number M of components of each number's mixture.
        width: units of the network, also the length of the vectors.

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator", 2014, for networks of any order;
        Gulrajani et al., "PixelVAE: A Latent Variable Model for Natural Images", 2017, for autoregressive decoders.

    Examples:
        >>> layout = Layout(sizes=(3, 3), on_grid=(), edges=())
        >>> likelihood = AutoregressiveMixed(layout).eval()
        >>> p = likelihood(torch.zeros(5, 6))
        >>> p.log_prob(torch.tensor([[1.0, 2.0, 0.0, 0.0]])).shape
        torch.Size([5])
    """

    name = "autoregressive_mixed"
    own_network = True
    sources: Tensor
    members: Tensor
    slots: Tensor
    masses: Tensor
    columns: Tensor
    places: Tensor

    class Options(PartOptions):
        """Options of the likelihood."""

        components: int = Field(16, ge=1, le=100, description="Number of mixture components for each number.")
        width: Width = Field(256, description="Units of the network of the cells seen so far.")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the likelihood for rows with the plan's layout."""
        return cls(plan.layout, **options.values())

    def __init__(self, layout: Layout, components: int = 16, width: int = 256) -> None:
        super().__init__(layout, components)
        self.seen = CellVectors(layout, width)
        self.own = nn.Parameter(0.3 * torch.randn(layout.slots, width))
        self.inner, self.last = nn.Linear(width, width), nn.Linear(width, width)
        sizes = [(len(group), width, max(group)) for group in self.groups]
        if self.numbers:
            sizes.append((self.numbers, width, 3 * components))
        self.head_of = [(group, place) for group, size in enumerate(sizes) for place in range(size[0])]
        self.heads = nn.ParameterList(0.1 / width**0.5 * torch.randn(size) for size in sizes)
        self.maps = ScoreMaps(layout.marginals) if layout.marginals else None
        self.neighbours = self.pair_vectors = None
        sources, members = torch.zeros(self.numbers, 0, dtype=torch.long), torch.zeros(0, 2, dtype=torch.long)
        if self.maps is not None and any(layout.neighbours):
            read = NumberValues(layout, self.maps)
            self.neighbours, self.pair_vectors = Neighbours(layout, read, width), PairVectors(layout, read, width)
            sources, members = self.neighbours.sources, self.pair_vectors.members
        self.register_buffer("sources", sources, persistent=False)
        self.register_buffer("members", members, persistent=False)
        self.order = layout.order or tuple(range(layout.slots))
        self._register_slots(layout)

    def _register_slots(self, layout: Layout) -> None:
        """Keep the cells' places, which say what each number is, how many point masses it has, and which are of one column."""
        self.register_buffer("places", torch.tensor(self.order).argsort(), persistent=False)
        self.register_buffer("slots", slots := number_slots(layout), persistent=False)
        columns = torch.arange(layout.slots).index_copy(0, slots[:, 1], slots[:, 0])
        self.register_buffer("columns", columns, persistent=False)
        masses = [layout.sizes[selector] - 1 if selector >= 0 else 0 for selector in layout.lists]
        self.register_buffer("masses", torch.tensor(masses or [0] * self.numbers), persistent=False)

    def forward(self, raw: Tensor) -> Independent[Distribution]:
        """Return the distribution over x from the decoder's output, shape (..., width)."""
        subsets = self._subsets(raw.shape[-2] if raw.dim() > 1 else 1) if self.training else None
        cells = AutoregressiveCells(self, raw, self.layout.slots, subsets=subsets)
        return Independent(cells, self.event_dims, validate_args=False)

    def _subsets(self, rows: int) -> Subsets:
        """Choose at random which cells the cells of training rows see."""
        kind, share = torch.rand(2, rows, 1, device=self.columns.device)
        kept = torch.rand(rows, self.layout.slots, device=self.columns.device) < FEWEST + (1 - FEWEST) * share
        return Subsets((kind > 1 - ORDERED).unsqueeze(-1), kept[:, self.columns] & (kind > ALONE))

    def vectors(self, cells: Tensor) -> Tensor:
        """Map cells (..., S) to vectors (..., S, width), 0 where a cell is NaN."""
        found: Tensor = self.seen(cells)
        return found

    def vector(self, cell: int, value: Tensor) -> Tensor:
        """Map the values of one cell (...) to vectors (..., width)."""
        return self.seen.one(cell, value)

    def nearby(self, cells: Tensor, number: int | None = None) -> Tensor:
        """Map cells (..., S) to the values near each number that it may be near or equal to, shape (..., R, C)."""
        if self.neighbours is None:
            return cells.new_empty(*cells.shape[:-1], self.numbers if number is None else 1, 0)
        return self.neighbours.nearby(cells, number)

    def pairs(self, cells: Tensor, only: list[int] | None = None) -> Tensor:
        """Map cells (..., S) to vectors of pairs of numbers (..., P, width), or of only some of them."""
        if self.pair_vectors is None:
            return self.own.new_empty(*cells.shape[:-1], 0, self.own.shape[-1])
        found: Tensor = self.pair_vectors(cells, only)
        return found

    def cells(self, context: Tensor, decoded: Tensor, nearby: Tensor) -> TableCells:
        """Return the distribution of all cells.

        Args:
            context: sums of the vectors of the cells that each cell sees, shape (..., S, width).
            decoded: the decoder's output, shape (..., P) for P parameters.
            nearby: values that each number may be near or equal to, NaN where it does not see them, shape (..., R, C).
        """
        features = self._features(context + self.own.to(context.dtype))
        parts, first = [], 0
        for head in self.heads:
            own = features[..., first : first + len(head), :]
            parts.append(torch.einsum("...kh,khn->...kn", own, head).flatten(-2))
            first += len(head)
        found = self.distribution(torch.cat(parts, -1) + decoded.to(self.offset.dtype) + self.offset)
        if self.neighbours is None:
            return found
        first = len(self.layout.sizes)
        numbers = [
            replace(
                group, mixture=self.neighbours(group.mixture, features[..., group.cells, :], nearby[..., own, :], own)
            )
            for group, own in ((g, slice(g.cells.start - first, g.cells.stop - first)) for g in found.numbers)
        ]
        return TableCells(found.categories, numbers, found.count)

    def cell(self, cell: int, context: Tensor, decoded: Tensor, seen: Tensor) -> TableCells:
        """Return the distribution of one cell, as a row of one cell, from its context (..., width) and the cells seen."""
        group, place = self.head_of[cell]
        features, head = self._features(context + self.own[cell]), self.heads[group][place]
        begin = sum(each.shape[0] * each.shape[2] for each in list(self.heads)[:group]) + place * head.shape[1]
        parameters = slice(begin, begin + head.shape[1])
        output = features @ head + decoded[..., parameters] + self.offset[parameters]
        if cell < len(self.layout.sizes):
            logits = output.masked_fill(self.absent[parameters], -torch.inf).log_softmax(-1)
            category = CategoryGroup(slice(0, 1), logits.unsqueeze(-2), self.log_drawable[parameters].unsqueeze(0))
            return TableCells([category], [], 1)
        own, limits = slice(place, place + 1), self.limits(place, place + 1)
        mixture = make_mixture(output.unflatten(-1, (1, 3, self.components)), limits)
        if self.neighbours is not None:
            mixture = self.neighbours(mixture, features.unsqueeze(-2), self.nearby(seen, place), own)
        edges = self.edges[:, own] if self.layout.on_grid[place] else None
        return TableCells([], [NumberGroup(slice(0, 1), mixture, edges)], 1)

    def _features(self, context: Tensor) -> Tensor:
        """Return features of cells from their contexts (..., width)."""
        seen = F.silu(context)
        inner = F.dropout(seen + F.silu(self.inner(seen)), DROPOUT, self.training)
        return F.silu(self.last(inner))

    def number(self, cell: int) -> tuple[int, int]:
        """Return of which number a cell tells, or −1, and which cell chooses its point mass, or −1."""
        number, lists = cell - len(self.layout.sizes), self.layout.lists
        if number < 0:
            return (lists.index(cell), cell) if cell in lists else (-1, -1)
        return number, lists[number] if lists else -1

    def pairs_with(self, number: int) -> list[int]:
        """Return the positions of the pairs with a number."""
        return self.pair_vectors.pairs_with[number] if self.pair_vectors is not None else []

    def settle(self, cell: int, value: Tensor) -> Tensor:
        """Round a normal score (...) to that of a value which its column can have; a category stays as it is."""
        number = cell - len(self.layout.sizes)
        if number < 0 or self.maps is None:
            return value
        column = torch.tensor([number], device=value.device)
        possible = self.maps.values(value.unsqueeze(-1), column)
        return self.maps.scores(possible, column).squeeze(-1).to(value)
