"""The inference gap: how much of log p(x) the bound loses, and whether the family or the encoder is to blame.

    log p(x) − ELBO[q]  =  (log p(x) − ELBO[q*])  +  (ELBO[q*] − ELBO[q])
                            approximation gap         amortization gap

q = q(z|x) is the encoder's, and q* the best diagonal Gaussian of the row: that of greatest ELBO. What it loses, any
encoder of that family would lose; what the encoder loses besides, a better encoder would gain.

    β-weighted:  q_β = argmin_q β·D[q] + R[q],   q* = q_1

q_β is found for each row by Adam, and measured by draws of another stream: draws to which q_β was fitted praise it.

References:
    Cremer, Li and Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data import RowNoise, Rows, RowStream
from vaekit.distributions import DiagonalNormal, Reparameterized
from vaekit.errors import at_least_one
from vaekit.evaluation.annealing import annealed_bound
from vaekit.evaluation.bounds import BUDGET, CACHED, evaluating, widest
from vaekit.models import Draws, VariationalAutoEncoder

Array = npt.NDArray[np.float64]
STEPS, PAIRS = 500, 4
"""Steps of Adam, and pairs of opposite draws for each of them: 4000 draws in all."""
FIRST_RATE, LAST_SHARE = 0.2, 0.1
"""Adam's first step size, in standard deviations, and the share of it that is left at the last step."""
FORGET = (0.9, 0.9)
"""Adam's decays; with the customary 0.999 the large slopes of a bad start would shorten all steps after it, so that
narrow posteriors were not reached, and σ would come out further from the best."""


@dataclass(frozen=True)
class Drawn:
    """What K draws tell of q and each of B rows, in nats of the data as the model sees them.

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


@dataclass(frozen=True)
class InferenceGap:
    """The gap of each of n rows, in nats of the data as given.

    Args:
        log_likelihood: log p(x), estimated from below, shape (n,).
        elbo: ELBO of the encoder, shape (n,).
        best_elbo: ELBO of q*, shape (n,).
        mean: means of q*, shape (n, latent_dim).
        std: standard deviations of q*, shape (n, latent_dim).
        estimate: whose log p(x) it is, for each half of the rows the largest on average over the other half: importance
            weights of the "encoder", those of the "best" q*, or "annealed"; joined by "and" where the halves differ.
    """

    log_likelihood: Array
    elbo: Array
    best_elbo: Array
    mean: Array
    std: Array
    estimate: str

    @property
    def approximation(self) -> Array:
        """log p(x) − ELBO[q*], shape (n,)."""
        return self.log_likelihood - self.best_elbo

    @property
    def amortization(self) -> Array:
        """ELBO[q*] − ELBO[q], shape (n,)."""
        return self.best_elbo - self.elbo

    def figures(self) -> dict[str, dict[str, float | None]]:
        """Mean and standard error over rows of the bounds and of the gaps, whose differences are taken row by row.

        Returns:
            For each name `value` and `standard_error`; the latter None for a single row.

        Examples:
            >>> row = np.zeros((1, 2))
            >>> gap = InferenceGap(np.array([-1.0]), np.array([-4.0]), np.array([-2.0]), row, row, "best")
            >>> gap.figures()["amortization"]
            {'value': 2.0, 'standard_error': None}
        """
        columns = {
            "log_likelihood": self.log_likelihood,
            "elbo": self.elbo,
            "best_elbo": self.best_elbo,
            "approximation": self.approximation,
            "amortization": self.amortization,
            "gap": self.log_likelihood - self.elbo,
        }
        found = {name: mean_and_error(column) for name, column in columns.items()}
        return {name: {"value": value, "standard_error": error} for name, (value, error) in found.items()}


def mean_and_error(values: Array) -> tuple[float, float | None]:
    """Mean, and its standard error std/√n; None for a single row.

    Examples:
        >>> mean_and_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error


def fit_block_rows(model: VariationalAutoEncoder) -> int:
    """Rows that are fitted at a time, so that memory is bounded with what the slopes need kept of every layer."""
    return max(1, min(1024, BUDGET // (8 * 2 * PAIRS * widest(model))))


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
    """The diagonal Gaussian of each row that minimises β·D + R.

        q_β = argmin_q −β E_q[log p(x|z)] + KL[q ‖ p(z)]

    Slopes are taken of μ and log σ alone: the model's weights get none, and stay as they are.

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        start: where Adam starts, by its mean and standard deviation.
        beta: β ≥ 0.
        steps: T ≥ 1 steps of Adam.

    Returns:
        q_β, batch shape (B,): the average of μ and log σ over the last half of the steps.
    """
    mean, log_std = start.mean.clone(), start.stddev.log().requires_grad_()
    # μ moves in units of the present σ: one step size serves wide and narrow posteriors, and a start that was too narrow
    shift = torch.zeros_like(mean).requires_grad_()
    adam = torch.optim.Adam([shift, log_std], lr=FIRST_RATE, betas=FORGET)
    slower = torch.optim.lr_scheduler.LinearLR(adam, 1.0, LAST_SHARE, steps)
    totals, kept = [torch.zeros_like(mean), torch.zeros_like(mean)], steps - steps // 2
    for turn in range(steps):
        std = log_std.exp()
        shift.grad, log_std.grad = _slopes(model, x, prior, (mean, shift, log_std), _pairs(noise, turn, mean), beta)
        adam.step()
        slower.step()
        mean = mean + std * shift
        shift.zero_()
        if turn >= steps // 2:
            totals = [totals[0] + mean, totals[1] + log_std]
    return DiagonalNormal(totals[0] / kept, (totals[1] / kept).exp())


def _slopes(
    model: VariationalAutoEncoder,
    x: Tensor,
    prior: Distribution,
    at: tuple[Tensor, Tensor, Tensor],
    epsilon: Tensor,
    beta: float,
) -> tuple[Tensor, ...]:
    """Gradients of β·D + R by the shift of μ and by log σ."""
    mean, shift, log_std = at
    with torch.enable_grad():
        std = log_std.exp()
        q = DiagonalNormal(mean + std.detach() * shift, std)
        z = q.reparameterize(epsilon)
        joint = _joint(model, x, prior, q, z)
        loss = beta * joint.distortion() + joint.rate()
        return torch.autograd.grad(loss.sum(), (shift, log_std))


def _joint(model: VariationalAutoEncoder, x: Tensor, prior: Distribution, q: Reparameterized, z: Tensor) -> Draws:
    """The terms of the bound at draws of any q; the prior, which may be dear to build, is built once for all."""
    p = model.decoder(z)
    return Draws(q, prior, z, p, p.log_prob(x))


def _pairs(noise: RowNoise, turn: int, like: Tensor) -> Tensor:
    """Draws of one step and their opposites, shape (2·PAIRS, B, d).

    Each step has draws of its own, from the row: few draws used again and again would be fitted, and q narrowed to them.
    They are the same for every β, so that points of a curve do not scatter against each other.
    """
    shape = (PAIRS, like.shape[1])
    half = noise.normal(shape, RowStream.GAP_FIT, turn * math.prod(shape)).movedim(1, 0).to(like)
    return torch.cat([half, -half])


def measure_posterior(
    model: VariationalAutoEncoder, x: Tensor, noise: RowNoise, prior: Distribution, q: Reparameterized, samples: int
) -> Drawn:
    """The bounds of any q by draws to which it was not fitted.

        log w_k = log p(x|z_k) + log p(z_k) − log q(z_k|x)

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        q: q(z|x), batch shape (B,).
        samples: K ≥ 1.

    Returns:
        The bounds, in float64.
    """
    dims, chunk = q.mean.shape[1], max(1, CACHED // (widest(model) * len(x)))
    elbo = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    distortion, rate, total = torch.zeros_like(elbo), torch.zeros_like(elbo), torch.full_like(elbo, -math.inf)
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        # Not the noise of the fit: q_β is best for just those draws, so that they would find it better than it is. For
        # the same reason no two candidates may be compared by these draws and the better one kept.
        epsilon = noise.normal((count, dims), RowStream.GAP_MEASURE, start * dims).movedim(1, 0).to(q.mean)
        z = q.reparameterize(epsilon)
        joint = _joint(model, x, prior, q, z)
        log_weights = joint.log_weights().double()
        elbo += log_weights.sum(0)
        distortion -= joint.log_likelihood.double().sum(0)
        rate += count * joint.rate().double()
        total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
    return Drawn(elbo / samples, total - math.log(samples), distortion / samples, rate / samples)


def inference_gap(
    model: VariationalAutoEncoder,
    rows: Rows,
    samples: int = 1000,
    steps: int = STEPS,
    temperatures: int | None = None,
    chains: int = 16,
) -> InferenceGap:
    """What the encoder's bound loses of log p(x), parted into the family's share and the encoder's.

        log p(x) − ELBO[q] = (log p(x) − ELBO[q*]) + (ELBO[q*] − ELBO[q])

    The whole gap and the approximation gap are estimated from below, by as much as log p(x) is. Where Adam has not
    reached q*, the amortization gap is too small and the approximation gap too large by the same amount: see whether
    more steps change it. An encoder whose family is richer than the diagonal Gaussians may have a negative
    amortization gap.

    Args:
        model: in evaluation mode or not; it is measured without dropout and left as it was.
        rows: the rows.
        samples: K ≥ 1 draws of each q for each row, by which both ELBOs are measured and log p(x) is estimated.
        steps: T ≥ 1 steps of Adam.
        temperatures: ≥ 1, of annealed importance sampling as another estimate of log p(x); None for none.
        chains: ≥ 1 for each row, of annealing.

    Returns:
        The bounds and gaps of each row, in nats of the data as given.

    Raises:
        VaekitError: if a number is below 1.

    References:
        Cremer, Li and Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018; Neal, "Annealed Importance
        Sampling", 2001.
    """
    for name, value in (("samples", samples), ("steps", steps), ("temperatures", temperatures), ("chains", chains)):
        at_least_one(1 if value is None else value, name)
    parts: list[tuple[Tensor, ...]] = []
    with evaluating(model) as device:
        prior = model.prior()
        for x, noise, context in rows.blocks(fit_block_rows(model)):
            x, at = x.to(device), model.given(context)
            posterior: Reparameterized = at.encoder(x)
            best = fit_posterior(at, x, noise, prior, posterior, steps=steps)
            own = measure_posterior(at, x, noise, prior, posterior, samples)
            found = measure_posterior(at, x, noise, prior, best, samples)
            parts.append((own.elbo, found.elbo, own.log_likelihood, found.log_likelihood, best.mean, best.stddev))
    elbo, best_elbo, encoder, optimised, mean, std = (
        torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)
    )
    log_det = rows.transform.log_det()
    estimates = {"encoder": encoder + log_det, "best": optimised + log_det}
    if temperatures is not None:
        estimates["annealed"] = annealed_bound(model, rows, chains, temperatures)
    log_likelihood, chosen = _chosen(estimates)
    return InferenceGap(log_likelihood, elbo + log_det, best_elbo + log_det, mean, std, chosen)


def _chosen(estimates: dict[str, Array]) -> tuple[Array, str]:
    """Of each half of the rows the estimate that is the greatest for the other half, and the names of those.

    The greatest for the rows themselves would be the luckiest, and no lower bound in expectation. A single row has the
    last of the estimates.
    """
    found = np.empty_like(next(iter(estimates.values())))
    halves, names = (slice(0, None, 2), slice(1, None, 2)), []
    for half, other in zip(halves, halves[::-1], strict=True):
        known = found[other].size > 0
        names.append(max(estimates, key=lambda n: estimates[n][other].mean()) if known else list(estimates)[-1])
        found[half] = estimates[names[-1]][half]
    return found, " and ".join(dict.fromkeys(names[: len(found)]))
