"""Linear baselines: their values, their units, and that no baseline beats what is possible."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import FactorAnalysis

import oracles
from builders import rows_of
from vaekit.data import Column, Part, Rows, Transform
from vaekit.data.schema import Schema
from vaekit.data.steps import Affine, Dequantize
from vaekit.data.tables.cells import fit_cells
from vaekit.evaluation import baselines, measure_baselines
from vaekit.evaluation.baselines import measure_independent
from vaekit.models.likelihoods import Mixed


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def real(p):
    return Schema(kind="real", shape=(p,))


def f32(X):
    return X.astype(np.float32).astype(np.float64)


def test_probabilistic_pca_of_real_data(rng):
    train, test = (f32(rng.normal(size=(n, 5)) @ np.diag([3.0, 2, 1, 1, 0.5]) + 4) for n in (300, 80))
    found = measure_baselines(rows_of(train), rows_of(test), real(5), density=True, latent_dim=2)
    oracle, _ = oracles.principal_components(train, 2)
    assert found.ppca == pytest.approx(oracle.log_prob(test).mean(), rel=1e-7)


def test_factor_analysis_of_real_data(rng):
    W, noise = rng.normal(size=(5, 2)), np.array([0.1, 0.5, 1.0, 2.0, 4.0])
    truth = stats.multivariate_normal(np.ones(5), W @ W.T + np.diag(noise))
    train, test = f32(truth.rvs(3000, random_state=1)), f32(truth.rvs(1000, random_state=2))
    found = measure_baselines(rows_of(train), rows_of(test), real(5), density=True, latent_dim=2)
    model = FactorAnalysis(2, max_iter=200, tol=1e-3, random_state=0).fit(train)
    expected = stats.multivariate_normal(model.mean_, model.get_covariance()).logpdf(test).mean()
    assert found.factor_analysis == pytest.approx(expected, rel=1e-7)
    assert found.factor_analysis == pytest.approx(truth.logpdf(test).mean(), abs=0.02)
    assert found.factor_analysis > found.ppca + 0.05  # whose noise is the same for all features


def test_values_are_of_the_data_as_given(rng):
    scale, shift = np.array([0.01, 5.0, 300.0]), np.array([1.0, -2.0, 4.0])
    train, test = (rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) * scale + shift for n in (200, 90))
    step = Affine(shift=tuple(shift), scale=tuple(scale), shape=(3,))
    found = measure_baselines(rows_of(train, step), rows_of(test, step), real(3), density=True, latent_dim=1)
    oracle, _ = oracles.principal_components((train - shift) / scale, 1)
    expected = oracle.log_prob((test - shift) / scale).mean() - np.log(scale).sum()
    assert found.ppca == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("density", [True, False])
def test_dequantised_baselines_bound_the_exact_probability(rng, density):
    # with one latent for two features the model is the Gaussian of all second moments
    def draw(n):
        return np.round(rng.multivariate_normal([40, 60], [[9, 5], [5, 6]], n))

    train, test = draw(3000), draw(3000)
    steps, schema = [Dequantize()] if density else [], Schema(kind="counts", shape=(2,))
    found = measure_baselines(rows_of(train, *steps), rows_of(test, *steps), schema, density=density, latent_dim=1)
    smooth = train + rng.random(train.shape)
    gaussian = stats.multivariate_normal(smooth.mean(0), np.cov(smooth.T, bias=True))
    cells, counts = np.unique(test, axis=0, return_counts=True)
    log_p = np.log([gaussian.cdf(cell + 1, lower_limit=cell) for cell in cells])
    exact = (counts * log_p).sum() / len(test)
    bound = gaussian.logpdf(test + rng.random(test.shape)).mean()
    assert bound < exact
    assert found.ppca <= exact
    assert found.ppca == pytest.approx(bound, abs=0.05)


@pytest.mark.parametrize("patterns", [3, 6, 12])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_no_baseline_beats_the_entropy_of_discrete_data(rng, patterns, latent_dim):
    # Gibbs: Σ P̂ log P ≤ −H(P̂) for every probability P, and a dequantised density only bounds one from below
    X = rng.integers(0, 2, (patterns, 6)).astype(float)[rng.integers(0, patterns, 400)]
    schema = Schema(kind="binary", shape=(6,), levels=2)
    found = measure_baselines(rows_of(X), rows_of(X), schema, density=False, latent_dim=latent_dim)
    limit = -oracles.entropy_of_rows(X)
    assert all(value <= limit for value in found.known().values()), (found, limit)


def test_latents_are_at_most_one_less_than_features(rng):
    train, test = (f32(rng.normal(size=(n, 3))) for n in (300, 50))
    found = measure_baselines(rows_of(train), rows_of(test), real(3), density=True, latent_dim=64)
    oracle, _ = oracles.principal_components(train, 2)
    assert found.ppca == pytest.approx(oracle.log_prob(test).mean(), rel=1e-7)


def test_rows_fewer_than_features_leave_probabilistic_pca_alone(rng):
    train, test = (f32(rng.normal(size=(n, 20))) for n in (8, 5))
    found = measure_baselines(rows_of(train), rows_of(test), real(20), density=True, latent_dim=3)
    oracle, _ = oracles.principal_components(train, 3)
    assert found.ppca == pytest.approx(oracle.log_prob(test).mean(), rel=1e-7)
    assert found.factor_analysis is None


@pytest.mark.parametrize("case", ["one feature", "constant", "too wide"])
def test_baselines_that_are_not_defined_are_none(rng, monkeypatch, case):
    X = f32(rng.normal(size=(40, 1 if case == "one feature" else 3)))
    if case == "constant":
        X[:] = 1.0
    if case == "too wide":
        monkeypatch.setattr(baselines, "MOST_FEATURES", 2)
    found = measure_baselines(rows_of(X), rows_of(X), real(X.shape[1]), density=True, latent_dim=1)
    assert found.ppca is None
    assert found.factor_analysis is None or math.isfinite(found.factor_analysis)


@pytest.mark.parametrize("most", [1, 999, 2099])
def test_only_some_rows_are_used(rng, monkeypatch, most):
    X = f32(rng.normal(size=(2100, 2)) * np.linspace(1, 2, 2100)[:, None])
    monkeypatch.setattr(baselines, "MOST_ROWS", most)
    found = baselines._matrix(rows_of(X), False, 0)
    assert len(found) == len(np.unique(found, axis=0)) == most
    assert {tuple(row) for row in found} <= {tuple(row) for row in X}
    shifted = baselines._matrix(rows_of(X), True, 0) - found
    assert shifted.min() > 0
    assert shifted.max() < 1
    assert len(np.unique(shifted)) == shifted.size


def mixed_rows(n, seed, missing=0.0):
    """Independent columns of known distributions as codes, and log p of each cell."""
    rng = np.random.default_rng(seed)
    chances, line, count = np.array([0.6, 0.3, 0.1]), stats.gamma(3, scale=200), stats.poisson(40)
    codes = np.column_stack(
        [rng.choice(3, n, p=chances), line.rvs(n, random_state=rng), count.rvs(n, random_state=rng)]
    )
    log_p = np.column_stack(
        [np.log(chances)[codes[:, 0].astype(int)], line.logpdf(codes[:, 1]), count.logpmf(codes[:, 2])]
    )
    gone = rng.random(codes.shape) < missing
    return np.where(gone, np.nan, codes), np.where(gone, 0.0, log_p)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_independent_columns_reach_the_entropy_of_their_distributions(missing):
    """No model without z does better: the mean log-likelihood is minus the entropy, less what 6000 rows cannot tell."""
    columns = (
        Column(name="c", kind="categorical", type="string", categories=("a", "b", "c")),
        Column(name="x", kind="positive", type="double", lowest=0.0),
        Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
    )
    (fitted, _), (held_out, log_p) = mixed_rows(6000, 0, missing), mixed_rows(6000, 1, missing)
    transform = Transform(steps=(fit_cells(columns, fitted),))
    train, test = (Rows(Part(X, np.arange(len(X))), transform) for X in (fitted, held_out))
    torch.manual_seed(0)
    likelihood = Mixed(transform.cells.layout)
    before = likelihood.offset.clone()
    found = measure_independent(train, test, likelihood)
    assert torch.equal(likelihood.offset, before)  # the model's own is left alone
    assert log_p.sum(1).mean() - 0.03 < found.independent < log_p.sum(1).mean() + 0.005
    entropy = -(0.6 * math.log(0.6) + 0.3 * math.log(0.3) + 0.1 * math.log(0.1))
    entropy += stats.gamma(3, scale=200).entropy() + stats.poisson(40).entropy()
    error = log_p.sum(1).std() / math.sqrt(6000)
    assert abs(found.independent + (1 - missing) * entropy) < 5 * error + 0.03  # false alarm 6e-7
    assert measure_independent(train, test, likelihood) == found
