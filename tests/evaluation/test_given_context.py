"""Conditional models p(x, z|c): x = Wz + b + Uc + noise, of which log p(x|c) = log p₀(x − Uc) is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import oracles
from builders import conditional_vae, linear_vae, rows_of
from vaekit.data import Rows
from vaekit.evaluation import annealed_bound, bracket, inference_gap, measure, rate_distortion
from vaekit.objectives import Loss, Objective
from vaekit.parts import Plan


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def known(rng):
    """An oracle with orthogonal W, U, rows with their contexts, and the exact posterior's V, c, std."""
    W = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 1.0]
    oracle, U = oracles.LinearGaussian(W, rng.normal(size=5), 0.6), 3 * rng.normal(size=(5, 3))
    C = rng.normal(size=(40, 3)).astype(np.float32).astype(np.float64)
    X = (oracle.sample(40, rng) + C @ U.T).astype(np.float32).astype(np.float64)
    V, c, covariance = oracle.affine_posterior()
    return oracle, U, X, C, (V, c, np.sqrt(np.diag(covariance)))


def off(affine):
    """An encoder that is too narrow, and off by its own width."""
    V, c, std = affine
    return V, c + 0.5 * std, 0.5 * std


def test_with_the_exact_posterior_every_bound_is_the_likelihood(known):
    oracle, U, X, C, affine = known
    model, exact = conditional_vae(oracle, U, *affine), oracle.log_prob(X - C @ U.T)
    rows = rows_of(X, context=C)
    found = measure(model.float(), rows, 3)
    np.testing.assert_allclose(found.log_likelihood, exact, atol=1e-4)
    np.testing.assert_allclose(annealed_bound(model, rows, 2, 3), exact, atol=1e-4)
    assert np.abs(measure(model, rows_of(X, context=C[::-1].copy()), 3).log_likelihood - exact).min() > 0.1


def test_bounds_of_a_wrong_posterior_lie_below_and_reach_the_likelihood(known):
    oracle, U, X, C, affine = known
    model, exact = conditional_vae(oracle, U, *off(affine)).float(), oracle.log_prob(X - C @ U.T)
    rows = rows_of(X, context=C)
    means = [measure(model, rows, samples).log_likelihood.mean() for samples in (1, 10, 10_000)]
    elbo = measure(model, rows, 1000).elbo.mean()
    V, c, std = off(affine)
    posterior = (X - C @ U.T) @ V.T + c
    distortion = oracle.expected_distortion(X - C @ U.T, posterior, np.diag(std**2))
    rate = oracles.standard_normal_kl(posterior, np.tile(std, (40, 1)))
    assert abs(elbo + (distortion + rate).mean()) < 0.05
    assert elbo < means[1] < means[2] < exact.mean() + 0.01
    assert means[2] > exact.mean() - 0.1
    annealed = annealed_bound(model, rows, 32, 60)
    assert abs((annealed - exact).mean()) < 0.03


def test_the_gap_and_the_curve_are_of_the_given_context(known):
    oracle, U, X, C, affine = known
    model, exact = conditional_vae(oracle, U, *off(affine)).float(), oracle.log_prob(X - C @ U.T)
    rows = rows_of(X[:8], context=C[:8])
    gap = inference_gap(model, rows, samples=200, steps=300)
    np.testing.assert_allclose(gap.best_elbo, exact[:8], atol=0.02)  # orthogonal W: the best Gaussian is the posterior
    (point,) = rate_distortion(model, rows, [1.0], samples=200, steps=300).points
    assert abs(-(point.rate + point.distortion) - exact[:8].mean()) < 0.02


def test_rows_of_the_models_own_making_are_made_at_their_contexts(known):
    oracle, U, _, _, affine = known
    contexts = torch.from_numpy(np.random.default_rng(1).normal(size=(300, 3))).float()
    model = conditional_vae(oracle, U, *off(affine)).float()
    lower, upper = bracket(model, 300, 8, 30, seed=1, context=contexts)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        x = model.given(contexts).decoder(model.prior().sample((300,))).sample().double().numpy()
    exact = oracle.log_prob(x - contexts.double().numpy() @ U.T)
    for gap in (exact - lower, upper - exact):
        assert gap.mean() > -3 * gap.std() / math.sqrt(300)
    assert 0 < (upper - lower).mean() < 0.2


@pytest.mark.parametrize("name", [name for name in Objective.known if name != "reconstruction"])
def test_every_objective_is_that_of_the_model_at_the_context(known, name):
    """At c the model is that of x − Uc without any context: the same losses with the same noise."""
    oracle, U, X, C, affine = known
    part = Objective.known[name]
    losses = []
    for model, inputs, context in (
        (conditional_vae(oracle, U, *off(affine), samples=4), X, (torch.from_numpy(C),)),
        (linear_vae(oracle, *off(affine), samples=4), X - C @ U.T, ()),
    ):
        torch.manual_seed(0)
        objective = Loss(model, part.build(part.Options(samples=4), Plan(latent_dim=2, rows=len(X)))).double()
        losses.append(objective(torch.from_numpy(inputs), torch.tensor(1.0), *context))
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_without_a_context_the_model_is_itself(known):
    oracle, _, X, _, affine = known
    model = linear_vae(oracle, *affine)
    assert model.given(None) is model
    assert all(context is None for _, _, context in rows_of(X).blocks(7))


def test_blocks_and_batches_bring_the_contexts_of_their_rows(known):
    _, _, X, C, _ = known
    rows = rows_of(X, context=C)
    part = rows.part.subset(20, 0)
    some = Rows(part, rows.transform)
    blocks = [context for _, _, context in some.blocks(7)]
    np.testing.assert_array_equal(torch.cat(blocks).numpy(), C[part.index].astype(np.float32))
    np.testing.assert_array_equal(some.context(np.array([3, 1])).numpy(), C[part.index[[3, 1]]].astype(np.float32))
    assert part.fingerprint("float64") != rows_of(X, context=C + 1).part.subset(20, 0).fingerprint("float64")
