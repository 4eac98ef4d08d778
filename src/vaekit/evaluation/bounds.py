"""Held-out bounds of each row: deterministic, and in bounded memory for any number of rows and draws.

    D = −(1/K) Σ_k log p(x|z_k)      R = KL[q(z|x) ‖ p(z)]      ELBO = −(D + R)
    IWAE_K = log (1/K) Σ_k p(x, z_k)/q(z_k|x)

The noise ε_k of a draw z_k = μ + σ ⊙ ε_k is a function of the row (`RowNoise`), so neither the order of the rows nor the
size of the blocks matters. Where data were rescaled, log |det J| is added: bounds are of the data as given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.overrides import TorchFunctionMode

from vaekit.data import RowNoise, Rows, RowStream
from vaekit.distributions import DiagonalNormal, Reparameterized
from vaekit.models import Autoencoder, Draws, LatentModel, VariationalAutoEncoder

BUDGET = 1 << 23
"""Numbers that the largest tensor of a block may hold."""
CACHED = 1 << 20
"""Numbers that the widest layer may hold for one chunk of draws: few enough to stay in the processor's caches."""

_WIDTHS: WeakKeyDictionary[LatentModel, int] = WeakKeyDictionary()

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured(ABC):
    """Hold what was measured of each of n rows.

    Args:
        distortion: what reconstruction leaves open, shape (n,).
        rate: what the code costs, shape (n,).
        mean: posterior means, or codes, shape (n, latent_dim).
    """

    distortion: Array
    rate: Array
    mean: Array

    @property
    @abstractmethod
    def score(self) -> Array:
        """Return the score of each row, the greater the better, shape (n,)."""


@dataclass(frozen=True)
class Bounds(Measured):
    """Hold the bounds of each of n rows, in nats of the data as given.

    Args:
        distortion: D, shape (n,).
        rate: R, shape (n,).
        mean: posterior means, shape (n, latent_dim).
        std: posterior standard deviations, shape (n, latent_dim).
        log_likelihood: IWAE_K, a lower bound of log p(x) in expectation, shape (n,).
        samples: K, the draws of z for each row.
        independent: whether the posterior is a Gaussian of independent dimensions.
    """

    std: Array
    log_likelihood: Array
    samples: int
    independent: bool

    @property
    def elbo(self) -> Array:
        """Return −(distortion + rate), shape (n,)."""
        return -(self.distortion + self.rate)

    @property
    def score(self) -> Array:
        """Return the bound of log p(x), shape (n,)."""
        return self.log_likelihood


@dataclass(frozen=True)
class Errors(Measured):
    """Hold the squared error ‖x − y‖² of each of n rows as its distortion, in the model's units; the rate is 0."""

    @property
    def score(self) -> Array:
        """Return minus the squared error, shape (n,)."""
        return -self.distortion


class _Sizes(TorchFunctionMode):
    """Note how many numbers each operation on tensors returns, in `found`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        returned = made if isinstance(made, tuple | list) else (made,)
        self.found += [each.numel() for each in returned if isinstance(each, Tensor)]
        return made


def first_row(rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Return the first row as the model sees it, and its context."""
    x, _, context = next(rows.blocks(1))
    return x, context


def widest(model: LatentModel, x: Tensor, context: Tensor | None = None) -> int:
    """Return how many numbers the widest tensor holds for each example.

    One example goes through the model, then two. Every operation on tensors is watched: the difference between the sizes of
    its two results is what one example needs, and results that all examples share cancel out. A model is measured once.

    Args:
        model: in evaluation mode or not; it is left as it was.
        x: an example as the model sees it, shape (B, *event) with B ≥ 1.
        context: c of the example, where the model is conditional.
    """
    if model not in _WIDTHS:
        found = []
        with evaluating(model) as device:
            for count in (1, 2):
                at = model.given(None if context is None else context[:1].expand(count, *context.shape[1:]))
                with _Sizes() as sizes:
                    at.run_once(x[:1].to(device).expand(count, *x.shape[1:]))
                found.append(sizes.found)
        _WIDTHS[model] = max(1, *(two - one for one, two in zip(*found, strict=False)))
    return _WIDTHS[model]


def block_rows(width: int) -> int:
    """Return how many rows of this width go through a model at a time.

    Examples:
        >>> block_rows(784), block_rows(1 << 20)
        (1024, 2)
    """
    return max(1, min(1024, BUDGET // (4 * width)))


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[torch.device]:
    """Turn off dropout and gradients, and yield the model's device; modules get their modes back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()
            yield next(model.parameters()).device
    finally:
        for module, training in modes:
            module.training = training


def measure(model: LatentModel, rows: Rows, samples: int = 1) -> Measured:
    """Measure every row: bounds of log p(x), or squared errors of an autoencoder.

    Args:
        model: in evaluation mode or not; it is measured without dropout and left as it was.
        rows: the rows.
        samples: K ≥ 1 draws of z for each row; an autoencoder draws nothing.

    Returns:
        The measurements.
    """
    if isinstance(model, Autoencoder):
        return measure_errors(model, rows)
    return measure_bounds(model.with_likelihood("its bounds"), rows, samples)


def measure_bounds(model: VariationalAutoEncoder, rows: Rows, samples: int = 1) -> Bounds:
    """Measure the bounds of every row, as `measure` does."""
    log_det, width = rows.transform.log_det(), widest(model, *first_row(rows))
    with evaluating(model) as device:
        parts = [
            _measure_block(model.given(context), x.to(device), noise, samples, width)
            for x, noise, context in rows.blocks(block_rows(width))
        ]
    *columns, independent = zip(*parts, strict=True)
    distortion, rate, log_likelihood, mean, std = (torch.cat(column).double().cpu().numpy() for column in columns)
    return Bounds(distortion - log_det, rate, mean, std, log_likelihood + log_det, samples, all(independent))


def _measure_block(
    model: VariationalAutoEncoder, x: Tensor, noise: RowNoise, samples: int, width: int
) -> tuple[Any, ...]:
    q = model.encoder(x)
    drawn = measure_posterior(model, x, noise, model.prior(), q, samples, width, RowStream.POSTERIOR)
    return drawn.distortion, drawn.rate, drawn.log_likelihood, q.mean, q.stddev, isinstance(q, DiagonalNormal)


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


def evaluate_draws(
    model: VariationalAutoEncoder, x: Tensor, prior: Distribution, q: Reparameterized, z: Tensor
) -> Draws:
    """Evaluate the terms of the bound at draws of any q; the prior, which may be expensive to build, is passed in."""
    p = model.decoder(z)
    return Draws(q, prior, z, p, p.log_prob(x))


def measure_posterior(
    model: VariationalAutoEncoder,
    x: Tensor,
    noise: RowNoise,
    prior: Distribution,
    q: Reparameterized,
    samples: int,
    width: int,
    stream: RowStream = RowStream.GAP_MEASURE,
) -> Drawn:
    """Measure the bounds of any q, a chunk of its draws at a time.

        log w_k = log p(x|z_k) + log p(z_k) − log q(z_k|x)

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        q: q(z|x), batch shape (B,).
        samples: K ≥ 1.
        width: numbers of the widest tensor for one example, which limits the draws made at a time.
        stream: of the noise. The draws to which a q was fitted would overstate its bound, as would draws that chose between two
            candidates.

    Returns:
        The bounds, in float64.
    """
    dims, chunk = q.event_shape[0], max(1, CACHED // (width * len(x)))
    elbo = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    distortion, rate, total = torch.zeros_like(elbo), torch.zeros_like(elbo), torch.full_like(elbo, -math.inf)
    for start in range(0, samples, chunk):
        count = min(chunk, samples - start)
        epsilon = noise.normal((count, dims), stream, start * dims).movedim(1, 0).to(x)
        joint = evaluate_draws(model, x, prior, q, q.reparameterize(epsilon))
        log_weights = joint.log_weights().double()
        elbo += log_weights.sum(0)
        distortion -= joint.log_likelihood.double().sum(0)
        rate += count * joint.rate().double()  # the same for each draw where it has a closed form
        total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
    # one division by the number of draws, so that chunks do not matter
    return Drawn(elbo / samples, total - math.log(samples), distortion / samples, rate / samples)


def measure_errors(model: Autoencoder, rows: Rows) -> Errors:
    """Measure the squared error and the code of every row."""
    errors, codes = [], []
    with evaluating(model) as device:
        for x, _, _ in rows.blocks(block_rows(widest(model, *first_row(rows)))):
            x = x.to(device)
            code = model.encode(x)
            errors.append((model.decode(code) - x).square().flatten(1).sum(1))
            codes.append(code)
    error = torch.cat(errors).double().cpu().numpy()
    return Errors(error, np.zeros_like(error), torch.cat(codes).double().cpu().numpy())
