"""Fit the best diagonal Gaussian posterior to each row.

    q_β = argmin_q β·D[q] + R[q]

Adam finds q_β for each row. The bound of q_β is measured with draws from another noise stream, because the draws used
in the fit would overstate the bound.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data import RowNoise, RowStream
from vaekit.distributions import DiagonalNormal, Reparameterized
from vaekit.evaluation.bounds import BUDGET, evaluate_draws
from vaekit.models import VariationalAutoEncoder

STEPS, PAIRS = 500, 4
"""Steps of Adam, and pairs of opposite draws per step: 4000 draws in all."""
FIRST_RATE, LAST_SHARE = 0.2, 0.1
"""Adam's initial learning rate, in standard deviations, and the share of it that remains at the last step."""
FORGET = (0.9, 0.9)
"""Adam's decays. With the usual 0.999 the large gradients of a bad start would shorten all later steps: Adam would not
reach narrow posteriors, and σ would end further from the optimum."""


def fit_block_rows(width: int) -> int:
    """Return how many rows to fit at a time, given the width of a model's widest tensor for one row."""
    # gradients keep the activations of every layer in memory
    return max(1, min(1024, BUDGET // (8 * 2 * PAIRS * width)))


@torch.no_grad()
def fit_posterior(
    model: VariationalAutoEncoder,
    x: Tensor,
    noise: RowNoise,
    prior: Distribution,
    start: Reparameterized,
    beta: float = 1.0,
    steps: int = STEPS,
) -> DiagonalNormal:
    """Find the diagonal Gaussian that minimises β·D + R for each row.

        q_β = argmin_q −β E_q[log p(x|z)] + KL[q ‖ p(z)]

    Only μ and log σ are optimised; the model's weights stay as they are.

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        start: the posterior that gives Adam its initial mean and standard deviation.
        beta: β ≥ 0.
        steps: T ≥ 1 steps of Adam.

    Returns:
        q_β, batch shape (B,). Its μ and log σ are averages over the last half of the steps.
    """
    mean, log_std = start.mean.clone(), start.stddev.log().requires_grad_()
    # μ moves in units of the current σ, so one learning rate suits wide and narrow posteriors, and a start that is too narrow
    shift = torch.zeros_like(mean).requires_grad_()
    adam = torch.optim.Adam([shift, log_std], lr=FIRST_RATE, betas=FORGET)
    slower = torch.optim.lr_scheduler.LinearLR(adam, 1.0, LAST_SHARE, steps)
    totals, kept = [torch.zeros_like(mean), torch.zeros_like(mean)], steps - steps // 2
    for turn in range(steps):
        std = log_std.exp()
        shift.grad, log_std.grad = _gradients(model, x, prior, (mean, shift, log_std), _pairs(noise, turn, mean), beta)
        adam.step()
        slower.step()
        mean = mean + std * shift
        shift.zero_()
        if turn >= steps // 2:
            totals = [totals[0] + mean, totals[1] + log_std]
    return DiagonalNormal(totals[0] / kept, (totals[1] / kept).exp())


def _gradients(
    model: VariationalAutoEncoder,
    x: Tensor,
    prior: Distribution,
    at: tuple[Tensor, Tensor, Tensor],
    epsilon: Tensor,
    beta: float,
) -> tuple[Tensor, ...]:
    """Return the gradients of β·D + R with respect to the shift of μ and to log σ."""
    mean, shift, log_std = at
    with torch.enable_grad():
        std = log_std.exp()
        q = DiagonalNormal(mean + std.detach() * shift, std)
        z = q.reparameterize(epsilon)
        joint = evaluate_draws(model, x, prior, q, z)
        loss = beta * joint.distortion() + joint.rate()
        return torch.autograd.grad(loss.sum(), (shift, log_std))


def _pairs(noise: RowNoise, turn: int, like: Tensor) -> Tensor:
    """Draw the noise of one step of Adam, together with its negative, shape (2·PAIRS, B, d)."""
    # each step has new draws: q would overfit a fixed few and become too narrow; all β share them, for a smooth curve
    shape = (PAIRS, like.shape[1])
    half = noise.normal(shape, RowStream.GAP_FIT, turn * math.prod(shape)).movedim(1, 0).to(like)
    return torch.cat([half, -half])
