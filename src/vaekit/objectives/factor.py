"""The negative evidence lower bound with a penalty on the dependence between latent dimensions, told by a discriminator.

    loss = D + β·R + γ·TC,   TC = E[log q(z) − Σ_j log q(z_j)] ≈ E[h(z)]

    h learns to tell codes from codes with their dimensions shuffled, z̃ ~ Π_j q(z_j), by the cross-entropy

        ½ E[log(1 + exp(−h(z)))] + ½ E[log(1 + exp(h(z̃)))],

    whose least value has h(z) = log q(z)/Π_j q(z_j)

Nothing is asked of posterior and prior but draws. The model has the gradient of its loss alone, h that of the
cross-entropy alone, in the same step of the same optimiser. Minus the loss is no bound, since E[h(z)] may be negative.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from vaekit.models import VariationalAutoEncoder
from vaekit.networks import MLP
from vaekit.objectives.terms import Terms

HIDDEN = (256, 256)
"""Widths of the discriminator's hidden layers."""


def shuffled(z: Tensor) -> Tensor:
    """Codes with each dimension in an order of its own: as if drawn from Π_j q(z_j).

    Args:
        z: codes, shape (B, d).

    Returns:
        The same numbers in the same columns, shape (B, d).

    Examples:
        >>> z = torch.arange(12.0).reshape(6, 2)
        >>> torch.equal(shuffled(z).sort(0).values, z)
        True
    """
    return z.gather(0, torch.rand_like(z).argsort(0))


class FactorPenalty(nn.Module):
    """D + β·R + γ·TC, and the discriminator h by which TC is known.

    Args:
        model: the model to be trained.
        weight: γ ≥ 0.

    References:
        Kim and Mnih, "Disentangling by Factorising", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, weight: float) -> None:
        super().__init__()
        self.model, self.weight = model, weight
        self.discriminator = MLP(tuple(model.prior().event_shape), (1,), HIDDEN)

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); the cross-entropy adds its gradient, and no number, to the loss."""
        joint = self.model.given(context).joint(x)
        distortion, rate, z = joint.distortion(), joint.rate(), joint.z[0]
        fixed = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        correlation: Tensor = functional_call(self.discriminator, fixed, (z,)).squeeze(-1)
        # The paper shuffles codes of a second batch. Those of the same one have the same distribution, and cost nothing;
        # that a code keeps two of its numbers together happens once in B.
        codes = z.detach()
        right, wrong = self.discriminator(codes).squeeze(-1), self.discriminator(shuffled(codes)).squeeze(-1)
        learning = 0.5 * (softplus(-right) + softplus(wrong))
        loss = distortion + kl_weight * rate + self.weight * correlation
        return Terms(loss + (learning - learning.detach()), distortion, rate)
