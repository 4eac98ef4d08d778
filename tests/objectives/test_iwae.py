"""The negative importance-weighted bound of each example, against weights worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from builders import exact_vae, linear_vae
from vaekit.objectives import Loss, NegativeELBO, NegativeIWAE


def terms(model, X, beta=1.0, seed=4, objective=NegativeIWAE):
    torch.manual_seed(seed)
    return Loss(model, objective())(torch.from_numpy(X), torch.tensor(beta, dtype=torch.float64))


def draws(X, V, c, std, samples, seed=4):
    """z of shape (K, n, 2), as the model draws them, and its means."""
    torch.manual_seed(seed)
    noise = torch.randn(samples, len(X), 2, dtype=torch.float64).numpy()
    return X @ V.T + c + std * noise, X @ V.T + c


@pytest.mark.parametrize("samples", [1, 2, 7])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 5.0])
def test_terms_of_each_example(linear_gaussian, samples, beta):
    oracle, X, V, c, std = linear_gaussian
    found = terms(linear_vae(oracle, V, c, std, samples=samples, kl_weight=7.0), X, beta)
    z, mean = draws(X, V, c, std, samples)
    log_x = stats.norm(z @ oracle.W.T + oracle.b, math.sqrt(oracle.variance)).logpdf(X).sum(-1)
    matching = stats.norm(mean, std).logpdf(z).sum(-1) - stats.norm.logpdf(z).sum(-1)
    loss = -oracles.log_mean_exp(log_x - beta * matching)
    for value, expected in zip(found, (loss, -log_x.mean(0), matching.mean(0)), strict=True):
        np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_the_bound_is_the_mean_of_the_weights(linear_gaussian):
    oracle, X, V, c, std = linear_gaussian
    found = terms(linear_vae(oracle, V, c, std, samples=6), X).loss.detach().numpy()
    z, mean = draws(X, V, c, std, 6)
    for row in range(len(X)):
        log_w = oracle.log_weight(X[row], z[:, row], mean[row], std)
        assert found[row] == pytest.approx(-oracles.log_mean_exp(log_w), rel=1e-10)


def test_one_draw_is_the_elbo_with_the_rate_by_the_same_draw(linear_gaussian):
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std)
    found = terms(model, X)
    np.testing.assert_allclose((found.distortion + found.rate).detach(), found.loss.detach(), rtol=1e-12)
    # whose expectation is the negative ELBO, rate in closed form and all
    many = torch.from_numpy(np.repeat(X[:1], 20_000, 0))
    torch.manual_seed(0)
    sample = Loss(model, NegativeIWAE())(many, torch.tensor(1.0).double()).loss.detach().numpy()
    mean = X[:1] @ V.T + c
    elbo = oracle.expected_distortion(X[:1], mean, np.diag(std**2)) + oracles.standard_normal_kl(mean, std[None])
    assert abs(oracles.z_scores(sample, elbo[0])) < 5  # false alarm 6e-7


def test_more_draws_tighten_the_bound_on_average(linear_gaussian):
    """−log p(x) ≤ E[loss_K] ≤ E[loss_k] for k < K; z < 5 raises a false alarm once in a million."""
    oracle, X, V, c, std = linear_gaussian
    many, exact = np.repeat(X[2:3], 4000, 0), -oracle.log_prob(X[2:3])[0]
    losses = [
        terms(linear_vae(oracle, V, c, std, samples=samples), many, seed=samples).loss.detach().numpy()
        for samples in (1, 3, 10, 50)
    ]
    for looser, tighter in zip(losses, [*losses[1:], None], strict=True):
        better = exact if tighter is None else tighter.mean()
        error = math.hypot(*(v.std() / math.sqrt(len(v)) for v in (looser, tighter) if v is not None))
        assert looser.mean() > better - 5 * error
    assert losses[0].mean() - losses[-1].mean() > 1  # and it matters here


def test_the_exact_posterior_has_equal_weights_whatever_the_number_of_draws():
    oracle = oracles.LinearGaussian(np.linalg.qr(np.random.default_rng(1).normal(size=(4, 2)))[0] * 2, np.zeros(4), 0.3)
    X = oracle.sample(6, np.random.default_rng(2))
    for samples in (1, 5):
        loss = terms(exact_vae(oracle, samples=samples), X).loss.detach().numpy()
        np.testing.assert_allclose(loss, -oracle.log_prob(X), rtol=1e-9)


def test_gradients_are_those_of_the_weighted_draws(linear_gaussian):
    """∂ loss/∂b = −Σ_k w̃_k ∂ log p(x|z_k)/∂b with weights that sum to one; and finite where a single draw has all."""
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std, samples=5)
    (gradient,) = torch.autograd.grad(terms(model, X).loss.sum(), model.decoder.network.layers[0].bias)
    z, mean = draws(X, V, c, std, 5)
    residual = (X - z @ oracle.W.T - oracle.b) / oracle.variance
    log_w = np.stack([oracle.log_weight(X[i], z[:, i], mean[i], std) for i in range(len(X))], 1)
    weights = np.exp(log_w - log_w.max(0))
    weights /= weights.sum(0)
    np.testing.assert_allclose(gradient.numpy(), -(weights[..., None] * residual).sum((0, 1)), rtol=1e-8)
    far = terms(model, 1e6 * X).loss
    assert torch.isfinite(far).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(far.sum(), list(model.parameters())))


def test_one_draw_has_the_distortion_of_the_elbo(linear_gaussian):
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std)
    for beta in (0.0, 1.0):  # with one draw, both objectives have the same distortion
        both = [terms(model, X, beta, objective=o).distortion.detach().numpy() for o in (NegativeIWAE, NegativeELBO)]
        np.testing.assert_array_equal(*both)
