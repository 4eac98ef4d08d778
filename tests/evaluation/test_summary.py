"""The figures that are printed: averages with their errors, in their units, at weight one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import oracles
from builders import bernoulli_vae, exact_vae, rows_of
from vaekit.data.schema import Schema
from vaekit.data.steps import Affine
from vaekit.evaluation import Evaluator, LinearBaselines, measure
from vaekit.models import Autoencoder
from vaekit.networks import MLP

BINARY = Schema(kind="binary", shape=(4,), levels=2)


@pytest.fixture(name="X")
def binary_rows():
    table = np.array(list(product((0.0, 1.0), repeat=4)))
    return table[np.random.default_rng(0).integers(0, 16, 50)]


def test_figures_are_averages_of_what_was_measured(X):
    model = bernoulli_vae(features=4, latent_dim=2, seed=3)
    evaluation = Evaluator(model, BINARY, rows_of(X[:30]), kl_weight=1.0).evaluate(rows_of(X), 20)
    measured, figures = measure(model, rows_of(X), 20), evaluation
    assert figures.examples == 50
    for name in ("elbo", "distortion", "rate"):
        assert getattr(figures, name) == pytest.approx(getattr(measured, name).mean(), rel=1e-12)
    assert figures.elbo == pytest.approx(-(figures.distortion + figures.rate), rel=1e-12)
    estimate = figures.log_likelihood
    assert estimate.value == pytest.approx(measured.log_likelihood.mean(), rel=1e-12)
    assert estimate.standard_error == pytest.approx(np.std(measured.log_likelihood, ddof=1) / math.sqrt(50), rel=1e-12)
    assert (estimate.samples, estimate.examples) == (20, 50)
    assert figures.mutual_information + figures.marginal_kl == pytest.approx(figures.rate, rel=1e-9)
    assert figures.mutual_information_ceiling == pytest.approx(math.log(50))
    assert figures.active_units == int((measured.mean.var(0) > 0.01).sum())
    assert figures.train_elbo == pytest.approx(measure(model, rows_of(X[:30]), 1).elbo.mean(), rel=1e-12)
    assert figures.latent_dim == 2


def test_kl_of_each_dimension_sums_to_the_rate(X):
    model = bernoulli_vae(features=4, latent_dim=3, seed=3)
    evaluation = Evaluator(model, BINARY, None, kl_weight=1.0).evaluate(rows_of(X), 2)
    mean, std = evaluation.measured.mean, evaluation.measured.std
    expected = [oracles.standard_normal_kl(mean[:, j : j + 1], std[:, j : j + 1]).mean() for j in range(3)]
    np.testing.assert_allclose(evaluation.kl_per_dimension, expected, rtol=1e-6)
    assert evaluation.kl_per_dimension.sum() == pytest.approx(evaluation.rate, rel=1e-5)


def test_bits_per_dimension_are_negative_nats_over_log_two_and_the_number_of_features(X):
    figures = Evaluator(bernoulli_vae(features=4), BINARY, None, 1.0).evaluate(rows_of(X), 5)
    assert figures.bits_per_dim == pytest.approx(-figures.log_likelihood.value / (4 * math.log(2)), rel=1e-12)
    assert figures.bits_per_dim > 0


def test_fair_coins_cost_one_bit_each(X):
    model = bernoulli_vae(features=4)
    with torch.no_grad():
        for p in (*model.decoder.parameters(), *model.encoder.parameters()):
            p.zero_()
    figures = Evaluator(model, BINARY, None, 1.0).evaluate(rows_of(X), 5)
    assert figures.bits_per_dim == pytest.approx(1, abs=1e-3)
    assert figures.rate == pytest.approx(0, abs=1e-3)


def test_reals_have_no_bits_and_keep_their_units():
    rng = np.random.default_rng(1)
    oracle = oracles.LinearGaussian(np.array([[2.0], [0.0], [0.0]]), np.zeros(3), 0.5)
    inner = oracle.sample(60, rng)
    step = Affine(shift=(3.0,), scale=(10.0,), shape=(3,))
    X, schema = inner * 10 + 3, Schema(kind="real", shape=(3,))
    figures = Evaluator(exact_vae(oracle).float(), schema, rows_of(X, step), 1.0).evaluate(rows_of(X, step), 3)
    assert figures.bits_per_dim is None
    expected = oracle.log_prob(inner).mean() - 3 * math.log(10)
    assert figures.log_likelihood.value == pytest.approx(expected, rel=1e-5)
    ppca, _ = oracles.principal_components(inner, 1)
    assert figures.baselines.ppca == pytest.approx(ppca.log_prob(inner).mean() - 3 * math.log(10), rel=1e-5)
    assert figures.train_elbo == pytest.approx(figures.elbo, abs=0.2)


@pytest.mark.parametrize("weight", [0.0, 0.3, 8.0])
def test_reported_bounds_have_weight_one_whatever_the_loss_had(X, weight):
    plain = Evaluator(bernoulli_vae(features=4), BINARY, None, 1.0).evaluate(rows_of(X), 3)
    weighted = Evaluator(bernoulli_vae(features=4, kl_weight=weight), BINARY, None, weight).evaluate(rows_of(X), 3)
    assert (weighted.effective_beta, plain.effective_beta) == (weight, 1.0)
    assert replace(weighted, effective_beta=1.0) == plain


def test_a_single_row_has_no_standard_error(X):
    figures = Evaluator(bernoulli_vae(features=4), BINARY, None, 1.0).evaluate(rows_of(X[:1]), 3)
    assert figures.log_likelihood.standard_error is None


def test_without_training_rows_there_is_neither_gap_nor_baseline(X):
    figures = Evaluator(bernoulli_vae(features=4), BINARY, None, 1.0).evaluate(rows_of(X), 3)
    assert figures.train_elbo is None
    assert figures.baselines == LinearBaselines()


def test_an_autoencoder_has_an_error_and_no_likelihood():
    torch.manual_seed(0)
    model = Autoencoder(MLP((3,), (2,)), MLP((2,), (3, 1)), 2)
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    evaluation = Evaluator(model, Schema(kind="real", shape=(3,)), rows_of(X[:25]), 1.0).evaluate(rows_of(X), 3)
    with torch.no_grad():
        y = model(torch.from_numpy(X))[0].numpy()
    error = ((X - y) ** 2).sum(1)
    assert evaluation.reconstruction_error == pytest.approx(error.mean(), rel=1e-5)
    assert evaluation.train_reconstruction_error == pytest.approx(error[:25].mean(), rel=1e-5)
    np.testing.assert_allclose(evaluation.measured.score, -error, rtol=1e-4)
    json = evaluation.as_json()
    assert (json["elbo"], json["log_likelihood"], json["baselines"]) == (
        None,
        None,
        {"ppca": None, "factor_analysis": None},
    )
