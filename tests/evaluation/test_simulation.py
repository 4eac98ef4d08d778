"""Simulation-based calibration and standard errors on linear-Gaussian models, whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import oracles
from builders import exact_vae, linear_vae, rows_of
from vaekit.evaluation import measure
from vaekit.evaluation.calibration.errors import measure_errors
from vaekit.evaluation.calibration.simulation import LOG_LIKELIHOOD, simulate

W = np.array([[1.0, 0.2], [0.5, -0.4], [-0.3, 0.6], [0.0, 0.5]])
W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])  # orthogonal columns: the posterior is diagonal
ORACLE = oracles.LinearGaussian(W, np.array([0.5, -1.0, 0.0, 2.0]), 0.3)


def observe(model, z):
    return model.decoder(z).sample()


def exact():
    return exact_vae(ORACLE).float()


def with_posterior(scale=1.0, shift=0.0):
    V, c, covariance = ORACLE.affine_posterior()
    std = np.sqrt(np.diag(covariance))
    return linear_vae(ORACLE, V, c + shift * std, scale * std).float()


def test_the_exact_posterior_passes():
    found = simulate(exact(), 100, 0, observe)
    assert [each.name for each in found.weighted] == ["z0", "z1", LOG_LIKELIHOOD]
    assert all(each.inside and not each.fault for each in (*found.weighted, *found.encoder))
    assert found.effective == pytest.approx(100, rel=1e-6)  # equal weights
    np.testing.assert_allclose([each.spread for each in found.weighted], 1, atol=0.12)
    assert [each.counts for each in found.weighted] == [each.counts for each in found.encoder]


@pytest.mark.parametrize(
    ("scale", "shift", "fault"),
    [
        (0.75, 0.0, "too narrow by a factor of 1."),
        (1.8, 0.0, "too wide by a factor of 1."),
        (1.0, 0.5, "too high by 0."),
    ],
)
def test_a_wrong_encoder_is_said_and_weights_mend_it(scale, shift, fault):
    found = simulate(with_posterior(scale, shift), 100, 0, observe)
    assert found.worst(found.encoder).fault
    assert any(fault in each.fault for each in found.encoder[:2])
    assert not found.worst(found.weighted).fault


def test_few_effective_draws_are_said():
    """Weights cannot mend a posterior that is far too narrow: its draws do not reach the truth."""
    found = simulate(with_posterior(0.1), 20, 0, observe)
    assert "too narrow" in found.worst(found.weighted).fault
    assert found.effective < 20


def test_the_rows_are_those_of_the_seed():
    model = with_posterior(0.6)
    assert simulate(model, 20, 1, observe) == simulate(model, 20, 1, observe) != simulate(model, 20, 2, observe)


def test_a_context_is_repeated():
    model = exact()
    model.given = lambda context: model if context is None or len(context) else None
    assert simulate(model, 20, 0, observe, torch.zeros(7, 1)) == simulate(model, 20, 0, observe)


# --- standard errors -------------------------------------------------------------------------------------------------


def rows(n=300, tail=None):
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(n, 4)) if tail is None else rng.standard_t(tail, size=(n, 4))
    return rows_of(ORACLE.b + rng.normal(size=(n, 2)) @ ORACLE.W.T + np.sqrt(ORACLE.variance) * noise)


def errors_of(model, data, samples=50):
    return measure_errors(model, data, measure(model, data, samples).score, samples)


def test_standard_errors_of_an_exact_model_hold():
    found = errors_of(exact(), rows())
    np.testing.assert_allclose(found.test_sets, found.levels, atol=0.04)
    assert found.over_seeds == (1.0, 1.0, 1.0)  # every estimate is exact
    assert found.seed_error < 1e-5
    assert found.effective == pytest.approx(50, rel=1e-6)


def test_errors_over_seeds_hold_if_draws_reach_far_enough_and_not_if_they_do_not():
    good, bad = errors_of(with_posterior(1.2), rows()), errors_of(with_posterior(0.3), rows())
    np.testing.assert_allclose(good.over_seeds, good.levels, atol=0.06)
    assert bad.over_seeds[1] < 0.82
    assert bad.effective < good.effective
    assert bad.seed_error > 3 * good.seed_error


def test_heavy_tails_break_the_error_of_a_mean():
    """The log-likelihood of rows with Cauchy noise has no mean."""
    found = errors_of(exact(), rows(tail=1))
    assert found.test_sets[1] < 0.8


def test_one_row_has_no_standard_error():
    assert errors_of(exact(), rows(1)) is None
