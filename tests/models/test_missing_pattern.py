"""The model of the pattern of missing cells: probabilities of all patterns, what each conditional sees, and draws."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from vaekit.data import Cells, seeded
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.columns import Column
from vaekit.data.tables.marginals import fit_marginal
from vaekit.models.missing_pattern import BLOCK, MissingPattern

ORDER = [3, 0, 2]
"""Columns 3, 0 and 2 have missing cells; 1 and 4 are complete."""
ROW = np.array([0.3, 2.0, 1.0, 0.0, -1.2])
"""Column 3 holds its point mass, so its normal score is not there even though its cell is."""


def make_cells():
    rng = np.random.default_rng(0)
    lists = Categories(n_categories=4, known=3, log_share=(0.0, 0.0, 0.0, 0.0))
    real = fit_marginal(Column(name="x", kind="real", type="double"), rng.normal(size=400))
    heaped = np.where(rng.random(400) < 0.5, 0.0, np.round(rng.exponential(100, 400), 2))
    massed = fit_marginal(Column(name="y", kind="positive", type="double"), heaped)
    assert massed.point_masses == (0.0,)
    return Cells(columns=(real, lists, lists, massed, real))


@pytest.fixture(scope="module")
def pattern():
    with seeded(1):
        made = MissingPattern(make_cells(), ORDER)
        for value in made.parameters():
            value.data = 0.3 * torch.randn(value.shape)
    return made


def rows(patterns, row=ROW):
    """The row as the model sees it, once for each pattern of its incomplete columns."""
    codes = np.repeat(row[None], len(patterns), 0)
    codes[:, ORDER] = np.where(patterns, np.nan, codes[:, ORDER])
    return make_cells().forward(torch.from_numpy(codes))


ALL = np.array(list(itertools.product([False, True], repeat=3)))


def test_the_probabilities_of_all_patterns_of_a_row_sum_to_one(pattern):
    for shift in (0.0, 0.7):
        found = pattern.log_prob(rows(ALL, ROW + np.array([shift, 0, 0, shift, shift]))).exp()
        assert found.min() > 1e-4
        assert found.sum().item() == pytest.approx(1, abs=1e-6)


def test_log_p_is_that_of_the_formula(pattern):
    """The conditionals one by one, in numpy, from vectors of single cells."""
    value = {name: v.detach().double().numpy() for name, v in pattern.named_parameters()}
    silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731
    columns = make_cells().slot_columns
    for gone in ALL:
        x = rows(gone[None])
        vectors = pattern.seen(x[:, : len(columns)])[0].detach().double().numpy()
        by_column = {j: vectors[columns == j].sum(0) for j in range(5)}
        seen, log_p = by_column[1] + by_column[4], 0.0
        for j, column in enumerate(ORDER):
            shown = silu(seen + value["own"][j])
            features = shown + silu(value["inner.weight"] @ shown + value["inner.bias"])
            logit = features @ value["heads"][j] + value["offset"][j]
            logit += sum(value["links"][j, k] * (1 if gone[k] else -1) for k in range(j))
            log_p -= np.log1p(np.exp(-logit if gone[j] else logit))
            seen = seen + (value["gone"][j] if gone[j] else by_column[column])
        assert pattern.log_prob(x).item() == pytest.approx(log_p, abs=1e-4)


def test_a_conditional_sees_no_cell_that_is_missing_or_comes_later(pattern):
    logits = pattern(rows(ALL)).detach().numpy()
    for j in range(3):
        for seen in np.unique(ALL[:, :j], axis=0):
            same = (ALL[:, :j] == seen).all(1)
            assert np.ptp(logits[same, j]) < 1e-5
    assert np.ptp(logits[:, 2]) > 0.1


def test_draws_have_the_probabilities_of_their_patterns(pattern):
    n = 40_000
    uniform = torch.from_numpy(np.random.default_rng(0).random((n, 3)))
    drawn = pattern.draw(rows(np.zeros((n, 3), bool)), uniform).numpy()
    counts = [(drawn == each).all(1).sum() for each in ALL]
    assert chisquare(counts, n * pattern.log_prob(rows(ALL)).detach().double().softmax(0).numpy()).pvalue > 1e-3


@pytest.fixture
def ruled(pattern):
    """The same weights, and rules: column 0 is empty with category 2 of column 1, column 2 with the point mass of column 3."""
    made = MissingPattern(make_cells(), ORDER, {0: (1, [2]), 2: (3, [0])})
    made.load_state_dict(pattern.state_dict())
    made.ruled.data = torch.tensor([0.0, 3.0, 2.0])
    return made


def test_with_rules_the_probabilities_sum_to_one_too(ruled, pattern):
    found = ruled.log_prob(rows(ALL)).exp().detach().numpy()
    assert found.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found[ALL[:, 1]].sum(), 1 / (1 + np.exp(-3)), rtol=1e-5)
    there = ~ALL[:, 0]
    np.testing.assert_allclose(found[there & ALL[:, 2]].sum() / found[there].sum(), 1 / (1 + np.exp(-2)), rtol=1e-5)
    other = rows(ALL, ROW - [0, 1, 0, -40, 0])  # another category, and no point mass
    np.testing.assert_allclose(*(p.log_prob(other).detach() for p in (ruled, pattern)))


def test_structural_blanks_are_always_missing_unless_their_reason_is_and_kept_columns_never(ruled):
    n = 2000
    uniform = torch.from_numpy(np.random.default_rng(0).random((n, 3)))
    x = rows(np.zeros((n, 3), bool))
    gone = ruled.draw(x, uniform).numpy()
    assert gone[:, 1].all()
    assert gone[~gone[:, 0], 2].all()
    assert 0 < gone[gone[:, 0], 2].mean() < 1
    kept = ruled.draw(x, uniform, kept={0, 3}).numpy()
    assert not kept[:, :2].any()
    assert kept[:, 2].all()


@pytest.mark.parametrize("block", [BLOCK, 7])
def test_the_start_is_a_tree_of_counts(block, monkeypatch):
    """Column 0 is missing when column 3 is not; column 2 is always missing with category 2, else with column 0 in 3 of 4."""
    made = MissingPattern(make_cells(), ORDER, {2: (1, [2])})
    patterns = [(1, 0, 1)] * 30 + [(1, 0, 0)] * 30 + [(0, 1, 1)] * 60 + [(0, 1, 0)] * 20
    codes = np.tile(ROW, (180, 1))
    codes[:, 1] = [0.0] * 140 + [2.0] * 40
    gone = np.array([*patterns, *[(1, 0, 1)] * 20, *[(0, 1, 1)] * 20], bool)
    codes[:, ORDER] = np.where(gone, np.nan, codes[:, ORDER])
    x = make_cells().forward(torch.from_numpy(codes))
    monkeypatch.setattr("vaekit.models.missing_pattern.BLOCK", block)
    made.start(x)
    p = torch.sigmoid(made(x)).detach().numpy()
    np.testing.assert_allclose(p[:, 0], 80.5 / 181, rtol=1e-5)
    np.testing.assert_allclose(p[:, 1], np.where(gone[:, 0], 0.5 / 81, 100.5 / 101), rtol=1e-4)
    wanted = np.where(codes[:, 1] == 2, 40.5 / 41, np.where(gone[:, 1], 60.5 / 81, 30.5 / 61))
    np.testing.assert_allclose(p[:, 2], wanted, rtol=1e-4)
    np.testing.assert_allclose(made.rates, (gone.sum(0) + 0.5) / 181, rtol=1e-5)
    np.testing.assert_allclose(
        made.log_independent(x)[0], np.log(np.where(gone[0], made.rates, 1 - made.rates)).sum(), rtol=1e-5
    )
    weights = torch.from_numpy(np.where(gone[:, 0], 2.0, 1.0))
    made.start(x, weights=weights)
    assert made.rates[0].item() == pytest.approx((180 * 160 / 260 + 0.5) / 181, rel=1e-5)
