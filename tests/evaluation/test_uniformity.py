"""Positions that should be uniform: the band against enumeration, the faults against distributions that are wrong on purpose."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from vaekit.evaluation.calibration.uniformity import measure_uniformity, simultaneous_band


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_uniform_numbers_leave_the_band_as_often_as_they_should(alpha):
    """All ways in which 12 numbers can fall into 4 bins, with their probabilities."""
    lower, upper = simultaneous_band(12, 4, alpha)

    def outside(lower, upper):
        total = 0.0
        for counts in itertools.product(range(13), repeat=4):
            if sum(counts) == 12:
                reached = np.cumsum(counts)[:-1]
                if (reached < lower).any() or (reached > upper).any():
                    total += stats.multinomial.pmf(counts, 12, [0.25] * 4)
        return total

    assert outside(lower, upper) <= alpha + 0.01  # counts are whole numbers
    assert outside(lower + 1, upper - 1) > alpha


def test_uniform_numbers_stay_within_the_band():
    rng = np.random.default_rng(0)
    outside = [not measure_uniformity("u", rng.random(300)).inside for _ in range(400)]
    assert np.mean(outside) == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 400))
    shared = [not measure_uniformity("u", rng.random(300), tests=10).inside for _ in range(400)]
    assert np.mean(shared) < 0.02


@pytest.mark.parametrize(
    ("scale", "shift", "fault"),
    [
        (1.0, 0.0, ""),
        (1.5, 0.0, "too narrow by a factor of 1.5"),
        (0.6, 0.0, "too wide by a factor of 1.6"),
        (1.0, 0.4, "too low by 0.40 standard deviations"),
        (1.0, -0.4, "too high by 0.40 standard deviations"),
        (1.5, 0.4, "too narrow by a factor of 1.5"),
    ],
)
def test_faults_are_said_with_their_sizes(scale, shift, fault):
    """Truths at the quantiles of N(shift, scale²), where the model says N(0, 1)."""
    truth = stats.norm.ppf((np.arange(2000) + 0.5) / 2000, shift, scale)
    found = measure_uniformity("x", stats.norm.cdf(truth))
    assert found.fault.startswith(fault)
    assert bool(found.fault) == bool(fault)
    assert found.spread == pytest.approx(scale, rel=0.02)
    assert found.shift == pytest.approx(shift, abs=0.01)
    assert found.distance == pytest.approx(stats.kstest(stats.norm.cdf(truth), "uniform").statistic, abs=1e-12)
    assert sum(found.counts) == found.values == 2000


def test_another_shape_is_said():
    u = (np.arange(2000) + 0.5) / 2000
    found = measure_uniformity("x", u + 0.04 * np.sin(4 * np.pi * u))
    assert found.fault.startswith("of another shape (off by 0.04")
