"""The likelihood of a mixed table: every column its own, computed family by family."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.data import Layout
from vaekit.distributions import LogisticMixture, MaskedSlots, Mechanism, PlaceGroup, ScoreGroup, Slots
from vaekit.models.likelihoods.base import Likelihood
from vaekit.networks.layers import soft_clamp
from vaekit.parts import PartOptions, Plan

LOG_SCALE = (-7.0, 3.0)
"""Bounds of the log scale of a component, where a column's scores have unit spread."""


class Mixed(Likelihood):
    """p(x|z) = Π_places softmax(network(z))_x · Π_scores Σ_m w_m logistic(y; μ_m, s_m), of the observed cells only.

    Columns of a list (categories, ordered levels, atoms) choose a place; columns of numbers are brought to normal scores by
    a monotone map (`Marginal`) and follow a mixture of logistics, as a density or, on a lattice, as the probability of
    an interval. What is said is said of the data as given.

    Args:
        layout: what the slots of a row are.
        components: number of components M of the numbers.
        missing: `ignored`, or `modelled`: with a probability of being missing that depends on what a cell holds.

    References:
        Nazábal, Olmos, Ghahramani and Valera, "Handling Incomplete Heterogeneous Data using VAEs", 2020;
        Mattei and Frellsen, "MIWAE", 2019, for the likelihood of the observed cells;
        Ipsen, Mattei and Frellsen, "not-MIWAE", 2021, where `missing` is `modelled`.

    Examples:
        >>> layout = Layout(sizes=(3,), on_grid=(), edges=())
        >>> p = Mixed(layout)(torch.zeros(5, 3))
        >>> p.log_prob(torch.tensor([[1.0, 0.0]])).exp().detach()[0]
        tensor(0.3333)
    """

    name = "mixed"
    kinds = frozenset({"mixed"})

    class Options(PartOptions):
        """What can be set of the likelihood of a mixed table."""

        components: int = Field(3, ge=1, le=100, description="Number of components of each number's distribution.")
        missing: Literal["ignored", "modelled"] = Field(
            "ignored",
            description="Missing cells: left out (missing at random), or with a probability of being missing that depends on what they hold.",
        )

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the likelihood of rows of the plan's cells."""
        return cls(plan.layout, **options.values())

    absent: Tensor
    edges: Tensor
    gates: Tensor

    def __init__(self, layout: Layout, components: int = 3, missing: str = "ignored") -> None:
        self.layout = layout
        self.components, self.missing = components, missing
        self.groups, self.numbers = _alike(layout.sizes), len(layout.on_grid)
        self.choices = sum(len(group) * max(group) for group in self.groups)
        super().__init__(())
        absent = [torch.arange(max(group)) >= torch.tensor(group).unsqueeze(1) for group in self.groups]
        self.register_buffer("absent", torch.cat([a.flatten() for a in absent] or [torch.zeros(0)]) > 0, False)
        self.models_missing = missing == "modelled"
        if self.models_missing:
            self.missing_places = nn.Parameter(torch.zeros(self.choices))
            self.missing_lines = nn.Parameter(torch.zeros(self.numbers, 2))
        self.register_buffer("gates", torch.tensor(layout.lists, dtype=torch.long), False)
        self.register_buffer("edges", torch.tensor(layout.edges).reshape(-1, 2).float().T.contiguous(), False)

    @property
    def parameters_per_feature(self) -> int:
        """How many numbers the network gives for a row, as its columns differ: logits, and M weights, locations, scales."""
        return self.choices + 3 * self.components * self.numbers

    @property
    def event_dims(self) -> int:
        """A row of slots."""
        return 1

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Begin at the frequency of each place, and at components spread over the scores."""
        begin = slot = 0
        for group in self.groups:
            for size in group:
                seen = x[:, slot][~x[:, slot].isnan()].long()
                counts = torch.bincount(seen, minlength=size) + 1 / size
                self.offset[begin : begin + size].copy_((counts / counts.sum()).log())
                begin, slot = begin + max(group), slot + 1
        if self.models_missing:
            self._start_missing(x)
        mixture = self.offset[self.choices :].view(self.numbers, 3, self.components)
        spread = 1 - 1 / self.components
        mixture[:, 0] = 0.0
        mixture[:, 1] = torch.linspace(-spread, spread, self.components)
        mixture[:, 2] = math.log(0.55 * math.sqrt(1 - 0.5 * spread**2))  # near the standard normal

    def _start_missing(self, x: Tensor) -> None:
        """Begin where being missing has nothing to do with the value."""
        slots = self.layout.slots
        logits = torch.logit((x[:, :slots].isnan().sum(0) + 0.5) / (len(x) + 1))
        begin = slot = 0
        for group in self.groups:
            for _ in group:
                self.missing_places[begin : begin + max(group)].fill_(logits[slot])
                begin, slot = begin + max(group), slot + 1
        for number, gate in enumerate(self.layout.lists):
            self.missing_lines[number, 0] = logits[gate if gate >= 0 else slot + number]

    def distribution(self, parameters: Tensor) -> Slots:
        """The slots of a row from its parameters."""
        logits = parameters[..., : self.choices].masked_fill(self.absent, -math.inf)
        places, begin, slot = [], 0, 0
        for group in self.groups:
            end = begin + len(group) * max(group)
            own = logits[..., begin:end].unflatten(-1, (len(group), max(group)))
            places.append(PlaceGroup(slice(slot, slot + len(group)), own.log_softmax(-1)))
            begin, slot = end, slot + len(group)
        mixtures = parameters[..., self.choices :].unflatten(-1, (self.numbers, 3, self.components))
        on_lattice = sum(self.layout.on_grid)
        scores = [
            ScoreGroup(
                slice(slot + first, slot + last),
                _mixture(mixtures[..., first:last, :, :]),
                self.edges[:, :last] if lattice else None,
            )
            for first, last, lattice in ((0, on_lattice, True), (on_lattice, self.numbers, False))
            if first < last
        ]
        slots = Slots(places, scores, self.layout.slots)
        return MaskedSlots(slots, self._mechanism()) if self.models_missing else slots

    def _mechanism(self) -> Mechanism:
        begin, places = 0, []
        for group in self.groups:
            end = begin + len(group) * max(group)
            places.append(self.missing_places[begin:end].unflatten(0, (len(group), max(group))))
            begin = end
        return Mechanism(places, self.missing_lines, self.gates)


def _mixture(parameters: Tensor) -> LogisticMixture:
    logits, location, log_scale = parameters.unbind(-2)
    return LogisticMixture(logits, location, soft_clamp(log_scale, *LOG_SCALE))


def _alike(sizes: tuple[int, ...]) -> list[list[int]]:
    """Lengths of lists, increasing, cut where they double, so that lists worked on together are about as long."""
    groups: list[list[int]] = []
    for size in sizes:
        if groups and size <= 2 * max(4, groups[-1][0]):
            groups[-1].append(size)
        else:
            groups.append([size])
    return groups
