"""Probabilistic principal component analysis against scipy's Gaussian and singular values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

import oracles
from vaekit.errors import VaekitError
from vaekit.models import ProbabilisticPCA


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_log_density_is_that_of_the_marginal_gaussian(rng):
    W, b = rng.normal(size=(6, 2)), rng.normal(size=6)
    X = 3 * rng.normal(size=(9, 6))
    expected = oracles.LinearGaussian(W, b, 0.4).log_prob(X)
    np.testing.assert_allclose(ProbabilisticPCA(W, b, 0.4).log_prob(X), expected, rtol=1e-10)


def test_posterior_is_the_conditional_of_the_joint_gaussian(rng):
    W, b, X = rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=(9, 6))
    mean, covariance = ProbabilisticPCA(W, b, 0.4).posterior(X)
    expected_mean, expected_covariance = oracles.LinearGaussian(W, b, 0.4).posterior(X)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-10)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-10)


@pytest.mark.parametrize(("n", "p", "k"), [(200, 6, 2), (40, 5, 4), (12, 30, 3), (5, 5, 1), (3, 50, 1)])
def test_fit_reaches_the_closed_form_maximum(rng, n, p, k):
    X = rng.normal(size=(n, p)) * np.linspace(3, 0.5, p) + 10
    model, best = ProbabilisticPCA.fit(X, k)
    oracle, eigenvalues = oracles.principal_components(X, k)
    closed_form = -0.5 * (
        p * math.log(2 * math.pi) + np.log(eigenvalues[:k]).sum() + (p - k) * math.log(eigenvalues[k:].mean()) + p
    )
    assert best == pytest.approx(closed_form, rel=1e-10)
    assert model.variance == pytest.approx(oracle.variance, rel=1e-9)
    np.testing.assert_allclose(model.weight @ model.weight.T, oracle.W @ oracle.W.T, rtol=1e-8, atol=1e-10)
    assert model.log_prob(X).mean() == pytest.approx(best, rel=1e-9)
    assert oracle.log_prob(X).mean() == pytest.approx(best, rel=1e-9)


def test_no_other_linear_model_is_likelier(rng):
    X = rng.normal(size=(60, 3)) * [3.0, 1.0, 0.7]
    model, best = ProbabilisticPCA.fit(X, 1)

    def cost(theta):
        return -oracles.LinearGaussian(theta[:3, None], theta[3:6], math.exp(theta[6])).log_prob(X).mean()

    start = np.concatenate([model.weight[:, 0], model.bias, [math.log(model.variance)]])
    assert cost(start) == pytest.approx(-best, rel=1e-9)
    found = optimize.minimize(cost, start + 0.3 * rng.normal(size=7))
    assert -found.fun <= best + 1e-9
    assert -found.fun == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("latent_dim", [0, 4, 9])
def test_more_latents_than_features_are_refused(rng, latent_dim):
    with pytest.raises(VaekitError, match="latent_dim"):
        ProbabilisticPCA.fit(rng.normal(size=(20, 4)), latent_dim)


def test_data_in_fewer_directions_than_latents_are_refused(rng):
    flat = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6))
    for k in (2, 3):
        with pytest.raises(VaekitError, match="vary"):
            ProbabilisticPCA.fit(flat, k)
    for n, k in ((4, 3), (4, 4), (4, 7)):  # n rows span at most n − 1 directions
        with pytest.raises(VaekitError, match="vary"):
            ProbabilisticPCA.fit(rng.normal(size=(n, 9)), k)
    with pytest.raises(VaekitError, match="vary"):
        ProbabilisticPCA.fit(np.ones((5, 3)), 1)
