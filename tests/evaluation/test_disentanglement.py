"""Scores of disentanglement, against entropies counted by hand and codes whose scores follow from their making."""

from __future__ import annotations

import doctest
import itertools
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from squares import squares

from vaekit import VaekitError
from vaekit.evaluation import Disentanglement, dci, disentanglement, factor_vae, mig, sap
from vaekit.evaluation.factors import checks, forests, gaps, scores, votes
from vaekit.evaluation.factors.forests import concentration, importances

TURN = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
SCORES = {
    "mig": mig,
    "dci": dci,
    "sap": sap,
    "factor_vae": lambda codes, factors: factor_vae(codes, factors, np.random.default_rng(0)),
    "all": disentanglement,
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def grid(values, repeats=1):
    """Every combination of the factors' values, as often as told."""
    return np.tile(list(itertools.product(*map(range, values))), (repeats, 1))


def entropy(*columns):
    """Nats, from the counts of the rows."""
    return stats.entropy(np.unique(np.stack(columns), axis=1, return_counts=True)[1])


def test_the_examples_run():
    found = [doctest.testmod(module) for module in (forests, gaps, scores, votes)]
    assert sum(each.failed for each in found) == 0
    assert sum(each.attempted for each in found) > 10


def test_codes_that_are_the_factors():
    factors = grid((4, 5), 100)
    scores = disentanglement(factors.astype(float), factors)
    assert scores == Disentanglement(pytest.approx(1), pytest.approx(1), pytest.approx(1), 1.0, scores.sap, 1.0)
    # 0.8 and 0.75 above guesses; the best of k guesses is a little above 1/k, by 4 standard errors of 1000 rows at most
    assert scores.sap == pytest.approx((0.8 + 0.75) / 2, abs=0.055)


def test_codes_that_are_the_factors_turned_by_45_degrees():
    factors = grid((6, 6), 60)
    straight = (factors - factors.mean(axis=0)) + np.random.default_rng(0).uniform(-0.5, 0.5, factors.shape)
    turned = disentanglement(straight @ TURN, factors)
    assert turned.mig < 0.03
    assert turned.dci_disentanglement < 0.03
    assert turned.dci_completeness < 0.03
    assert turned.dci_informativeness > 0.7
    assert turned.sap < 0.06
    assert turned.factor_vae < 0.6
    clear = disentanglement(straight, factors)
    assert min(clear.mig, clear.dci_disentanglement, clear.dci_completeness, clear.dci_informativeness) > 0.7
    assert clear.factor_vae == 1
    assert clear.sap > 0.7


def test_codes_that_tell_nothing(rng):
    factors = grid((4, 4, 4), 60)
    scores = disentanglement(rng.normal(size=(len(factors), 5)), factors)
    assert scores.mig < 0.01
    assert scores.dci_disentanglement < 0.01
    assert scores.dci_completeness < 0.01
    assert scores.sap < 0.04
    # by guessing: one in four values of 1920 held-out rows, one in three factors of 800 votes; z-tests at 5
    assert scores.dci_informativeness == pytest.approx(1 / 4, abs=5 * np.sqrt(3 / 16 / 1920))
    assert scores.factor_vae == pytest.approx(1 / 3, abs=5 * np.sqrt(2 / 9 / 800))


def test_one_factor_is_told_and_the_others_are_not():
    factors = grid((4, 4, 4, 4), 4)
    codes, factors = factors[:, [0, 3]].astype(float), factors[:, :3]
    assert mig(codes, factors) == pytest.approx(1 / 3)  # the grid is complete, so that nothing else is told
    # code 0 wins whenever factor 0 is fixed and half the other times, so that it is taken for factor 0, and code 1 for
    # one of the other two: right in 1/3 + 1/2 · 1/3 of the votes
    score = factor_vae(codes, factors, np.random.default_rng(0))
    assert score == pytest.approx(1 / 2, abs=5 * np.sqrt(1 / 4 / 800))


def test_a_factor_in_two_codes_is_disentangled_but_not_complete():
    factors = grid((4, 4), 100)
    scores = disentanglement(factors[:, [0, 0, 1]].astype(float), factors)
    assert scores.mig == pytest.approx(1 / 2)
    assert scores.sap == pytest.approx(3 / 8, abs=0.03)
    assert scores.factor_vae == 1
    assert scores.dci_disentanglement == pytest.approx(1)
    assert scores.dci_completeness == pytest.approx((2 - np.log(2) / np.log(3)) / 2, abs=0.05)


def test_a_code_that_tells_two_factors_is_complete_but_not_disentangled():
    factors = grid((4, 4), 100)
    code = (4 * factors[:, 0] + factors[:, 1])[:, None].astype(float)
    disentangled, complete, informative = dci(code, factors)
    assert (complete, informative) == (1, 1)
    assert disentangled == pytest.approx(0, abs=1e-12)
    assert mig(code, factors) == pytest.approx(1)
    assert factor_vae(code, factors, np.random.default_rng(0)) == pytest.approx(1 / 2, abs=5 * np.sqrt(1 / 4 / 800))


def test_mig_is_that_of_a_table_counted_by_hand():
    counts = np.array([[5, 1, 0], [1, 3, 2]])  # rows: values of the first code; columns: of the factor
    z = np.repeat([0.0, 1.0], counts.sum(axis=1))
    v = np.concatenate([np.repeat([0, 1, 2], row) for row in counts])
    other = (v == 2).astype(float)
    h = stats.entropy(counts.sum(axis=0))
    by_z = stats.entropy(counts.sum(axis=1)) + h - stats.entropy(counts.ravel())
    by_other = stats.entropy([10, 2])  # a function of v: all its entropy is information
    expected = abs(by_z - by_other) / h
    assert mig(np.stack([z, other], axis=1), v[:, None]) == pytest.approx(expected, rel=1e-12)
    assert mig(z[:, None], v[:, None]) == pytest.approx(by_z / h, rel=1e-12)


def test_mig_is_that_of_entropies_after_histograms(rng):
    factors = np.stack([rng.integers(3, size=700), rng.integers(5, size=700)], axis=1)
    codes = factors @ rng.normal(size=(2, 4)) + rng.normal(size=(700, 4))
    binned = [np.digitize(z, np.histogram_bin_edges(z, 20)[1:-1]) for z in codes.T]
    gaps = []
    for v in factors.T:
        told = sorted(entropy(z) + entropy(v) - entropy(z, v) for z in binned)
        gaps.append((told[-1] - told[-2]) / entropy(v))
    assert mig(codes, factors) == pytest.approx(np.mean(gaps), rel=1e-10)


def test_dci_is_that_of_the_shares_of_importance(rng):
    matrix = rng.uniform(size=(5, 3)) ** 4
    disentangled, complete = concentration(matrix)
    weight = matrix.sum(axis=1) / matrix.sum()
    assert disentangled == pytest.approx(weight @ (1 - stats.entropy(matrix, base=3, axis=1)), rel=1e-12)
    assert complete == pytest.approx(np.mean(1 - stats.entropy(matrix, base=5, axis=0)), rel=1e-12)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(3), (1, 1)),
        (np.ones((4, 3)), (0, 0)),
        (np.zeros((2, 3)), (0, 0)),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), (0, 1)),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), (1, 0.5)),
    ],
)
def test_dci_of_plain_matrices(matrix, expected):
    assert concentration(matrix) == pytest.approx(expected, abs=1e-12)


def test_importances_stand_where_their_codes_do():
    factors = grid((3, 4, 5), 20)
    codes = np.column_stack([np.zeros(len(factors)), factors[:, [2, 0, 1]]])
    matrix, accuracy = importances(codes, factors)
    assert matrix == pytest.approx(np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]), abs=1e-12)
    assert accuracy == 1


def noisy(rng):
    factors = grid((3, 4, 5), 15)
    return factors @ rng.normal(size=(3, 4)) + rng.normal(size=(len(factors), 4)), factors


def test_the_order_of_the_codes_does_not_matter(rng):
    codes, factors = noisy(rng)
    here, there = disentanglement(codes, factors), disentanglement(codes[:, [2, 0, 3, 1]], factors)
    assert astuple(there) == pytest.approx(astuple(here), rel=1e-12)


def test_origin_and_scale_and_the_names_of_values_do_not_matter(rng):
    codes, factors = noisy(rng)
    here = disentanglement(codes, factors)
    # powers of two, so that no code is rounded
    there = disentanglement(codes * np.array([2.0**-900, -1.0, 4.0, 2.0**1019]), factors * 7 - 5)
    close = pytest.approx(astuple(here), abs=0.02)  # a code turned round is split and counted at other ties
    assert astuple(there) == close
    assert astuple(disentanglement(codes * 2.0**-900, factors)) == pytest.approx(astuple(here), rel=1e-12)


def test_constant_codes_count_for_nothing(rng):
    codes, factors = noisy(rng)
    here = disentanglement(codes, factors)
    there = disentanglement(np.insert(codes, [0, 2], [0.1, -3.0], axis=1), factors)
    for name in ("mig", "dci_disentanglement", "dci_informativeness", "sap", "factor_vae"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=1e-12), name
    assert there.dci_completeness > here.dci_completeness  # the importance is on fewer of the codes


def test_codes_that_are_all_constant():
    factors = grid((4, 4), 50)
    scores = disentanglement(np.full((len(factors), 3), 0.3), factors)
    assert (scores.mig, scores.dci_disentanglement, scores.dci_completeness, scores.sap) == (0, 0, 0, 0)
    assert scores.dci_informativeness == pytest.approx(1 / 4, abs=0.06)
    assert scores.factor_vae == pytest.approx(1 / 2, abs=5 * np.sqrt(1 / 4 / 800))


def test_a_single_code_for_a_single_factor():
    factor = grid((4,), 100)
    assert mig(factor / 2, factor) == pytest.approx(1)
    assert sap(factor / 2, factor) == pytest.approx(3 / 4)


def test_the_same_seed_gives_the_same_scores(rng):
    codes, factors = noisy(rng)
    before = codes.copy(), factors.copy()
    assert disentanglement(codes, factors, seed=3) == disentanglement(codes, factors, seed=3)
    assert disentanglement(codes, factors, seed=3) != disentanglement(codes, factors, seed=4)
    np.testing.assert_array_equal(codes, before[0])
    np.testing.assert_array_equal(factors, before[1])


def test_other_kinds_of_numbers(rng):
    codes, factors = noisy(rng)
    coarse = np.round(codes * 8)
    expected = disentanglement(coarse, factors)
    assert disentanglement(coarse.astype(np.float32), factors.astype(np.uint8)) == expected
    assert disentanglement(coarse.astype(np.int16), factors) == expected
    assert mig(coarse, factors > 1) == mig(coarse, (factors > 1).astype(int))


def test_classifiers_look_at_some_rows_and_are_tested_on_others(monkeypatch):
    monkeypatch.setattr(checks, "MOST_ROWS", 200)
    train, test = checks.halves(900, 0)
    assert (len(train), len(test)) == (100, 100)
    assert len(np.unique(np.concatenate([train, test]))) == 200
    factors = grid((3, 3), 100)
    assert dci(factors.astype(float), factors) == pytest.approx((1, 1, 1))


def test_sap_weighs_rare_values_like_others(rng):
    # two normals two deviations apart: the threshold is half-way and right in Φ(1) of either, however rare the one is;
    # 5 standard errors, with 300 rare rows held out, and as much for the threshold's own error
    v = (np.arange(6000) % 10 == 0).astype(int)
    codes = (2 * v + rng.normal(size=6000))[:, None]
    assert sap(codes, v[:, None]) == pytest.approx(stats.norm.cdf(1) - 1 / 2, abs=0.06)


def test_small_leaves_would_spread_importance(rng, monkeypatch):
    factors = grid((2, 2), 200)
    codes = np.column_stack([factors + rng.normal(size=factors.shape) / 2, rng.normal(size=(800, 3))])
    score, _, _ = dci(codes, factors)
    monkeypatch.setattr(forests, "LEAF", 1)
    assert score > dci(codes, factors)[0] + 0.05


def test_votes_are_not_tested_on_those_they_are_learnt_from(rng):
    # some three votes for each code agree by chance; so many rows that no code's variance differs between values by chance
    factors = grid((2, 2), 5000)
    score = factor_vae(rng.normal(size=(len(factors), 300)), factors, np.random.default_rng(0))
    assert score == pytest.approx(1 / 2, abs=5 * np.sqrt(1 / 4 / 800))


def test_every_value_of_a_factor_is_held_fixed(rng):
    # code 0 tells one value of the first factor only: while the other is fixed, code 1 wins and names the wrong factor
    factors = grid((2, 4), 200)
    codes = np.column_stack([factors[:, 0] * rng.choice([-1.0, 1.0], len(factors)), factors[:, 1]])
    score = factor_vae(codes, factors, np.random.default_rng(0))
    assert score == pytest.approx(3 / 4, abs=5 * np.sqrt(3 / 16 / 800))


def test_codes_near_the_greatest_float():
    factors = grid((3, 3), 30)
    assert mig((factors - 1) * 1.7e308, factors) == pytest.approx(1)


def test_values_that_are_rare(rng):
    factors = grid((3, 3), 20)
    factors[7] = 9, 11
    codes = factors + rng.normal(size=factors.shape) / 100
    assert all(0 <= score <= 1 for score in astuple(disentanglement(codes, factors)))


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_few_rows(rng, rows):
    factors = np.stack([np.arange(rows) % 2, np.arange(rows) // 2 % 2], axis=1)
    factors[-1] = 1, 1
    codes = rng.normal(size=(rows, 3))
    assert 0 <= mig(codes, factors) <= 1
    assert all(0 <= score <= 1 for score in dci(codes, factors))
    assert 0 <= sap(codes, factors) <= 1


FACTORS = grid((2, 3), 4)
CODES = FACTORS.astype(float)
HOLED = np.where(np.arange(24)[:, None] == 5, [np.nan, np.inf], CODES)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (CODES[:-1], FACTORS, r"same number of rows.*shapes \(23, 2\) and \(24, 2\)"),
        (CODES[:, 0], FACTORS, r"shapes \(24,\) and \(24, 2\)"),
        (CODES, FACTORS[:, 0], r"factors\[:, None\]"),
        (CODES[:0], FACTORS[:0], r"shapes \(0, 2\)"),
        (CODES[:, :0], FACTORS, r"shapes \(24, 0\)"),
        (HOLED, FACTORS, "finite numbers. Got 2 NaN or infinite values"),
        (CODES.astype(str), FACTORS, "finite numbers. Got an array of <U"),
        (CODES, FACTORS / 2, r"must be integers. Got an array of float64.*np\.unique"),
        (CODES, FACTORS * [1, 0] + 3, r"at least two values.*Got only the value 3 in factors\[:, 1\].*Leave that"),
    ],
)
def test_what_cannot_be_scored(score, codes, factors, message):
    with pytest.raises(VaekitError, match=message) as raised:
        SCORES[score](codes, factors)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("score", ["dci", "factor_vae", "all"])
def test_one_factor_cannot_be_told_from_others(score):
    with pytest.raises(VaekitError, match=r"two factors.*`mig` or `sap`"):
        SCORES[score](CODES, FACTORS[:, :1])


def test_a_factor_whose_values_never_recur_cannot_be_held_fixed():
    factors = np.stack([np.arange(24) % 2, np.arange(24)], axis=1)
    with pytest.raises(VaekitError, match=r"24 different values in the 24 rows of factors\[:, 1\]"):
        SCORES["factor_vae"](CODES, factors)


def test_squares_are_what_their_factors_say():
    pictures, factors = squares()
    white = pictures == 255
    assert ((pictures == 0) | white).all()
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures) == 363
    np.testing.assert_array_equal(white.any(axis=1).argmax(axis=1), factors[:, 0])
    np.testing.assert_array_equal(white.any(axis=2).argmax(axis=1), factors[:, 1])
    np.testing.assert_array_equal(white.sum(axis=(1, 2)), np.array([4, 16, 36])[factors[:, 2]])


def test_squares_measured_are_disentangled_and_their_principal_components_are_not():
    pictures, factors = squares()
    white = pictures == 255
    edges = [white.any(axis=1).argmax(axis=1), white.any(axis=2).argmax(axis=1)]
    measured = disentanglement(np.stack([*edges, white.sum(axis=(1, 2))], axis=1).astype(float), factors)
    components = PCA(3, random_state=0).fit_transform(white.reshape(len(white), -1).astype(float))
    mixed = disentanglement(components, factors)
    assert measured.mig == pytest.approx(1)
    assert measured.factor_vae == 1
    assert min(measured.dci_disentanglement, measured.dci_completeness) > 0.95
    for name in ("mig", "dci_disentanglement", "dci_completeness", "sap", "factor_vae"):
        assert getattr(measured, name) > getattr(mixed, name) + 0.2, name
