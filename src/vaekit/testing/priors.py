"""The contract of priors."""

from __future__ import annotations

import copy

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaekit.data import seeded
from vaekit.errors import VaekitError
from vaekit.evaluation.grid import Grid, real_axis
from vaekit.models import Prior
from vaekit.testing.contract import ContractError, check_finite, check_shape, to_array
from vaekit.testing.copies import moved_copy
from vaekit.testing.density import DRAWS, Density
from vaekit.testing.gradients import check_gradients, parameters_of

FAR = (0.0, 1.0, 3.0, 10.0, 30.0)
"""Distances from the origin at which log p(z) must be finite."""


def check_latent_dim(what: str, event_shape: Size) -> int:
    """Return the number of latent dimensions, and refuse more than two, because a grid must cover them.

    Raises:
        VaekitError: if there are more than two.
    """
    if len(event_shape) != 1 or event_shape[0] > 2:
        must = f"the {what} must have 1 or 2 latent dimensions, because it is checked on a grid"
        raise VaekitError(must, f"event shape {tuple(event_shape)}", f"Check a smaller {what} of the same class")
    return event_shape[0]


def check_prior(prior: Prior, *, x: Tensor | None = None, seed: int = 0) -> None:
    """Check that a prior's density sums to 1, that its draws follow this density, and that its gradients are right.

    The checks use a copy with weights moved at random. They compare the total of p(z), 20,000 draws, the mean and the variance
    (if there are any) with quadrature over all z. They compare gradients of log p(z) by z and by every weight with central
    differences.

    Args:
        prior: a prior of 1 or 2 latent dimensions.
        x: rows for `start`, shape (n, *event); without rows, `start` is not called.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the prior does not keep its contract.
        VaekitError: if it has more than 2 latent dimensions.

    Examples:
        >>> from vaekit.models import GaussianMixture
        >>> check_prior(GaussianMixture(1, components=3))
    """
    with seeded(seed):
        started = copy.deepcopy(prior)
        if x is not None:
            started.start(x)
            for name, parameter in started.named_parameters():
                check_finite(prior, f"{name} after start(x)", parameter, "start divides by a spread that may be zero")
        moved = moved_copy(started)
        p = moved()
        if not isinstance(p, Distribution):
            raise ContractError(
                prior, f"forward returns a {type(p).__name__}", "it must return a torch.distributions.Distribution"
            )
        dimensions = check_latent_dim("prior", p.event_shape)
        check_shape(prior, "the batch of forward()", p.batch_shape, (), "wrap p(z) in torch.distributions.Independent")
        _check_density(prior, p, dimensions)
        _check_gradients(prior, moved, dimensions)


@torch.no_grad()
def _check_density(prior: Prior, p: Distribution, dimensions: int) -> None:
    draws = p.sample(Size((DRAWS,)))
    check_shape(prior, f"sample(({DRAWS},))", draws.shape, (DRAWS, dimensions), "a dimension is lost or added")
    z = to_array(draws)
    grid = Grid.of([real_axis(z[:, i], dimensions) for i in range(dimensions)])
    log_p = p.log_prob(torch.from_numpy(grid.points))
    check_shape(prior, "log_prob of (n, d)", log_p.shape, (len(grid.points),), "log_prob must sum over z's dimensions")
    density = Density(prior, grid, to_array(log_p), z, "z")
    density.check()
    density.check_moments(lambda: to_array(p.mean), lambda: to_array(p.variance), 0)


def _check_gradients(prior: Prior, moved: Prior, dimensions: int) -> None:
    direction = torch.nn.functional.normalize(torch.randn(len(FAR), dimensions, dtype=torch.float64), dim=-1)
    z = (torch.tensor(FAR, dtype=torch.float64).unsqueeze(1) * direction).requires_grad_()
    log_p = moved().log_prob(z)
    likely = "a prior must have a positive density at every z"
    check_finite(prior, "log_prob", log_p, likely, ("z", to_array(z)))
    if log_p.requires_grad:
        for gradient in torch.autograd.grad(log_p.sum(), list(parameters_of(moved, z=z).values()), allow_unused=True):
            check_finite(prior, "the gradient of log_prob far out", gradient, "an operation overflows there")
    near = torch.randn(4, dimensions, dtype=torch.float64, requires_grad=True)
    check_gradients(prior, "log_prob", lambda: moved().log_prob(near).sum(), parameters_of(moved, z=near))
