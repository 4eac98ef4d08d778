"""The contract of likelihoods."""

from __future__ import annotations

import copy
import math

import torch
from torch import Size, Tensor

from vaekit.data import seeded
from vaekit.models import Likelihood
from vaekit.testing.contract import ContractError, check_close, check_finite, check_shape, to_array, write_numbers
from vaekit.testing.copies import moved_copy
from vaekit.testing.density import DRAWS, Density
from vaekit.testing.gradients import check_gradients, check_rows_apart, parameters_of
from vaekit.testing.support import Support

ROWS = 3
"""Rows of the network's output."""
SPREAD, EXTREME = 0.7, 30.0
"""Size of usual outputs of a network, and of extreme outputs, at which everything must still be finite."""
STARTED = 200
"""Rows for `start`."""


def check_likelihood(likelihood: Likelihood, *, x: Tensor | None = None, moment_draws: int = 0, seed: int = 0) -> None:
    """Check that a likelihood is a proper distribution over the data, and that its draws follow it.

    The checks use a copy with weights moved at random. They compare the total of p(x|z) over all x with 1, by enumeration or
    quadrature. They compare 20,000 draws, the mean and the variance (if there are any) with the density, and gradients by
    every weight and by the network's output with central differences. Rows must not depend on each other, numbers must be
    finite at extreme outputs, and `start(x)` must not make the constant likelihood of x worse.

    Args:
        likelihood: a likelihood of examples of 1 to 3 numbers, or of 1 or 2 if they are real.
        x: rows of suitable data for `start`, shape (n, *event); by default the likelihood's own draws.
        moment_draws: number of draws from which its mean and variance are estimated; 0 if they have closed forms.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the likelihood does not keep its contract.
        VaekitError: if its examples are too large to enumerate.

    Examples:
        >>> from vaekit.models.likelihoods import Gaussian
        >>> check_likelihood(Gaussian((1,), variance="predicted"))
    """
    with seeded(seed):
        support = Support.of(likelihood)
        moved = moved_copy(likelihood)
        raw = SPREAD * torch.randn(
            ROWS, *likelihood.event_shape, likelihood.parameters_per_feature, dtype=torch.float64
        )
        p = moved(raw)
        check_shape(
            likelihood, "the batch of forward()", p.batch_shape, (ROWS,), "parameters are the last dimension only"
        )
        for row in range(ROWS):
            _check_density(likelihood, moved, raw[row : row + 1], support, moment_draws)
        with torch.no_grad():
            some = support.encode(to_array(p.sample()).reshape(ROWS, -1))
            own = support.encode(to_array(moved(raw[0]).sample(Size((STARTED,)))).reshape(STARTED, -1))
        _check_broadcast(likelihood, moved, raw, some)
        _check_rows(likelihood, moved, raw, some)
        leaf = raw.clone().requires_grad_()
        inputs = parameters_of(moved, **{"the network's output": leaf})
        check_gradients(likelihood, "log_prob", lambda: moved(leaf).log_prob(some).sum(), inputs)
        _check_extremes(likelihood, some)
        _check_start(likelihood, own if x is None else x.double())


@torch.no_grad()
def _check_density(likelihood: Likelihood, moved: Likelihood, raw: Tensor, support: Support, moment_draws: int) -> None:
    p = moved(raw)
    draws = p.sample(Size((DRAWS,)))
    check_shape(
        likelihood, f"sample(({DRAWS},))", draws.shape, (DRAWS, 1, *p.event_shape), "a dimension is lost or added"
    )
    values = support.settle(to_array(draws).reshape(DRAWS, -1))
    grid = support.grid(values)
    log_p = p.log_prob(support.encode(grid.points).unsqueeze(1))
    check_shape(
        likelihood, "log_prob of n examples", log_p.shape, (len(grid.points), 1), "log_prob must sum over an example"
    )
    given = f" (network's output {write_numbers(to_array(raw[0]))})"
    density = Density(likelihood, grid, to_array(log_p[:, 0]), values, "x", given)
    density.check()
    if not support.typical:
        density.check_moments(lambda: to_array(p.mean).ravel(), lambda: to_array(p.variance).ravel(), moment_draws)


@torch.no_grad()
def _check_broadcast(likelihood: Likelihood, moved: Likelihood, raw: Tensor, x: Tensor) -> None:
    """Check that log p(x|z) broadcasts over several draws of z for each row x."""
    several = torch.stack([raw, raw.flip(0)])
    found = moved(several).log_prob(x)
    expected = torch.stack([moved(each).log_prob(x) for each in several])
    likely = "leading dimensions of the network's output must be kept"
    check_shape(likelihood, "log_prob of two draws for each row", found.shape, (2, ROWS), likely)
    check_close(likelihood, "log_prob of two draws for each row", found, to_array(expected), likely)


def _check_rows(likelihood: Likelihood, moved: Likelihood, raw: Tensor, x: Tensor) -> None:
    sizes = (raw[0].numel(), x[0].numel())

    def density(rows: Tensor) -> Tensor:
        outputs, values = rows.split(sizes, -1)
        log_p: Tensor = moved(outputs.unflatten(-1, raw.shape[1:])).log_prob(values.unflatten(-1, x.shape[1:]))
        return log_p

    check_rows_apart(likelihood, "log_prob", density, torch.cat([raw.flatten(1), x.flatten(1)], -1), sizes[0])


def _check_extremes(likelihood: Likelihood, x: Tensor) -> None:
    """Check that log p(x|z) and its gradient stay finite if the network's output is large."""
    own = copy.deepcopy(likelihood)
    dtype = own.offset.dtype
    signs = torch.randint(-1, 2, (16, *likelihood.event_shape, likelihood.parameters_per_feature))
    raw = (EXTREME * signs).to(dtype).requires_grad_()
    p = own(raw)
    for row in x.to(dtype):
        log_p = p.log_prob(row)
        at = f" at x = {write_numbers(to_array(row))}"
        likely = "bound what is exponentiated with vaekit.networks.soft_clamp"
        check_finite(likelihood, f"log_prob{at}", log_p, likely, ("network's output", to_array(raw)))
        gradient = torch.autograd.grad(log_p.sum(), raw, retain_graph=True)[0]
        check_finite(likelihood, f"the gradient of log_prob{at} with respect to the network's output", gradient, likely)


@torch.no_grad()
def _check_start(likelihood: Likelihood, x: Tensor) -> None:
    """Check that `start` does not lower log p(x) at a network output of 0."""
    own = copy.deepcopy(likelihood).double().eval()
    constant = x.new_zeros(*likelihood.event_shape, likelihood.parameters_per_feature)
    before = float(own(constant).log_prob(x).mean())
    own.start(x)
    for name, values in own.state_dict().items():  # what is saved; constants of the data may be infinite
        check_finite(
            likelihood, f"{name} after start(x)", values, "start divides by a spread, or takes the logarithm of 0"
        )
    after = float(own(constant).log_prob(x).mean())
    if not after >= before - 1e-9 or not math.isfinite(after):
        broken = f"the mean of log p(x) of {len(x)} rows is {before:.5g} before start(x) and {after:.5g} after it, with a network's output of 0"
        raise ContractError(likelihood, broken, "start must set `offset` to the best constant parameters")
