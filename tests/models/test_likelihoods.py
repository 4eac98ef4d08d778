"""Every likelihood: its value against scipy, its total, its mean, its start and its finiteness."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from scipy.special import log_softmax

import oracles
from vaekit.models.likelihoods import Gaussian, Likelihood
from vaekit.parts import Plan

FEATURES = 3
LEVELS = {"discretized_logistic": 6, "discretized_logistic_mixture": 6, "categorical": 5}
VARIANCES = [0.3, "learned", "per_feature", "predicted"]
SPREAD = (
    [("gaussian", v) for v in VARIANCES] + [("laplace", v) for v in VARIANCES] + [("student_t", v) for v in VARIANCES]
)
DISCRETE = ["bernoulli", "categorical", "discretized_logistic", "discretized_logistic_mixture", "poisson"]
DISCRETE += ["negative_binomial"]
LIKELIHOODS = Likelihood.known
TOP = {"bernoulli": 2, "poisson": 60, "negative_binomial": 4000} | LEVELS
EVERY = [(name, "per_feature") for name in DISCRETE] + SPREAD


def build(name, variance, levels):
    part, values = LIKELIHOODS[name], {"variance": variance, "components": 3}
    options = part.Options(**{k: v for k, v in values.items() if k in part.Options.model_fields})
    return part.build(options, Plan(event_shape=(FEATURES,), levels=levels))


def made(name, variance="per_feature", seed=0, dtype=torch.float64, levels=None):
    """A likelihood with random parameters and offset, and a network output for two examples."""
    likelihood = build(name, variance, levels or LEVELS.get(name, 0)).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in likelihood.parameters():
            p.normal_(generator=generator).mul_(0.5)
        if name in ("gaussian", "laplace", "student_t"):
            likelihood.reference.fill_(1.7)
    raw = torch.randn(2, FEATURES, likelihood.parameters_per_feature, generator=generator, dtype=torch.float64).to(
        dtype
    )
    return likelihood, raw


def expected_log_prob(likelihood, raw, x):
    """log p of each feature, from scipy: x has the shape (n, 2, FEATURES)."""
    name = next(key for key, kind in LIKELIHOODS.items() if type(likelihood) is kind)
    a = (raw + likelihood.offset).detach().numpy()
    if name == "bernoulli":
        return stats.bernoulli(oracles.sigmoid(a[..., 0])).logpmf(x)
    if name == "poisson":
        return stats.poisson(np.exp(oracles.soft_clamp(a[..., 0], -15, 20))).logpmf(x)
    if name == "negative_binomial":
        mean, r = np.exp(oracles.soft_clamp(a[..., 0], -15, 20)), np.exp(oracles.soft_clamp(a[..., 1], -6, 8))
        return stats.nbinom(r, r / (r + mean)).logpmf(x)
    if name == "categorical":
        table = np.broadcast_to(log_softmax(a, -1), (*x.shape, a.shape[-1]))
        return np.take_along_axis(table, x.astype(int)[..., None], -1)[..., 0]
    if name.startswith("discretized"):
        half = (likelihood.levels - 1) / 2
        parts = a.reshape(2, FEATURES, -1, a.shape[-1] if name == "discretized_logistic" else 1)
        if name == "discretized_logistic":
            weight, location, log_scale = np.zeros((2, FEATURES, 1)), parts[..., 0], parts[..., 1]
        else:
            weight, location, log_scale = np.split(a, 3, axis=-1)
        scale = half * np.exp(oracles.soft_clamp(log_scale, -7, 3))
        log_p = np.vectorize(oracles.discretized_logistic)(
            x[..., None], half * (location + 1), scale, likelihood.levels
        )
        return np.logaddexp.reduce(log_softmax(weight, -1) + log_p, axis=-1)
    variance = likelihood.variance
    if isinstance(variance, float):
        std = np.full(FEATURES, math.sqrt(variance))
    else:
        log_ratio = a[..., 1] if variance == "predicted" else likelihood.log_ratio.detach().numpy()
        std = 1.7 * np.exp(oracles.soft_clamp(log_ratio, -9, 4)) * np.ones(FEATURES)
    location = 1.7 * a[..., 0]
    if name == "gaussian":
        return stats.norm(location, std).logpdf(x)
    if name == "laplace":
        return stats.laplace(location, std / math.sqrt(2)).logpdf(x)
    freedom = 2 + np.exp(oracles.soft_clamp(likelihood.log_freedom.detach().numpy(), -3, 5))
    return stats.t(freedom, location, std * np.sqrt((freedom - 2) / freedom)).logpdf(x)


@pytest.mark.parametrize(("name", "variance"), EVERY)
def test_log_probability_of_each_feature_and_their_sum(name, variance):
    likelihood, raw = made(name, variance)
    rng = np.random.default_rng(0)
    top = min(TOP.get(name, 0), 12)
    x = rng.integers(0, top, (7, 2, FEATURES)).astype(float) if top else 3 * rng.normal(size=(7, 2, FEATURES))
    expected = expected_log_prob(likelihood, raw, x)
    p, value = likelihood(raw), torch.from_numpy(x)
    np.testing.assert_allclose(p.base_dist.log_prob(value).detach().numpy(), expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(p.log_prob(value).detach().numpy(), expected.sum(-1), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_all_values_sum_to_one(name):
    likelihood, raw = made(name)
    values = torch.arange(TOP[name]).double().reshape(-1, 1, 1).expand(-1, 2, FEATURES)
    total = likelihood(raw).base_dist.log_prob(values).exp().sum(0).detach().numpy()
    np.testing.assert_allclose(total, 1, atol=1e-9)


@pytest.mark.parametrize("name", ["bernoulli", "categorical", "discretized_logistic", "discretized_logistic_mixture"])
def test_probabilities_of_all_rows_sum_to_one(name):
    likelihood, raw = made(name)
    rows = torch.tensor(list(product(range(TOP[name]), repeat=FEATURES))).double()
    total = likelihood(raw[:1]).log_prob(rows).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student_t"])
def test_lambda_is_the_variance(name):
    likelihood, raw = made(name, 0.3)
    np.testing.assert_allclose(likelihood(raw).variance.detach().numpy(), 0.3, rtol=1e-9)


def test_gaussian_keeps_every_constant():
    x, mean, variance = np.array([[1.0, -2.0, 0.5]]), np.array([0.2, 0.1, -0.4]), 0.25
    likelihood = Gaussian((3,), variance=variance).double()
    found = likelihood(torch.from_numpy(mean).reshape(1, 3, 1)).log_prob(torch.from_numpy(x))
    expected = -((x - mean) ** 2).sum() / (2 * variance) - 1.5 * math.log(2 * math.pi * variance)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert found.item() == pytest.approx(stats.norm(mean, math.sqrt(variance)).logpdf(x).sum(), rel=1e-12)


def test_a_whole_number_is_a_variance_too():
    assert Gaussian.Options(variance=2).variance == 2.0
    likelihood = Gaussian((1,), variance=2)
    assert likelihood(torch.zeros(1, 1, 1)).variance.item() == pytest.approx(2)


def counts(n=4000):
    rng = np.random.default_rng(5)
    return np.column_stack([rng.poisson(3.0, n), rng.negative_binomial(2, 0.3, n), rng.poisson(0.2, n)])


def graded(levels, n=4000):
    rng = np.random.default_rng(6)
    raw = rng.logistic([1.0, 2.5, 4.0], [0.5, 0.8, 0.4], (n, FEATURES))
    return np.clip(np.round(raw), 0, levels - 1)


def begun(name, X, variance="per_feature", levels=0):
    likelihood = build(name, variance, levels).double()
    likelihood.start(torch.from_numpy(X.astype(float)))
    with torch.no_grad():
        p = likelihood(torch.zeros(FEATURES, likelihood.parameters_per_feature).double())
        return p, p.base_dist.log_prob(torch.from_numpy(X.astype(float))).mean(0).numpy()


def test_bernoulli_starts_at_the_frequencies():
    X = (np.random.default_rng(1).random((500, FEATURES)) < [0.1, 0.5, 0.97]).astype(float)
    p, found = begun("bernoulli", X)
    f = X.mean(0)
    np.testing.assert_allclose(p.mean.numpy(), (X.sum(0) + 1) / 502, rtol=1e-9)
    np.testing.assert_allclose(found, f * np.log(f) + (1 - f) * np.log(1 - f), atol=1e-3)


def test_bernoulli_starts_finite_on_features_that_never_vary():
    X = np.zeros((50, FEATURES))
    X[:, 1] = 1
    _, found = begun("bernoulli", X)
    np.testing.assert_allclose(found, math.log(51 / 52), rtol=1e-9)


def test_categorical_starts_at_the_frequencies():
    X = graded(6)
    _, found = begun("categorical", X, levels=6)
    frequencies = np.stack([(k == X).mean(0) for k in range(6)])
    expected = -stats.entropy(frequencies, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_poisson_starts_at_the_mean_count():
    X = counts()
    p, found = begun("poisson", X)
    np.testing.assert_allclose(p.mean.numpy(), X.mean(0), rtol=1e-2)
    np.testing.assert_allclose(found, stats.poisson(X.mean(0)).logpmf(X).mean(0), atol=1e-3)


def test_negative_binomial_starts_at_the_moments():
    X = counts()
    p, found = begun("negative_binomial", X)
    np.testing.assert_allclose(p.mean.numpy(), X.mean(0), rtol=1e-2)
    assert p.variance[1].item() == pytest.approx(X[:, 1].var(), rel=0.02)
    for j in range(FEATURES):

        def cost(logs, x=X[:, j]):
            mean, r = np.exp(logs)
            return -stats.nbinom(r, r / (r + mean)).logpmf(x).mean()

        best = -optimize.minimize(cost, [math.log(X[:, j].mean()), 1.0], method="Nelder-Mead").fun
        assert best - 0.01 < found[j] <= best + 1e-4


@pytest.mark.parametrize("variance", ["learned", "per_feature", "predicted"])
def test_gaussian_starts_at_mean_and_spread(variance):
    X = np.random.default_rng(2).normal([3.0, -100.0, 0.01], 2.5, (3000, FEATURES))
    p, found = begun("gaussian", X, variance)
    np.testing.assert_allclose(p.mean.numpy(), X.mean(0), rtol=1e-9)
    best = stats.norm(X.mean(0), math.sqrt(X.var(0).mean())).logpdf(X).mean(0)
    np.testing.assert_allclose(found, best, atol=2e-3)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "student_t"])
def test_a_given_variance_is_not_changed_by_the_start(name):
    X = np.random.default_rng(3).normal(5.0, 4.0, (500, FEATURES))
    p, _ = begun(name, X, 0.3)
    np.testing.assert_allclose(p.mean.numpy(), X.mean(0), rtol=1e-9)
    np.testing.assert_allclose(p.variance.numpy(), 0.3, rtol=1e-9)


@pytest.mark.parametrize("name", ["laplace", "student_t"])
@pytest.mark.parametrize("variance", ["learned", "per_feature", "predicted"])
def test_heavy_tails_start_at_mean_and_variance(name, variance):
    X = np.random.default_rng(4).normal([3.0, -1.0, 0.0], 2.5, (3000, FEATURES))
    p, _ = begun(name, X, variance)
    np.testing.assert_allclose(p.mean.numpy(), X.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(p.variance.numpy(), X.var(0).mean(), rtol=0.05)


@pytest.mark.parametrize(("name", "slack"), [("discretized_logistic", 0.03), ("discretized_logistic_mixture", 0.15)])
def test_discretized_logistics_start_near_the_best_logistic(name, slack):
    X = graded(6)
    _, found = begun(name, X, levels=6)
    table = np.stack([(k == X).mean(0) for k in range(6)])
    for j in range(FEATURES):

        def cost(pair, frequency=table[:, j]):
            log_p = [oracles.discretized_logistic(k, pair[0], math.exp(pair[1]), 6) for k in range(6)]
            return -(frequency * log_p).sum()

        best = -optimize.minimize(cost, [2.0, 0.0], method="Nelder-Mead").fun
        assert found[j] > best - slack


@pytest.mark.parametrize(("name", "variance"), EVERY)
@pytest.mark.parametrize("levels", [2, 256])
def test_extreme_network_outputs_stay_finite(name, variance, levels):
    if levels == 256 and name not in LEVELS:
        levels = 0
    likelihood, _ = made(name, variance, dtype=torch.float32, levels=levels)
    signs = torch.tensor(list(product((-1e4, 0.0, 1e4), repeat=min(likelihood.parameters_per_feature, 4))))
    raw = torch.zeros(len(signs), FEATURES, likelihood.parameters_per_feature)
    raw[..., : signs.shape[1]] = signs.unsqueeze(1)
    raw[..., signs.shape[1] :] = signs[:, -1:].unsqueeze(1)
    raw.requires_grad_()
    top = levels - 1 if levels else 1000 if name in ("poisson", "negative_binomial") else 1
    p = likelihood(raw)
    for value in (0.0, 1.0, float(top)):
        log_p = p.base_dist.log_prob(torch.full((len(signs), FEATURES), value))
        assert torch.isfinite(log_p).all()
        gradients = torch.autograd.grad(
            log_p.sum(), [raw, *likelihood.parameters()], retain_graph=True, allow_unused=True
        )
        assert all(torch.isfinite(g).all() for g in gradients if g is not None)
    assert torch.isfinite(p.mean).all()


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
@pytest.mark.parametrize("name", ["gaussian", "laplace", "student_t"])
def test_extreme_learned_scales_stay_finite(name, extreme):
    likelihood, raw = made(name, "learned", dtype=torch.float32)
    with torch.no_grad():
        likelihood.log_ratio.fill_(extreme)
        if name == "student_t":
            likelihood.log_freedom.fill_(extreme)
    log_p = likelihood(raw).log_prob(torch.full((2, FEATURES), 5.0))
    gradients = torch.autograd.grad(log_p.sum(), list(likelihood.parameters()))
    assert torch.isfinite(log_p).all()
    assert all(torch.isfinite(g).all() for g in gradients)


def test_kinds_of_data_that_each_likelihood_fits():
    for kind in LIKELIHOODS.values():
        assert kind.density == (kind.kinds == {"real"})
    others = [name for name, kind in LIKELIHOODS.items() if "levels" not in kind.kinds and "real" not in kind.kinds]
    assert set(others) == {"bernoulli", "autoregressive_bernoulli", "mixed", "autoregressive_mixed"}


@pytest.mark.parametrize("count", [10, 10**4, 10**6])
def test_large_counts_lose_nothing_to_cancellation(count):
    from vaekit.models.likelihoods import NegativeBinomial, Poisson

    x, log_mean = torch.tensor([[float(count)]]), math.log(count)
    poisson = Poisson((1,))(torch.tensor([[[log_mean]]]))
    rate = float(poisson.base_dist.rate.detach())
    assert float(poisson.log_prob(x).detach()) == pytest.approx(stats.poisson.logpmf(count, rate), abs=1e-6)
    negative = NegativeBinomial((1,))(torch.tensor([[[log_mean, math.log(50.0)]]]))
    r, p = (
        float(negative.base_dist.total_count.detach()),
        float(torch.sigmoid(-negative.base_dist.logits.detach().double())),
    )
    assert float(negative.log_prob(x).detach()) == pytest.approx(stats.nbinom.logpmf(count, r, p), abs=1e-6)
