"""The rate-distortion curve of a trained model, against linear-Gaussian models in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import oracles
from builders import bernoulli_vae, linear_vae, rows_of
from vaekit.data.steps import Affine
from vaekit.errors import VaekitError
from vaekit.evaluation import bounds, fitting, inference_gap, rate_distortion
from vaekit.models.priors import GaussianMixture

BETAS = (0.0, 0.1, 0.5, 1.0, 3.0, 30.0, 100.0)


@pytest.fixture
def linear():
    """A model whose posterior is correlated, rows of it, and an encoder that is somewhat wrong."""
    rng = np.random.default_rng(0)
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    X = oracle.sample(40, rng).astype(np.float32).astype(np.float64)
    V, c, covariance = oracle.affine_posterior()
    std = np.sqrt(np.diag(covariance))
    return oracle, X, linear_vae(oracle, V, c + 0.5 * std, 1.2 * std).float()


def tempered(oracle, X, beta):
    """Mean and covariance of p(z) p(x|z)^β: β observations of x with independent noise."""
    covariance = np.linalg.inv(np.eye(oracle.W.shape[1]) + beta * oracle.W.T @ oracle.W / oracle.variance)
    return beta * (X - oracle.b) @ oracle.W @ covariance / oracle.variance, covariance


def figures(oracle, X, mean, covariance):
    """Rate and distortion of N(mean, covariance), averages over rows."""
    rate = [oracles.gaussian_kl(m, covariance, 0 * m, np.eye(len(m))) for m in mean]
    return np.mean(rate), oracle.expected_distortion(X, mean, covariance).mean()


def noise_of_distortion(oracle, X, mean, covariance, samples):
    """Standard error of the average distortion by draws of so many for each row."""
    z = np.random.default_rng(1).multivariate_normal(np.zeros(len(covariance)), covariance, 2000)
    residual = ((X[:, None] - oracle.b - (mean[:, None] + z) @ oracle.W.T) ** 2).sum(-1)
    return math.sqrt((0.5 * residual / oracle.variance).var(1).mean() / (samples * len(X)))


def test_every_point_is_the_best_that_diagonal_gaussians_reach(linear):
    # z-tests of seven points at |z| < 5, widened by 0.02 nats for the fit
    oracle, X, model = linear
    found = rate_distortion(model, rows_of(X), BETAS, samples=500).points
    assert tuple(point.beta for point in found) == BETAS
    for point in found:
        mean, covariance = tempered(oracle, X, point.beta)
        best = np.diag(1 / np.diag(np.linalg.inv(covariance)))
        rate, distortion = figures(oracle, X, mean, best)
        error = noise_of_distortion(oracle, X, mean, best, 500)
        assert point.rate == pytest.approx(rate, abs=0.02)
        assert point.distortion == pytest.approx(distortion, abs=5 * error + 0.02)
        bound, least = point.rate + point.beta * point.distortion, figures(oracle, X, mean, covariance)
        assert bound > least[0] + point.beta * (least[1] - 5 * error) - 0.001
    assert found[0].rate == pytest.approx(0, abs=1e-3)


def test_more_weight_on_the_distortion_buys_less_of_it_for_more_rate(linear):
    _, X, model = linear
    found = rate_distortion(model, rows_of(X), BETAS, samples=200).points
    assert (np.diff([point.rate for point in found]) > 0).all()
    assert (np.diff([point.distortion for point in found]) < 0).all()


def test_at_one_it_is_the_bound_of_the_best_posterior(linear):
    oracle, X, model = linear
    (point,) = rate_distortion(model, rows_of(X), [1.0], samples=1000).points
    gaps = inference_gap(model, rows_of(X), samples=1000)
    mean, covariance = tempered(oracle, X, 1.0)
    error = noise_of_distortion(oracle, X, mean, covariance, 1000)
    assert -(point.rate + point.distortion) == pytest.approx(gaps.best_elbo.mean(), abs=5 * error)
    assert -(point.rate + point.distortion) > gaps.elbo.mean()


def test_points_do_not_depend_on_the_grid(linear):
    _, X, model = linear
    several = rate_distortion(model, rows_of(X), [3.0, 1.0, 0.5], samples=3, steps=10).points
    assert several[1:2] == rate_distortion(model, rows_of(X), [1.0], samples=3, steps=10).points
    assert several == rate_distortion(model, rows_of(X), [3.0, 1.0, 0.5], samples=3, steps=10).points


def test_blocks_do_not_matter(linear, monkeypatch):
    _, X, model = linear
    whole = rate_distortion(model, rows_of(X), [0.3, 2.0], samples=5, steps=20).points
    monkeypatch.setattr(fitting, "BUDGET", 1)
    monkeypatch.setattr(bounds, "CACHED", 1)
    for one, other in zip(
        rate_distortion(model, rows_of(X), [0.3, 2.0], samples=5, steps=20).points, whole, strict=True
    ):
        assert one.rate == pytest.approx(other.rate, abs=1e-4)
        assert one.distortion == pytest.approx(other.distortion, abs=1e-4)
        assert one.distortion_error == pytest.approx(other.distortion_error, abs=1e-4)


def test_only_the_distortion_has_units(linear):
    _, X, model = linear
    (plain,) = rate_distortion(model, rows_of(X), [1.0], samples=300, steps=200).points
    step = Affine(shift=(3.0,), scale=(7.5,), shape=(5,))
    (given,) = rate_distortion(model, rows_of(X * 7.5 + 3, step), [1.0], samples=300, steps=200).points
    assert given.rate == pytest.approx(plain.rate, abs=0.05)
    assert given.distortion == pytest.approx(plain.distortion + 5 * math.log(7.5), abs=0.1)


def test_a_prior_without_a_closed_form_of_the_rate():
    model, plain = bernoulli_vae(features=4, seed=3), bernoulli_vae(features=4, seed=3)
    model.prior = GaussianMixture(1, 1)  # N(0, 1) by another name, whose rate is measured by draws
    X = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]], float)
    by_draws = rate_distortion(model, rows_of(X), [0.0, 1.0, 4.0], samples=4000).points
    for one, other in zip(
        by_draws, rate_distortion(plain, rows_of(X), [0.0, 1.0, 4.0], samples=4000).points, strict=True
    ):
        assert one.rate == pytest.approx(other.rate, abs=0.05)
        assert one.distortion == pytest.approx(other.distortion, abs=0.05)


def test_errors_are_over_rows(linear):
    _, X, model = linear
    points = [rate_distortion(model, rows_of(X[i : i + 1]), [1.0], samples=5, steps=10).points[0] for i in range(5)]
    (found,) = rate_distortion(model, rows_of(X[:5]), [1.0], samples=5, steps=10).points
    for name in ("rate", "distortion"):
        each = np.array([getattr(point, name) for point in points])
        assert getattr(found, name) == pytest.approx(each.mean(), abs=1e-4)
        assert getattr(found, f"{name}_error") == pytest.approx(each.std(ddof=1) / math.sqrt(5), abs=1e-4)
        assert getattr(points[0], f"{name}_error") is None


def test_the_model_is_left_as_it_was(linear):
    _, X, model = linear
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rate_distortion(model, rows_of(X), [1.0], samples=2, steps=3)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("betas", [[], [-0.1], [1.0, math.nan], [math.inf]])
def test_weights_that_are_none_are_refused(linear, betas):
    with pytest.raises(VaekitError, match="betas must be one or more finite numbers, each at least 0"):
        rate_distortion(linear[2], rows_of(linear[1]), betas)


@pytest.mark.parametrize("wanted", [{"samples": 0}, {"steps": 0}])
def test_numbers_below_one_are_refused(linear, wanted):
    with pytest.raises(VaekitError, match=f"{next(iter(wanted))} must be at least 1"):
        rate_distortion(linear[2], rows_of(linear[1]), [1.0], **wanted)
