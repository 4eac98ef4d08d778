"""The evidence lower bound with a set amount of information.

    loss = D + γ·|R̄ − C|,   R̄ = the rate averaged over the batch, C rising from 0 to its value over the warm-up

The rate is held at C nats, rather than pressed down, and dimensions open one after another as C rises. Minus the loss is
no bound, since the rate up to C costs nothing or is even asked for.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.terms import Terms


class Capacity(nn.Module):
    """D + γ·|R̄ − C|.

    Args:
        model: the model to be trained.
        weight: γ > 0, the `kl_weight` of the recipe.
        capacity: C ≥ 0 at the end of the warm-up, in nats.

    References:
        Burgess et al., "Understanding Disentangling in β-VAE", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, weight: float, capacity: float) -> None:
        super().__init__()
        self.model, self.weight, self.capacity = model, weight, capacity

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); `kl_weight` rises to γ, and C with it."""
        joint = self.model.given(context).joint(x)
        distortion, rate = joint.distortion(), joint.rate()
        now = self.capacity * kl_weight / max(self.weight, 1e-30)
        force = self.weight * (rate.mean() - now).abs()
        return Terms(distortion + force, distortion, rate)
