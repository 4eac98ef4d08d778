"""The diagonal Gaussian against scipy and against full-covariance formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import kl_divergence

import oracles
from vaekit.distributions import DiagonalNormal


@pytest.fixture
def moments():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 3)), rng.uniform(0.2, 3, (6, 3)), rng.normal(size=(6, 3)), rng.uniform(0.2, 3, (6, 3))


def normal(mean, std):
    return DiagonalNormal(torch.as_tensor(mean), torch.as_tensor(std))


def test_log_density_is_the_sum_over_coordinates(moments):
    mean, std, z, _ = moments
    found = normal(mean, std).log_prob(torch.as_tensor(z)).numpy()
    expected = [stats.multivariate_normal(m, np.diag(s**2)).logpdf(v) for m, s, v in zip(mean, std, z, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_kl_between_two_diagonal_gaussians_is_that_of_full_covariances(moments):
    mean, std, m, s = moments
    found = kl_divergence(normal(mean, std), normal(m, s)).numpy()
    expected = [
        oracles.gaussian_kl(a, np.diag(b**2), c, np.diag(d**2)) for a, b, c, d in zip(mean, std, m, s, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_kl_is_the_mean_log_ratio_of_draws(moments):
    # a z-test of 6 rows at |z| < 5: false alarm 4e-6
    mean, std, m, s = moments
    z = mean + std * np.random.default_rng(1).normal(size=(40_000, 6, 3))
    ratio = (stats.norm.logpdf(z, mean, std) - stats.norm.logpdf(z, m, s)).sum(-1)
    found = kl_divergence(normal(mean, std), normal(m, s)).numpy()
    assert np.abs(oracles.z_scores(ratio, found)).max() < 5


def test_kl_per_dimension_holds_the_summands(moments):
    mean, std, m, s = moments
    found = normal(mean, std).kl_per_dimension(normal(m, s)).numpy()
    expected = [
        [
            oracles.gaussian_kl(np.array([a]), np.diag([b**2]), np.array([c]), np.diag([d**2]))
            for a, b, c, d in zip(*row, strict=True)
        ]
        for row in zip(mean, std, m, s, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_kl_vanishes_only_between_equals(moments):
    mean, std, m, s = moments
    assert kl_divergence(normal(mean, std), normal(mean, std)).abs().max() < 1e-14
    assert (kl_divergence(normal(mean, std), normal(m, s)) > 0).all()


def test_kl_survives_a_tiny_standard_deviation_in_single_precision():
    q = DiagonalNormal(torch.zeros(1), torch.tensor([1e-25]))
    expected = -0.5 - math.log(1e-25)
    assert float(kl_divergence(q, DiagonalNormal(torch.zeros(1), torch.ones(1)))) == pytest.approx(expected, rel=1e-6)


def test_entropy_mean_and_spread(moments):
    mean, std, _, _ = moments
    q = normal(mean, std)
    np.testing.assert_allclose(q.entropy().numpy(), stats.norm(mean, std).entropy().sum(1), rtol=1e-12)
    np.testing.assert_array_equal(q.mean.numpy(), mean)
    np.testing.assert_allclose(q.stddev.numpy(), std)


def test_reparameterization_is_mean_plus_std_times_noise(moments):
    mean, std, _, _ = moments
    noise = np.random.default_rng(2).normal(size=(4, 6, 3))
    np.testing.assert_array_equal(normal(mean, std).reparameterize(torch.as_tensor(noise)).numpy(), mean + std * noise)


def test_draws_have_the_given_moments(moments):
    # z-tests of 18 means and 18 variances at |z| < 5: false alarm 2e-5
    mean, std, _, _ = moments
    torch.manual_seed(0)
    z = normal(mean, std).rsample((20_000,)).numpy()
    assert z.shape == (20_000, 6, 3)
    assert np.abs(oracles.z_scores(z, mean)).max() < 5
    assert np.abs(oracles.z_scores((z - mean) ** 2, std**2)).max() < 5


def test_gradients_of_draws_reach_mean_and_std(moments):
    mean, std, coefficient, _ = (torch.as_tensor(t) for t in moments)
    mean, std = mean.requires_grad_(), std.requires_grad_()
    noise = torch.as_tensor(np.random.default_rng(3).normal(size=(5, 6, 3)))
    (coefficient * DiagonalNormal(mean, std).reparameterize(noise)).sum().backward()
    np.testing.assert_allclose(mean.grad.numpy(), 5 * coefficient.numpy())
    np.testing.assert_allclose(std.grad.numpy(), coefficient.numpy() * noise.sum(0).numpy())
