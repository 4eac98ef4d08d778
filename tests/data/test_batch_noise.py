"""Noise of training: uniform, independent over elements, rows, epochs, streams and seeds, and the same however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vaekit.data import BatchNoise, BatchStream, batch_keys

ROWS, ELEMENTS, BITS = 20_000, 64, 16
LEVEL = 1e-9
"""Probability of a false alarm of each test below; all draws are fixed, so a test that passes once passes always."""


def noise(seed=0, epoch=0, positions=ROWS):
    return BatchNoise(batch_keys(seed, epoch, np.arange(ROWS) if isinstance(positions, int) else positions))


def uniform(stream=BatchStream.TRANSFORM, **key):
    return noise(**key).uniform((ELEMENTS,), stream).double().numpy()


def bits(stream=BatchStream.TRANSFORM, **key):
    """Halves of hashes, of which the uniform numbers are made, as integers."""
    return (uniform(stream, **key) * 2**16).astype(np.int64)


def independent(a, b):
    """Each bit of a against each of b: how often they agree, in standard errors, at a level corrected for 16² tests."""
    limit = stats.norm.isf(LEVEL / BITS**2)
    shifts = np.arange(BITS, dtype=np.uint16)[:, None]
    one, two = (2 * ((x.ravel().astype(np.uint16) >> shifts) & 1).astype(np.float32) - 1 for x in (a, b))
    difference = one @ two.T  # agreements less disagreements, whole numbers below 2²⁴
    assert np.abs(difference).max() / np.sqrt(a.size) < limit


@settings(max_examples=30)
@given(st.integers(0, 2**62), st.integers(0, 10**6), st.lists(st.integers(0, 10**7), min_size=1, max_size=9))
def test_a_position_has_the_same_noise_in_every_batch(seed, epoch, positions):
    many = noise(seed, epoch, np.array(positions)).normal((2, 5), BatchStream.POSTERIOR)
    for index, position in enumerate(positions):
        alone = noise(seed, epoch, np.array([position])).normal((2, 5), BatchStream.POSTERIOR)
        torch.testing.assert_close(alone[0], many[index], rtol=1e-6, atol=1e-6)


def test_numbers_are_uniform_and_never_0_or_1():
    u = uniform()
    assert 0 < u.min() < 1e-4 < 1 - 1e-4 < u.max() < 1
    assert stats.chisquare(np.histogram(u, 1024, (0, 1))[0]).pvalue > LEVEL
    for bit in range(BITS):
        share = ((bits() >> bit) & 1).mean()
        assert abs(share - 0.5) * 2 * np.sqrt(u.size) < stats.norm.isf(LEVEL)


@pytest.mark.parametrize("lag", [1, 2, 3, 7, 16, 28, 32])
def test_elements_of_a_row_are_independent(lag):
    independent(bits()[:, lag:], bits()[:, :-lag])
    pairs = np.histogram2d(uniform()[:, lag:].ravel(), uniform()[:, :-lag].ravel(), 32, [(0, 1), (0, 1)])[0]
    assert stats.chisquare(pairs.ravel()).pvalue > LEVEL


@pytest.mark.parametrize("lag", [1, 2, 128])
def test_rows_of_a_batch_are_independent(lag):
    independent(bits()[lag:], bits()[:-lag])
    independent(bits()[lag:, 1:], bits()[:-lag, :-1])


@pytest.mark.parametrize("other", [{"epoch": 1}, {"epoch": 2}, {"seed": 1}, {"stream": BatchStream.HIDE}, {"stream": BatchStream.POSTERIOR}])  # fmt: skip
def test_epochs_seeds_and_streams_are_independent(other):
    independent(bits(), bits(**other))


def test_no_two_elements_are_correlated():
    for numbers in (uniform(), noise().normal((ELEMENTS,), BatchStream.POSTERIOR).double().numpy()):
        for values in (numbers, (numbers - numbers.mean()) ** 2):
            found = np.corrcoef(values.T)[np.triu_indices(ELEMENTS, 1)]
            assert np.abs(found).max() * np.sqrt(ROWS) < 6
            assert abs(found.std() * np.sqrt(ROWS) - 1) < 0.1


@pytest.mark.parametrize("count", [1, 5, 64])
def test_normal_numbers_are_normal(count):
    drawn = noise().normal((count,), BatchStream.POSTERIOR).double().numpy()
    assert drawn.shape == (ROWS, count)
    for element in (0, count // 2, count - 1):
        assert stats.kstest(drawn[:, element], "norm").pvalue > LEVEL
    assert np.isfinite(drawn).all()


def test_a_shape_only_arranges_the_numbers():
    flat = noise().uniform((24,), BatchStream.HIDE)
    assert torch.equal(noise().uniform((2, 3, 4), BatchStream.HIDE).flatten(1), flat)
