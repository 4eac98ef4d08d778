"""Alarms at a known rate: ranks are uniform, the rate obeys the Beta law, and bounds of a stream hold at all times."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from vaekit.errors import DataError, VaekitError
from vaekit.evaluation.conformal import AlarmRate, alarm_interval, alarm_threshold, p_values, rows_needed


def test_p_values_of_exchangeable_rows_are_uniform_on_their_grid():
    rng = np.random.default_rng(0)
    found = np.concatenate([p_values(rng.normal(size=1), rng.normal(size=9)) for _ in range(4000)])
    counts = np.bincount(np.round(found * 10).astype(int), minlength=11)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 0.01


def test_equal_scores_never_make_a_p_value_too_small():
    rng = np.random.default_rng(1)
    found = np.array([p_values(rng.integers(0, 3, 1), rng.integers(0, 3, 19))[0] for _ in range(2000)])
    for rate in (0.05, 0.1, 0.3, 0.5):
        assert (found <= rate).mean() <= rate + 3 * np.sqrt(rate / 2000)


@pytest.mark.parametrize(("rows", "rate"), [(99, 0.01), (1000, 0.01), (150, 0.05)])
def test_rate_of_alarms_obeys_the_beta_law(rows, rate):
    """Scores are uniform, so that the threshold is itself the rate of false alarms."""
    rng = np.random.default_rng(2)
    rates = np.array([alarm_threshold(rng.random(rows), rate) for _ in range(3000)])
    k = int(rate * (rows + 1) + 1e-9)
    assert stats.kstest(rates, stats.beta(k, rows + 1 - k).cdf).pvalue > 0.01
    low, high = alarm_interval(rows, rate, 0.9)
    assert abs(((rates > low) & (rates < high)).mean() - 0.9) < 3 * np.sqrt(0.09 / 3000)


def test_a_score_below_the_threshold_has_a_p_value_of_at_most_the_rate():
    rng = np.random.default_rng(3)
    calibration, scores = rng.integers(0, 50, 199).astype(float), np.arange(-1.0, 51.0)
    for rate in (0.005, 0.01, 0.1, 0.5):
        alarms = scores < alarm_threshold(calibration, rate)
        assert (alarms == (p_values(scores, calibration) <= rate + 1e-12)).all()


def test_a_rate_that_cannot_be_reached_is_refused():
    assert [rows_needed(rate) for rate in (0.5, 0.1, 0.01, 0.001, 1 / 3)] == [1, 9, 99, 999, 2]
    alarm_threshold(np.zeros(99), 0.01)
    with pytest.raises(DataError, match=r"cannot be reached with 98 calibration rows.*Hold out 99 or more"):
        alarm_threshold(np.zeros(98), 0.01)
    with pytest.raises(VaekitError, match="between 0 and 1"):
        alarm_interval(100, 1.0)


def test_bounds_of_a_stream_solve_their_equation():
    stream = AlarmRate()
    stream.update([True] * 3 + [False] * 197)
    mixture = stats.betabinom(200, 0.5, 0.5).pmf(3)
    for end in stream.bounds(0.9):
        assert_allclose(mixture / stats.binom(200, end).pmf(3), 10, rtol=1e-6)


def test_bounds_of_a_stream_hold_at_all_times():
    rng, missed = np.random.default_rng(4), 0
    for _ in range(200):
        stream, outside = AlarmRate(), False
        for alarms in rng.random((100, 5)) < 0.03:
            stream.update(alarms)
            low, high = stream.bounds(0.5)
            outside |= not low <= 0.03 <= high
        missed += outside
    assert 0 < missed <= 0.5 * 200 + 3 * np.sqrt(50)


def test_bounds_before_and_at_the_extremes():
    stream = AlarmRate()
    assert stream.bounds() == (0.0, 1.0)
    assert np.isnan(stream.rate)
    stream.update([False, False])
    assert stream.bounds()[0] == 0.0
    stream = AlarmRate(rows=5, alarms=5)
    assert stream.bounds()[1] == 1.0
    assert stream.rate == 1.0
