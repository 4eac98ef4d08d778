"""The contract of approximate posteriors."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import seeded
from vaekit.distributions import Reparameterized
from vaekit.evaluation.grid import Grid, real_axis
from vaekit.models import Draws, Posterior, StandardNormal
from vaekit.testing.contract import (
    Array,
    ContractError,
    check_close,
    check_finite,
    check_shape,
    to_array,
    write_numbers,
)
from vaekit.testing.copies import moved_copy
from vaekit.testing.density import DRAWS, ERRORS, EXACT, Density
from vaekit.testing.gradients import check_gradients, check_rows_apart, parameters_of
from vaekit.testing.priors import check_latent_dim

ROWS, MEASURED = 3, 2
"""Rows of features, and how many of them are measured on a grid."""
SPREAD, EXTREME = 0.7, 30.0
"""Size of usual features, and of extreme features, at which everything must still be finite."""
STEP, CLOSE = 1e-4, 1e-3
"""Step of the numerical Jacobian, whose error is of fourth order, and permitted error of log q(z) in nats, which leaves room for
maps that use quadrature or iteration."""


def check_posterior(posterior: Posterior, *, moment_draws: int = 0, seed: int = 0) -> None:
    """Check that a posterior's draws are an invertible map of noise, and that log q(z|x) is their density.

    The checks use a copy with weights moved at random. They check standardize(reparameterize(ε)) = ε, and log q(z) =
    log N(ε; 0, I) − log |det ∂z/∂ε| with a numerical Jacobian. They compare the total of q(z|x), the mean, the variance and
    the rate from N(0, I) (`Draws.rate()`) with quadrature, draws with the density, and gradients with central differences. They
    check `detached()` if the class is `detachable`, and that rows do not depend on each other.

    Args:
        posterior: a posterior of 1 or 2 latent dimensions.
        moment_draws: number of draws from which its mean and variance are estimated; 0 if they have closed forms.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the posterior does not keep its contract.
        VaekitError: if it has more than 2 latent dimensions.

    Examples:
        >>> from vaekit.models import Diagonal
        >>> check_posterior(Diagonal(1))
    """
    with seeded(seed):
        moved = moved_copy(posterior)
        features = SPREAD * torch.randn(ROWS, posterior.features, dtype=torch.float64)
        q = moved(features)
        if not isinstance(q, Reparameterized):
            broken = f"forward returns a {type(q).__name__}"
            raise ContractError(posterior, broken, "it must return a vaekit.distributions.Reparameterized")
        dimensions = check_latent_dim("posterior", q.event_shape)
        check_shape(posterior, "the batch of forward()", q.batch_shape, (ROWS,), "features are the last dimension only")
        noise = torch.randn(ROWS, dimensions, dtype=torch.float64)
        _check_map(posterior, q, noise)
        for row in range(MEASURED):
            _check_density(posterior, moved, features[row : row + 1], dimensions, moment_draws)
        if posterior.detachable:
            _check_detached(posterior, moved, features, noise)
        _check_rows(posterior, moved, features, noise)
        _check_gradients(posterior, moved, features, noise)
        _check_extremes(posterior, dimensions)


@torch.no_grad()
def _check_map(posterior: Posterior, q: Reparameterized, noise: Tensor) -> None:
    z, at = q.reparameterize(noise), ("ε", to_array(noise))
    back = q.standardize(z.clone())
    check_close(
        posterior, "standardize(reparameterize(ε))", back, to_array(noise), "one is not the inverse of the other", at=at
    )
    columns = []
    for i in range(noise.shape[1]):
        step = STEP * torch.eye(noise.shape[1], dtype=noise.dtype)[i]
        near, far = (q.reparameterize(noise + k * step) - q.reparameterize(noise - k * step) for k in (1, 2))
        columns.append((8 * near - far) / (12 * STEP))
    log_det = np.linalg.slogdet(to_array(torch.stack(columns, -1)))[1]
    normal = -0.5 * (to_array(noise) ** 2 + math.log(2 * math.pi)).sum(-1)
    z = q.reparameterize(noise)  # once more, as a flow remembers the density of its last draw
    for what, value in (("log_prob of a draw", z), ("log_prob of a copy of a draw", z.clone())):
        likely = "log_prob leaves out the determinant of the map's Jacobian, or part of it"
        check_close(posterior, what, q.log_prob(value), normal - log_det, likely, CLOSE, ("z", to_array(z)))


@torch.no_grad()
def _check_density(
    posterior: Posterior, moved: Posterior, features: Tensor, dimensions: int, moment_draws: int
) -> None:
    q = moved(features)
    drawn = q.rsample((DRAWS,))
    check_shape(posterior, f"rsample(({DRAWS},))", drawn.shape, (DRAWS, 1, dimensions), "a dimension is lost or added")
    z = to_array(drawn[:, 0])
    grid = Grid.of([real_axis(z[:, i], dimensions) for i in range(dimensions)])
    log_q = to_array(q.log_prob(torch.from_numpy(grid.points).unsqueeze(1))[:, 0])
    density = Density(posterior, grid, log_q, z, "z", f" (features {write_numbers(to_array(features[0]))})")
    density.check()
    density.check_moments(lambda: to_array(q.mean[0]), lambda: to_array(q.variance[0]), moment_draws)
    _check_rate(posterior, q, drawn, grid, log_q)


def _check_rate(posterior: Posterior, q: Any, z: Tensor, grid: Grid, log_q: Array) -> None:
    """Compare the rate KL[q ‖ N(0, I)] with its integral over a grid; a closed form must be exact."""
    prior = StandardNormal(z.shape[-1]).double()
    draws = Draws(q, prior(), z, q, q.log_prob(z))
    rate, ratios = to_array(draws.rate()), to_array(draws.log_ratio()[:, 0])
    log_p = -0.5 * (grid.points**2 + math.log(2 * math.pi)).sum(-1)
    mass = np.exp(log_q)
    exact, unsure = grid.integrate(np.where(mass > 0, mass * (np.where(mass > 0, log_q, 0.0) - log_p), 0.0))
    by_draws = math.isclose(float(rate[0]), ratios.mean(), rel_tol=1e-12)
    slack = ERRORS * ratios.std() / math.sqrt(len(ratios)) if by_draws else 0.0
    likely = "log_prob is not that of the draws" if by_draws else "the registered kl_divergence from N(0, I) is wrong"
    check_close(
        posterior, "Draws.rate() from N(0, I)", rate, exact, likely, EXACT * max(1.0, float(exact)) + 3 * unsure + slack
    )


def _check_detached(posterior: Posterior, moved: Posterior, features: Tensor, noise: Tensor) -> None:
    leaf = features.clone().requires_grad_()
    q = moved(leaf)
    z = q.reparameterize(noise).detach().requires_grad_()
    if not hasattr(q, "detached"):
        raise ContractError(posterior, "its distribution has no detached()", "define it, or set `detachable` to False")
    plain, apart = q.log_prob(z), q.detached().log_prob(z)
    likely = "detached() must return the same distribution"
    check_close(posterior, "log_prob of detached()", apart, to_array(plain), likely, 1e-9, ("z", to_array(z)))
    own = parameters_of(moved, features=leaf)
    gradients = torch.autograd.grad(apart.sum(), list(own.values()), allow_unused=True, retain_graph=True)
    for name, gradient in zip(own, gradients, strict=True):
        if gradient is not None and gradient.any():
            broken = (
                f"log_prob of detached() has a gradient of {float(gradient.abs().max()):.3g} with respect to {name}"
            )
            raise ContractError(posterior, broken, "detached() keeps a parameter that it should detach")
    if torch.autograd.grad(apart.sum(), z, allow_unused=True)[0] is None:
        raise ContractError(
            posterior, "log_prob of detached() has no gradient with respect to z", "detach the parameters alone"
        )


def _check_rows(posterior: Posterior, moved: Posterior, features: Tensor, noise: Tensor) -> None:
    z = moved(features).reparameterize(noise).detach()
    everyone = torch.cat([features, noise, z], -1)
    sizes = (features.shape[-1], noise.shape[-1], z.shape[-1])

    def draw(rows: Tensor) -> Tensor:
        own, epsilon, _ = rows.split(sizes, -1)
        return moved(own).reparameterize(epsilon)

    def density(rows: Tensor) -> Tensor:
        own, _, value = rows.split(sizes, -1)
        return moved(own).log_prob(value)

    check_rows_apart(posterior, "reparameterize", draw, everyone, sizes[0])
    check_rows_apart(posterior, "log_prob", density, everyone, sizes[0])


def _check_gradients(posterior: Posterior, moved: Posterior, features: Tensor, noise: Tensor) -> None:
    leaf = features.clone().requires_grad_()
    z = moved(features).reparameterize(noise).detach().requires_grad_()
    weights = torch.randn_like(noise)
    inputs = parameters_of(moved, features=leaf)
    check_gradients(posterior, "log_prob", lambda: moved(leaf).log_prob(z).sum(), inputs | {"z": z})
    check_gradients(posterior, "a draw", lambda: (weights * moved(leaf).reparameterize(noise)).sum(), inputs)

    def along_the_path() -> Tensor:
        q = moved(leaf)
        total: Tensor = q.log_prob(q.reparameterize(noise)).sum()
        return total

    check_gradients(posterior, "log_prob of its own draw", along_the_path, inputs)


def _check_extremes(posterior: Posterior, dimensions: int) -> None:
    """Check that draws, log q(z|x) and its gradient stay finite if the features are large."""
    own = copy.deepcopy(posterior)
    signs = torch.randint(-1, 2, (16, posterior.features))
    dtype = next((p.dtype for p in own.parameters()), torch.get_default_dtype())
    features = (EXTREME * signs).to(dtype).requires_grad_()
    q = own(features)
    z = q.rsample((2,))
    log_q = q.log_prob(z)
    at = ("features", to_array(features))
    likely = "bound a logarithm of a scale with vaekit.networks.soft_clamp"
    for what, values in (("a draw", z.sum((0, -1))), ("log_prob of a draw", log_q.sum(0))):
        check_finite(posterior, what, values, likely, at)
    gradient = torch.autograd.grad(log_q.sum(), features, allow_unused=True)[0]
    check_finite(posterior, "the gradient of log_prob of a draw with respect to the features", gradient, likely, None)
    check_shape(posterior, "a draw", z.shape, (2, 16, dimensions), "a dimension is lost or added")
