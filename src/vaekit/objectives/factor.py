"""The negative evidence lower bound with a penalty on the dependence of latent dimensions, estimated by a discriminator.

    loss = D + β·R + γ·TC,   TC = E[log q(z) − Σ_j log q(z_j)] ≈ E[h(z)]

    h is a classifier of codes z ~ q(z) against shuffled codes z̃ ~ Π_j q(z_j), trained with the cross-entropy

        ½ E[log(1 + exp(−h(z)))] + ½ E[log(1 + exp(h(z̃)))],

    whose minimum is at h(z) = log q(z)/Π_j q(z_j)

The penalty needs only draws from the posterior. In each step of the optimiser the model gets the gradient of the loss, and h the
gradient of the cross-entropy. −loss is not a bound, because E[h(z)] may be negative.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import softplus

from vaekit.models import Draws
from vaekit.networks import MLP
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan
from vaekit.processes.group import gather, of_first, own_rows

HIDDEN = (256, 256)
"""Widths of the discriminator's hidden layers."""


def shuffled(z: Tensor) -> Tensor:
    """Shuffle each dimension of the codes separately, as if they were drawn from Π_j q(z_j).

    Args:
        z: codes, shape (B, d).

    Returns:
        The same numbers in the same columns, shape (B, d).

    Examples:
        >>> z = torch.arange(12.0).reshape(6, 2)
        >>> torch.equal(shuffled(z).sort(0).values, z)
        True
    """
    return z.gather(0, of_first(torch.rand_like(z)).argsort(0))


class FactorPenalty(Objective):
    """D + β·R + γ·TC, with a discriminator h that estimates TC.

    Args:
        latent_dim: number of latent dimensions, ≥ 1.
        tc_weight: γ ≥ 0.

    References:
        Kim and Mnih, "Disentangling by Factorising", 2018.
    """

    name = "factor"

    class Options(Objective.Options):
        """Options of the penalty."""

        tc_weight: float = Field(
            10.0, ge=0, description="Weight γ of the total correlation that the discriminator estimates."
        )

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False: −loss may exceed log p(x), since the estimate of TC may be negative."""
        return False

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the objective, with a discriminator for codes of the plan's latent dimension."""
        return cls(plan.latent_dim, options.tc_weight)

    def __init__(self, latent_dim: int, tc_weight: float = 10.0) -> None:
        super().__init__()
        self.tc_weight = tc_weight
        self.discriminator = MLP((latent_dim,), (1,), HIDDEN)

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: loss, D and R.

        The gradient of the loss includes that of the cross-entropy. The value of the loss does not include it.
        """
        distortion, rate, z = draws.distortion(), draws.rate(), draws.z[0]
        fixed = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        correlation: Tensor = functional_call(self.discriminator, fixed, (z,)).squeeze(-1)
        # The paper shuffles codes of a second batch. Codes of the same batch have the same distribution and cost nothing;
        # two dimensions of a code stay together with probability 1/B.
        codes, others = z.detach(), own_rows(shuffled(gather(z.detach())))
        real, fake = self.discriminator(codes).squeeze(-1), self.discriminator(others).squeeze(-1)
        cross_entropy = 0.5 * (softplus(-real) + softplus(fake))
        loss = distortion + beta * rate + self.tc_weight * correlation
        return Terms(loss + (cross_entropy - cross_entropy.detach()), distortion, rate)
