"""Training that ended too early is told, with what more of it should gain; training that has ended well is not."""

from dataclasses import replace

import numpy as np
import pytest
from test_figures import BOUNDS

from vaekit.evaluation import Unfinished, diagnose, unfinished

STEPS = np.arange(1, 41) * 25


def power(exponent, scale=10.0):
    return -90 - scale * (STEPS / 100) ** -exponent


def test_the_rise_is_that_of_the_last_fifth():
    bounds = power(0.5)
    found = unfinished(STEPS, bounds, 1000, 7, 64)
    rise = bounds[-1] - np.interp(800, STEPS, bounds)
    assert found == Unfinished(pytest.approx(rise / 2), pytest.approx(10 * rise), 14)


def test_a_bound_that_stopped_rising_is_finished():
    assert unfinished(STEPS, -90 - np.exp(-STEPS / 50), 1000, 7, 64) is None
    assert unfinished(STEPS, power(0.5), 800, 7, 64) is None  # it has passed its maximum
    assert unfinished(STEPS, power(0.5), None, 7, 64) is None
    assert unfinished(STEPS, np.full(40, np.nan), 1000, 7, 64) is None
    assert unfinished(STEPS[:4], power(0.5)[:4], 100, 7, 64) is None
    assert unfinished(STEPS, power(0.5), 1000, 7, 64) is not None
    assert unfinished(STEPS, power(0.5), 1000, 7, 6400) is None  # a thousandth of a nat for each pixel


def test_noise_is_no_rise():
    rng = np.random.default_rng(0)
    told = [unfinished(STEPS, -90 + rng.normal(size=40), 1000, 7, 4) is not None for _ in range(1000)]
    assert np.mean(told) < 0.05


def test_it_is_the_first_advice_and_nothing_is_praised_beside_it():
    figures = replace(BOUNDS, train_elbo=-5.0, training_rows=0, active_units=1, effective_beta=1)
    assert any(reading.level == "good" for reading in diagnose(figures))
    told = diagnose(replace(figures, unfinished=Unfinished(0.16, 3.2, 80)))
    assert told[0].text == (
        "Training is not finished: at its end the validation bound rose by 0.16 nats in a tenth of the steps. "
        "Twice the steps should gain about 3.2 nats per example."
    )
    assert told[0].advice == "Try: longer training (training.epochs=80)."
    assert not any(reading.level == "good" for reading in told)


def test_a_collapsed_posterior_comes_first():
    figures = replace(BOUNDS, active_units=0, training_rows=0, unfinished=Unfinished(0.16, 3.2, 80))
    assert "collapsed" in diagnose(figures)[0].text
    assert "not finished" in diagnose(figures)[1].text
