"""The negative evidence lower bound with a penalty on the distance between codes and prior.

    loss = D + β·R + λ·MMD²(q(z), p(z)),   MMD² = E k(z, z′) + E k(y, y′) − 2 E k(z, y)

z are codes of the batch, y draws from the prior, k(a, b) = Σ_s s/(s + ‖a − b‖²) with widths s about 2d. The penalty is of
the codes all together, not of each, so that they may keep their information. With β = 0 it is the Wasserstein
autoencoder, which bounds no likelihood.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.terms import Terms

WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Widths of the kernel, as multiples of the mean squared distance of two draws from N(0, I)."""


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Inverse multiquadratic kernel of all pairs of (n, d) and (m, d): shape (n, m)."""
    distance = torch.cdist(a, b).square()
    return torch.stack([s * 2 * a.shape[-1] / (s * 2 * a.shape[-1] + distance) for s in WIDTHS]).sum(0)


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two samples of one size, without bias.

    Args:
        a: shape (n, d), n ≥ 2.
        b: shape (n, d).

    Returns:
        A scalar; about 0, and by chance below it, where both follow one distribution.

    References:
        Gretton et al., "A Kernel Two-Sample Test", 2012.
    """
    n = len(a)
    within = kernel(a, a).sum() + kernel(b, b).sum() - 2 * n * len(WIDTHS)  # each is as long as widths with itself
    return within / (n * (n - 1)) - 2 * kernel(a, b).mean()


class MMDPenalty(nn.Module):
    """D + β·R + λ·MMD².

    Args:
        model: the model to be trained.
        weight: λ ≥ 0.

    References:
        Zhao, Song and Ermon, "InfoVAE", 2019; Tolstikhin et al., "Wasserstein Auto-Encoders", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, weight: float) -> None:
        super().__init__()
        self.model, self.weight = model, weight

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); the penalty is shared by its rows."""
        joint = self.model.given(context).joint(x)
        distortion, rate = joint.distortion(), joint.rate()
        penalty = squared_mmd(joint.z[0], joint.prior.sample((len(x),))) if len(x) > 1 else rate.new_zeros(())
        return Terms(distortion + kl_weight * rate + self.weight * penalty, distortion, rate)
