"""Held-out bounds, one number per row: deterministic, of all rows, in bounded memory for any number of draws.

    D = −(1/K) Σ_k log p(x|z_k)      R = KL[q(z|x) ‖ p(z)]      ELBO = −(D + R)
    IWAE_K = log (1/K) Σ_k p(x, z_k)/q(z_k|x)

The draws z_k = μ + σ ⊙ ε_k take their ε from the row itself (`RowNoise`), so neither the order of the rows nor the size
of the blocks matters. Where data were rescaled, log |det J| is added: figures are of the data as given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, Rows, RowStream
from vaekit.distributions import DiagonalNormal
from vaekit.models import Autoencoder, VariationalAutoEncoder

BUDGET = 1 << 23
"""Numbers that a block's largest tensor may hold."""
CACHED = 1 << 20
"""Numbers that draws of z made at a time may ask of the widest layer: few enough to stay in the processor's caches."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What was measured of each of n rows, in nats of the data as given.

    Args:
        elbo: −(distortion + rate), shape (n,).
        distortion: D, shape (n,).
        rate: R, shape (n,).
        log_likelihood: IWAE_K, a lower bound of log p(x) in expectation, shape (n,).
        mean: posterior means, shape (n, latent_dim).
        std: posterior standard deviations, shape (n, latent_dim).
        samples: K, the draws really made for each row.
        independent: whether the posterior is a Gaussian of independent dimensions.
    """

    elbo: Array
    distortion: Array
    rate: Array
    log_likelihood: Array
    mean: Array
    std: Array
    samples: int
    independent: bool


def widest(model: VariationalAutoEncoder | Autoencoder) -> int:
    """Numbers that the widest layer holds for one example."""
    return max(int(getattr(module, "widest", 1)) for module in model.modules())


def block_rows(model: VariationalAutoEncoder | Autoencoder) -> int:
    """Rows that go through the model at a time, so that memory is bounded whatever the networks."""
    return max(1, min(1024, BUDGET // (4 * widest(model))))


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[torch.device]:
    """Without dropout and gradients, on the device that is given; every module is left in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()
            yield next(model.parameters()).device
    finally:
        for module, training in modes:
            module.training = training


def measure(model: VariationalAutoEncoder, rows: Rows, samples: int = 1) -> Measured:
    """Measure every row, the last incomplete block too.

    Args:
        model: in evaluation mode or not; it is measured without dropout and left as it was.
        rows: the rows.
        samples: K ≥ 1 draws of z for each row.

    Returns:
        The measurements.
    """
    log_det, width = rows.transform.log_det(), widest(model)
    with evaluating(model) as device:
        parts = [
            _measure_block(model.given(context), x.to(device), noise, samples, max(1, CACHED // (width * len(x))))
            for x, noise, context in rows.blocks(block_rows(model))
        ]
    *columns, independent = zip(*parts, strict=True)
    distortion, rate, log_likelihood, mean, std = (torch.cat(column).double().cpu().numpy() for column in columns)
    distortion = distortion - log_det
    return Measured(
        -(distortion + rate), distortion, rate, log_likelihood + log_det, mean, std, samples, all(independent)
    )


def _measure_block(
    model: VariationalAutoEncoder, x: Tensor, noise: RowNoise, samples: int, chunk: int
) -> tuple[Any, ...]:
    posterior = model.encoder(x)
    latent_dim = posterior.event_shape[0]
    log_likelihood = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    rate, total = torch.zeros_like(log_likelihood), torch.full_like(log_likelihood, -math.inf)
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        epsilon = noise.normal((count, latent_dim), RowStream.POSTERIOR, start * latent_dim).movedim(1, 0)
        draws = model.draw(x, noise=epsilon.to(x), posterior=posterior)
        log_likelihood += draws.log_likelihood.double().sum(0)
        rate += count * draws.rate().double()  # the same for each draw, where it has a closed form
        total = torch.logaddexp(total, torch.logsumexp(draws.log_weights().double(), 0))
    # the number of draws divides once, whatever the chunks were
    bound, independent = total - math.log(samples), isinstance(posterior, DiagonalNormal)
    return -log_likelihood / samples, rate / samples, bound, posterior.mean, posterior.stddev, independent


def measure_autoencoder(model: Autoencoder, rows: Rows) -> tuple[Array, Array]:
    """Squared error of each row in the model's units, shape (n,), and its code, shape (n, latent_dim)."""
    errors, codes = [], []
    with evaluating(model) as device:
        for x, _, _ in rows.blocks(block_rows(model)):
            x = x.to(device)
            code = model.encode(x)
            errors.append((model.decode(code) - x).square().flatten(1).sum(1))
            codes.append(code)
    return torch.cat(errors).double().cpu().numpy(), torch.cat(codes).double().cpu().numpy()
