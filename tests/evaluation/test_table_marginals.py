"""Distances between held-out and generated columns, and their histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from mixed_frames import numbers, table_rows, words
from vaekit.evaluation.tables.histograms import bin_edges, make_histogram
from vaekit.evaluation.tables.marginals import category_shares, compare_marginals
from vaekit.report.charts import histogram


def test_distance_of_numbers_is_the_largest_gap_between_distribution_functions():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=300), np.round(rng.normal(0.3, size=200), 1)
    (found,) = compare_marginals(table_rows([numbers()], np.append(one, np.nan)[:, None], other[:, None]))
    assert found.distance == pytest.approx(ks_2samp(one, other).statistic, abs=1e-12)
    values = np.concatenate([one, other])
    gaps = (one <= values[:, None]).mean(1) - (other <= values[:, None]).mean(1)
    assert found.distance == pytest.approx(np.abs(gaps).max(), abs=1e-12)
    assert found.cells == 300
    real, generated = np.array([1.0, 1, 2])[:, None], np.array([2.0, 1, 1])[:, None]
    assert compare_marginals(table_rows([numbers()], real, generated))[0].distance == 0


def test_distance_by_chance_is_what_chance_makes():
    rng = np.random.default_rng(0)
    both = [
        compare_marginals(
            table_rows(
                [numbers(), words(5)],
                np.column_stack([rng.normal(size=300), rng.choice(5, 300, p=[0.4, 0.3, 0.1, 0.1, 0.1])]),
                np.column_stack([rng.normal(size=200), rng.choice(5, 200, p=[0.4, 0.3, 0.1, 0.1, 0.1])]),
            )
        )
        for _ in range(150)
    ]
    for i in (0, 1):
        distance, chance = (np.mean([getattr(pair[i], name) for pair in both]) for name in ("distance", "by_chance"))
        assert distance == pytest.approx(chance, rel=0.07)


def test_distance_of_lists_is_half_the_sum_of_differences():
    real, generated = np.array([0, 0, 1, 2, np.nan])[:, None], np.array([0.0, 1, 1, 1])[:, None]
    (found,) = compare_marginals(table_rows([words(3)], real, generated))
    assert found.distance == pytest.approx(0.5)
    assert [(s.value, s.held_out, s.generated) for s in found.shares] == [
        ("v0", 0.5, 0.25),
        ("v1", 0.25, 0.75),
        ("v2", 0.25, 0),
    ]


def test_frequent_values_stand_alone_and_all_others_together():
    column = words(20, rare=(("seldom", 2), ("once", 1)))
    rng = np.random.default_rng(0)
    real, generated = rng.dirichlet(np.ones(21), 2)
    shares = category_shares(column, real, generated)
    assert len(shares) == 13
    assert sum(s.held_out for s in shares) == pytest.approx(1)
    assert sum(s.generated for s in shares) == pytest.approx(1)
    assert [s.held_out for s in shares[:-1]] == sorted(real[:20], reverse=True)[:12]
    assert shares[-1].others == 20 - 12 + 2
    ordered = category_shares(words(20, "ordinal"), real, generated)
    assert [int(s.value[1:]) for s in ordered[:-1]] == sorted(np.argsort(-real[:20])[:12])
    whole = category_shares(words(3), np.array([0.5, 0.25, 0.25, 0]), np.array([1.0, 0, 0, 0]))
    assert [s.others for s in whole] == [0, 0, 0]


RNG = np.random.default_rng(5)
SAMPLES = {
    "real": (numbers(), RNG.normal(size=500), RNG.standard_t(1, 400)),
    "grid": (numbers(kind="count", spacing=1.0), RNG.poisson(60, 500), RNG.poisson(50, 300)),
    "few": (numbers(kind="count", spacing=1.0), RNG.poisson(2, 500), RNG.poisson(2, 300)),
    "skewed": (numbers(kind="positive"), np.exp(3 * RNG.normal(size=500)), np.exp(3 * RNG.normal(size=400))),
    "amounts": (numbers(kind="positive", spacing=1.0), np.ceil(np.exp(3 * RNG.normal(size=500))), np.ones(9)),
    "constant": (numbers(), np.full(30, 7.0), np.full(40, 7.0)),
    "single": (numbers(), np.array([1e15]), np.array([-1e15, 0.0])),
    "date": (numbers(kind="datetime", spacing=86_400e6), np.round(RNG.normal(18000, 50, 300)) * 86_400e6, np.zeros(5)),
}


@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("apart", [(), (2.0, 7.0)])
def test_histograms_add_up(name, apart):
    column, real, generated = (np.asarray(x, float) if i else x for i, x in enumerate(SAMPLES[name]))
    found = make_histogram(column, real, generated, np.array(apart))
    left = [np.isin(x, apart).mean() for x in (real, generated)]
    if left[0] == 1:
        assert found is None
        return
    assert found.held_out.sum() == pytest.approx(1 - left[0])
    assert found.generated.sum() == pytest.approx(1 - left[1])
    assert (np.diff(found.edges) > 0).all()
    assert len(found.edges) == len(found.held_out) + 1 <= 40
    assert found.axis == {"skewed": "log", "amounts": "log", "date": "date"}.get(name, "linear")
    drawn = histogram(found.edges, found.held_out, found.generated, found.axis)
    assert drawn.startswith('<svg class="chart" role="img" aria-label="histogram of')
    assert "nan" not in drawn.lower()


def test_bins_of_a_grid_hold_equally_many_values():
    edges, axis = bin_edges(numbers(spacing=0.5), np.arange(-50.0, 51.0) / 2, np.array([0.0]))
    counts = np.histogram(np.arange(-200, 200) / 2, edges)[0]
    assert axis == "linear"
    assert set(counts) == {math.ceil(101 / 30)}


def test_generated_cells_far_away_do_not_stretch_the_axis():
    edges, _ = bin_edges(numbers(), np.linspace(0, 1, 1000), np.append(np.full(990, 0.5), np.full(10, 1e6)))
    assert edges[-1] < 1.01
    assert bin_edges(numbers(), np.linspace(0, 1, 1000), np.full(100, 3.0))[0][-1] == 3.0  # but where most are is seen
