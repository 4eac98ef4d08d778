"""The energy score and the coverage of draws, against brute force and closed forms."""

import numpy as np
import pytest
from scores import DRAWS, coverage, energy_score


def brute_force(draws, truth, hidden, scale):
    """The definition, cell by cell and pair by pair, with all ordered pairs of different draws."""
    found = []
    for i in range(len(truth)):
        if not hidden[i].any():
            continue

        def distance(a, b, i=i):
            total = 0.0
            for j in np.flatnonzero(hidden[i]):
                total += float(a[j] != b[j]) if np.isnan(scale[j]) else ((a[j] - b[j]) / scale[j]) ** 2
            return np.sqrt(total)

        m = len(draws)
        to_truth = sum(distance(d[i], truth[i]) for d in draws) / m
        between = sum(distance(draws[a][i], draws[b][i]) for a in range(m) for b in range(m) if a != b)
        found.append(to_truth - (between / (m * (m - 1)) / 2 if m > 1 else 0))
    return np.mean(found)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_the_energy_score_is_its_definition(m):
    rng = np.random.default_rng(0)
    draws, truth = rng.normal(size=(m, 30, 4)), rng.normal(size=(30, 4))
    draws[..., 3], truth[..., 3] = rng.integers(0, 3, (m, 30)), rng.integers(0, 3, 30)
    hidden = rng.random((30, 4)) < 0.4
    scale = np.array([1.0, 2.0, 0.5, np.nan])
    truth[~hidden] = np.nan  # known cells play no part
    assert energy_score(draws, truth, hidden, scale) == pytest.approx(brute_force(draws, truth, hidden, scale))


def test_the_energy_score_of_normal_draws_is_the_closed_form():
    """For one number, draws and truth from N(0, 1): E|x - y| - E|x - x'|/2 = 1/√π."""
    rng = np.random.default_rng(1)
    n = 20_000
    draws, truth = rng.normal(size=(6, n, 1)), rng.normal(size=(n, 1))
    everywhere = np.ones((n, 1), bool)
    right = energy_score(draws, truth, everywhere, np.ones(1))
    assert right == pytest.approx(1 / np.sqrt(np.pi), abs=0.015)
    point = energy_score(np.zeros((1, n, 1)), truth, everywhere, np.ones(1))
    assert point == pytest.approx(np.sqrt(2 / np.pi), abs=0.015)  # the distance of the best fill
    for factor in (0.5, 2.0):
        assert energy_score(factor * draws, truth, everywhere, np.ones(1)) > right + 0.02


@pytest.mark.parametrize("values", [None, 40, 3, 1])
def test_calibrated_draws_cover_nine_tenths_also_with_ties(values):
    rng = np.random.default_rng(2)
    n = 20_000
    stack = rng.normal(size=(DRAWS + 1, n)) if values is None else rng.integers(0, values, (DRAWS + 1, n)).astype(float)
    assert coverage(stack[1:], stack[0]) == pytest.approx(0.9, abs=0.01)


def test_narrow_draws_cover_less_and_wide_ones_more():
    rng = np.random.default_rng(3)
    draws, truth = rng.normal(size=(DRAWS, 5000)), rng.normal(size=5000)
    assert coverage(0.5 * draws, truth) < 0.75
    assert coverage(2 * draws, truth) > 0.97
    assert coverage(draws * 0, truth) == 0.0
