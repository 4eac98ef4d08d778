"""The discretised logistic is a probability, exact in every tail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from vaekit.distributions import DiscretizedLogistic

CASES = [(1.2, 0.7, 4), (-3.0, 0.05, 5), (0.0, 40.0, 2), (127.0, 0.12, 256), (300.0, 9.0, 256), (2.5, 0.3, 6)]


def made(location, scale, levels, dtype=torch.float64):
    return DiscretizedLogistic(torch.tensor(location, dtype=dtype), torch.tensor(scale, dtype=dtype), levels)


@pytest.mark.parametrize(("location", "scale", "levels"), CASES)
def test_probabilities_of_all_levels_sum_to_one(location, scale, levels):
    p = made(location, scale, levels)
    assert float(p.log_prob(torch.arange(levels).double()).exp().sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("location", "scale", "levels"), CASES)
def test_inner_probabilities_are_differences_of_the_logistic_distribution_function(location, scale, levels):
    k = np.arange(levels)
    upper = np.where(k == levels - 1, np.inf, k + 0.5)
    lower = np.where(k == 0, -np.inf, k - 0.5)
    logistic = stats.logistic(location, scale)
    found = made(location, scale, levels).log_prob(torch.from_numpy(k).double()).exp().numpy()
    np.testing.assert_allclose(found, logistic.cdf(upper) - logistic.cdf(lower), atol=1e-14)


@pytest.mark.parametrize("location", [-4000.0, -30.0, 0.0, 100.4, 255.0, 300.0, 5000.0])
@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0, 2500.0])
def test_single_precision_does_not_cancel_in_far_tails(location, scale):
    levels = np.arange(256)
    expected = [oracles.discretized_logistic(k, location, scale, 256) for k in levels]
    found = made(location, scale, 256, torch.float32).log_prob(torch.from_numpy(levels).float()).numpy()
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_mean_and_variance_by_enumeration():
    for location, scale, levels in CASES:
        p, k = made(location, scale, levels), np.arange(levels)
        probability = p.log_prob(torch.from_numpy(k).double()).exp().numpy()
        mean = (k * probability).sum()
        assert float(p.mean) == pytest.approx(mean, rel=1e-10, abs=1e-10)
        assert float(p.variance) == pytest.approx((((k - mean) ** 2) * probability).sum(), rel=1e-7, abs=1e-9)


def test_draws_follow_the_probabilities():
    # a χ²-test of six levels at p > 1e-6: false alarm 1e-6
    torch.manual_seed(0)
    p = made(2.2, 0.8, 6)
    counts = np.bincount(p.sample((20_000,)).long().numpy(), minlength=6)
    expected = p.log_prob(torch.arange(6).double()).exp().numpy() * 20_000
    assert stats.chisquare(counts, expected).pvalue > 1e-6


def test_gradient_follows_finite_differences():
    k = torch.arange(8).double()
    location, scale = torch.tensor(2.3).double().requires_grad_(), torch.tensor(0.6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: DiscretizedLogistic(m, s, 8).log_prob(k), (location, scale))


def test_expansion_keeps_the_distribution():
    p = made(1.2, 0.7, 4).expand(torch.Size([3, 2]))
    assert p.batch_shape == (3, 2)
    expected = oracles.discretized_logistic(1, 1.2, 0.7, 4)
    np.testing.assert_allclose(p.log_prob(torch.ones(3, 2).double()).numpy(), expected)


@pytest.mark.parametrize("levels", [37, 38, 256, 4096, 65536])
@pytest.mark.parametrize("scale", [0.02, 0.116, 0.999, 1.0, 4.0, 30.0, 1e5])
def test_any_number_of_levels_has_probabilities_and_a_mean(levels, scale):
    edges = [-90.0, -0.5, 0.0, 0.5, 1.0, levels - 1.5, levels - 1.0, levels + 90.0, 7.0 * levels]
    location = torch.cat([torch.linspace(3, levels, 9, dtype=torch.float64), torch.tensor(edges, dtype=torch.float64)])
    k = torch.arange(levels, dtype=torch.float64)
    by_level = torch.sigmoid((location[:, None] + 0.5 - k[1:]) / scale).sum(1)
    p = DiscretizedLogistic(location, torch.full_like(location, scale), levels)
    np.testing.assert_allclose(p.mean, by_level, rtol=1e-12, atol=1e-6)
    for place in (3.0, levels / 3, levels - 1.0):
        single = DiscretizedLogistic(torch.tensor(place), torch.tensor(scale), levels)
        assert float(single.log_prob(k.float()).double().exp().sum()) == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("scale", [0.02, 0.7, 1.3, 40.0])
def test_the_mean_has_the_gradient_of_the_sum_over_levels(scale):
    location = torch.tensor([-30.0, 0.2, 20.5, 120.0, 254.9, 300.0], dtype=torch.float64, requires_grad=True)
    spread = torch.full_like(location, scale).requires_grad_()
    by_level = torch.sigmoid((location[:, None] + 0.5 - torch.arange(1, 256)) / spread[:, None]).sum()
    expected = torch.autograd.grad(by_level, (location, spread))
    found = torch.autograd.grad(DiscretizedLogistic(location, spread, 256).mean.sum(), (location, spread))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=2e-6)
