"""Annealed importance sampling: log p(x) where importance weights by themselves are too uneven.

    f_t(z) = q(z|x)^{1 − β_t} p(x, z)^{β_t},   0 = β_0 < … < β_T = 1
    log w  = Σ_t (β_t − β_{t−1}) [log p(x, z_{t−1}) − log q(z_{t−1}|x)],   z_0 ~ q,  z_t from z_{t−1} by HMC on f_t

log (1/K) Σ_k w_k is a lower bound of log p(x) in expectation, and tends to it with T and with K. Run backwards from a
draw of the true posterior, −log of the average weight is an upper bound. Such a draw is at hand where the rows are made
by the model itself: z ~ p(z), x ~ p(x|z). The two together tell how far the estimate can be off.

The step sizes of the leapfrog are tuned, for each row and temperature, in a run of its own with other noise: steps that
learnt from the chains they move would spoil the weights.

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
from vaekit.evaluation.bounds import BUDGET, evaluating, widest
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]
TUNE = (RowStream.TUNE_MOVES, RowStream.TUNE_ACCEPTANCE)
FORWARD = (RowStream.FORWARD_MOVES, RowStream.FORWARD_ACCEPTANCE)
BACKWARD = (RowStream.BACKWARD_MOVES, RowStream.BACKWARD_ACCEPTANCE)
"""Streams of each run: starts and momenta, acceptance."""
LEAPFROG, ACCEPTED, FIRST_STEP = 10, 0.65, 0.1
"""Leapfrog steps of a move, the share of moves that should be accepted, and the step size that tuning begins with."""
TUNING_CHAINS = 8
SIMULATED = 100
"""Rows that are simulated at a time, whatever the blocks, so that the same seed gives the same."""


def schedule(temperatures: int) -> list[float]:
    """β_0 … β_T, dense at both ends, where the densities change most: a sigmoid from −4 to 4.

    Examples:
        >>> [round(b, 3) for b in schedule(4)]
        [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    raw = [1 / (1 + math.exp(-4 * (2 * t / temperatures - 1))) for t in range(temperatures + 1)]
    return [(r - raw[0]) / (raw[-1] - raw[0]) for r in raw]


@dataclass
class Chains:
    """K chains for each of B rows, in the coordinates u = g⁻¹(z) of the noise from which the posterior is made.

    Args:
        model: whose joint density is sampled.
        x: the rows as the model sees them, shape (B, *event).
        posterior: q(z|x).
        prior: p(z).
        noise: the rows' own noise.
        streams: those of starts and momenta, and of acceptance.
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
        """Standard normal noise of one turn, shape (K, B, d)."""
        shape = (self.count, self.posterior.event_shape[0])
        return self.noise.normal(shape, self.streams[0], turn * math.prod(shape)).movedim(1, 0).to(self.x)

    def uniform(self, turn: int) -> Tensor:
        """Uniform noise of one turn, shape (K, B)."""
        return self.noise.uniform((self.count,), self.streams[1], turn * self.count).T.to(self.x)

    def log_ratio(self, u: Tensor) -> Tensor:
        """log p(x, z) − log q(z|x) of each chain, shape (K, B)."""
        z = self.posterior.reparameterize(u)
        posterior: Distribution = self.posterior
        return self.model.decoder(z).log_prob(self.x) + self.prior.log_prob(z) - posterior.log_prob(z)

    def move(self, u: Tensor, beta: float, step: Tensor, turn: int) -> tuple[Tensor, Tensor]:
        """One Hamiltonian move on q^{1−β} p(x, z)^β; new places, and whether each was accepted.

        Args:
            u: places, shape (K, B, d).
            beta: β.
            step: step sizes, shape (B,).
            turn: chooses the noise.
        """

        def slope(at: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                at = at.detach().requires_grad_()
                density = beta * self.log_ratio(at) - 0.5 * at.square().sum(-1)  # of u, where q is N(0, I)
                (gradient,) = torch.autograd.grad(density.sum(), at)
            return density.detach(), gradient

        size = step.unsqueeze(-1)
        start = momentum = self.normal(turn)
        density, gradient = slope(u)
        place, before = u, density - 0.5 * start.square().sum(-1)
        momentum = momentum + 0.5 * size * gradient
        for turned in range(LEAPFROG):
            place = place + size * momentum
            density, gradient = slope(place)
            momentum = momentum + (0.5 if turned == LEAPFROG - 1 else 1.0) * size * gradient
        gain = (density - 0.5 * momentum.square().sum(-1) - before).nan_to_num(nan=-math.inf)
        accepted = self.uniform(turn).log() < gain
        return torch.where(accepted.unsqueeze(-1), place, u), accepted

    def anneal(self, u: Tensor, betas: list[float], steps: Callable[[int, Tensor], Tensor]) -> Tensor:
        """log w of each chain along these temperatures, from the first to the last, shape (K, B).

        Args:
            u: places at the first temperature, shape (K, B, d).
            betas: the temperatures, in either direction.
            steps: from the number of a temperature, and what was accepted there before (of tuning), to step sizes.
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
    """Step sizes for each temperature, shape (B,) each, that follow the share of accepted moves."""
    step = torch.full((len(chains.x),), FIRST_STEP, device=chains.x.device)
    found = [step]

    def follow(t: int, accepted: Tensor) -> Tensor:  # noqa: ARG001 - the place is the list's own
        found.append((found[-1] * torch.exp(accepted - ACCEPTED)).clamp(1e-4, 2.0))
        return found[-1]

    chains.anneal(chains.normal(0), betas, follow)
    return [*found, found[-1]]


def annealed_bound(model: VariationalAutoEncoder, rows: Rows, chains: int, temperatures: int) -> Array:
    """A lower bound of log p(x) in expectation, for each row, by annealed importance sampling.

    Args:
        model: the model.
        rows: the rows.
        chains: K ≥ 1 for each row.
        temperatures: T ≥ 1; 1 is the importance-weighted bound of K draws.

    Returns:
        log (1/K) Σ_k w_k in nats of the data as given, shape (n,).
    """
    betas, found = schedule(temperatures), []
    with evaluating(model) as device:
        for x, noise, context in rows.blocks(_block(model, chains)):
            tuned = _chains(model.given(context), x.to(device), noise)
            found.append(_forward(tuned, chains, betas, tune(tuned, betas)))
    return torch.cat(found).cpu().numpy() + rows.transform.log_det()


def bracket(
    model: VariationalAutoEncoder,
    examples: int,
    chains: int,
    temperatures: int,
    seed: int = 0,
    context: Tensor | None = None,
) -> tuple[Array, Array]:
    """Lower and upper bounds of log p(x) for rows that the model itself makes, in the units that it sees.

    Args:
        model: the model.
        examples: how many rows.
        chains: K ≥ 1 for each row.
        temperatures: T ≥ 1.
        seed: of the rows.
        context: c of each row, where the model is conditional, shape (examples, ...).

    Returns:
        Bounds that hold in expectation, shape (examples,) each.
    """
    betas, lower, upper, size = schedule(temperatures), [], [], _block(model, chains)
    with evaluating(model):
        given = repeat(None) if context is None else context.split(SIMULATED)
        with seeded(seed):
            z = model.prior().sample((examples,))
            x = torch.cat(
                [model.given(c).decoder(part).sample() for part, c in zip(z.split(SIMULATED), given, strict=False)]
            )
        for start in range(0, examples, size):
            some, own = x[start : start + size], z[start : start + size]
            at = model.given(None if context is None else context[start : start + size])
            tuned = _chains(at, some, RowNoise(some.cpu().numpy(), seed))
            steps = tune(tuned, betas)
            lower.append(_forward(tuned, chains, betas, steps))
            upper.append(_backward(tuned, own, chains, betas, steps))
    return torch.cat(lower).cpu().numpy(), torch.cat(upper).cpu().numpy()


def _block(model: VariationalAutoEncoder, chains: int) -> int:
    return max(1, BUDGET // (8 * chains * widest(model)))


def _chains(model: VariationalAutoEncoder, x: Tensor, noise: RowNoise) -> Chains:
    """The chains that tune; those that measure differ in streams and number."""
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
