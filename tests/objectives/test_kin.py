"""Objectives beyond the bound itself and the importance-weighted one: values by hand, and their special cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import oracles
import vaekit
from builders import exact_vae, linear_vae
from vaekit.errors import RecipeError, VaekitError
from vaekit.models import GaussianMixture
from vaekit.objectives import (
    Capacity,
    DoublyReparameterizedIWAE,
    FreeBits,
    Loss,
    MMDPenalty,
    NegativeCIWAE,
    NegativeELBO,
    NegativeIWAE,
    NegativeMIWAE,
    NegativeRenyi,
    Objective,
    StickingTheLanding,
    TotalCorrelation,
)
from vaekit.objectives.mmd import squared_mmd
from vaekit.objectives.total_correlation import stratified_log_weights
from vaekit.recipe import load_recipe


def terms(objective, X, beta=1.0, seed=4):
    torch.manual_seed(seed)
    return objective(torch.from_numpy(X), torch.tensor(beta, dtype=torch.float64))


def by_hand(linear_gaussian, samples, seed=4):
    """z (K, n, 2), log p(x|z), log q(z|x) and log p(z), each (K, n), and the posterior's mean."""
    oracle, X, V, c, std = linear_gaussian
    torch.manual_seed(seed)
    mean = X @ V.T + c
    z = mean + std * torch.randn(samples, len(X), 2, dtype=torch.float64).numpy()
    log_x = stats.norm(z @ oracle.W.T + oracle.b, math.sqrt(oracle.variance)).logpdf(X).sum(-1)
    return z, log_x, stats.norm(mean, std).logpdf(z).sum(-1), stats.norm.logpdf(z).sum(-1), mean


def model_of(linear_gaussian, samples):
    oracle, _, V, c, std = linear_gaussian
    return linear_vae(oracle, V, c, std, samples=samples)


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("samples", [1, 6])
def test_losses_by_hand(linear_gaussian, beta, samples):
    _, log_x, log_q, log_p, _mean = by_hand(linear_gaussian, samples)
    matching = log_q - log_p
    log_w = log_x - beta * matching
    model = model_of(linear_gaussian, samples)
    groups = max(1, samples // 2)
    expected = {
        Loss(model, StickingTheLanding()): -log_x.mean(0) + beta * matching.mean(0),
        Loss(model, DoublyReparameterizedIWAE()): -oracles.log_mean_exp(log_w),
        Loss(model, NegativeRenyi(0.3)): -oracles.log_mean_exp(0.7 * log_w) / 0.7,
        Loss(model, NegativeRenyi(-2.0)): -oracles.log_mean_exp(3 * log_w) / 3,
        Loss(model, NegativeCIWAE(0.2)): -(0.2 * log_w.mean(0) + 0.8 * oracles.log_mean_exp(log_w)),
        Loss(model, NegativeMIWAE(groups)): -np.mean(
            [oracles.log_mean_exp(g) for g in np.split(log_w, groups)], axis=0
        ),
    }
    for objective, loss in expected.items():
        found = terms(objective, linear_gaussian[1], beta)
        for value, wanted in zip(found, (loss, -log_x.mean(0), matching.mean(0)), strict=True):
            np.testing.assert_allclose(value.detach().numpy(), wanted, rtol=1e-8, atol=1e-10)


def test_special_cases(linear_gaussian):
    """Rényi(0) = IWAE, Rényi(1) = ELBO, CIWAE and MIWAE between them, one draw: all the same."""
    model, X = model_of(linear_gaussian, 6), linear_gaussian[1]
    iwae, elbo = terms(Loss(model, NegativeIWAE()), X).loss, terms(Loss(model, StickingTheLanding()), X).loss
    for one, other in (
        (Loss(model, NegativeRenyi(0.0)), iwae),
        (Loss(model, NegativeRenyi(1.0)), elbo),
        (Loss(model, NegativeRenyi(1 - 1e-6)), elbo),
        (Loss(model, NegativeCIWAE(0.0)), iwae),
        (Loss(model, NegativeCIWAE(1.0)), elbo),
        (Loss(model, NegativeMIWAE(1)), iwae),
        (Loss(model, NegativeMIWAE(6)), elbo),
    ):
        torch.testing.assert_close(terms(one, X).loss, other, rtol=1e-4, atol=1e-4)
    single = model_of(linear_gaussian, 1)
    wanted = terms(Loss(single, StickingTheLanding()), X).loss
    for objective in (
        Loss(single, NegativeIWAE()),
        Loss(single, DoublyReparameterizedIWAE()),
        Loss(single, NegativeRenyi(0.5)),
    ):
        torch.testing.assert_close(terms(objective, X).loss, wanted)


def test_the_renyi_bound_falls_as_alpha_rises(linear_gaussian):
    model, X = model_of(linear_gaussian, 20), linear_gaussian[1]
    losses = [float(terms(Loss(model, NegativeRenyi(a)), X).loss.mean().detach()) for a in (-3.0, 0.0, 0.3, 0.7, 1.0)]
    assert losses == sorted(losses)


def gradients(objective, X, names, repeats, seed=0, beta=1.0):
    """Gradients of the mean loss with respect to parameters, side by side: (repeats, …)."""
    known = dict(objective.model.named_parameters())
    found = []
    for repeat in range(repeats):
        loss = terms(objective, X, beta, seed + repeat).loss.mean()
        each = torch.autograd.grad(loss, [known[name] for name in names])
        found.append(torch.cat([g.flatten() for g in each]).numpy())
    return np.stack(found)


@pytest.mark.parametrize(
    ("usual", "other"), [(NegativeELBO, StickingTheLanding), (NegativeIWAE, DoublyReparameterizedIWAE)]
)
@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_other_gradients_have_the_expectation_of_the_usual_ones(linear_gaussian, usual, other, beta):
    model = model_of(linear_gaussian, 4)
    X = linear_gaussian[1][:3]
    names = ("encoder.V", "encoder.std", "decoder.network.layers.0.weight")
    many = np.tile(X, (50, 1))  # 3,000 draws for each row, as 60 means of 50
    a, b = (gradients(Loss(model, o()), many, names, 60, seed, beta) for o, seed in ((usual, 0), (other, 50_000)))
    error = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / 60)
    assert (np.abs(a.mean(0) - b.mean(0)) < 5 * error + 1e-12).all()


@pytest.mark.parametrize("objective", [StickingTheLanding, DoublyReparameterizedIWAE])
def test_the_encoder_s_gradient_vanishes_at_the_true_posterior(objective):
    """For each single batch of draws, not only on average."""
    rng = np.random.default_rng(2)
    W = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 1.0]
    oracle = oracles.LinearGaussian(W, rng.normal(size=5), 0.6)
    model = exact_vae(oracle, samples=3)
    X = oracle.sample(8, rng)
    assert np.abs(gradients(Loss(model, objective()), X, ("encoder.V", "encoder.std"), 2)).max() < 1e-10
    assert np.abs(gradients(Loss(model, NegativeIWAE()), X, ("encoder.std",), 1)).max() > 1e-3


def test_at_the_true_posterior_every_bound_is_the_likelihood():
    rng = np.random.default_rng(3)
    W = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 1.0]
    oracle = oracles.LinearGaussian(W, rng.normal(size=5), 0.6)
    X = oracle.sample(8, rng)
    model = exact_vae(oracle, samples=4)
    exact = -oracle.log_prob(X)
    for objective in (
        Loss(model, NegativeRenyi(0.5)),
        Loss(model, NegativeRenyi(-3)),
        Loss(model, NegativeCIWAE(0.5)),
        Loss(model, NegativeMIWAE(2)),
    ):
        np.testing.assert_allclose(terms(objective, X).loss.detach().numpy(), exact, rtol=1e-9)


def test_free_bits_by_hand(linear_gaussian):
    _, log_x, *_ = by_hand(linear_gaussian, 1)
    oracle, X, V, c, _ = linear_gaussian
    std, mean = np.array([0.4, 1.0]), (X @ V.T + c) * [1.0, 0.0]
    model = linear_vae(oracle, V * [[1.0], [0.0]], c * [1.0, 0.0], std)
    each = 0.5 * (std**2 + mean**2 - 1) - np.log(std)  # the second dimension equals the prior
    found = terms(Loss(model, FreeBits(0.2)), X, 3.0)
    np.testing.assert_allclose(found.rate.detach().numpy(), each.sum(1), rtol=1e-10)
    cost = np.where(each.mean(0) > 0.2, each, 0.2)
    loss = found.distortion.detach().numpy() + 3 * cost.sum(1)
    np.testing.assert_allclose(found.loss.detach().numpy(), loss, rtol=1e-10)
    torch.testing.assert_close(terms(Loss(model, FreeBits(0.0)), X).loss, terms(Loss(model, NegativeELBO()), X).loss)
    assert log_x.shape == (1, 8)


@pytest.mark.parametrize("together", [1, 2, 3, 5, 9])
def test_free_bits_of_groups_by_hand(together):
    rng = np.random.default_rng(3)
    oracle, X = oracles.LinearGaussian(rng.normal(size=(6, 5)), rng.normal(size=6), 0.7), rng.normal(size=(8, 6))
    std, V = rng.uniform(0.3, 1.2, 5), rng.normal(size=(5, 6))
    model = linear_vae(oracle, V, np.zeros(5), std)
    each = 0.5 * (std**2 + (X @ V.T) ** 2 - 1) - np.log(std)
    groups = [each[:, at : at + together].sum(1) for at in range(0, 5, together)]
    free = sorted(group.mean() for group in groups)[(len(groups) - 1) // 2] + 1e-6  # of several groups some are free
    cost = sum(group if group.mean() > free else np.full(8, free) for group in groups)
    found = terms(Loss(model, FreeBits(free, together)), X, 2.0)
    np.testing.assert_allclose(found.loss.detach().numpy(), found.distortion.detach().numpy() + 2 * cost, rtol=1e-9)
    np.testing.assert_allclose(found.rate.detach().numpy(), each.sum(1), rtol=1e-9)


def test_free_bits_need_a_rate_with_parts(linear_gaussian):
    model = model_of(linear_gaussian, 1)
    model.prior = GaussianMixture(2, 3)
    with pytest.raises(VaekitError, match="prior and posterior must be normal and diagonal"):
        terms(Loss(model, FreeBits(0.1)), linear_gaussian[1])


def test_capacity_by_hand(linear_gaussian):
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std)
    rate = oracles.standard_normal_kl(X @ V.T + c, np.tile(std, (8, 1)))
    for beta, now in ((0.0, 0.0), (20.0, 1.5), (40.0, 3.0)):
        found = terms(Loss(model, Capacity(40.0, 3.0)), X, beta)
        loss = found.distortion.detach().numpy() + 40 * np.abs(rate.mean() - now)
        np.testing.assert_allclose(found.loss.detach().numpy(), loss, rtol=1e-9)


def test_groups_must_divide_the_draws(linear_gaussian):
    with pytest.raises(VaekitError, match=r"groups must divide the number of draws. Got 3 groups for 4 draws"):
        terms(Loss(model_of(linear_gaussian, 4), NegativeMIWAE(3)), linear_gaussian[1])


def test_mmd_by_hand():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(7, 3)) + 1

    def k(x, y):
        distance = ((x[:, None] - y[None]) ** 2).sum(-1)
        return sum(6 * s / (6 * s + distance) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    off = ~np.eye(7, dtype=bool)
    wanted = k(a, a)[off].mean() + k(b, b)[off].mean() - 2 * k(a, b).mean()
    assert squared_mmd(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(wanted, rel=1e-9)


def test_mmd_is_zero_on_average_where_both_are_alike():
    torch.manual_seed(0)
    values = torch.stack([squared_mmd(torch.randn(20, 2), torch.randn(20, 2)) for _ in range(2000)])
    assert abs(values.mean().item()) < 4.5 * values.std().item() / math.sqrt(2000)


def test_the_penalty_is_added_to_the_loss(linear_gaussian):
    model, X = model_of(linear_gaussian, 1), linear_gaussian[1]
    free, dear = (terms(Loss(model, MMDPenalty(weight)), X) for weight in (0.0, 10.0))
    torch.testing.assert_close(free.loss, terms(Loss(model, NegativeELBO()), X).loss)
    difference = (dear.loss - free.loss).detach()
    assert torch.allclose(difference, difference[0])
    assert abs(difference[0].item()) > 1e-3
    assert terms(Loss(model, MMDPenalty(10.0)), X[:1]).loss.isfinite().all()


def test_total_correlation_by_hand(linear_gaussian):
    z, log_x, *_ = by_hand(linear_gaussian, 1)
    oracle, X, V, c, std = linear_gaussian
    mean, n, rows = X @ V.T + c, 8, 50
    shares = np.full((n, n), 1 / 7)
    for i in range(n):
        shares[i, i], shares[i, (i + 1) % n] = 1 / rows, (rows - 7) / (rows * 7)
    np.testing.assert_allclose(
        stratified_log_weights(n, rows, torch.zeros((), dtype=torch.float64)).exp().numpy(), shares
    )
    np.testing.assert_allclose(shares.sum(1), 1)
    each = stats.norm(mean[None], std).logpdf(z[0][:, None])
    correlation = logsumexp(each.sum(-1), b=shares, axis=1) - logsumexp(each, b=shares[..., None], axis=1).sum(-1)
    rate = oracles.standard_normal_kl(mean, np.tile(std, (8, 1)))
    model = linear_vae(oracle, V, c, std)
    found = terms(Loss(model, TotalCorrelation(rows)), X, 6.0)
    np.testing.assert_allclose(found.loss.detach().numpy(), -log_x[0] + rate + 5 * correlation, rtol=1e-9)
    torch.testing.assert_close(
        terms(Loss(model, TotalCorrelation(rows)), X).loss, terms(Loss(model, NegativeELBO()), X).loss
    )
    assert terms(Loss(model, TotalCorrelation(rows)), X[:1], 6.0).loss.isfinite().all()


def test_the_estimate_of_the_average_posterior_is_right_for_a_batch_of_all_rows():
    """With M + 1 = N rows the stratified estimate is the average itself."""
    shares = stratified_log_weights(6, 6, torch.zeros(())).exp()
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares.diagonal(), 1 / 6, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in Objective.known if name != "reconstruction"])
def test_each_objective_trains_from_a_recipe(tmp_path, name):
    settings = {
        "objective": name,
        **({"objective.capacity": 1.0} if name == "capacity" else {}),
        "encoder.hidden": [16],
        "decoder.hidden": [16],
        "latent_dim": 2,
        "training.epochs": 2,
        "training.validations": 2,
        "data.binarize": "dynamic",
        "likelihood": "bernoulli",
    }
    run = vaekit.train("digits", settings=settings, out=tmp_path / "run")
    first, last = run.folder.read_metrics()
    assert last["elbo"] > first["elbo"] or name == "capacity"  # which may pay for the rate that is asked for
    assert (last["bound"] > last["elbo"]) == Objective.known[name].importance_weighted


@pytest.mark.parametrize("name", [name for name in Objective.known if name != "mmd"])
def test_what_belongs_to_another_objective_is_refused_by_name(name):
    with pytest.raises(RecipeError, match=f"'objective.mmd_weight' cannot be set with objective={name}"):
        load_recipe("auto", {"objective": name, "objective.mmd_weight": 2.0})


def test_information_total_correlation_and_distance_of_each_dimension_add_up_to_the_rate(linear_gaussian):
    """All three by quadrature over a grid, for three rows; the objective's share of them by draws from copies of the rows."""
    oracle, X, V, c, std = linear_gaussian
    X = X[:3]
    mean = X @ V.T + c
    line = np.linspace(-14, 14, 701)
    step = line[1] - line[0]
    each = stats.norm(mean[:, None], std).pdf(line[:, None])  # (3 rows, line, 2 dimensions)
    joint = np.einsum("rs,rt->st", each[..., 0], each[..., 1]) / 3
    one, two = each.mean(0).T

    def entropy(density, cell):
        return -(density * np.log(np.maximum(density, 1e-300))).sum() * cell

    own = 0.5 * np.log(2 * np.pi * math.e * std**2).sum()
    information = entropy(joint, step**2) - own
    correlation = entropy(one, step) + entropy(two, step) - entropy(joint, step**2)
    distance = -(entropy(one, step) + entropy(two, step)) - ((one + two) * stats.norm.logpdf(line)).sum() * step
    rate = oracles.standard_normal_kl(mean, np.tile(std, (3, 1))).mean()
    assert information + correlation + distance == pytest.approx(rate, rel=1e-6)
    assert correlation > 0.05  # else nothing was tested

    many = np.tile(X, (200, 1))
    objective = Loss(linear_vae(oracle, V, c, std), TotalCorrelation(len(many)))
    with torch.no_grad():
        found = [
            float((terms(objective, many, 2.0, s).loss - terms(objective, many, 1.0, s).loss).mean()) for s in range(20)
        ]
    assert abs(np.mean(found) - correlation) < 4 * np.std(found) / 20**0.5 + 5e-3
