"""The best diagonal Gaussian of each row, and bounds measured by draws of any posterior.

    q_β = argmin_q β·D[q] + R[q]

Adam finds q_β for each row. Draws of another stream measure it: the draws to which it was fitted would overstate it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data import RowNoise, RowStream
from vaekit.distributions import DiagonalNormal, Reparameterized
from vaekit.evaluation.bounds import BUDGET, CACHED
from vaekit.models import Draws, VariationalAutoEncoder

STEPS, PAIRS = 500, 4
"""Steps of Adam, and pairs of opposite draws for each of them: 4000 draws in all."""
FIRST_RATE, LAST_SHARE = 0.2, 0.1
"""Adam's first learning rate, in standard deviations, and the share of it that is left at the last step."""
FORGET = (0.9, 0.9)
"""Adam's decays. With the usual 0.999 the large gradients of a bad start would shorten all later steps: Adam would not
reach narrow posteriors, and σ would end further from the optimum."""


@dataclass(frozen=True)
class Drawn:
    """Hold the bounds of q by K draws for each of B rows, in nats of the data as the model sees them.

    Args:
        elbo: (1/K) Σ_k log w_k, shape (B,); without noise where q is the true posterior.
        log_likelihood: log (1/K) Σ_k w_k, shape (B,).
        distortion: D, shape (B,).
        rate: R, shape (B,); in closed form between diagonal Gaussians.
    """

    elbo: Tensor
    log_likelihood: Tensor
    distortion: Tensor
    rate: Tensor


def fit_block_rows(width: int) -> int:
    """Return how many rows of this width to fit at a time; gradients keep the numbers of every layer in memory."""
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
    """Fit to each row the diagonal Gaussian that minimises β·D + R.

        q_β = argmin_q −β E_q[log p(x|z)] + KL[q ‖ p(z)]

    Only μ and log σ are optimised; the model's weights stay as they are.

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        start: a posterior whose mean and standard deviation Adam starts from.
        beta: β ≥ 0.
        steps: T ≥ 1 steps of Adam.

    Returns:
        q_β, batch shape (B,): the average of μ and log σ over the last half of the steps.
    """
    mean, log_std = start.mean.clone(), start.stddev.log().requires_grad_()
    # μ moves in units of the current σ: one learning rate serves wide and narrow posteriors, and a start that is too narrow
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
    """Differentiate β·D + R with respect to the shift of μ and to log σ."""
    mean, shift, log_std = at
    with torch.enable_grad():
        std = log_std.exp()
        q = DiagonalNormal(mean + std.detach() * shift, std)
        z = q.reparameterize(epsilon)
        joint = _joint(model, x, prior, q, z)
        loss = beta * joint.distortion() + joint.rate()
        return torch.autograd.grad(loss.sum(), (shift, log_std))


def _joint(model: VariationalAutoEncoder, x: Tensor, prior: Distribution, q: Reparameterized, z: Tensor) -> Draws:
    """Evaluate the terms of the bound at draws of any q; the prior, which may be expensive to build, is passed in."""
    p = model.decoder(z)
    return Draws(q, prior, z, p, p.log_prob(x))


def _pairs(noise: RowNoise, turn: int, like: Tensor) -> Tensor:
    """Draw the noise of one step and its opposite, shape (2·PAIRS, B, d).

    Each step has its own draws: q would overfit a few draws that are used again and again, and become too narrow.
    All β share their draws, so that the points of a curve do not scatter against each other.
    """
    shape = (PAIRS, like.shape[1])
    half = noise.normal(shape, RowStream.GAP_FIT, turn * math.prod(shape)).movedim(1, 0).to(like)
    return torch.cat([half, -half])


def measure_posterior(
    model: VariationalAutoEncoder,
    x: Tensor,
    noise: RowNoise,
    prior: Distribution,
    q: Reparameterized,
    samples: int,
    width: int,
) -> Drawn:
    """Measure the bounds of any q by draws to which it was not fitted.

        log w_k = log p(x|z_k) + log p(z_k) − log q(z_k|x)

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        q: q(z|x), batch shape (B,).
        samples: K ≥ 1.
        width: numbers of the widest tensor for one example, which limits the draws made at a time.

    Returns:
        The bounds, in float64.
    """
    dims, chunk = q.mean.shape[1], max(1, CACHED // (width * len(x)))
    elbo = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    distortion, rate, total = torch.zeros_like(elbo), torch.zeros_like(elbo), torch.full_like(elbo, -math.inf)
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        # Not the noise of the fit: q_β is optimal for those draws, which would overstate its bound. For the same reason
        # these draws must not choose between two candidates.
        epsilon = noise.normal((count, dims), RowStream.GAP_MEASURE, start * dims).movedim(1, 0).to(q.mean)
        z = q.reparameterize(epsilon)
        joint = _joint(model, x, prior, q, z)
        log_weights = joint.log_weights().double()
        elbo += log_weights.sum(0)
        distortion -= joint.log_likelihood.double().sum(0)
        rate += count * joint.rate().double()
        total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
    return Drawn(elbo / samples, total - math.log(samples), distortion / samples, rate / samples)
