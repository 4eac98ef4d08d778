"""The inference gap: both its parts where they are known, by draws that the fit has not seen."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import optimize, stats

import oracles
from builders import bernoulli_vae, decoder_weights, exact_vae, linear_vae, rows_of
from vaekit.data import RowStream
from vaekit.data.steps import Affine
from vaekit.errors import VaekitError
from vaekit.evaluation import bounds, fitting, gap, inference_gap
from vaekit.models.priors import GaussianMixture

COLUMNS = ("log_likelihood", "elbo", "best_elbo", "mean", "std")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def correlated(rng):
    """A linear-Gaussian model whose posterior is correlated, rows of it, and its posterior's affine map."""
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    X = oracle.sample(40, rng).astype(np.float32).astype(np.float64)
    return oracle, X, *oracle.affine_posterior()


@pytest.fixture
def wrong(correlated):
    """The same with an encoder off by half a standard deviation and somewhat too wide."""
    oracle, _, V, origin, covariance = correlated
    std = np.sqrt(np.diag(covariance))
    return linear_vae(oracle, V, origin + 0.5 * std, 1.2 * std).float()


def best_std(covariance):
    """Of the diagonal Gaussian nearest to a Gaussian: the precisions' diagonal."""
    return 1 / np.sqrt(np.diag(np.linalg.inv(covariance)))


def divergence(mean, std, exact, covariance):
    """KL[N(mean, diag std²) ‖ N(exact, covariance)] of each row."""
    return np.array([oracles.gaussian_kl(m, np.diag(std**2), e, covariance) for m, e in zip(mean, exact, strict=True)])


def error_of_bound(oracle, X, mean, std, samples):
    """Standard error of the ELBO of each row by so many draws, told by other draws."""
    epsilon = np.random.default_rng(1).normal(size=(4000, mean.shape[1]))
    weights = [oracle.log_weight(x, m + std * epsilon, m, std) for x, m in zip(X, mean, strict=True)]
    return np.std(weights, axis=1) / math.sqrt(samples)


def encoded(model, X):
    with torch.no_grad():
        q = model.encoder(torch.from_numpy(X).float())
    return q.mean.detach().double().numpy(), q.stddev[0].detach().double().numpy()


def same(one, other, **tolerance):
    for column in COLUMNS:
        np.testing.assert_allclose(getattr(one, column), getattr(other, column), err_msg=column, **tolerance)


def test_both_gaps_are_those_of_the_textbook(correlated, wrong):
    # z-tests of 40 rows and of their means at |z| < 5, widened by 0.02 and 0.003 nats for the fit: false alarm 5e-5
    oracle, X, _, _, covariance = correlated
    found = inference_gap(wrong, rows_of(X), samples=2000)
    exact, std = oracle.posterior(X)[0], best_std(covariance)
    approximation = divergence(exact, std, exact, covariance)
    amortization = divergence(*encoded(wrong, X), exact, covariance) - approximation
    assert approximation.mean() > 0.05
    assert amortization.mean() > 0.1
    errors = [error_of_bound(oracle, X, *q, 2000) for q in ((exact, std), encoded(wrong, X))]
    for gaps, expected, error in (
        (found.approximation, approximation, errors[0]),
        (found.amortization, amortization, errors[0] + errors[1]),
    ):
        difference = gaps - expected
        assert abs(difference.mean()) < 5 * difference.std(ddof=1) / math.sqrt(40) + 0.003
        assert (np.abs(difference) < 5 * error + 0.02).all()
    np.testing.assert_allclose(found.log_likelihood, oracle.log_prob(X), atol=0.15)
    assert abs((found.log_likelihood - oracle.log_prob(X)).mean()) < 0.02


def test_the_fit_finds_the_best_diagonal_gaussian(correlated, wrong):
    oracle, X, _, _, covariance = correlated
    found = inference_gap(wrong, rows_of(X), samples=1)
    exact, std = oracle.posterior(X)[0], best_std(covariance)
    assert np.abs((found.mean - exact) / std).max() < 0.15
    assert np.abs(np.log(found.std / std)).max() < 0.15
    assert (divergence(found.mean, std, exact, covariance) - divergence(exact, std, exact, covariance)).mean() < 0.003


def test_a_shifted_mean_costs_its_divergence_and_nothing_is_left_to_the_family(rng):
    # z-tests of means of 40 rows at |z| < 5, widened by 0.003 nats for the fit
    oracle = oracles.LinearGaussian(np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7], rng.normal(size=5), 0.3)
    X, model = oracle.sample(40, rng), exact_vae(oracle).float()
    std = model.encoder.std.detach().double().numpy()
    with torch.no_grad():
        model.encoder.c += torch.tensor([1.5, -0.5]) * model.encoder.std
    found = inference_gap(model, rows_of(X), samples=2000)
    expected = oracles.gaussian_kl(np.array([1.5, -0.5]) * std, np.diag(std**2), np.zeros(2), np.diag(std**2))
    assert expected == pytest.approx(0.5 * (1.5**2 + 0.5**2))
    difference = found.amortization - expected
    assert abs(difference.mean()) < 5 * difference.std(ddof=1) / math.sqrt(40) + 0.003
    assert abs(found.approximation.mean()) < 0.005


def test_an_exact_encoder_loses_nothing(rng):
    oracle = oracles.LinearGaussian(np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7], rng.normal(size=5), 0.3)
    X = oracle.sample(40, rng)
    found = inference_gap(exact_vae(oracle).float(), rows_of(X), samples=500)
    np.testing.assert_allclose(found.elbo, oracle.log_prob(X), atol=1e-3, rtol=1e-5)
    assert abs(found.amortization.mean()) < 0.005
    assert np.abs(found.amortization).max() < 0.05
    assert abs(found.approximation.mean()) < 0.005


def test_a_start_that_is_narrow_and_far_off_is_left_behind(correlated):
    oracle, X, V, origin, covariance = correlated
    std = np.sqrt(np.diag(covariance))
    found = inference_gap(linear_vae(oracle, V, origin + 5 * std, 0.05 * std).float(), rows_of(X), samples=1000)
    exact, best = oracle.posterior(X)[0], best_std(covariance)
    assert np.abs((found.mean - exact) / best).max() < 0.15
    assert abs((found.best_elbo - oracle.log_prob(X) + divergence(exact, best, exact, covariance)).mean()) < 0.02
    assert found.estimate == "best"  # weights of the encoder miss nearly all of the posterior


def test_a_bound_by_the_draws_of_the_fit_would_be_higher(correlated, wrong, monkeypatch):
    """Why fit and measure have noise of their own: the very draws of the fit praise what was fitted to them."""
    _, X, *_ = correlated
    few = {"samples": 2 * fitting.PAIRS, "steps": 200}

    def pairs(noise, turn, like):
        half = noise.normal((2 * fitting.PAIRS, like.shape[1]), RowStream.GAP_FIT).movedim(1, 0)
        return half.to(like)

    monkeypatch.setattr(fitting, "_pairs", pairs)  # the same few draws at each step, which makes the flattery large
    honest = inference_gap(wrong, rows_of(X), **few)
    monkeypatch.setattr(gap, "measure_posterior", partial(bounds.measure_posterior, stream=RowStream.GAP_FIT))
    flattered = inference_gap(wrong, rows_of(X), **few)
    assert oracles.z_scores(flattered.best_elbo - honest.best_elbo, 0.0) > 3


def test_annealing_where_its_estimate_is_larger(correlated, wrong):
    oracle, X, *_ = correlated
    plain = inference_gap(wrong, rows_of(X), samples=1, steps=50)
    annealed = inference_gap(wrong, rows_of(X), samples=1, steps=50, temperatures=100)
    assert plain.estimate in ("encoder", "best")
    assert annealed.estimate == "annealed"
    assert abs((annealed.log_likelihood - oracle.log_prob(X)).mean()) < 0.05
    assert np.array_equal(annealed.elbo, plain.elbo)
    assert np.array_equal(annealed.best_elbo, plain.best_elbo)


def test_the_estimate_is_chosen_for_all_rows_together(correlated, wrong, monkeypatch):
    _, X, *_ = correlated
    monkeypatch.setattr(gap, "annealed_bound", lambda *_: np.where(np.arange(40) == 0, 0.0, -1000.0))
    assert inference_gap(wrong, rows_of(X), samples=20, steps=5, temperatures=1).estimate != "annealed"


def test_luck_does_not_choose_the_estimate():
    """Of two estimates without bias the greater would be one from above; for other rows it is no more than either."""
    rng = np.random.default_rng(0)
    pairs = [{"encoder": rng.normal(size=4), "best": rng.normal(size=4)} for _ in range(4000)]
    chosen = np.array([gap._choose(pair)[0].mean() for pair in pairs])
    greatest = np.array([max(values.mean() for values in pair.values()) for pair in pairs])
    assert abs(oracles.z_scores(chosen, 0.0)) < 4
    assert oracles.z_scores(greatest, 0.0) > 20


def test_each_half_has_the_better_of_the_other_and_a_single_row_the_last():
    values, name = gap._choose({"encoder": np.array([0.0, 5.0, 0.0, 5.0]), "best": np.array([4.0, 1.0, 4.0, 1.0])})
    assert (values.tolist(), name) == ([0.0, 1.0, 0.0, 1.0], "encoder and best")
    values, name = gap._choose({"encoder": np.array([9.0]), "best": np.array([4.0])})
    assert (values.tolist(), name) == ([4.0], "best")


def test_a_nonlinear_model_with_a_mixture_as_prior_by_quadrature():
    model = bernoulli_vae(features=4, seed=3)
    model.prior = GaussianMixture(1, 3)
    with torch.no_grad():
        model.prior.mean.copy_(torch.tensor([[-1.5], [0.0], [1.0]]))
        model.prior.log_std.copy_(torch.tensor([[-0.5], [-1.0], [0.2]]))
    X = np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]], float)
    found = inference_gap(model, rows_of(X), samples=20_000, steps=1000)

    parts = zip(model.prior.mean[:, 0].tolist(), model.prior.log_std[:, 0].exp().tolist(), strict=True)
    components, network = [stats.norm(m, s) for m, s in parts], decoder_weights(model)
    nodes, shares = np.polynomial.hermite_e.hermegauss(80)
    shares = shares / shares.sum()

    def log_joint(x, z):
        logits = np.array([oracles.tanh_network(s, network) for s in z])
        log_x = np.log(oracles.sigmoid((2 * x - 1) * logits)).sum(1)
        return log_x + np.log(np.mean([c.pdf(z) for c in components], axis=0))

    def elbo(x, mean, std):
        return shares @ log_joint(x, mean + std * nodes) + 0.5 * math.log(2 * math.pi * math.e) + math.log(std)

    grid = np.linspace(-10, 10, 4001)
    for i, x in enumerate(X):
        exact = oracles.log_mean_exp(log_joint(x, grid)) + math.log(len(grid) * (grid[1] - grid[0]))
        best = max(
            -optimize.minimize(lambda p, x=x: -elbo(x, p[0], math.exp(p[1])), (start, 0.0), method="Nelder-Mead").fun
            for start in (-1.0, 0.0, 1.0)
        )
        assert found.log_likelihood[i] == pytest.approx(exact, abs=0.02)
        assert found.best_elbo[i] == pytest.approx(elbo(x, found.mean[i, 0], found.std[i, 0]), abs=0.03)
        assert found.best_elbo[i] == pytest.approx(best, abs=0.04)


def test_gaps_have_no_units_and_bounds_are_of_the_data_as_given(correlated, wrong):
    _, X, *_ = correlated
    step = Affine(shift=(3.0,), scale=(7.5,), shape=(5,))
    given = inference_gap(wrong, rows_of(X * 7.5 + 3, step), samples=50, steps=20)
    for name in ("log_likelihood", "elbo", "best_elbo"):
        plain = getattr(inference_gap(wrong, rows_of(X), samples=50, steps=20), name)
        assert getattr(given, name).mean() == pytest.approx(plain.mean() - 5 * math.log(7.5), abs=0.3)
    assert given.amortization.mean() == pytest.approx(
        inference_gap(wrong, rows_of(X), samples=50, steps=20).amortization.mean(), abs=0.1
    )


def test_the_gaps_add_up_and_their_errors_are_paired(correlated, wrong):
    _, X, *_ = correlated
    found = inference_gap(wrong, rows_of(X), samples=20, steps=20)
    np.testing.assert_allclose(found.approximation + found.amortization, found.log_likelihood - found.elbo)
    figures = found.figures()
    assert (figures.samples, figures.examples) == (20, 40)
    for name in ("log_likelihood", "elbo", "best_elbo"):
        assert getattr(figures, name).value == pytest.approx(getattr(found, name).mean())
    assert figures.approximation.value == pytest.approx(found.approximation.mean())
    assert figures.gap.value == pytest.approx((found.log_likelihood - found.elbo).mean())
    difference = found.best_elbo - found.elbo
    assert figures.amortization.value == pytest.approx(difference.mean())
    assert figures.amortization.standard_error == pytest.approx(difference.std(ddof=1) / math.sqrt(40))
    assert figures.amortization.standard_error < 0.5 * figures.elbo.standard_error
    assert inference_gap(wrong, rows_of(X[:1]), 2, 2).figures().gap.standard_error is None


@pytest.mark.parametrize("budget", [1, 3000])
def test_neither_blocks_nor_chunks_matter(correlated, wrong, monkeypatch, budget):
    _, X, *_ = correlated
    whole = inference_gap(wrong, rows_of(X), samples=7, steps=30)
    monkeypatch.setattr(fitting, "BUDGET", budget)
    monkeypatch.setattr(bounds, "CACHED", budget)
    same(inference_gap(wrong, rows_of(X), samples=7, steps=30), whole, atol=1e-4, rtol=1e-4)


def test_memory_is_bounded(correlated, wrong, monkeypatch):
    _, X, *_ = correlated
    made = []
    wrong.decoder.register_forward_hook(lambda module, inputs, output: made.append(inputs[0].shape[:2].numel()))
    monkeypatch.setattr(fitting, "BUDGET", 3000)
    monkeypatch.setattr(bounds, "CACHED", 3000)
    inference_gap(wrong, rows_of(X), samples=300, steps=3)
    assert max(made) * 5 <= 3000


def test_the_same_on_every_call_bit_for_bit(correlated, wrong):
    _, X, *_ = correlated
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = inference_gap(wrong, rows_of(X), samples=5, steps=10)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    same(inference_gap(wrong, rows_of(X), samples=5, steps=10), first, rtol=0)
    other = inference_gap(wrong, rows_of(X, seed=1), samples=5, steps=10)
    assert not np.array_equal(first.mean, other.mean)


def test_the_model_is_left_as_it_was():
    model = bernoulli_vae(features=4, dropout=0.5).train()
    model.encoder.eval()
    frozen = next(model.decoder.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    X = np.array([[0, 0, 1, 1], [1, 1, 1, 1]], float)
    first = inference_gap(model, rows_of(X), samples=3, steps=3)
    same(inference_gap(model, rows_of(X), samples=3, steps=3), first, rtol=0)  # no dropout
    assert model.decoder.training
    assert not model.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad is (p is not frozen) for p in model.parameters())


@pytest.mark.parametrize("wanted", [{"samples": 0}, {"steps": 0}, {"temperatures": 0}, {"chains": -1}])
def test_numbers_below_one_are_refused(wrong, wanted):
    with pytest.raises(VaekitError, match=f"{next(iter(wanted))} must be at least 1"):
        inference_gap(wrong, rows_of(np.zeros((2, 5))), **wanted)
