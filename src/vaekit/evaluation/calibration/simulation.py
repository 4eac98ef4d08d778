"""Simulation-based calibration: is the posterior that inference gives that of the model?

    z* ~ p(z),  x ~ p(x|z*),  z_1, …, z_K ~ q(z|x) with weights w_k ∝ p(x, z_k)/q(z_k|x)
    u = (K · Σ_k w_k [f(z_k) < f(z*)] + U) / (K + 1)                                    U uniform on (0, 1)

Then z* is a draw from p(z|x), so u is uniform for every f if the weighted draws are, too. Here f is each latent dimension,
and log p(x|z), which depends on all of them. With equal weights, u judges q itself.

Rows come from the model and not from data: these figures say nothing about how well the model fits.

References:
    Talts, Betancourt, Simpson, Vehtari and Gelman, "Validating Bayesian Inference Algorithms with Simulation-Based
    Calibration", 2018; Modrák et al., "Simulation-Based Calibration Checking for Bayesian Computation: The Choice of Test
    Quantities Shapes Sensitivity", 2023, for log p(x|z).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, RowStream, SeedStream, seeded
from vaekit.evaluation.bounds import CACHED, block_rows, evaluate_draws, evaluating, widest
from vaekit.evaluation.calibration.uniformity import Uniformity, measure_uniformity
from vaekit.evaluation.record import Record
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]
Observe = Callable[[VariationalAutoEncoder, Tensor], Tensor]
"""Draws x ~ p(x|z) as the model sees it."""

ROWS = 400
"""Rows drawn from the model."""
SAMPLES = 100
"""Most draws of z for each row."""
LOG_LIKELIHOOD = "log p(x|z)"


@dataclass(frozen=True)
class Simulation(Record):
    """Hold the positions of known codes among draws of the posterior, for rows drawn from the model.

    Args:
        rows: rows drawn from the model.
        samples: K, the draws of z for each row.
        effective: mean effective number of draws, (Σ w)²/Σ w².
        weighted: for each latent dimension and for log p(x|z), the positions among importance-weighted draws, from which
            missing cells are filled.
        encoder: the same among draws of q(z|x) with equal weights.
    """

    rows: int
    samples: int
    effective: float
    weighted: tuple[Uniformity, ...]
    encoder: tuple[Uniformity, ...]

    @staticmethod
    def worst(found: tuple[Uniformity, ...]) -> Uniformity:
        """Return the quantity that is furthest from uniform, one outside its band if there is any."""
        return max(found, key=lambda each: (not each.inside, each.distance))


def simulate(
    model: VariationalAutoEncoder, samples: int, seed: int, observe: Observe, context: Tensor | None = None
) -> Simulation:
    """Draw rows from a model, and find the positions of their codes among draws of the posterior.

    Args:
        model: the model.
        samples: K, at most 100 draws of z for each row.
        seed: determines the rows.
        observe: draws x ~ p(x|z) as the model sees it.
        context: context of rows, shape (n, ...), for a conditional model; its rows are repeated.

    Returns:
        The figures.
    """
    samples = min(samples, SAMPLES)
    rng = SeedStream.CALIBRATION_CODES.rng(seed)
    with evaluating(model) as device, seeded(int(rng.integers(2**62))):
        truth = model.prior().sample((ROWS,))
        given = None if context is None else context[torch.arange(ROWS) % len(context)]
        width = widest(model, observe(_at(model, given, slice(0, 1)), truth[:1]), given)
        size, found = block_rows(width), []
        for start in range(0, ROWS, size):
            own = slice(start, start + size)
            at = _at(model, given, own)
            x = observe(at, truth[own].to(device))
            noise = RowNoise(np.arange(ROWS)[own, None], seed)
            found.append(_positions(at, x, truth[own].to(device), noise, samples, width))
    weighted, encoder, effective = (torch.cat(each).cpu().numpy() for each in zip(*found, strict=True))
    draws = rng.random(weighted.shape)
    names = [*(f"z{j}" for j in range(truth.shape[1])), LOG_LIKELIHOOD]
    both = ((samples * part + draws) / (samples + 1) for part in (weighted, encoder))
    records = [tuple(measure_uniformity(name, u[:, i], len(names)) for i, name in enumerate(names)) for u in both]
    return Simulation(ROWS, samples, float(effective.mean()), *records)


def _at(model: VariationalAutoEncoder, context: Tensor | None, rows: slice) -> VariationalAutoEncoder:
    return model.given(None if context is None else context[rows])


def _positions(
    model: VariationalAutoEncoder, x: Tensor, truth: Tensor, noise: RowNoise, samples: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return Σ_k w_k [f(z_k) < f(z*)] with importance weights and with equal ones, shape (B, f), and effective sizes."""
    q, prior = model.encoder(x), model.prior()
    dims, chunk = truth.shape[1], max(1, CACHED // (width * len(x)))
    true_values = torch.cat([truth, model.decoder(truth.unsqueeze(0)).log_prob(x).T], -1)
    below, log_weights = [], []
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        epsilon = noise.normal((count, dims), RowStream.POSTERIOR, start * dims).movedim(1, 0).to(x)
        draws = evaluate_draws(model, x, prior, q, q.reparameterize(epsilon))
        below.append(torch.cat([draws.z, draws.log_likelihood.unsqueeze(-1)], -1) < true_values)
        log_weights.append(draws.log_weights().double())
    less, weights = torch.cat(below).double(), torch.cat(log_weights).softmax(0)
    return (weights.unsqueeze(-1) * less).sum(0), less.mean(0), 1 / weights.square().sum(0)
