"""The negative evidence lower bound in which the first nats of each group of latent dimensions cost nothing.

    loss = D + β·Σ_g max(λ, R_g),   R_g = the rate of the dimensions of group g, averaged over the batch

A group that carries less than λ nats feels no pull towards the prior, so that it does not collapse early. −loss is
below the bound itself: it is a lower bound too, but a looser one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaekit.distributions import DiagonalNormal
from vaekit.errors import VaekitError
from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.terms import Terms


class FreeBits(nn.Module):
    """D + β·Σ_g max(λ, R_g).

    Args:
        model: the model to be trained; posterior and prior must be Gaussians of independent coordinates.
        free_bits: λ ≥ 0, in nats for each group.
        together: dimensions of a group, side by side, ≥ 1; what is left at the end is a smaller one.

    Raises:
        VaekitError: if the rate has no parts, since the prior is not N(0, I).

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016.
    """

    def __init__(self, model: VariationalAutoEncoder, free_bits: float, together: int = 1) -> None:
        super().__init__()
        if not isinstance(model.prior(), DiagonalNormal):
            raise VaekitError(
                "the free_bits objective must have prior=standard_normal, whose rate has a part for each dimension",
                f"a {type(model.prior).__name__}",
            )
        self.model, self.free_bits, self.together = model, free_bits, together

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); the rate given back is the true one."""
        joint = self.model.given(context).joint(x)
        posterior: DiagonalNormal = joint.posterior  # type: ignore[assignment]
        prior: DiagonalNormal = joint.prior  # type: ignore[assignment]
        each = posterior.kl_per_dimension(prior)
        filled = F.pad(each, (0, -each.shape[-1] % self.together))  # a group less than full costs what it holds
        parts = filled.unflatten(-1, (-1, self.together)).sum(-1)
        costs = torch.where(parts.mean(0) > self.free_bits, parts, parts.new_tensor(self.free_bits))
        distortion = joint.distortion()
        return Terms(distortion + kl_weight * costs.sum(-1), distortion, parts.sum(-1))
