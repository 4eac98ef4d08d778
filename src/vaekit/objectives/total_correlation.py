"""The negative evidence lower bound with a weight on the total correlation, the dependence of latent dimensions.

    loss = D + I + β·TC + K
    I  = E[log q(z|x) − log q(z)]          information about x
    TC = E[log q(z) − Σ_j log q(z_j)]      dependence between the dimensions
    K  = E[Σ_j log q(z_j) − log p(z)]      distance of each dimension from the prior

I + TC + K is the rate, so β = 1 is the evidence lower bound. q(z) is the average posterior over all N training rows. The
estimate of q(z) is a weighted average of the batch's posteriors, with the stratified weights of Chen et al. (2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan
from vaekit.processes.group import gather, own_rows


def stratified_log_weights(batch: int, rows: int, like: Tensor) -> Tensor:
    """Return a (B, B) matrix; row i holds the log-weights of the batch's posteriors in the estimate of q(z_i).

    The weights of each row sum to 1:

        1/N for the row itself, (N − M)/(N·M) for its neighbour, 1/M for the others,   M = B − 1

    Args:
        batch: B, rows in the batch, ≥ 2.
        rows: N, training rows, ≥ B − 1.
        like: any tensor of the dtype and device.

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


class TotalCorrelation(Objective):
    """D + I + β·TC + K, a negative evidence lower bound with weight β on the total correlation TC.

    Args:
        rows: N, the number of training rows.

    References:
        Chen, Li, Grosse and Duvenaud, "Isolating Sources of Disentanglement in Variational Autoencoders", 2018.
    """

    name = "tc"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the posterior is not diagonal."""
        yield from plan.needs_diagonal("objective=tc")

    @classmethod
    def beta(cls, options: Any) -> float | None:  # noqa: ARG003
        """Return 1, since β weights only one part of the rate, the total correlation."""
        return 1.0

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003
        """Return the objective for the plan's number of training rows."""
        return cls(plan.rows)

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: loss, D and R, where R is the full rate."""
        distortion, rate, z = draws.distortion(), draws.rate(), draws.z[0]
        mean, std = gather(draws.posterior.mean), gather(draws.posterior.stddev)
        if len(mean) < 2:
            return Terms(distortion + rate, distortion, rate)
        shares = own_rows(stratified_log_weights(len(mean), max(self.rows, len(mean)), z))
        posterior = torch.distributions.Normal(mean, std, validate_args=False)
        each = posterior.log_prob(z.unsqueeze(1))  # (b of z, B of q, d)
        together = torch.logsumexp(each.sum(-1) + shares, 1)
        apart = torch.logsumexp(each + shares.unsqueeze(-1), 1).sum(-1)
        return Terms(distortion + rate + (beta - 1) * (together - apart), distortion, rate)
