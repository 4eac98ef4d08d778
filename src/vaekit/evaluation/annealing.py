"""Annealed importance sampling: a lower bound on log p(x) for rows with very uneven importance weights.

    f_t(z) = q(z|x)^{1 − β_t} p(x, z)^{β_t},   0 = β_0 < … < β_T = 1
    log w  = Σ_t (β_t − β_{t−1}) [log p(x, z_{t−1}) − log q(z_{t−1}|x)],   z_0 ~ q,  z_t from z_{t−1} by HMC on f_t

log (1/K) Σ_k w_k is a lower bound on log p(x) in expectation, and converges to it as T or K grows. If the chain runs
backwards from a draw of the true posterior, the negative log of the average weight is an upper bound. Rows simulated
by the model, z ~ p(z), x ~ p(x|z), come with such a draw. The distance between the bounds shows the possible error.

A separate run with its own noise tunes the leapfrog step size for each row and temperature. Chains that tuned their own
step sizes would bias the weights.

References:
    Neal, "Annealed Importance Sampling", 2001; Wu, Burda, Salakhutdinov and Grosse, "On the Quantitative Analysis of
    Decoder-Based Generative Models", 2017; Grosse, Ancha and Roy, "Measuring the Reliability of MCMC Inference with
    Bidirectional Monte Carlo", 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data import RowNoise, Rows, RowStream, seeded
from vaekit.distributions import Reparameterized
from vaekit.evaluation.bounds import BUDGET, evaluating, first_row, measure, widest
from vaekit.evaluation.estimate import Estimate
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]
TUNE = (RowStream.TUNE_MOVES, RowStream.TUNE_ACCEPTANCE)
FORWARD = (RowStream.FORWARD_MOVES, RowStream.FORWARD_ACCEPTANCE)
BACKWARD = (RowStream.BACKWARD_MOVES, RowStream.BACKWARD_ACCEPTANCE)
"""Noise streams of each run: one for starting points and momenta, one for acceptance."""
LEAPFROG, ACCEPTED, FIRST_STEP = 10, 0.65, 0.1
"""Leapfrog steps per move, the target acceptance rate, and the initial step size."""
CHAINS, TUNING_CHAINS = 16, 8
"""Chains per row for measuring, and for tuning."""
SIMULATED = 100
"""Rows simulated at a time. It does not depend on the block size, so a seed always gives the same rows."""


@dataclass(frozen=True)
class Annealed:
    """Hold an estimate of the mean log p(x) of rows, in nats, made by annealed importance sampling.

    Args:
        value: the mean of the lower bound.
        standard_error: standard error of `value` over the rows; all errors are None for a single row.
        gain: how far `value` lies above the importance-weighted bound on the same rows.
        gain_error: standard error of the gain.
        gap: mean distance between an upper and a lower bound, on as many rows simulated by the model; None for mixed
            tables, for which no rows are simulated.
        gap_error: standard error of the gap.
        examples: the number of rows measured.
        chains: chains per row.
        temperatures: T.
    """

    value: float
    standard_error: float | None
    gain: float
    gain_error: float | None
    gap: float | None
    gap_error: float | None
    examples: int
    chains: int
    temperatures: int

    def __str__(self) -> str:
        value, gain = Estimate(self.value, self.standard_error), Estimate(self.gain, self.gain_error)
        text = f"≥ {value} nats ({self.examples} examples), {gain} above the bound from K draws on the same rows"
        if self.gap is None:
            return text
        return f"{text}; on rows simulated by the model, upper and lower bound are {Estimate(self.gap, self.gap_error)} apart"


def schedule(temperatures: int) -> list[float]:
    """Return the temperatures β_0 … β_T along a sigmoid: dense at both ends, where the densities change most.

    Examples:
        >>> [round(b, 3) for b in schedule(4)]
        [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    raw = [1 / (1 + math.exp(-4 * (2 * t / temperatures - 1))) for t in range(temperatures + 1)]
    return [(r - raw[0]) / (raw[-1] - raw[0]) for r in raw]


@dataclass
class Chains:
    """Run K annealing chains for each of B rows, in the coordinates u = g⁻¹(z) of the posterior's noise.

    Args:
        model: gives the joint density p(x, z).
        x: the rows as the model sees them, shape (B, *event).
        posterior: q(z|x).
        prior: p(z).
        noise: the rows' own noise.
        streams: the noise streams, one for starting points and momenta, one for acceptance.
        count: K.
    """

    model: VariationalAutoEncoder
    x: Tensor
    posterior: Reparameterized
    prior: Distribution
    noise: RowNoise
    streams: tuple[RowStream, RowStream]
    count: int

    def normal(self, turn: int) -> Tensor:
        """Draw standard normal noise for one move of all chains, shape (K, B, d)."""
        shape = (self.count, self.posterior.event_shape[0])
        return self.noise.normal(shape, self.streams[0], turn * math.prod(shape)).movedim(1, 0).to(self.x)

    def uniform(self, turn: int) -> Tensor:
        """Draw uniform noise for one move of all chains, shape (K, B)."""
        return self.noise.uniform((self.count,), self.streams[1], turn * self.count).T.to(self.x)

    def log_ratio(self, u: Tensor) -> Tensor:
        """Return log p(x, z) − log q(z|x) at the position of each chain, shape (K, B)."""
        z = self.posterior.reparameterize(u)
        posterior: Distribution = self.posterior
        return self.model.decoder(z).log_prob(self.x) + self.prior.log_prob(z) - posterior.log_prob(z)

    def move(self, u: Tensor, beta: float, step: Tensor, turn: int) -> tuple[Tensor, Tensor]:
        """Move every chain once by Hamiltonian Monte Carlo on the density q^{1−β} p(x, z)^β.

        Args:
            u: positions, shape (K, B, d).
            beta: β.
            step: step sizes, shape (B,).
            turn: the number of the move, which selects its noise.

        Returns:
            The new positions, and whether each move was accepted, shape (K, B).
        """

        def differentiate(at: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                at = at.detach().requires_grad_()
                density = beta * self.log_ratio(at) - 0.5 * at.square().sum(-1)  # of u, where q is N(0, I)
                (gradient,) = torch.autograd.grad(density.sum(), at)
            return density.detach(), gradient

        size = step.unsqueeze(-1)
        start = momentum = self.normal(turn)
        density, gradient = differentiate(u)
        position, before = u, density - 0.5 * start.square().sum(-1)
        momentum = momentum + 0.5 * size * gradient
        for turned in range(LEAPFROG):
            position = position + size * momentum
            density, gradient = differentiate(position)
            momentum = momentum + (0.5 if turned == LEAPFROG - 1 else 1.0) * size * gradient
        gain = (density - 0.5 * momentum.square().sum(-1) - before).nan_to_num(nan=-math.inf)
        accepted = self.uniform(turn).log() < gain
        return torch.where(accepted.unsqueeze(-1), position, u), accepted

    def anneal(self, u: Tensor, betas: list[float], steps: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Move all chains through the temperatures, and return the log weight log w of each chain, shape (K, B).

        Args:
            u: positions at the first temperature, shape (K, B, d).
            betas: the temperatures, in either direction.
            steps: returns step sizes, shape (B,), for the index of a temperature and the latest acceptance rates.
        """
        total = torch.zeros(u.shape[:2], dtype=torch.float64, device=u.device)
        accepted = torch.full(u.shape[:2], ACCEPTED, device=u.device)
        for t in range(1, len(betas)):
            total += (betas[t] - betas[t - 1]) * self.log_ratio(u).double()
            if t < len(betas) - 1:
                u, moved = self.move(u, betas[t], steps(t, accepted.mean(0)), t)
                accepted = moved.to(u)
        return total


def tune(chains: Chains, betas: list[float]) -> list[Tensor]:
    """Tune the step sizes of each temperature, shape (B,), towards the target acceptance rate."""
    step = torch.full((len(chains.x),), FIRST_STEP, device=chains.x.device)
    found = [step]

    def follow(t: int, accepted: Tensor) -> Tensor:  # noqa: ARG001 - `found` grows by one per temperature
        found.append((found[-1] * torch.exp(accepted - ACCEPTED)).clamp(1e-4, 2.0))
        return found[-1]

    chains.anneal(chains.normal(0), betas, follow)
    return [*found, found[-1]]


def anneal(model: VariationalAutoEncoder, rows: Rows, temperatures: int, samples: int) -> Annealed:
    """Estimate the mean log p(x) of rows by annealed importance sampling, and bound the error on simulated rows.

    Args:
        model: the model.
        rows: the rows; annealing takes as long for each as thousands of draws of z.
        temperatures: T ≥ 1.
        samples: K ≥ 1, the draws of z for the importance-weighted bound to compare with.

    Returns:
        The average over the rows.
    """
    annealed = annealed_bound(model, rows, CHAINS, temperatures)
    value, gain = Estimate.of(annealed), Estimate.of(annealed - measure(model, rows, samples).score)
    gap: tuple[float | None, float | None] = (None, None)
    if rows.transform.cells is None:
        lower, upper = bracket(model, len(rows), CHAINS, temperatures, rows.seed, rows.context())
        distance = Estimate.of(upper - lower)
        gap = distance.value, distance.standard_error
    errors = value.standard_error, gain.standard_error
    return Annealed(value.value, errors[0], gain.value, errors[1], *gap, len(rows), CHAINS, temperatures)


def annealed_bound(model: VariationalAutoEncoder, rows: Rows, chains: int, temperatures: int) -> Array:
    """Compute a lower bound on log p(x) of each row by annealed importance sampling; the bound holds in expectation.

    Args:
        model: the model.
        rows: the rows.
        chains: K ≥ 1 for each row.
        temperatures: T ≥ 1; with T = 1 this is the importance-weighted bound of K draws.

    Returns:
        log (1/K) Σ_k w_k in nats of the data as given, shape (n,).
    """
    betas, found = schedule(temperatures), []
    with evaluating(model) as device:
        for x, noise, context in rows.blocks(_block(widest(model, *first_row(rows)), chains)):
            tuned = _chains(model.given(context), x.to(device), noise)
            found.append(_forward(tuned, chains, betas, tune(tuned, betas)))
    return torch.cat(found).cpu().numpy() + rows.transform.log_det()


def simulate(
    model: VariationalAutoEncoder, examples: int, seed: int = 0, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Draw rows from the model, each with the z that it was drawn from: z ~ p(z), x ~ p(x|z).

    Args:
        model: the model.
        examples: how many rows to draw.
        seed: the same seed gives the same rows.
        context: c of each row if the model is conditional, shape (examples, ...).

    Returns:
        z, shape (examples, latent_dim), and x as the model sees it, shape (examples, *event).
    """
    given = repeat(None) if context is None else context.split(SIMULATED)
    with evaluating(model), seeded(seed):
        z = model.prior().sample((examples,))
        parts = zip(z.split(SIMULATED), given, strict=False)
        return z, torch.cat([model.given(c).decoder(part).sample() for part, c in parts])


def bracket(
    model: VariationalAutoEncoder,
    examples: int,
    chains: int,
    temperatures: int,
    seed: int = 0,
    context: Tensor | None = None,
) -> tuple[Array, Array]:
    """Compute lower and upper bounds on log p(x) of rows that the model simulates.

    Args:
        model: the model.
        examples: how many rows to simulate.
        chains: K ≥ 1 for each row.
        temperatures: T ≥ 1.
        seed: seed of the simulated rows.
        context: c of each row if the model is conditional, shape (examples, ...).

    Returns:
        The lower and the upper bound, shape (examples,) each. They hold in expectation, for data in the model's units.
    """
    betas, lower, upper = schedule(temperatures), [], []
    z, x = simulate(model, examples, seed, context)
    with evaluating(model):
        size = _block(widest(model, x, context), chains)
        for start in range(0, examples, size):
            some, own = x[start : start + size], z[start : start + size]
            at = model.given(None if context is None else context[start : start + size])
            tuned = _chains(at, some, RowNoise(some.cpu().numpy(), seed))
            steps = tune(tuned, betas)
            lower.append(_forward(tuned, chains, betas, steps))
            upper.append(_backward(tuned, own, chains, betas, steps))
    return torch.cat(lower).cpu().numpy(), torch.cat(upper).cpu().numpy()


def _block(width: int, chains: int) -> int:
    return max(1, BUDGET // (8 * chains * width))


def _chains(model: VariationalAutoEncoder, x: Tensor, noise: RowNoise) -> Chains:
    """Build the chains that tune the step sizes."""
    return Chains(model, x, model.encoder(x), model.prior(), noise, TUNE, TUNING_CHAINS)


def _forward(tuned: Chains, count: int, betas: list[float], steps: list[Tensor]) -> Tensor:
    chains = replace(tuned, streams=FORWARD, count=count)
    weights = chains.anneal(chains.normal(0), betas, lambda t, _accepted: steps[t])
    return torch.logsumexp(weights, 0) - math.log(count)


def _backward(tuned: Chains, z: Tensor, count: int, betas: list[float], steps: list[Tensor]) -> Tensor:
    chains = replace(tuned, streams=BACKWARD, count=count)
    u = chains.posterior.standardize(z).expand(count, *z.shape)
    weights = chains.anneal(u, betas[::-1], lambda t, _accepted: steps[-1 - t])
    return math.log(count) - torch.logsumexp(weights, 0)
