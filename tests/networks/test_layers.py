"""Bounded parameters and rescaled inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from vaekit.networks import ACTIVATIONS, Rescale, soft_clamp

reals = st.floats(-(2.0**100), 2.0**100, width=32)
bounds = st.tuples(st.floats(-20, 5), st.floats(0.5, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.floats(-60, 60), bounds)
def test_soft_clamp_is_a_difference_of_softplus(raw, limits):
    found = float(soft_clamp(torch.tensor(raw, dtype=torch.float64), *limits))
    # torch's softplus is the identity beyond 20, which is off by 2e-9
    assert found == pytest.approx(oracles.soft_clamp(raw, *limits), abs=1e-8)


@given(reals, bounds)
def test_soft_clamp_stays_within_its_bounds(raw, limits):
    low, high = limits
    found = float(soft_clamp(torch.tensor(raw), low, high))
    slack = 1e-5 * (abs(low) + abs(high))
    assert low - slack <= found <= high + slack


@given(reals, reals, bounds)
def test_soft_clamp_never_decreases(one, other, limits):
    low, high = limits
    below, above = (float(soft_clamp(torch.tensor(raw), low, high)) for raw in sorted((one, other)))
    assert below <= above + 1e-5 * (abs(low) + abs(high))


@pytest.mark.parametrize("raw", [1e4, 1e6, 1e9])
def test_soft_clamp_ends_at_its_bounds(raw):
    found = soft_clamp(torch.tensor([-raw, raw]), -9.0, 4.0)
    np.testing.assert_allclose(found.numpy(), [-9.0, 4.0], atol=1e-5)


@pytest.mark.parametrize("raw", [-60.0, -30.0, -9.0, 0.0, 4.0, 30.0, 60.0])
def test_a_parameter_at_or_beyond_a_bound_can_come_back(raw):
    parameter = torch.tensor(raw, requires_grad=True)
    soft_clamp(parameter, -9.0, 4.0).backward()
    expected = oracles.sigmoid(raw + 9) * oracles.sigmoid(4 - raw)  # σ(r−l) − σ(r−h), up to 1 − e^{l−h}
    assert float(parameter.grad) == pytest.approx(expected, rel=1e-4, abs=0)


def test_rescale_centres_divides_and_takes_logarithms():
    x = np.array([[0.0, 3.0], [10.0, 1.0]])
    np.testing.assert_allclose(Rescale(2.0, 4.0).double()(torch.from_numpy(x)).numpy(), (x - 2) / 4)
    found = Rescale(2.0, 4.0, logarithm=True).double()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, (np.log(1 + x) - 2) / 4)


def test_rescale_without_arguments_is_the_identity():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Rescale()(x), x)


def test_activations_are_the_functions_of_their_names():
    x = np.linspace(-3, 3, 13)
    expected = {
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "silu": x * oracles.sigmoid(x),
        "elu": np.where(x > 0, x, np.expm1(x)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[name]()(torch.from_numpy(x)).numpy(), values, atol=1e-12)
    assert set(ACTIVATIONS) == {*expected, "gelu"}
