"""Associations between columns, against values worked out by hand and SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from mixed_frames import numbers, table_rows, words
from vaekit.evaluation.tables.associations import (
    association_matrix,
    bin_cells,
    cramers_v,
    measure_associations,
    rank_correlations,
)


def test_association_is_that_worked_out_by_hand():
    # expected counts 16, 24, 24, 36, each 14 away; then the bias of Bergsma's paper is taken off
    chi = 14**2 * (1 / 16 + 1 / 24 + 1 / 24 + 1 / 36)
    expected = math.sqrt((chi / 100 - 1 / 99) / (2 - 1 / 99 - 1))
    assert cramers_v(np.array([[30.0, 10.0], [10.0, 50.0]])) == pytest.approx(expected, rel=1e-12)


def test_association_of_a_larger_table():
    counts = np.array([[20.0, 0.0, 5.0], [0.0, 15.0, 10.0]])
    n, rows, columns = 50.0, [25.0, 25.0], [20.0, 15.0, 15.0]
    chi = sum(
        (counts[i, j] - rows[i] * columns[j] / n) ** 2 / (rows[i] * columns[j] / n) for i in (0, 1) for j in range(3)
    )
    least = min(2 - 1 / 49, 3 - 4 / 49) - 1
    assert cramers_v(counts) == pytest.approx(math.sqrt((chi / n - 2 / 49) / least), rel=1e-12)
    padded = np.zeros((4, 3))
    padded[[0, 2]] = counts
    assert cramers_v(padded) == cramers_v(counts)  # values that never come say nothing
    assert math.isnan(cramers_v(np.array([[30.0, 40.0]])))
    assert math.isnan(cramers_v(np.array([[3.0, 4.0], [4.0, 3.0]])))  # too few rows


def test_association_is_about_zero_for_independent_columns_of_many_values():
    rng = np.random.default_rng(0)
    found = [cramers_v(np.histogram2d(*rng.integers(0, 12, (2, 500)), bins=12)[0]) for _ in range(50)]
    assert np.mean(found) < 0.04  # with its bias it would be near 0.15
    assert np.mean(np.array(found) == 0) > 0.3


def test_matrix_takes_rows_in_which_both_are_there():
    rng = np.random.default_rng(1)
    one, other, third = rng.integers(0, 3, 400), rng.integers(0, 4, 400), rng.integers(0, 2, 400)
    other = np.where(rng.random(400) < 0.5, one, other)
    one[rng.random(400) < 0.2] = -1
    both = (one >= 0) & (other >= 0)
    counts = np.histogram2d(one[both], other[both], bins=[np.arange(4) - 0.5, np.arange(5) - 0.5])[0]
    matrix = association_matrix([one, other, third])
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(cramers_v(counts), rel=1e-12)
    assert np.diag(matrix) == pytest.approx(1.0)


def test_bins_hold_equally_many_held_out_cells():
    real = np.random.default_rng(0).permutation(np.append(np.arange(800.0), np.nan))
    bins = bin_cells(numbers(), real, real)
    assert bins[np.isnan(real)] == -1
    assert np.bincount(bins[bins >= 0]).tolist() == [100] * 8
    assert bin_cells(numbers(), real, np.array([-5.0, 1e9, np.nan])).tolist() == [0, 7, -1]
    zeros = np.array([0.0] * 90 + [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert np.bincount(bin_cells(numbers(), zeros, zeros)).tolist() == [90, 10]


def test_rare_values_share_a_bin():
    real = np.concatenate([np.repeat(np.arange(15.0), np.arange(20, 5, -1)), [15.0]])  # the last code: never seen
    bins = bin_cells(words(15), real, real)
    assert set(bins) == set(range(12))
    assert (bins == 11).sum() == sum(range(6, 10)) + 1
    assert bin_cells(words(3), np.array([2.0, 2, 0, 3]), np.array([0.0, 1, 2, 3])).max() < 12


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 5, (300, 3)).astype(float)
    x[:, 1] += x[:, 0]
    x[rng.random(300) < 0.3, 1] = np.nan
    both = ~np.isnan(x[:, 1])
    found = rank_correlations(x, [True, True, False])
    assert found[0, 1] == found[1, 0] == pytest.approx(spearmanr(x[both, 0], x[both, 1])[0], abs=1e-12)
    assert np.isnan(found[2]).all()
    assert np.isnan(rank_correlations(np.ones((50, 2)), [True, True])).all()


def test_an_association_that_falls_where_it_should_rise_is_found():
    x, noise = np.random.default_rng(3).normal(size=(2, 2000))
    other = np.random.default_rng(4).normal(size=(2000, 2))
    real, generated = np.column_stack([x, x + noise, other]), np.column_stack([x, noise - x, other])
    found = measure_associations(table_rows([numbers(name=name) for name in "abcd"], real, generated))
    first = found.differences[0]
    assert first.columns == ("a", "b")
    assert first.gap < 0.05  # V has no sign
    assert first.held_out_rank == pytest.approx(-first.generated_rank, abs=0.05)
    assert first.size > 1
    assert found.gap_by_chance == 0  # the training rows are the held-out ones here
    assert found.gap == pytest.approx(np.mean([d.gap for d in found.differences]))


def test_columns_that_do_not_vary_have_no_association():
    real = np.column_stack([np.ones(50), np.full(50, np.nan), np.arange(50.0)])
    found = measure_associations(table_rows([numbers()] * 3, real, np.ones((50, 3))))
    assert found.differences == ()
    assert (found.gap, found.gap_by_chance) == (0, 0)
