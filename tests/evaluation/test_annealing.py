"""Annealed importance sampling on models whose log p(x) is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import oracles
import vaekit
from builders import bernoulli_vae, linear_vae
from vaekit.data import Part, RowNoise, Rows, Transform
from vaekit.errors import VaekitError
from vaekit.evaluation import annealed_bound, bracket, measure
from vaekit.evaluation.annealing import FORWARD, Chains, schedule


@pytest.fixture
def parts():
    """A linear-Gaussian model with an encoder that is far off: too narrow, and off by its own width."""
    rng = np.random.default_rng(0)
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    V, c, covariance = oracle.affine_posterior()
    std = 0.5 * np.sqrt(np.diag(covariance))
    return oracle, oracle.sample(12, rng), linear_vae(oracle, V, c + std, std).float()


def rows_of(X):
    return Rows(Part(X, np.arange(len(X))), Transform(steps=()), 0)


def test_the_schedule_rises_from_zero_to_one():
    betas = schedule(50)
    assert betas[0] == 0
    assert betas[-1] == 1
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(np.array(betas) + np.array(betas[::-1]), 1)


def test_one_temperature_is_the_importance_weighted_bound(parts):
    _, X, model = parts
    found = annealed_bound(model, rows_of(X), 400, 1)
    again = measure(model, rows_of(X), 400).log_likelihood
    difference = found - again  # other noise, the same quantity
    assert abs(difference.mean()) < 4.5 * difference.std() / math.sqrt(len(X))


def test_it_reaches_the_exact_likelihood_where_importance_weights_do_not(parts):
    oracle, X, model = parts
    exact = oracle.log_prob(X)
    rough = measure(model, rows_of(X), 16).log_likelihood
    found = annealed_bound(model, rows_of(X), 128, 60)
    # Five deviations over seeds: a last bit of a sum can turn an acceptance over, and with it the whole chain.
    assert abs((found - exact).mean()) < 0.06
    assert np.abs(found - exact).max() < 0.25
    assert np.abs(rough - exact).mean() > 3 * np.abs(found - exact).mean()


def test_the_weights_have_the_likelihood_as_their_mean(parts):
    """The average of w, not of its logarithm, is without bias for any number of temperatures."""
    oracle, X, model = parts
    one = np.repeat(X[:1], 400, axis=0) + 0.0
    one[:, 0] += 1e-9 * np.arange(400)  # rows of their own, so that each has its own noise
    found = annealed_bound(model, rows_of(one), 8, 4) - oracle.log_prob(one)
    weights = np.exp(found)
    assert abs(weights.mean() - 1) < 4.5 * weights.std() / math.sqrt(400)
    assert found.mean() < 0


def test_bounds_from_both_sides_hold_the_exact_likelihood_between_them(parts):
    oracle, _, model = parts
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        x = model.decoder(model.prior().sample((300,))).sample().numpy()
    exact, widths = oracle.log_prob(x), []
    for temperatures in (3, 30):
        lower, upper = bracket(model, 300, 8, temperatures, seed=1)
        for gap, log_weight in ((exact - lower, lower - exact), (upper - exact, exact - upper)):
            assert gap.mean() > -3 * gap.std() / math.sqrt(300)
            weight = np.exp(log_weight)
            assert abs(weight.mean() - 1) < 4.5 * weight.std() / math.sqrt(300)
        widths.append((upper - lower).mean())
    assert 0 < widths[1] < 0.2 < widths[0]


def test_a_model_of_binary_data_against_quadrature():
    model = bernoulli_vae(features=4, latent_dim=1)
    X = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]], float)
    grid = torch.linspace(-8, 8, 4001)
    with torch.no_grad():
        log_x = model.decoder(grid[:, None, None]).log_prob(torch.tensor(X, dtype=torch.float32)).double().numpy()
    log_prior = -0.5 * grid.double().numpy() ** 2 - 0.5 * math.log(2 * math.pi)
    exact = logsumexp(log_x + log_prior[:, None], axis=0) + math.log(float(grid[1] - grid[0]))
    np.testing.assert_allclose(annealed_bound(model, rows_of(X), 400, 100), exact, atol=0.04)  # 5 deviations over seeds


def test_moves_leave_their_density_as_it_is(parts):
    """Places drawn from the exact posterior still follow it after a move."""
    oracle, X, model = parts
    mean, covariance = oracle.posterior(X[:1])
    rng = np.random.default_rng(1)
    z = torch.from_numpy(rng.multivariate_normal(mean[0], covariance, size=(4000, 1)))
    x = torch.from_numpy(X[:1])
    with torch.no_grad():
        q = model.double().encoder(x)
        chains = Chains(model, x, q, model.prior(), RowNoise(X[:1], 0), FORWARD, 4000)
        u, accepted = chains.move((z - q.mean) / q.stddev, 1.0, torch.tensor([1.0], dtype=torch.float64), 1)
        moved = q.reparameterize(u)[:, 0].numpy()
    assert 0.5 < accepted.double().mean().item() < 1
    assert np.abs(moved.mean(0) - mean[0]).max() < 4.5 * math.sqrt(covariance.max() / 4000)
    np.testing.assert_allclose(np.cov(moved.T), covariance, atol=5 * covariance.max() / math.sqrt(4000))


def test_the_same_whatever_the_blocks(parts, monkeypatch):
    _, X, model = parts
    whole = annealed_bound(model, rows_of(X), 4, 5)
    monkeypatch.setattr("vaekit.evaluation.annealing.BUDGET", 1)
    # products of float32, whose last bits depend on how many rows there are; other noise would change tenths
    np.testing.assert_allclose(annealed_bound(model, rows_of(X), 4, 5), whole, rtol=1e-5, atol=1e-5)


def test_a_run_is_measured_by_annealing(tmp_path):
    settings = {"encoder.hidden": [16], "decoder.hidden": [16], "latent_dim": 2, "training.epochs": 3}
    run = vaekit.train("digits", recipe="digits", settings=settings, out=tmp_path / "run")
    figures = run.evaluate(samples=200, temperatures=10)
    found = figures.annealed
    assert (found.examples, found.chains, found.temperatures) == (100, 16, 10)
    assert found.value == pytest.approx(figures.log_likelihood.value, abs=5 * found.standard_error)
    again = run.evaluate(samples=1, temperatures=10).annealed
    assert again == replace(found, gain=again.gain, gain_error=again.gain_error)
    assert again.gain > found.gain  # over the same rows' bound by fewer draws
    lone = run.evaluate(samples=2, temperatures=1, examples=1)
    assert lone.annealed.gap_error is None
    assert any(" apart" in text and "± –" in text for _, text in lone.rows())
    assert any("annealed, T = 10" in name for name, _ in figures.rows())
    with pytest.raises(VaekitError, match="temperatures must be at least 1"):
        run.evaluate(temperatures=0)
    plain = vaekit.train("digits", recipe="autoencoder", settings=settings, out=tmp_path / "plain")
    with pytest.raises(VaekitError, match="An autoencoder has no likelihood, but annealing needs one"):
        plain.evaluate(temperatures=5)
