"""The negative evidence lower bound with a weight on the dependence between latent dimensions.

    loss = D + I + β·TC + K
    I  = E[log q(z|x) − log q(z)]          information about x
    TC = E[log q(z) − Σ_j log q(z_j)]      dependence between the dimensions
    K  = E[Σ_j log q(z_j) − log p(z)]      distance of each from the prior

I + TC + K is the rate, so β = 1 is the evidence lower bound. q(z) is the average posterior over all N training rows,
estimated from the batch: the row itself stands for one of the N, another one for those outside the batch, the rest for
themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.terms import Terms


def stratified_log_weights(batch: int, rows: int, like: Tensor) -> Tensor:
    """log of the share of each row of the batch in each row's estimate of q(z), shape (B, B); shares sum to 1.

        1/N for the row itself, (N − M)/(N·M) for its neighbour, 1/M for the others,   M = B − 1

    Args:
        batch: B ≥ 2.
        rows: N ≥ B − 1.
        like: for dtype and device.

    Examples:
        >>> stratified_log_weights(4, 100, torch.zeros(())).exp().sum(1)
        tensor([1.0000, 1.0000, 1.0000, 1.0000])
    """
    others = batch - 1
    weights = like.new_full((batch, batch), 1 / others)
    here = torch.arange(batch, device=like.device)
    weights[here, (here + 1) % batch] = (rows - others) / (rows * others)
    weights[here, here] = 1 / rows
    return weights.log()


class TotalCorrelation(nn.Module):
    """D + I + β·TC + K.

    Args:
        model: the model to be trained; its posterior must be a diagonal Gaussian.
        rows: N, the number of training rows.

    References:
        Chen, Li, Grosse and Duvenaud, "Isolating Sources of Disentanglement in Variational Autoencoders", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, rows: int) -> None:
        super().__init__()
        self.model, self.rows = model, rows

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); β = kl_weight; the rate given back is the whole one."""
        joint = self.model.given(context).joint(x)
        distortion, rate = joint.distortion(), joint.rate()
        if len(x) < 2:
            return Terms(distortion + rate, distortion, rate)
        z, mean, std = joint.z[0], joint.posterior.mean, joint.posterior.stddev
        shares = stratified_log_weights(len(x), max(self.rows, len(x)), z)
        posterior = torch.distributions.Normal(mean, std, validate_args=False)
        each = posterior.log_prob(z.unsqueeze(1))  # (B of z, B of q, d)
        together = torch.logsumexp(each.sum(-1) + shares, 1)
        apart = torch.logsumexp(each + shares.unsqueeze(-1), 1).sum(-1)
        return Terms(distortion + rate + (kl_weight - 1) * (together - apart), distortion, rate)
