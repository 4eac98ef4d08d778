"""The importance-weighted bound: its sum, its count, its order and its limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import oracles
from builders import linear_vae
from vaekit.objectives import log_mean_exp

log_weights = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 4)),
    elements=st.floats(-1e4, 1e4, allow_nan=False),
)


@given(log_weights)
def test_it_is_the_logarithm_of_the_mean(w):
    np.testing.assert_allclose(
        log_mean_exp(torch.from_numpy(w)).numpy(), oracles.log_mean_exp(w), rtol=1e-12, atol=1e-9
    )
    by_rows = log_mean_exp(torch.from_numpy(w), 1).numpy()
    np.testing.assert_allclose(by_rows, oracles.log_mean_exp(w, 1), rtol=1e-12, atol=1e-9)


@given(log_weights)
def test_it_lies_between_mean_and_greatest(w):
    found = log_mean_exp(torch.from_numpy(w)).numpy()
    assert (found <= w.max(0) + 1e-9).all()
    assert (found >= w.mean(0) - 1e-9).all()
    assert (found >= w.max(0) - math.log(len(w)) - 1e-9).all()


@given(log_weights, st.floats(-1e3, 1e3))
def test_a_common_factor_comes_out(w, shift):
    shifted = log_mean_exp(torch.from_numpy(w + shift)).numpy()
    np.testing.assert_allclose(shifted, log_mean_exp(torch.from_numpy(w)).numpy() + shift, atol=1e-8)


@given(log_weights)
def test_repeating_every_draw_changes_nothing(w):
    np.testing.assert_allclose(
        log_mean_exp(torch.from_numpy(np.repeat(w, 3, axis=0))).numpy(), oracles.log_mean_exp(w), rtol=1e-12, atol=1e-9
    )


def test_a_draw_without_weight_counts_in_the_mean():
    assert log_mean_exp(torch.tensor([0.0, -math.inf])).item() == pytest.approx(-math.log(2))


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    oracle = oracles.LinearGaussian(rng.normal(size=(4, 2)), rng.normal(size=4), 0.5)
    X = oracle.sample(30, rng)
    V, c, covariance = oracle.affine_posterior()
    return oracle, X, linear_vae(oracle, V, c + 0.2, 1.3 * np.sqrt(np.diag(covariance))), rng


def test_one_draw_is_one_estimate_of_the_elbo(parts):
    # z-tests of 30 rows at |z| < 5: false alarm 2e-5
    oracle, X, model, rng = parts
    noise = rng.normal(size=(4000, 30, 2))
    joint = model.draw(torch.from_numpy(X), noise=torch.from_numpy(noise))
    weights = joint.log_weights().detach()
    one = log_mean_exp(weights[:1]).numpy()
    np.testing.assert_allclose(one, weights[0].numpy(), rtol=1e-12)
    mean, std = joint.posterior.mean.detach().numpy(), joint.posterior.stddev.detach().numpy()
    expected = [oracle.log_weight(x, m + std[0] * e, m, std[0]) for x, m, e in zip(X, mean, noise[0], strict=True)]
    np.testing.assert_allclose(one, expected, rtol=1e-10)
    elbo = -oracle.expected_distortion(X, mean, np.diag(std[0] ** 2)) - oracles.standard_normal_kl(mean, std)
    assert np.abs(oracles.z_scores(weights.numpy(), elbo)).max() < 5


def test_it_grows_with_the_draws_towards_the_evidence(parts):
    # z-tests of five increments and of the limit at z > −5: false alarm 2e-6
    oracle, X, model, rng = parts
    draws, repeats = 64, 100
    noise = torch.from_numpy(rng.normal(size=(draws * repeats, 30, 2)))
    weights = model.draw(torch.from_numpy(X), noise=noise).log_weights().detach().reshape(repeats, draws, 30)
    bounds = {}
    for k in (1, 2, 4, 16, 64):
        groups = weights.reshape(repeats, draws // k, k, 30)
        bounds[k] = log_mean_exp(groups, 2).mean(1).mean(-1).numpy()  # all draws are used at every k
    exact = oracle.log_prob(X).mean()
    for fewer, more in ((1, 2), (2, 4), (4, 16), (16, 64)):
        assert oracles.z_scores(bounds[more] - bounds[fewer], 0.0) > 5
    assert oracles.z_scores(bounds[64], exact) < 5
    everything = oracles.log_mean_exp(weights.reshape(-1, 30).numpy())
    relative = np.exp(weights.reshape(-1, 30).numpy() - oracle.log_prob(X))
    error = relative.std(0, ddof=1) / math.sqrt(len(relative))
    assert (np.abs(everything - oracle.log_prob(X)) < 5 * error + error**2).all()
