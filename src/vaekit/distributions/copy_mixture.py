"""A mixture of logistics that can also give exactly the value of another cell.

P(x) = (1 − Σ_c w_c) · P_mixture(x) + Σ_c w_c [x = x_c]
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions.logistic_mixture import LogisticMixture, choose


class CopyMixture(LogisticMixture):
    """A mixture of M logistics and C copies: outcomes that are exactly the value of another cell, on a grid.

    Args:
        logits: unnormalised log-weights of the logistics, shape (..., M).
        location: μ, shape (..., M).
        log_scale: log s, shape (..., M).
        copy_logits: log w_c, up to the constant that gives the mixture as a whole the logit 0, shape (..., C).
        copied: normal scores of the copied values, NaN where there is no value to copy, shape (..., C).

    Examples:
        >>> p = CopyMixture(*torch.zeros(3, 1, 1), torch.zeros(1, 1), torch.tensor([[0.5]]))
        >>> p.log_interval(torch.tensor([0.5, 2.5]), torch.tensor([1.0, 1.0])).exp().round(decimals=4)
        tensor([0.6155, 0.0359])
    """

    def __init__(
        self, logits: Tensor, location: Tensor, log_scale: Tensor, copy_logits: Tensor, copied: Tensor
    ) -> None:
        super().__init__(logits, location, log_scale)
        there = ~torch.isnan(copied)
        self.copied = torch.where(there, copied, 0.0)
        weights = torch.where(there, copy_logits, -torch.inf)
        mixed = torch.zeros_like(weights[..., :1])
        self.log_shares = torch.cat([weights, mixed], -1).log_softmax(-1)

    def log_interval(
        self, middle: Tensor, width: Tensor, lowest: Tensor | None = None, highest: Tensor | None = None
    ) -> Tensor:
        """Return the log-probability of intervals; one that contains a copied value has its weight, too."""
        mixed = super().log_interval(middle, width, lowest, highest).unsqueeze(-1)
        equal = (middle.unsqueeze(-1) - self.copied).abs() < 0.5 * width.unsqueeze(-1)
        copies = torch.where(equal, torch.zeros_like(mixed), -torch.inf)
        return torch.logsumexp(torch.cat([copies, mixed], -1) + self.log_shares, -1)

    def log_density(self, y: Tensor) -> Tensor:
        """Refuse a density, because copies have probabilities."""
        raise NotImplementedError("a mixture with copies has probabilities of intervals, not a density")

    def cdf(self, y: Tensor) -> Tensor:
        """Return P(Y ≤ y) of draws, shape (...), in double precision."""
        shares, reached = self.log_shares.double().exp(), self.copied <= y.unsqueeze(-1)
        return shares[..., -1] * super().cdf(y) + (shares[..., :-1] * reached).sum(-1)

    def draw(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., 2) to draws (...): the first chooses a copy or a component."""
        first = uniform[..., :1]
        copies = self.log_shares.shape[-1] - 1
        chosen = choose(self.log_shares, first)
        below = self.log_shares[..., :-1].exp().sum(-1, keepdim=True)
        rest = ((first - below) / (1 - below).clamp(min=1e-9)).clamp(0, 1)
        mixed = super().draw(torch.cat([rest, uniform[..., 1:]], -1))
        copied = self.copied.expand(*chosen.shape[:-1], copies).gather(-1, chosen.clamp(max=copies - 1)).squeeze(-1)
        return torch.where(chosen.squeeze(-1) < copies, copied.to(mixed), mixed)

    @property
    def mean(self) -> Tensor:
        """Return E[y] = (1 − Σ_c w_c) E_mixture[y] + Σ_c w_c y_c."""
        shares = self.log_shares.exp()
        return shares[..., -1] * super().mean + (shares[..., :-1] * self.copied).sum(-1)
