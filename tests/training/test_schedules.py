import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaekit.training import TrainingOptions
from vaekit.training.schedules import draws, kl_weight, learning_rate, validation_steps


@given(st.integers(1, 10_000), st.floats(0, 0.99), st.floats(0, 10))
def test_kl_weight_reaches_its_end_value_however_short_the_training(steps, warmup, final):
    assert kl_weight(steps, steps, final, warmup) == final
    values = [kl_weight(s, steps, final, warmup) for s in range(min(steps, 200))]
    assert values == sorted(values)


def test_kl_weight_rises_linearly_over_a_fraction_of_the_steps():
    assert [kl_weight(s, 100, 1.0, 0.2) for s in (0, 10, 20, 99)] == [0.0, 0.5, 1.0, 1.0]


def test_kl_weight_without_warmup_is_its_value_from_the_first_step():
    assert kl_weight(0, 100, 0.5, 0.0) == 0.5


def test_learning_rate_follows_warmup_and_cosine():
    options = TrainingOptions(learning_rate=0.4, warmup=0.1, final_rate=0.25)
    assert learning_rate(0, 1000, options) == pytest.approx(0.4 / 100)
    assert learning_rate(99, 1000, options) == pytest.approx(0.4)
    middle = 0.25 + 0.75 * 0.5 * (1 + math.cos(math.pi * 0.5))
    assert learning_rate(550, 1000, options) == pytest.approx(0.4 * middle)
    assert learning_rate(1000, 1000, options) == pytest.approx(0.1)


@given(st.integers(1, 500), st.integers(1, 100))
def test_the_last_step_is_always_validated(steps, validations):
    chosen = validation_steps(steps, validations)
    assert max(chosen) == steps
    assert min(chosen) >= 1
    assert len(chosen) <= validations


@given(st.integers(1, 10_000), st.floats(0, 0.99), st.integers(1, 5000))
def test_draws_never_fall_and_reach_their_end_value(steps, warmup, final):
    values = [draws(s, steps, final, warmup) for s in range(steps)]
    assert values == sorted(values)
    assert all(value == final for s, value in enumerate(values) if s >= warmup * steps)


def test_draws_quadruple_over_equal_parts_of_the_warmup():
    found = [draws(s, 100, 50, 0.6) for s in range(100)]
    assert found == 20 * [1] + 20 * [4] + 20 * [16] + 40 * [50]
    assert {draws(s, 100, 16, 0.5) for s in range(50)} == {1, 4}  # the last number is not one of the warm-up's


def test_a_single_draw_has_nothing_to_rise_from():
    assert {draws(s, 100, 1, 0.6) for s in range(100)} == {1}
