"""Distributions of cells that go missing with a probability that depends on their value; the mask is observed too.

    P(cell j missing | x_j) = σ(ℓ_j(x_j))           ℓ: one logit for each category, a + b·y for a normal score y

    log p(x_o, mask|z) = Σ_observed log p(x_j|z)(1 − P(missing|x_j)) + Σ_missing log ∫ p(x_j|z) P(missing|x_j) dx_j

Given z the columns are independent, so each integral is over a single cell: a sum over its categories, or a quadrature over
the quantiles of each logistic component. Draws are not needed. The quadrature is accurate for gentle slopes b. If the slope is
steep (b·s ≫ 1) and its threshold −a/b lies beyond the outermost quantiles, the integral and the bound are only approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.distributions.logistic_mixture import LogisticMixture, choose, quantile_between
from vaekit.distributions.table_cells import CategoryGroup, TableCells

QUANTILES = 16
"""Points of the quadrature in each component."""


@dataclass(frozen=True)
class Missingness:
    """The missingness logits of the cells of a row.

    Args:
        categories: for each `CategoryGroup`, ℓ of every category, shape (k, n) for k cells of at most n categories.
        lines: a and b of each of R normal scores, shape (R, 2).
        selectors: for each normal score, the cell whose last category ("none of the point masses") selects it, or −1 if
            there is no such cell.
    """

    categories: Sequence[Tensor]
    lines: Tensor
    selectors: Tensor


def nodes(mixture: LogisticMixture, within: Tensor | None = None) -> Tensor:
    """Return the nodes of the quadrature, Q quantiles of each component, shape (..., M, Q).

    Args:
        mixture: batch shape (...).
        within: position of each quantile within its slice of probability 1/Q, in (0, 1); the middle by default.
    """
    start = torch.arange(QUANTILES, device=mixture.location.device)
    u = (start + (0.5 if within is None else within)) / QUANTILES
    low, high = (end.unsqueeze(-1) for end in mixture.ends(mixture.location, mixture.log_scale))
    return mixture.location.unsqueeze(-1) + mixture.log_scale.exp().unsqueeze(-1) * quantile_between(u, low, high)


class TiltedMixture(LogisticMixture):
    """The distribution of a missing normal score, ∝ f(y) σ(a + b·y), approximated by quantiles of f.

    Args:
        mixture: f.
        line: a and b, shape (..., 2).
    """

    def __init__(self, mixture: LogisticMixture, line: Tensor) -> None:
        super().__init__(mixture.log_weights, mixture.location, mixture.log_scale, mixture.limits)
        self.nodes = nodes(mixture)
        log_missing = F.logsigmoid(line[..., :1, None] + line[..., 1:, None] * self.nodes)
        joint = self.bounded_weights.unsqueeze(-1) + log_missing
        self.log_total = torch.logsumexp(joint, (-2, -1)) - torch.tensor(QUANTILES).log()
        self.log_nodes = joint.flatten(-2).log_softmax(-1)

    def cdf(self, y: Tensor) -> Tensor:
        """Return P(Y ≤ y) of draws, shape (...), in double precision: each node stands for a slice of its component."""
        slices = torch.arange(QUANTILES, device=y.device)
        reached = (QUANTILES * self.component_cdf(y).unsqueeze(-1) - slices).clamp(0, 1)
        return (self.log_nodes.double().exp() * reached.flatten(-2)).sum(-1)

    def draw(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., 2) to draws (...): the first chooses a node, the second a point around it."""
        chosen = choose(self.log_nodes, uniform[..., :1])
        component, part = chosen // QUANTILES, chosen % QUANTILES
        return self.quantile(component, (part.squeeze(-1) + uniform[..., 1]) / QUANTILES)

    @property
    def mean(self) -> Tensor:
        """Return E[y] by the quadrature."""
        return (self.log_nodes.exp() * self.nodes.flatten(-2)).sum(-1)


class MaskedCells(TableCells):
    """The distribution of a row's cells, each missing with a probability that depends on its value.

    Args:
        cells: p(x|z).
        missingness: P(missing|x).

    References:
        Ipsen, Mattei and Frellsen, "not-MIWAE: Deep Generative Modelling with Missing not at Random Data", 2021.
    """

    def __init__(self, cells: TableCells, missingness: Missingness) -> None:
        super().__init__(cells.categories, cells.numbers, cells.count)
        self.plain, self.missingness = cells, missingness
        self.tilted = [
            replace(group, mixture=TiltedMixture(group.mixture, missingness.lines[own]))
            for group, own in zip(self.numbers, self._positions(), strict=True)
        ]
        self.log_missing = [self._log_missing(i, group) for i, group in enumerate(self.categories)]

    def _positions(self) -> list[slice]:
        """Return the slice of the R normal scores that belongs to each group."""
        first = self.count - len(self.missingness.lines)
        return [slice(group.cells.start - first, group.cells.stop - first) for group in self.numbers]

    def _selected(self, group: CategoryGroup) -> tuple[Tensor, Tensor]:
        """Return whether each cell has a normal score for its last category, and the index of that score."""
        cells = torch.arange(group.cells.start, group.cells.stop, device=self.missingness.selectors.device)
        same = cells.unsqueeze(1) == self.missingness.selectors.unsqueeze(0)
        which = same.long().argmax(1) if self.numbers else torch.zeros_like(cells)
        return same.any(1), which

    def _log_missing(self, i: int, group: CategoryGroup) -> Tensor:
        """Return log P(missing|category), averaged over the normal score if the category has one."""
        own = F.logsigmoid(self.missingness.categories[i])
        if not self.tilted:
            return own
        selects, which = self._selected(group)
        totals = torch.cat([t.mixture.log_total for t in self.tilted], -1)[..., which]  # type: ignore[attr-defined]
        return torch.where(self._last(group) & selects.unsqueeze(1), totals.unsqueeze(-1), own)

    def _last(self, group: CategoryGroup) -> Tensor:
        """Return a mask that is true at the last category of each cell, shape (k, n)."""
        there = (
            torch.isfinite(group.log_probs.flatten(0, -3)[0])
            if group.log_probs.dim() > 2
            else torch.isfinite(group.log_probs)
        )
        length = there.sum(-1, keepdim=True)
        return torch.arange(there.shape[-1], device=there.device) == length - 1

    def log_prob(self, value: Tensor) -> Tensor:
        """Return each cell's term of log p(x_o, mask|z), shape (..., S)."""
        cells = value[..., : self.count]
        observed = ~torch.isnan(cells)
        known = torch.where(observed, cells, 0.0)
        parts = []
        for i, group in enumerate(self.categories):
            selects, _ = self._selected(group)
            log_observed = F.logsigmoid(-self.missingness.categories[i])
            log_observed = torch.where(self._last(group) & selects.unsqueeze(1), 0.0, log_observed)
            category = known[..., group.cells].long().unsqueeze(-1)
            present = log_observed.expand(*category.shape[:-1], -1).gather(-1, category).squeeze(-1)
            missing = torch.logsumexp(group.log_probs + self.log_missing[i], -1)
            parts.append(torch.where(observed[..., group.cells], present, missing))
        for number, tilted, own in zip(self.numbers, self.tilted, self._positions(), strict=True):
            a, b = self.missingness.lines[own].unbind(-1)
            present = F.logsigmoid(-(a + b * known[..., number.cells]))
            alone = (
                self.missingness.selectors[own] < 0
            )  # other scores are missing together with their selector, where they are counted
            missing = torch.where(alone, tilted.mixture.log_total, 0.0)  # type: ignore[attr-defined]
            parts.append(torch.where(observed[..., number.cells], present, missing))
        return self.plain.log_prob(value) + torch.cat(_broadcast(parts), -1)

    def of_missing(self) -> TableCells:
        """Return p(x_j|z, cell j missing) for every cell."""
        categories = [
            replace(group, log_probs=(group.log_probs + own).log_softmax(-1))
            for group, own in zip(self.categories, self.log_missing, strict=True)
        ]
        return TableCells(categories, self.tilted, self.count)


def _broadcast(parts: list[Tensor]) -> list[Tensor]:
    """Expand tensors (..., k) to the same leading dimensions."""
    leading = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return [part.expand(*leading, part.shape[-1]) for part in parts]
