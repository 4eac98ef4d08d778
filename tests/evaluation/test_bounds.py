"""Held-out bounds: exact where the evidence is known, and the same however rows and draws are cut."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from builders import bernoulli_vae, decoder_weights, exact_vae, linear_vae, rows_of
from vaekit.data import RowNoise, RowStream
from vaekit.data.steps import Affine, Dequantize
from vaekit.evaluation import bounds, measure
from vaekit.models import Autoencoder
from vaekit.networks import MLP

COLUMNS = ("elbo", "distortion", "rate", "log_likelihood", "mean", "std")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def linear(rng):
    """An oracle, data as float32 holds them, and a model in float32 whose posterior is somewhat wrong."""
    oracle = oracles.LinearGaussian(rng.normal(size=(4, 2)), rng.normal(size=4), 0.5)
    X = oracle.sample(60, rng).astype(np.float32).astype(np.float64)
    V, c, covariance = oracle.affine_posterior()
    model = linear_vae(oracle, V, c + 0.2, 1.3 * np.sqrt(np.diag(covariance))).float()
    return oracle, X, model


def agree(one, other, atol=1e-5):
    for column in COLUMNS:
        np.testing.assert_allclose(getattr(one, column), getattr(other, column), atol=atol, rtol=1e-5, err_msg=column)


def identical(one, other):
    return all(np.array_equal(getattr(one, column), getattr(other, column)) for column in COLUMNS)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_every_figure_from_the_draws_themselves(linear, samples):
    oracle, X, model = linear
    found = measure(model, rows_of(X, seed=3), samples)
    noise = RowNoise(X, 3).normal((samples, 2), RowStream.POSTERIOR).double().numpy()
    V, c, std = (p.detach().double().numpy() for p in (model.encoder.V, model.encoder.c, model.encoder.std))
    mean = X @ V.T + c
    z = mean[:, None] + std * noise
    log_x = stats.norm(z @ oracle.W.T + oracle.b, math.sqrt(oracle.variance)).logpdf(X[:, None]).sum(-1)
    weights = np.stack([oracle.log_weight(x, d, m, std) for x, d, m in zip(X, z, mean, strict=True)])
    rate = oracles.standard_normal_kl(mean, np.tile(std, (60, 1)))
    np.testing.assert_allclose(found.distortion, -log_x.mean(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.rate, rate, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.elbo, log_x.mean(1) - rate, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.log_likelihood, oracles.log_mean_exp(weights, 1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.std, np.tile(std, (60, 1)), rtol=1e-5)
    assert found.samples == samples
    assert np.array_equal(found.elbo, -(found.distortion + found.rate))


def test_with_the_exact_posterior_one_draw_tells_the_evidence(rng):
    oracle = oracles.LinearGaussian(np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7], rng.normal(size=5), 0.3)
    X = oracle.sample(40, rng)
    for samples in (1, 20):
        found = measure(exact_vae(oracle).float(), rows_of(X), samples)
        np.testing.assert_allclose(found.log_likelihood, oracle.log_prob(X), atol=1e-4, rtol=1e-5)


def test_more_draws_tighten_the_bound_towards_the_evidence(linear):
    # paired z-tests over 8 × 60 rows and noises at z > 5 or < 5: false alarm 2e-6
    oracle, X, model = linear
    found = {
        k: np.concatenate([measure(model, rows_of(X, seed=s), k).log_likelihood for s in range(8)])
        for k in (1, 3, 10, 100)
    }
    for fewer, more in ((1, 3), (3, 10), (10, 100)):
        assert (found[more] - found[fewer]).mean() > 0
    assert oracles.z_scores(found[100] - found[1], 0.0) > 5
    difference = found[100] - np.tile(oracle.log_prob(X), 8)
    assert oracles.z_scores(difference, 0.0) < 5
    assert abs(difference.mean()) < 0.02


def test_the_evidence_of_a_nonlinear_model_by_quadrature():
    # z-tests of 16 rows at |z| < 5: false alarm 1e-5
    model, K = bernoulli_vae(features=4, seed=3), 5000
    X = np.array(list(product((0.0, 1.0), repeat=4)))
    network = decoder_weights(model)
    exact = np.array([oracles.bernoulli_evidence(x, lambda z: oracles.tanh_network(z, network)) for x in X])
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-8)

    found = measure(model, rows_of(X), K)
    noise = RowNoise(X).normal((K, 1), RowStream.POSTERIOR).movedim(1, 0)
    with torch.no_grad():
        weights = model.draw(torch.from_numpy(X).float(), noise=noise).log_weights().double().numpy()
    relative = np.exp(weights - exact)
    error = relative.std(0, ddof=1) / math.sqrt(K)
    assert (np.abs(np.exp(found.log_likelihood - exact) - 1) < 5 * error + 1e-5).all()
    assert np.abs(found.log_likelihood - exact).max() < 0.1
    elbo_error = weights.std(0, ddof=1) / math.sqrt(K)
    assert (found.elbo < exact + 5 * elbo_error).all()
    assert (found.elbo.mean() < found.log_likelihood.mean()).all()


@pytest.mark.parametrize("budget", [1, 40, 1000])
def test_neither_blocks_nor_chunks_matter(linear, monkeypatch, budget):
    _, X, model = linear
    whole = measure(model, rows_of(X), 11)
    monkeypatch.setattr(bounds, "BUDGET", budget)
    monkeypatch.setattr(bounds, "CACHED", budget)
    agree(measure(model, rows_of(X), 11), whole)


@pytest.mark.parametrize("budget", [1 << 23, 1000, 40])
@pytest.mark.parametrize("samples", [1, 5, 11])
def test_the_number_of_draws_is_the_number_made(linear, monkeypatch, budget, samples):
    _, X, model = linear
    made = []
    measure(model, rows_of(X))  # it is known then how wide the model is
    model.decoder.register_forward_hook(lambda module, inputs, output: made.append(inputs[0].shape[:2]))
    monkeypatch.setattr(bounds, "BUDGET", budget)
    monkeypatch.setattr(bounds, "CACHED", budget)
    found = measure(model, rows_of(X), samples)
    tile = bounds.tile_rows(4, samples)
    assert sum(m * n for m, n in made) == samples * tile * -(-len(X) // tile)  # the last tile is filled up
    assert max(m * n * 4 for m, n in made) <= max(budget, 4)
    assert found.samples == samples


@pytest.mark.parametrize("size", [1, 7, 59, 60, 64])
def test_the_last_incomplete_tile_is_counted(linear, monkeypatch, size):
    _, X, model = linear
    whole = measure(model, rows_of(X), 3)
    monkeypatch.setattr(bounds, "tile_rows", lambda width, draws: size)
    found = measure(model, rows_of(X), 3)
    assert len(found.elbo) == 60
    agree(found, whole)


def test_figures_belong_to_the_row_whatever_its_company(linear, rng):
    _, X, model = linear
    whole, order = measure(model, rows_of(X), 5), rng.permutation(60)
    shuffled, alone = measure(model, rows_of(X[order]), 5), measure(model, rows_of(X[17:18]), 5)
    for column in COLUMNS:
        expected = getattr(whole, column)
        np.testing.assert_allclose(getattr(shuffled, column), expected[order], atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(getattr(alone, column)[0], expected[17], atol=1e-5, rtol=1e-5)


def test_figures_are_the_same_on_every_call_bit_for_bit(linear):
    _, X, model = linear
    torch.manual_seed(0)
    first = measure(model, rows_of(X), 5)
    torch.manual_seed(1)
    torch.randn(100)
    assert identical(first, measure(model, rows_of(X), 5))
    assert not np.array_equal(first.distortion, measure(model, rows_of(X, seed=1), 5).distortion)


def test_measuring_leaves_the_random_state_alone(linear):
    _, X, model = linear
    torch.manual_seed(0)
    before = torch.get_rng_state()
    measure(model, rows_of(X), 3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_restored(training):
    model = bernoulli_vae(features=4, dropout=0.5).train(training)
    X = np.array(list(product((0.0, 1.0), repeat=4)))
    first = measure(model, rows_of(X), 3)
    assert model.training is training
    assert all(module.training is training for module in model.modules())
    assert identical(first, measure(model, rows_of(X), 3))


def test_a_part_kept_in_evaluation_mode_stays_in_it():
    model = bernoulli_vae(features=4, dropout=0.5).train()
    model.encoder.eval()
    measure(model, rows_of(np.zeros((3, 4))))
    assert model.decoder.training
    assert not model.encoder.training


def test_no_gradients_are_kept(linear):
    _, X, model = linear
    measure(model, rows_of(X), 2)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("shared", [True, False])
def test_densities_are_of_the_data_as_given(rng, shared):
    scale = np.full(5, 7.5) if shared else np.array([0.01, 3.0, 1.0, 500.0, 0.2])
    shift = np.full(5, -2.0) if shared else rng.normal(size=5) * scale
    inner = oracles.LinearGaussian(np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7], rng.normal(size=5), 0.3)
    X = inner.sample(30, rng) * scale + shift
    values = (shift[:1], scale[:1]) if shared else (shift, scale)
    step = Affine(shift=tuple(values[0]), scale=tuple(values[1]), shape=(5,))
    found = measure(exact_vae(inner).float(), rows_of(X, step), 4)

    given_mean, turn = inner.b * scale + shift, np.diag(scale)
    expected = stats.multivariate_normal(given_mean, turn @ inner.covariance @ turn).logpdf(X)
    np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-4, atol=1e-4)
    assert np.array_equal(found.elbo, -(found.distortion + found.rate))
    # the rate is of z, which has no units; all of the determinant stands in the distortion
    plain = measure(exact_vae(inner).float(), rows_of((X - shift) / scale), 4)
    np.testing.assert_allclose(found.rate, plain.rate, rtol=1e-4, atol=1e-5)
    assert found.distortion.mean() - plain.distortion.mean() == pytest.approx(np.log(scale).sum(), abs=0.5)


def test_one_model_in_two_units_gives_one_density(rng):
    scale, shift = 12.0, 100.0
    raw = oracles.LinearGaussian(
        np.linalg.qr(rng.normal(size=(4, 2)))[0] * [20.0, 9.0], rng.normal(size=4) + shift, 8.0
    )
    seen = oracles.LinearGaussian(raw.W / scale, (raw.b - shift) / scale, raw.variance / scale**2)
    X = raw.sample(30, rng)
    step = Affine(shift=(shift,), scale=(scale,), shape=(4,))
    given = measure(exact_vae(raw).float(), rows_of(X), 1)
    standardised = measure(exact_vae(seen).float(), rows_of(X, step), 1)
    np.testing.assert_allclose(standardised.log_likelihood, raw.log_prob(X), rtol=1e-4)
    np.testing.assert_allclose(given.log_likelihood, raw.log_prob(X), rtol=1e-3)


def test_dequantised_density_bounds_the_probability():
    # the density of x + u is N(x + u; 0, 1 + 9): one linear feature pair, the exact posterior, many noises;
    # z-tests of seven rows at z < 5: false alarm 2e-6
    oracle = oracles.LinearGaussian(np.array([[3.0], [0.0]]), np.array([2.0, 1.0]), 1.0)
    X = np.column_stack([np.arange(7.0), np.ones(7)])
    found = np.stack(
        [measure(exact_vae(oracle).float(), rows_of(X, Dequantize(), seed=s)).log_likelihood for s in range(300)]
    )
    marginals = [stats.norm(2, math.sqrt(10)), stats.norm(1, 1)]
    exact = sum(np.log(marginal.cdf(X[:, j] + 1) - marginal.cdf(X[:, j])) for j, marginal in enumerate(marginals))
    assert (oracles.z_scores(found, exact) < 5).all()
    assert found.mean() < exact.mean()
    assert abs(found.mean() - exact.mean()) < 0.1


def test_errors_and_codes_of_an_autoencoder(rng):
    torch.manual_seed(0)
    encoder, decoder = MLP((3,), (2,), [8], dropout=0.5), MLP((2,), (3, 1))
    model = Autoencoder(encoder, decoder, 2)
    X = rng.normal(size=(1100, 3)).astype(np.float32)
    found = measure(model, rows_of(X))
    assert model.training
    model.eval()
    with torch.no_grad():
        y = model(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(found.distortion, ((X - y).astype(np.float64) ** 2).sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.mean, model.encode(torch.from_numpy(X)).detach().numpy(), rtol=1e-4, atol=1e-5)
