"""The contract of objectives."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from vaekit.data import seeded
from vaekit.models import Autoencoder, Decoder, Diagonal, Encoder, VariationalAutoEncoder
from vaekit.models.likelihoods import Gaussian
from vaekit.networks import MLP
from vaekit.objectives import Loss, Objective, Terms
from vaekit.testing.contract import (
    Array,
    ContractError,
    check_close,
    check_finite,
    check_shape,
    to_array,
    write_numbers,
)
from vaekit.testing.density import ERRORS
from vaekit.testing.gradients import check_used, parameters_of

ROWS, FEATURES, VARIANCE = 6, 4, 0.5
"""Number of rows and of features, and the noise variance, of the linear model on which objectives are checked."""
REPEATS, BATCHES = 64, 20
"""Copies of each row in a batch, and batches, over which bounds are averaged."""
BOUND_ERRORS = 4.0
"""How far a bound may be above log p(x), in standard errors."""
MORE = 32
"""Factor on the number of draws in a second check of a bound, which may hold for few draws and fail for many."""


def check_objective(
    objective: Objective,
    options: Any = None,
    *,
    latent_dim: int = 2,
    model: Literal["vae", "autoencoder"] = "vae",
    seed: int = 0,
) -> None:
    """Check an objective's values on a linear-Gaussian model, for which every quantity is known exactly.

    Loss, D and R must have the right shapes and be finite, also for a single row. D and R must have their exact values. Every
    weight of the model and of the objective must have a gradient, and the same seed must give the same numbers. If the class
    says that minus its loss is a bound, the mean over many draws must not be above the exact log p(x).

    Args:
        objective: the objective to check.
        options: the options that it was built with, which say whether minus its loss is a bound; the default options if unset.
        latent_dim: number of latent dimensions, 1 to 4; that of the objective if it was built for a certain number.
        model: `autoencoder` for an objective of deterministic autoencoders, for which D, R and bounds are not checked.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the objective does not keep its contract.

    Examples:
        >>> from vaekit.objectives import NegativeIWAE
        >>> check_objective(NegativeIWAE())
    """
    options = type(objective).Options() if options is None else options
    draws = options.samples if isinstance(options.samples, int) else type(objective).draws
    with seeded(seed):
        own = copy.deepcopy(objective).double()
        if model == "autoencoder":
            network = Autoencoder(MLP((FEATURES,), (latent_dim,)), MLP((latent_dim,), (FEATURES, 1)), latent_dim)
            loss, x = Loss(network.double(), own), torch.randn(ROWS, FEATURES, dtype=torch.float64)
        else:
            known = KnownModel.random(latent_dim)
            loss, x = Loss(known.model, own), torch.from_numpy(known.x)
        _check_terms(objective, loss, x, draws)
        if model == "vae":
            _check_values(objective, loss, known, draws, options)


@dataclass(frozen=True)
class KnownModel:
    """A model x = Wz + b + N(0, λI), where W has orthogonal columns, and an encoder near its true posterior.

    Args:
        model: the model, float64.
        x: rows that it generated, shape (ROWS, FEATURES).
        log_p: the exact log p(x) of each row.
    """

    model: VariationalAutoEncoder
    x: Array
    log_p: Array

    @classmethod
    def random(cls, latent_dim: int) -> KnownModel:
        """Return a model with random weights from torch's global generator."""
        encoder = MLP((FEATURES,), (2 * latent_dim,))
        decoder = MLP((latent_dim,), (FEATURES, 1))
        parts = Encoder(encoder, Diagonal(latent_dim)), Decoder(decoder, Gaussian((FEATURES,), variance=VARIANCE))
        model = VariationalAutoEncoder(*parts, latent_dim).double()
        axes = np.linalg.qr(torch.randn(FEATURES, latent_dim).double().numpy())[0]
        W, b = 1.5 * axes, torch.randn(FEATURES).double().numpy()
        covariance = W @ W.T + VARIANCE * np.eye(FEATURES)
        noise = torch.randn(ROWS, latent_dim).double().numpy(), torch.randn(ROWS, FEATURES).double().numpy()
        x = noise[0] @ W.T + b + math.sqrt(VARIANCE) * noise[1]
        gain = W.T @ np.linalg.inv(covariance)
        spread = np.sqrt(np.diag(np.eye(latent_dim) - gain @ W))
        with torch.no_grad():
            set_linear(decoder, W, b)
            set_linear(encoder, np.vstack([gain, 0 * gain]), np.concatenate([0.05 - gain @ b, np.log(1.1 * spread)]))
        return cls(model, x, np.atleast_1d(stats.multivariate_normal(b, covariance).logpdf(x)))

    def exact_terms(self) -> tuple[Array, Array]:
        """Return the exact distortion D and rate R of each row, shape (ROWS,)."""
        with torch.no_grad():
            q = self.model.encoder(torch.from_numpy(self.x))
        mean, std = to_array(q.mean), to_array(q.stddev)
        W, b = (to_array(p) for p in self.model.decoder.network.parameters())
        residual = ((self.x - b - mean @ W.T) ** 2).sum(1) + (std**2 @ (W**2).T).sum(1)
        distortion = 0.5 * (FEATURES * math.log(2 * math.pi * VARIANCE) + residual / VARIANCE)
        return distortion, 0.5 * (std**2 + mean**2 - 1 - 2 * np.log(std)).sum(1)


def set_linear(network: nn.Module, weight: Array, bias: Array) -> None:
    """Set the weights of a perceptron without hidden layers."""
    for parameter, values in zip(network.parameters(), (weight, bias), strict=True):
        parameter.copy_(torch.from_numpy(values))


def _one(beta: float = 1.0) -> Tensor:
    return torch.tensor(beta, dtype=torch.float64)


def _check_terms(objective: Objective, loss: Loss, x: Tensor, draws: int) -> None:
    for rows in (x, x[:1]):
        for beta in (1.0, 0.5):
            terms = loss(rows, _one(beta), None, draws)
            for name, value in zip(Terms._fields, terms, strict=True):
                what = f"{name} (β = {beta}, {len(rows)} rows, {draws} draws)"
                likely = "each is one number for each row: sum over features, average over draws"
                check_shape(objective, what, value.shape, (len(rows),), likely)
                check_finite(
                    objective, what, value, "a logarithm or a division by the number of rows less one overflows"
                )
    first, second = (_drawn(loss, x, draws) for _ in range(2))
    for name, one, other in zip(Terms._fields, first, second, strict=True):
        likely = "something draws from a generator of its own, or a state is changed by a call"
        check_close(objective, f"{name} with the same seed", one, to_array(other), likely, 0.0)
    check_used(objective, "the loss", first.loss.mean(), parameters_of(loss))


def _drawn(loss: Loss, x: Tensor, draws: int) -> Terms:
    with seeded(0):
        terms: Terms = loss(x, _one(), None, draws)
    return terms


@torch.no_grad()
def _check_values(objective: Objective, loss: Loss, known: KnownModel, draws: int, options: Any) -> None:
    at = ("x", known.x)
    for number in (draws, MORE * draws):
        x = torch.from_numpy(np.tile(known.x, (REPEATS, 1)))
        batches = [loss(x, _one(), None, number) for _ in range(BATCHES if number == draws else 2)]
        found = [np.stack([to_array(t[i]).reshape(REPEATS, ROWS) for t in batches]).reshape(-1, ROWS) for i in range(3)]
        mean = [values.mean(0) for values in found]
        error = [values.std(0) / math.sqrt(len(values)) for values in found]
        for i, expected in zip((1, 2), known.exact_terms(), strict=True):
            what = f"the mean of {Terms._fields[i]} over {len(found[i]):,} times {number} draws"
            likely = (
                "",
                "D is −log p(x|z), averaged over draws",
                "R is KL[q(z|x) ‖ p(z)], whatever weight it has in the loss",
            )[i]
            check_close(objective, what, mean[i], expected, likely, ERRORS * error[i] + 1e-9, at)
        above = (-mean[0] - known.log_p) / (error[0] + 1e-12)
        if type(objective).bounds(options) and (above > BOUND_ERRORS).any():
            row = int(above.argmax())
            broken = (
                f"minus the loss is {-mean[0][row]:.5g} on average over {len(found[0]):,} times {number} draws, above log p(x) = "
                f"{known.log_p[row]:.5g} by {above[row]:.0f} standard errors at x = {write_numbers(known.x[row])}"
            )
            raise ContractError(objective, broken, "correct the loss, or let bounds(options) return False")
