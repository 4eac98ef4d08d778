"""The likelihood of a mixed table, with a separate distribution for each column."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.data import Layout
from vaekit.distributions import CategoryGroup, LogisticMixture, MaskedCells, Missingness, NumberGroup, TableCells
from vaekit.distributions.logistic_mixture import FARTHEST
from vaekit.models.likelihoods.base import Likelihood
from vaekit.networks.layers import soft_clamp
from vaekit.parts import PartOptions, Plan

LOG_SCALE = (-7.0, 3.0)
"""Bounds of the log scale of a component; the normal scores of a column have unit spread."""


class Mixed(Likelihood):
    """p(x|z) = Π_categories softmax(network(z))_x · Π_numbers Σ_m w_m logistic(y; μ_m, s_m), over the observed cells.

    A cell that holds a category, an ordered level or a point mass has a categorical distribution. A number is mapped to its
    normal score by a monotone map (`Marginal`). A normal score has a mixture of logistics. Its term is the density, or the
    probability of an interval if the number is on a grid. The likelihood is that of the data in their own units.

    Args:
        layout: the cells of a row.
        components: number M of components of each number's mixture.
        missing: "ignored", or "modelled" to let the probability that a cell is missing depend on its value.

    References:
        Nazábal, Olmos, Ghahramani and Valera, "Handling Incomplete Heterogeneous Data using VAEs", 2020;
        Mattei and Frellsen, "MIWAE", 2019, for the likelihood of the observed cells;
        Ipsen, Mattei and Frellsen, "not-MIWAE", 2021, for modelled missingness.

    Examples:
        >>> layout = Layout(sizes=(3,), on_grid=(), edges=())
        >>> p = Mixed(layout)(torch.zeros(5, 3))
        >>> p.log_prob(torch.tensor([[1.0, 0.0]])).exp().detach()[0]
        tensor(0.3333)
    """

    name = "mixed"
    kinds = frozenset({"mixed"})
    starts_networks = False

    class Options(PartOptions):
        """Options of the likelihood of a mixed table."""

        components: int = Field(3, ge=1, le=100, description="Number of mixture components for each number.")
        missing: Literal["ignored", "modelled"] = Field(
            "ignored",
            description="Missing cells: `ignored` (missing at random), or `modelled`, if the probability that a cell is missing depends on its value.",
        )

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the likelihood for rows with the plan's layout."""
        return cls(plan.layout, **options.values())

    absent: Tensor
    log_drawable: Tensor
    edges: Tensor
    selectors: Tensor

    def __init__(self, layout: Layout, components: int = 3, missing: str = "ignored") -> None:
        self.layout, self.components, self.missing = layout, components, missing
        self.groups, self.numbers = _groups(layout.sizes), len(layout.on_grid)
        self.logit_count = sum(len(group) * max(group) for group in self.groups)
        super().__init__(())
        absent = [torch.arange(max(group)) >= torch.tensor(group).unsqueeze(1) for group in self.groups]
        self.register_buffer("absent", torch.cat([a.flatten() for a in absent] or [torch.zeros(0)]) > 0, False)
        widths = [max(group) for group in self.groups for _ in group]
        every = layout.drawable or [(1.0,) * size for size in layout.sizes]
        drawable = [
            one for own, width in zip(every, widths, strict=True) for one in (*own, *[0.0] * (width - len(own)))
        ]
        self.register_buffer("log_drawable", torch.tensor(drawable).log(), False)
        self.models_missing = missing == "modelled"
        if self.models_missing:
            self.missing_places = nn.Parameter(torch.zeros(self.logit_count))
            self.missing_lines = nn.Parameter(torch.zeros(self.numbers, 2))
        self.register_buffer("selectors", torch.tensor(layout.lists, dtype=torch.long), False)
        edges = torch.tensor(layout.edges, dtype=torch.float64).reshape(-1, 2).T.clamp(-FARTHEST, FARTHEST)
        self.register_buffer("edges", edges.contiguous(), False)

    @property
    def parameters_per_feature(self) -> int:
        """Return how many outputs a row needs: all logits, and M weights, locations and scales for each number."""
        return self.logit_count + 3 * self.components * self.numbers

    @property
    def event_dims(self) -> int:
        """Return 1: an example is a row of cells."""
        return 1

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Start at the frequency of each category, and at evenly spaced mixture components for numbers."""
        begin = cell = 0
        for group in self.groups:
            for size in group:
                observed = x[:, cell][~x[:, cell].isnan()].long()
                counts = torch.bincount(observed, minlength=size) + 1 / size
                self.offset[begin : begin + size].copy_((counts / counts.sum()).log())
                begin, cell = begin + max(group), cell + 1
        if self.models_missing:
            self._start_missing(x)
        mixture = self.offset[self.logit_count :].view(self.numbers, 3, self.components)
        spread = 1 - 1 / self.components
        mixture[:, 0] = 0.0
        mixture[:, 1] = torch.linspace(-spread, spread, self.components)
        mixture[:, 2] = math.log(0.55 * math.sqrt(1 - 0.5 * spread**2))  # near the standard normal

    def _start_missing(self, x: Tensor) -> None:
        """Start with a probability of being missing that does not depend on the cell's value."""
        cells = self.layout.slots
        logits = torch.logit((x[:, :cells].isnan().sum(0) + 0.5) / (len(x) + 1))
        begin = cell = 0
        for group in self.groups:
            for _ in group:
                self.missing_places[begin : begin + max(group)].fill_(logits[cell])
                begin, cell = begin + max(group), cell + 1
        for number, selector in enumerate(self.layout.lists):
            self.missing_lines[number, 0] = logits[selector if selector >= 0 else cell + number]

    def distribution(self, parameters: Tensor) -> TableCells:
        """Return the distribution of the cells of a row from its parameters."""
        logits = parameters[..., : self.logit_count].masked_fill(self.absent, -math.inf)
        categories, begin, cell = [], 0, 0
        for group in self.groups:
            end = begin + len(group) * max(group)
            own, drawable = (
                x.unflatten(-1, (len(group), max(group)))
                for x in (logits[..., begin:end], self.log_drawable[begin:end])
            )
            categories.append(CategoryGroup(slice(cell, cell + len(group)), own.log_softmax(-1), drawable))
            begin, cell = end, cell + len(group)
        mixtures = parameters[..., self.logit_count :].unflatten(-1, (self.numbers, 3, self.components))
        on_grid = sum(self.layout.on_grid)
        numbers = [
            NumberGroup(
                slice(cell + first, cell + last),
                make_mixture(mixtures[..., first:last, :, :], self.limits(first, last)),
                self.edges[:, :last] if grid else None,
            )
            for first, last, grid in ((0, on_grid, True), (on_grid, self.numbers, False))
            if first < last
        ]
        cells = TableCells(categories, numbers, self.layout.slots)
        return MaskedCells(cells, self._missingness()) if self.models_missing else cells

    def limits(self, first: int, last: int) -> Tensor | None:
        """Return the bounds of some real numbers, shape (2, last − first); None on a grid, or if there are no bounds."""
        bounded = any(math.isfinite(end) for ends in self.layout.edges[first:last] for end in ends)
        return self.edges[:, first:last] if bounded and not self.layout.on_grid[first] else None

    def _missingness(self) -> Missingness:
        begin, categories = 0, []
        for group in self.groups:
            end = begin + len(group) * max(group)
            categories.append(self.missing_places[begin:end].unflatten(0, (len(group), max(group))))
            begin = end
        return Missingness(categories, self.missing_lines, self.selectors)


def make_mixture(parameters: Tensor, limits: Tensor | None) -> LogisticMixture:
    """Return mixtures of logistics from weights, locations and log-scales, shape (..., r, 3, M), and bounds (2, r)."""
    logits, location, log_scale = parameters.unbind(-2)
    return LogisticMixture(logits, location, soft_clamp(log_scale, *LOG_SCALE), limits)


def _groups(sizes: tuple[int, ...]) -> list[list[int]]:
    """Divide ascending sizes into groups in which the sizes differ by at most a factor of about 2."""
    groups: list[list[int]] = []
    for size in sizes:
        if groups and size <= 2 * max(4, groups[-1][0]):
            groups[-1].append(size)
        else:
            groups.append([size])
    return groups
