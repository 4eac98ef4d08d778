"""Mixtures of logistics against scipy, and their intervals against sixty digits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.special import logsumexp

import oracles
from vaekit.distributions import LogisticMixture

WEIGHTS, LOCATION, SCALE = np.array([0.5, 0.3, 0.2]), np.array([-1.5, 0.25, 4.0]), np.array([0.2, 1.5, 0.004])
"""A broad component, a narrow one, and one as narrow as can be."""


def made(weights=WEIGHTS, location=LOCATION, scale=SCALE, dtype=torch.float64):
    logits, location, log_scale = (torch.tensor(v, dtype=dtype) for v in (np.log(weights) + 7, location, np.log(scale)))
    return LogisticMixture(logits, location, log_scale)


def test_density_is_scipys():
    y = np.linspace(-20, 20, 401)
    expected = logsumexp(stats.logistic.logpdf(y[:, None], LOCATION, SCALE) + np.log(WEIGHTS), axis=1)
    np.testing.assert_allclose(made().log_density(torch.from_numpy(y)).numpy(), expected, rtol=1e-10, atol=1e-12)
    found = made(dtype=torch.float32).log_density(torch.from_numpy(y).float()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_parameters_of_many_slots_and_rows():
    rng = np.random.default_rng(0)
    logits, location, log_scale = rng.normal(size=(3, 5, 2, 4))
    p = LogisticMixture(*(torch.from_numpy(v) for v in (logits, location, log_scale)))
    assert p.batch_shape == (5, 2)
    y = rng.normal(size=(5, 2))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.log(oracles.logistic_mixture_pdf(y, weights, location, np.exp(log_scale)))
    np.testing.assert_allclose(p.log_density(torch.from_numpy(y)).numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(p.mean.numpy(), (weights * location).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("middle", [-60.0, -8.0, -1.5, 0.0, 0.3, 4.0, 4.5, 9.0, 80.0])
@pytest.mark.parametrize("width", [1e-12, 1e-6, 1e-3, 0.1, 1.0, 30.0, 500.0])
@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-9), (torch.float32, 3e-5)])
def test_intervals_of_every_width_lose_nothing_to_cancellation(middle, width, dtype, accuracy):
    p = made(dtype=dtype)
    middle, width = (torch.tensor(v, dtype=dtype) for v in (middle, width))
    weights, location, scale = (v.double().numpy() for v in (p.log_weights.exp(), p.location, p.log_scale.exp()))
    expected = oracles.logistic_mixture_interval(middle, width, weights, location, scale)
    assert float(p.log_interval(middle, width)) == pytest.approx(expected, rel=accuracy, abs=accuracy)


@pytest.mark.parametrize("middle", [-900.0, -3.0, 2.0, 700.0])
def test_intervals_at_an_end_take_the_tail(middle):
    p, edge = made(), torch.tensor(middle)
    width = torch.tensor(0.5)
    arguments = (WEIGHTS, LOCATION, SCALE)
    below = oracles.logistic_mixture_interval(middle, 0.5, *arguments, open_below=True, digits=1000)
    above = oracles.logistic_mixture_interval(middle, 0.5, *arguments, open_above=True, digits=1000)
    nowhere = torch.tensor(math.inf)
    assert float(p.log_interval(edge, width, edge, nowhere)) == pytest.approx(below, rel=1e-6, abs=1e-12)
    assert float(p.log_interval(edge - 1e-3, width, edge, nowhere)) <= below + 1e-6
    assert float(p.log_interval(edge, width, -nowhere, edge)) == pytest.approx(above, rel=1e-6, abs=1e-12)
    assert float(p.log_interval(edge, width, -nowhere, nowhere)) <= min(below, above) + 1e-9


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_intervals_that_cover_the_line_sum_to_one(dtype, count):
    edges = np.sort(np.random.default_rng(count).normal(0, 3, count + 1))
    middle, width = torch.tensor((edges[1:] + edges[:-1]) / 2, dtype=dtype), torch.tensor(np.diff(edges), dtype=dtype)
    p = made(dtype=dtype)
    total = p.log_interval(middle, width, middle[0], middle[-1]).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-4 if dtype == torch.float32 else 1e-12)
    inner = made().log_interval(middle.double(), width.double()).exp().sum()
    cdf = oracles.logistic_mixture_cdf(edges[[0, -1]], WEIGHTS, LOCATION, SCALE)
    assert float(inner) == pytest.approx(cdf[1] - cdf[0], abs=1e-6)


def test_density_integrates_to_one():
    p = made()

    def density(y):
        return float(p.log_density(torch.tensor(y, dtype=torch.float64)).exp())

    pieces = [-60, -3, 0, 3.9, 4, 4.1, 60]
    total = sum(integrate.quad(density, a, b, limit=200)[0] for a, b in itertools.pairwise(pieces))
    assert total == pytest.approx(1.0, abs=1e-7)


def test_narrow_intervals_are_the_density_times_their_width():
    y = torch.linspace(-6, 6, 121, dtype=torch.float64)
    width = torch.full_like(y, 1e-7)
    np.testing.assert_allclose(
        made().log_interval(y, width).numpy(), (made().log_density(y) + width.log()).numpy(), rtol=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_are_finite_everywhere(dtype):
    edge = torch.tensor(0.0, dtype=dtype)
    for middle, width in itertools.product((-1e4, -30.0, 0.0, 30.0, 1e4), (1e-9, 1.0, 1e4)):
        at, wide = torch.tensor(middle, dtype=dtype), torch.tensor(width, dtype=dtype)
        for arguments in ((at,), (at, wide), (at, wide, edge, edge + 1)):
            parts = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in ([0.0, 0.0], [-1.5, 0.25], [-7.0, 3.0])]
            p = LogisticMixture(*parts)
            value = p.log_density(at) if len(arguments) == 1 else p.log_interval(*arguments)
            assert torch.isfinite(value)
            assert all(torch.isfinite(g).all() for g in torch.autograd.grad(value, parts))


def test_draws_follow_the_distribution_function():
    # a Kolmogorov-Smirnov test at p > 1e-6: false alarm 1e-6
    torch.manual_seed(0)
    drawn = made().sample((20_000,)).numpy()
    assert drawn.shape == (20_000,)
    found = stats.kstest(drawn, oracles.logistic_mixture_cdf, args=(WEIGHTS, LOCATION, SCALE))
    assert found.pvalue > 1e-6


def test_draws_are_a_function_of_their_uniform_numbers():
    p, uniform = made(), torch.tensor([[0.2, 0.5], [0.49999, 0.9], [0.6, 0.5], [0.9, 0.1], [1.0, 0.5], [0.0, 0.0]])
    expected = [-1.5, -1.5 + 0.2 * math.log(9), 0.25, 4 - 0.004 * math.log(9), 4.0]
    np.testing.assert_allclose(p.draw(uniform.double())[:5].numpy(), expected, rtol=1e-6)
    assert torch.isfinite(p.draw(uniform.double())).all()
    assert torch.isfinite(made(dtype=torch.float32).draw(torch.tensor([[0.999999999, 0.999999999]]))).all()


def test_draws_of_many_slots_have_each_its_own_parameters():
    p = LogisticMixture(torch.zeros(2, 1), torch.tensor([[0.0], [50.0]]), torch.zeros(2, 1))
    torch.manual_seed(0)
    drawn = p.sample((4000,))
    assert drawn.shape == (4000, 2)
    for column, location in zip(drawn.T.numpy(), (0, 50), strict=True):
        assert stats.kstest(column, stats.logistic(location).cdf).pvalue > 1e-6  # false alarm 1e-6


INNER = (-2.0, 3.5)


def bounded(low, high, dtype=torch.float64):
    p = made(dtype=dtype)
    return LogisticMixture(p.log_weights, p.location, p.log_scale, torch.tensor([low, high], dtype=dtype))


def mass(low, high):
    below, above = oracles.logistic_mixture_cdf(np.array([low, high]), WEIGHTS, LOCATION, SCALE)
    return above - below


@pytest.mark.parametrize(("low", "high"), [INNER, (-math.inf, 0.0), (1.0, math.inf), (-math.inf, math.inf)])
def test_between_bounds_the_density_is_that_of_the_numbers_there(low, high):
    y = np.linspace(-20, 20, 401)
    found = bounded(low, high).log_density(torch.from_numpy(y)).numpy()
    free = np.log(oracles.logistic_mixture_pdf(y, WEIGHTS, LOCATION, SCALE))
    inside = (y >= low) & (y <= high)
    expected = np.where(inside, free - np.log(mass(low, high)), free + oracles.BEYOND)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)
    single = bounded(low, high, torch.float32).log_density(torch.from_numpy(y).float()).numpy()
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("low", "high"), [INNER, (1.0, math.inf), (-9.0, -8.0)])
def test_a_bounded_density_integrates_to_one_between_its_bounds(low, high):
    p = bounded(low, high)
    pieces = [low, *(y for y in (0.0, 3.9, 4.0, 4.1) if low < y < high), min(high, 60.0)]
    total = sum(
        integrate.quad(lambda y: float(p.log_density(torch.tensor(y, dtype=torch.float64)).exp()), a, b, limit=200)[0]
        for a, b in itertools.pairwise(pieces)
    )
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("low", "high"), [INNER, (1.0, math.inf), (-math.inf, -30.0), (80.0, 80.5), (3.99, 4.2)])
def test_bounded_draws_follow_the_distribution_function_between_the_bounds(low, high):
    # a Kolmogorov-Smirnov test at p > 1e-6: false alarm 5e-6
    torch.manual_seed(0)
    drawn = bounded(low, high).sample((20_000,)).numpy()
    assert low <= drawn.min() <= drawn.max() <= high
    density = logsumexp_density(drawn)
    assert np.isfinite(density).all()
    grid = np.linspace(max(low, drawn.min() - 1), min(high, drawn.max() + 1), 20_001)
    reached = integrate.cumulative_trapezoid(np.exp(logsumexp_density(grid) - density.max()), grid, initial=0)
    assert stats.kstest(drawn, lambda y: np.interp(y, grid, reached / reached[-1])).pvalue > 1e-6


def logsumexp_density(y):
    return logsumexp(stats.logistic.logpdf(y[:, None], LOCATION, SCALE) + np.log(WEIGHTS), axis=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (30.0, 31.0), (-700.0, -699.0), (200.0, math.inf), (5.0, 5.01)])
def test_a_quantile_between_bounds_in_sixty_digits(low, high, dtype):
    import mpmath

    p = LogisticMixture(*torch.zeros(3, 1, dtype=dtype), torch.tensor([low, high], dtype=dtype))
    u = torch.tensor([0.01, 0.5, 0.99], dtype=dtype)
    found = p.quantile(torch.zeros(3, 1, dtype=torch.long), u).numpy()
    with mpmath.workdps(700):
        a, b = (1 / (1 + mpmath.exp(-mpmath.mpf(float(end)))) for end in p.limits)
        at = [a + mpmath.mpf(float(v)) * (b - a) for v in u]
        expected = [float(mpmath.log(v / (1 - v))) for v in at]
    np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("low", [-600.0, -20.0, -3.0, 0.0, 2.0, 50.0, 600.0, -math.inf])
@pytest.mark.parametrize("width", [0.05, 1.0, 700.0, math.inf])
def test_the_mean_between_bounds(low, width):
    high = low + width if math.isfinite(low) else width
    p = LogisticMixture(*torch.zeros(3, 1).double(), torch.tensor([low, high]).double())
    heaviest = min(max(low, 0.0), high)  # the density is measured as a multiple of that there
    y = heaviest + np.linspace(max(low - heaviest, -60), min(high - heaviest, 60), 200_001)
    density = np.exp(stats.logistic.logpdf(y) - stats.logistic.logpdf(heaviest))
    expected = integrate.simpson(y * density, y) / integrate.simpson(density, y)
    assert float(p.mean) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_without_bounds_the_mean_is_that_of_the_components():
    assert float(bounded(-math.inf, math.inf).mean) == pytest.approx((WEIGHTS * LOCATION).sum(), rel=1e-12)


def test_bounded_gradients_are_finite_and_those_of_differences():
    for (low, high), y in itertools.product([INNER, (0.0, math.inf), (-1e4, -9e3)], (-1e3, -2.0, 1.0, 1e3)):
        for dtype in (torch.float64, torch.float32):
            parts = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in ([0.0, 0.5], [-1.5, 0.25], [-7.0, 3.0])]
            value = LogisticMixture(*parts, torch.tensor([low, high])).log_density(torch.tensor(y, dtype=dtype))
            assert all(torch.isfinite(g).all() for g in torch.autograd.grad(value, parts))
    parts = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.0, 0.5], [-1.5, 0.25], [-1.0, 0.5])]
    assert torch.autograd.gradcheck(
        lambda *p: LogisticMixture(*p, torch.tensor([0.0, math.inf])).log_density(torch.tensor([0.3, 2.0]).double()),
        parts,
    )


def test_at_a_grid_the_ends_take_the_tails_and_numbers_beyond_are_all_but_impossible():
    middle, width = torch.arange(-3.0, 4.0).double(), torch.ones(7).double()
    p = made()
    found = p.log_interval(middle, width, middle[2], middle[4])
    cdf = oracles.logistic_mixture_cdf(np.array([-0.5, 0.5]), WEIGHTS, LOCATION, SCALE)
    np.testing.assert_allclose(found[2:5].exp().numpy(), np.diff(cdf, prepend=0, append=1), rtol=1e-10)
    np.testing.assert_allclose(
        found[[0, 1, 5, 6]].numpy(), (p.log_interval(middle, width)[[0, 1, 5, 6]] + oracles.BEYOND).numpy(), rtol=1e-10
    )
    one = p.log_interval(middle, width, middle[3], middle[3])
    assert float(one[3]) == 0.0  # the only number that there is
