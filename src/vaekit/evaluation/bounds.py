"""Measure bounds on log p(x) of each row, deterministically and in bounded memory.

    D = −(1/K) Σ_k log p(x|z_k)      R = KL[q(z|x) ‖ p(z)]      ELBO = −(D + R)
    IWAE_K = log (1/K) Σ_k p(x, z_k)/q(z_k|x)

The noise ε_k of a draw z_k = μ + σ ⊙ ε_k is a function of the row (`RowNoise`), and rows go through the model in tiles of one
size, so a row's bounds are the same bits whatever rows come with it. For rescaled data, log |det J| is added, so the bounds hold for data in the user's units.
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
from vaekit.evaluation.even import EvenProducts
from vaekit.models import Autoencoder, Draws, LatentModel, VariationalAutoEncoder

BUDGET = 1 << 23
"""Numbers that the largest tensor of a block may hold."""
MIN_TILE, USUAL_TILE, MAX_TILE = 32, 128, 512
"""Least, usual and most rows of a tile, powers of two; larger ones cost more for a single row (docs/decisions/tiles.md)."""
NARROW = 1 << 16
"""Numbers that the widest tensor may hold for a tile of more than the usual number of rows and draws."""
MANY_DRAWS = 256
"""As many draws of z make a tile of one row."""
CACHED = 1 << 20
"""Numbers that the widest layer may hold for one chunk of draws: few enough to stay in the processor's caches."""

_WIDTHS: WeakKeyDictionary[LatentModel, dict[int, int]] = WeakKeyDictionary()

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured(ABC):
    """Hold the measurements of n rows under a trained model.

    Args:
        distortion: the error of the reconstruction, shape (n,).
        rate: the cost of the code, shape (n,).
        mean: posterior means, or codes, shape (n, latent_dim).
    """

    distortion: Array
    rate: Array
    mean: Array

    @property
    @abstractmethod
    def score(self) -> Array:
        """Return a score for each row, shape (n,); greater is better."""


@dataclass(frozen=True)
class Bounds(Measured):
    """Hold bounds on log p(x) of n rows, in nats, for data in the user's units.

    Args:
        distortion: D, shape (n,).
        rate: R, shape (n,).
        mean: posterior means, shape (n, latent_dim).
        std: posterior standard deviations, shape (n, latent_dim).
        log_likelihood: IWAE_K, a lower bound on log p(x) in expectation, shape (n,).
        samples: K, the draws of z for each row.
        independent: whether the posterior is a Gaussian with independent dimensions.
    """

    std: Array
    log_likelihood: Array
    samples: int
    independent: bool

    @property
    def elbo(self) -> Array:
        """Return the ELBO of each row, −(distortion + rate), shape (n,)."""
        return -(self.distortion + self.rate)

    @property
    def score(self) -> Array:
        """Return the importance-weighted bound on log p(x) of each row, shape (n,)."""
        return self.log_likelihood


@dataclass(frozen=True)
class Errors(Measured):
    """Hold an autoencoder's distortions of n rows: squared reconstruction errors ‖x − y‖² in the model's units."""

    @property
    def score(self) -> Array:
        """Return the negative squared error of each row, shape (n,)."""
        return -self.distortion


class _Sizes(TorchFunctionMode):
    """Record in `found` how many numbers each tensor operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        returned = made if isinstance(made, tuple | list) else (made,)
        self.found += [each.numel() for each in returned if isinstance(each, Tensor)]
        return made


def first_row(rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Return the model's input for the first row, and the row's context."""
    x, _, context = next(rows.blocks(1))
    return x, context


def widest(model: LatentModel, x: Tensor, context: Tensor | None = None, draws: int = 1) -> int:
    """Return how many numbers the widest tensor of a model holds for each example.

    One example goes through the model, then two. The result of each tensor operation grows by what one example needs, and
    not at all if all examples share it. The width of a model is measured only once for each number of draws.

    Args:
        model: in training or evaluation mode, which is restored.
        x: an example as the model sees it, shape (B, *event) with B ≥ 1.
        context: c of the example, if the model is conditional.
        draws: draws of z for the example. The width for many draws is less than in proportion if they share a network.
    """
    widths = _WIDTHS.setdefault(model, {})
    if draws not in widths:
        found = []
        with evaluating(model) as device:
            for count in (1, 2):
                at = model.given(None if context is None else context[:1].expand(count, *context.shape[1:]))
                with _Sizes() as sizes:
                    at.run_once(x[:1].to(device).expand(count, *x.shape[1:]), draws)
                found.append(sizes.found)
        widths[draws] = max(1, *(two - one for one, two in zip(*found, strict=False)))
    return widths[draws]


def block_rows(width: int) -> int:
    """Return the number of rows to compute at a time, if the model's widest tensor has `width` numbers for each row.

    Examples:
        >>> block_rows(784), block_rows(1 << 20)
        (1024, 2)
    """
    return max(1, min(1024, BUDGET // (4 * width)))


def tile_rows(width: int, draws: int = 1) -> int:
    """Return the number of rows in a tile, if the model's widest tensor has `width` numbers for each row.

    With several draws of z for each row, fewer rows make a tile that is large enough to be fast, and with hundreds of
    draws a single row does.

    It is a power of two of at least 32, or 1: then no row of a tile falls into the remainder of a vector or of a block of
    a matrix, which is computed in another way, and a row's result is the same bits at every place in a tile.

    Examples:
        >>> tile_rows(128), tile_rows(784), tile_rows(784, draws=100), tile_rows(784, draws=500), tile_rows(1 << 20)
        (512, 128, 32, 1, 1)
    """
    if MIN_TILE * width > BUDGET or draws >= MANY_DRAWS:
        return 1
    rows = MAX_TILE
    while rows > MIN_TILE and not _fits(rows, draws, width):
        rows //= 2
    return rows


def _fits(rows: int, draws: int, width: int) -> bool:
    """Return whether a tile is small enough for memory, and for the speed of a single row."""
    usual = rows * draws <= USUAL_TILE or rows * draws * width <= NARROW
    return usual and 4 * rows * width <= BUDGET


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[torch.device]:
    """Turn off dropout and gradients, and yield the model's device; the modules' modes are restored at the end.

    Within the block, matrix products are made as `EvenProducts` says.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), EvenProducts():
            model.eval()
            yield next(model.parameters(), torch.empty(0)).device
    finally:
        for module, training in modes:
            module.training = training


def measure(model: LatentModel, rows: Rows, samples: int = 1) -> Measured:
    """Measure bounds on log p(x) of every row, or its squared error if the model is an autoencoder.

    Args:
        model: in training or evaluation mode, which is restored; dropout is turned off.
        rows: the rows.
        samples: K ≥ 1 draws of z for each row; an autoencoder makes no draws.

    Returns:
        The measurements.
    """
    if isinstance(model, Autoencoder):
        return measure_errors(model, rows)
    return measure_bounds(model.with_likelihood("its bounds"), rows, samples)


def measure_bounds(model: VariationalAutoEncoder, rows: Rows, samples: int = 1) -> Bounds:
    """Measure bounds on log p(x) of every row, with K = `samples` draws of z for each."""
    log_det, width = rows.transform.log_det(), widest(model, *first_row(rows))
    with evaluating(model) as device:
        parts = [
            _measure_block(model.given(context), x.to(device), noise, samples, width)
            for _, x, noise, context in rows.tiles(tile_rows(width, samples))
        ]
    *columns, independent = zip(*parts, strict=True)
    found = (torch.cat(column)[: len(rows)].double().cpu().numpy() for column in columns)
    distortion, rate, log_likelihood, mean, std = found
    return Bounds(distortion - log_det, rate, mean, std, log_likelihood + log_det, samples, all(independent))


def _measure_block(
    model: VariationalAutoEncoder, x: Tensor, noise: RowNoise, samples: int, width: int
) -> tuple[Any, ...]:
    q = model.encoder(x)
    drawn = measure_posterior(model, x, noise, model.prior(), q, samples, width, RowStream.POSTERIOR)
    return drawn.distortion, drawn.rate, drawn.log_likelihood, q.mean, q.stddev, isinstance(q, DiagonalNormal)


@dataclass(frozen=True)
class Drawn:
    """Hold bounds on log p(x) of B rows, computed from K draws of a posterior q for each row.

    The bounds are for data in the model's units.

    Args:
        elbo: (1/K) Σ_k log w_k, shape (B,); free of noise if q is the true posterior.
        log_likelihood: log (1/K) Σ_k w_k, shape (B,).
        distortion: D, shape (B,).
        rate: R, shape (B,); in closed form if q and p(z) are diagonal Gaussians.
    """

    elbo: Tensor
    log_likelihood: Tensor
    distortion: Tensor
    rate: Tensor


def evaluate_draws(
    model: VariationalAutoEncoder, x: Tensor, prior: Distribution, q: Reparameterized, z: Tensor
) -> Draws:
    """Evaluate the terms of the bound at draws z of a posterior q.

    Args:
        model: the model.
        x: rows of the data.
        prior: p(z), built once for all blocks of rows.
        q: the posterior.
        z: draws of q.
    """
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
    """Measure bounds on log p(x) with draws of a posterior q, a chunk of draws at a time.

        log w_k = log p(x|z_k) + log p(z_k) − log q(z_k|x)

    Args:
        model: in evaluation mode.
        x: rows as the model sees them, shape (B, *event).
        noise: the rows' own noise.
        prior: p(z).
        q: q(z|x), batch shape (B,).
        samples: K ≥ 1.
        width: numbers in the widest tensor for one example; it limits the draws made at a time.
        stream: the noise stream. Draws that were used to fit q, or to choose it, would overstate its bound.

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
        rate += count * joint.rate().double()  # a rate in closed form is the same for each draw
        total = torch.logaddexp(total, torch.logsumexp(log_weights, 0))
    # divide once by the number of draws, so that the chunk size does not matter
    return Drawn(elbo / samples, total - math.log(samples), distortion / samples, rate / samples)


def measure_errors(model: Autoencoder, rows: Rows) -> Errors:
    """Measure an autoencoder's code and squared reconstruction error for every row."""
    errors, codes = [], []
    with evaluating(model) as device:
        for _, x, _, _ in rows.tiles(tile_rows(widest(model, *first_row(rows)))):
            x = x.to(device)
            code = model.encode(x)
            errors.append((model.decode(code) - x).square().flatten(1).sum(1))
            codes.append(code)
    error, mean = (torch.cat(each)[: len(rows)].double().cpu().numpy() for each in (errors, codes))
    return Errors(error, np.zeros_like(error), mean)
