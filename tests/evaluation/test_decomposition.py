"""The rate is mutual information plus marginal KL, and each part is what its name says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import oracles
from vaekit.data import RowNoise, RowStream
from vaekit.evaluation import active_units, decompose_rate, decomposition
from vaekit.evaluation.decomposition import log_aggregate


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def split(mean, std, **options):
    return decompose_rate(mean, std, oracles.standard_normal_kl(mean, std), **options)


@pytest.mark.parametrize("draws", [1, 4])
def test_parts_agree_with_the_sum_over_all_pairs(rng, draws):
    mean, std = rng.normal(size=(25, 3)), rng.uniform(0.2, 1.5, (25, 3))
    parts = split(mean, std, draws=draws)
    noise = RowNoise(mean, seed=1).normal((draws, 3), RowStream.AGGREGATE).double().numpy()
    assert parts.mutual_information == pytest.approx(oracles.mutual_information(mean, std, noise), rel=1e-9)
    rate = oracles.standard_normal_kl(mean, std).mean()
    assert parts.mutual_information + parts.marginal_kl == pytest.approx(rate, rel=1e-12)
    assert parts.ceiling == pytest.approx(math.log(25))
    assert parts.draws == draws


def test_parts_agree_with_quadrature():
    # z-tests at |z| < 5, with the error stated (0.004 in nats, from 24,000 draws): false alarm 6e-7
    mean, std = np.array([-1.2, 0.3, 2.0]), np.array([0.5, 1.1, 0.3])
    parts = split(mean[:, None], std[:, None], draws=8000)
    entropy = np.mean(0.5 * np.log(2 * np.pi * math.e * std**2))
    information = oracles.mixture_entropy(mean, std) - entropy
    assert parts.mutual_information == pytest.approx(information, abs=0.02)
    rate = oracles.standard_normal_kl(mean[:, None], std[:, None]).mean()
    assert parts.marginal_kl == pytest.approx(rate - information, abs=0.02)


def test_codes_that_are_all_the_same_tell_nothing():
    mean, std = np.tile([0.7, -1.0], (40, 1)), np.tile([0.5, 1.2], (40, 1))
    parts = split(mean, std)
    assert parts.mutual_information == pytest.approx(0, abs=1e-10)
    assert parts.marginal_kl == pytest.approx(oracles.standard_normal_kl(mean, std)[0], rel=1e-9)


def test_a_collapsed_posterior_spends_nothing():
    parts = split(np.zeros((40, 2)), np.ones((40, 2)))
    assert parts.mutual_information == pytest.approx(0, abs=1e-10)
    assert parts.marginal_kl == pytest.approx(0, abs=1e-10)


def test_codes_far_apart_tell_all_rows_apart():
    mean, std = 100.0 * np.arange(30)[:, None], np.full((30, 1), 0.5)
    parts = split(mean, std)
    assert parts.mutual_information == pytest.approx(math.log(30), rel=1e-9)
    assert parts.standard_error < 1e-9


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 10.0])
def test_information_never_exceeds_its_ceiling(rng, spread):
    mean, std = spread * rng.normal(size=(60, 2)), rng.uniform(0.01, 2, (60, 2))
    parts = split(mean, std)
    assert parts.mutual_information <= parts.ceiling + 1e-9


def test_two_groups_of_codes_hold_one_bit(rng):
    mean = np.repeat([[-50.0], [50.0]], 20, axis=0)
    assert split(mean, np.ones((40, 1))).mutual_information == pytest.approx(math.log(2), rel=1e-9)


def test_the_standard_error_is_that_of_the_mean_over_rows(rng):
    mean, std = rng.normal(size=(30, 2)), rng.uniform(0.2, 1.5, (30, 2))
    noise = RowNoise(mean, seed=1).normal((1, 2), RowStream.AGGREGATE).double().numpy()
    z = mean + std * noise[:, 0]
    table = stats.norm.logpdf(z[:, None], mean, std).sum(-1)
    each = np.diag(table) - oracles.log_mean_exp(table, 1)
    assert split(mean, std).standard_error == pytest.approx(each.std(ddof=1) / math.sqrt(30), rel=1e-9)


@pytest.mark.parametrize("block", [1, 7, 30, 1000])
def test_blocks_do_not_matter(rng, block):
    mean, std = rng.normal(size=(30, 2)), rng.uniform(0.2, 1.5, (30, 2))
    found, expected = split(mean, std, draws=3, block=block), split(mean, std, draws=3)
    assert found.mutual_information == pytest.approx(expected.mutual_information, rel=1e-12)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-9)


def test_some_rows_make_the_mixture_and_the_parts_add_up_to_the_rate_of_all(rng, monkeypatch):
    mean, std = rng.normal(size=(30, 2)), rng.uniform(0.2, 1.5, (30, 2))
    everything = split(mean, std)
    monkeypatch.setattr(decomposition, "MOST_ROWS", 12)
    found = split(mean, std)
    assert found.ceiling == pytest.approx(math.log(12))
    total = everything.mutual_information + everything.marginal_kl
    assert found.mutual_information + found.marginal_kl == pytest.approx(total, abs=1e-12)
    shuffled = np.sort(np.random.default_rng(0).permutation(30)[:12])
    assert not np.array_equal(shuffled, np.arange(12))  # sources are often sorted: the first rows would not do


def test_a_single_row_has_no_error_to_show():
    parts = split(np.ones((1, 2)), np.ones((1, 2)))
    assert parts.mutual_information == pytest.approx(0, abs=1e-12)
    assert math.isnan(parts.standard_error)


def test_the_aggregate_posterior_is_the_equal_mixture(rng):
    mean, std, z = rng.normal(size=(8, 3)), rng.uniform(0.05, 2, (8, 3)), rng.normal(size=(5, 3))
    expected = oracles.log_mean_exp(stats.norm.logpdf(z[:, None], mean, std).sum(-1), 1)
    np.testing.assert_allclose(log_aggregate(z, mean, std), expected, rtol=1e-10)


def test_the_aggregate_posterior_keeps_its_digits_for_narrow_codes():
    mean, std = np.array([[300.0], [-4.0]]), np.full((2, 1), math.exp(-9))
    z = mean + std * 0.5
    expected = oracles.log_mean_exp(stats.norm.logpdf(z[:, None], mean, std).sum(-1), 1)
    np.testing.assert_allclose(log_aggregate(z, mean, std), expected, atol=1e-3)


def test_a_unit_is_active_if_its_mean_varies_by_more_than_a_hundredth(rng):
    signs = np.array([[-1.0], [1.0]] * 50)
    mean = signs * np.sqrt([0.0, 0.0099, 0.0101, 4.0]) + [5.0, 5.0, 5.0, 0.0]
    assert active_units(mean).tolist() == [False, False, True, True]
