"""Cells that are missing because of what they hold: the mask as part of what is observed.

    P(cell j missing | x_j) = σ(ℓ_j(x_j))           ℓ: a number for each place of a list, a + b·y for a score

    log p(x_o, mask|z) = Σ_observed log p(x_j|z)(1 − P(missing|x_j)) + Σ_missing log ∫ p(x_j|z) P(missing|x_j) dx_j

Given z, columns are independent, and so each integral is one over a single cell: a sum over places, and a quadrature over
the quantiles of each logistic component. Nothing has to be drawn. The quadrature is exact for gentle slopes b; where a
threshold beyond the outermost quantiles decides (b·s ≫ 1), it is an approximation, and the bound with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.distributions.logistic_mixture import LogisticMixture
from vaekit.distributions.slots import PlaceGroup, Slots

QUANTILES = 16
"""Points of the quadrature over each component."""


@dataclass(frozen=True)
class Mechanism:
    """Why cells are missing.

    Args:
        places: for each group of places, ℓ of every place, shape (k, longest).
        lines: a and b of every score, shape (R, 2).
        gates: for each score, the slot of the list whose last place it stands for; −1 where it has none.
    """

    places: Sequence[Tensor]
    lines: Tensor
    gates: Tensor


def nodes(mixture: LogisticMixture, within: Tensor | None = None) -> Tensor:
    """Values that stand for each component: its quantiles, shape (..., M, Q).

    Args:
        mixture: batch shape (...).
        within: where in its Q-th part of the distribution each quantile lies, in (0, 1); the middle by default.
    """
    start = torch.arange(QUANTILES, device=mixture.location.device)
    u = (start + (0.5 if within is None else within)) / QUANTILES
    scale = mixture.log_scale.exp().unsqueeze(-1)
    return mixture.location.unsqueeze(-1) + scale * torch.logit(u)


class TiltedMixture(LogisticMixture):
    """f(y) σ(a + b·y), normalised: where a missing score lies, approximated on the quantiles of each component.

    Args:
        mixture: f.
        line: a and b, shape (..., 2).
    """

    def __init__(self, mixture: LogisticMixture, line: Tensor) -> None:
        super().__init__(mixture.log_weights, mixture.location, mixture.log_scale)
        self.nodes = nodes(mixture)
        log_missing = F.logsigmoid(line[..., :1, None] + line[..., 1:, None] * self.nodes)
        joint = self.log_weights.unsqueeze(-1) + log_missing
        self.log_total = torch.logsumexp(joint, (-2, -1)) - torch.tensor(QUANTILES).log()
        self.log_nodes = joint.flatten(-2).log_softmax(-1)

    def draw(self, uniform: Tensor) -> Tensor:
        """The first number chooses component and part of it, the second the place in that part."""
        reached = self.log_nodes.exp().cumsum(-1)
        last = reached.shape[-1] - 1
        chosen = (reached < uniform[..., :1]).sum(-1, keepdim=True).clamp(max=last)
        component, part = chosen // QUANTILES, chosen % QUANTILES
        return self.quantile(component, (part.squeeze(-1) + uniform[..., 1]) / QUANTILES)

    @property
    def mean(self) -> Tensor:
        """E[y] over the quantiles."""
        return (self.log_nodes.exp() * self.nodes.flatten(-2)).sum(-1)


class MaskedSlots(Slots):
    """Slots whose being missing depends on what they hold.

    Args:
        slots: p(x|z).
        mechanism: why cells are missing.

    References:
        Ipsen, Mattei and Frellsen, "not-MIWAE: Deep Generative Modelling with Missing not at Random Data", 2021.
    """

    def __init__(self, slots: Slots, mechanism: Mechanism) -> None:
        super().__init__(slots.places, slots.scores, slots.count)
        self.plain, self.mechanism = slots, mechanism
        self.tilted = [
            replace(group, mixture=TiltedMixture(group.mixture, mechanism.lines[own]))
            for group, own in zip(self.scores, self._own(), strict=True)
        ]
        self.log_missing = [self._log_missing(i, group) for i, group in enumerate(self.places)]

    def _own(self) -> list[slice]:
        """Which of the R scores each group of scores holds."""
        first = self.count - len(self.mechanism.lines)
        return [slice(group.slots.start - first, group.slots.stop - first) for group in self.scores]

    def _gated(self, group: PlaceGroup) -> tuple[Tensor, Tensor]:
        """For each slot of a group, whether a score stands for its last place, and which."""
        slots = torch.arange(group.slots.start, group.slots.stop, device=self.mechanism.gates.device)
        same = slots.unsqueeze(1) == self.mechanism.gates.unsqueeze(0)
        return same.any(1), same.long().argmax(1)

    def _log_missing(self, i: int, group: PlaceGroup) -> Tensor:
        """log P(missing|place) for every place; for one that a score stands for, the average over the score."""
        own = F.logsigmoid(self.mechanism.places[i])
        gated, which = self._gated(group)
        if not gated.any():
            return own
        totals = torch.cat([t.mixture.log_total for t in self.tilted], -1)[..., which]  # type: ignore[attr-defined]
        return torch.where(self._last(group) & gated.unsqueeze(1), totals.unsqueeze(-1), own)

    def _last(self, group: PlaceGroup) -> Tensor:
        """Marks the last place of each list, shape (k, longest)."""
        there = (
            torch.isfinite(group.log_probs.flatten(0, -3)[0])
            if group.log_probs.dim() > 2
            else torch.isfinite(group.log_probs)
        )
        length = there.sum(-1, keepdim=True)
        return torch.arange(there.shape[-1], device=there.device) == length - 1

    def log_prob(self, value: Tensor) -> Tensor:
        """Each slot's part of log p(x_o, mask|z)."""
        seen = value[..., : self.count]
        observed = ~torch.isnan(seen)
        known = torch.where(observed, seen, 0.0)
        parts = []
        for i, group in enumerate(self.places):
            gated, _ = self._gated(group)
            stay = F.logsigmoid(-self.mechanism.places[i])
            stay = torch.where(self._last(group) & gated.unsqueeze(1), 0.0, stay)
            place = known[..., group.slots].long().unsqueeze(-1)
            stayed = stay.expand(*place.shape[:-1], -1).gather(-1, place).squeeze(-1)
            missing = torch.logsumexp(group.log_probs + self.log_missing[i], -1)
            parts.append(torch.where(observed[..., group.slots], stayed, missing))
        for score, tilted, own in zip(self.scores, self.tilted, self._own(), strict=True):
            a, b = self.mechanism.lines[own].unbind(-1)
            stayed = F.logsigmoid(-(a + b * known[..., score.slots]))
            alone = self.mechanism.gates[own] < 0  # else its list says that it is missing
            missing = torch.where(alone, tilted.mixture.log_total, 0.0)  # type: ignore[attr-defined]
            parts.append(torch.where(observed[..., score.slots], stayed, missing))
        return self.plain.log_prob(value) + torch.cat(_alike(parts), -1)

    def of_missing(self) -> Slots:
        """p(x_j|z, cell j missing) for every cell."""
        places = [
            replace(group, log_probs=(group.log_probs + own).log_softmax(-1))
            for group, own in zip(self.places, self.log_missing, strict=True)
        ]
        return Slots(places, self.tilted, self.count)


def _alike(parts: list[Tensor]) -> list[Tensor]:
    """Tensors (..., k) with the same leading dimensions."""
    leading = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return [part.expand(*leading, part.shape[-1]) for part in parts]
