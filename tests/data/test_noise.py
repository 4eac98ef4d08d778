"""Noise that is a function of the row: uniform, independent, and the same wherever the row stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vaekit import row_noise as noise
from vaekit.data import RowNoise, RowStream, SeedStream, open_source, split_source
from vaekit.data.options import DataOptions

rows = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).integers(0, 256, (6, 3)).astype(np.uint8))


@given(rows, st.integers(0, 50), st.permutations(range(6)), st.integers(1, 5))
def test_a_row_meets_the_same_noise_wherever_it_stands(X, seed, order, cut):
    whole = RowNoise(X, seed).uniform((4,), 2)
    assert torch.equal(RowNoise(X[list(order)], seed).uniform((4,), 2), whole[list(order)])
    assert torch.equal(RowNoise(X[:cut], seed).uniform((4,), 2), whole[:cut])
    assert torch.equal(RowNoise(np.asfortranarray(X), seed).uniform((4,), 2), whole)


@given(rows, st.integers(0, 40), st.integers(1, 40), st.integers(0, 5))
def test_an_offset_gives_the_tail_of_the_stream(X, start, count, stream):
    longer = RowNoise(X).uniform((start + count,), stream)
    assert torch.equal(RowNoise(X).uniform((count,), stream, start), longer[:, start:])
    assert torch.equal(
        RowNoise(X).normal((count,), stream, start), RowNoise(X).normal((start + count,), stream)[:, start:]
    )


@given(rows)
def test_a_shape_only_arranges_the_stream(X):
    assert torch.equal(RowNoise(X).uniform((2, 3, 4), 0).flatten(1), RowNoise(X).uniform((24,), 0))


@given(rows, st.integers(0, 1000))
def test_rows_seeds_and_streams_differ(X, seed):
    made = RowNoise(X, seed)
    distinct = len(np.unique(X, axis=0))
    assert len(made.uniform((8,), 0).unique(dim=0)) == distinct
    assert not (made.uniform((8,), 0) == made.uniform((8,), 1)).any()
    assert not (made.uniform((8,), 0) == RowNoise(X, seed + 1).uniform((8,), 0)).any()
    changed = X.copy()
    changed[0, 0] ^= 1
    assert not (made.uniform((8,), 0)[0] == RowNoise(changed, seed).uniform((8,), 0)[0]).any()


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(0, 7))
def test_numbers_are_uniform_along_a_stream(seed, stream):
    # a Kolmogorov–Smirnov test at p > 1e-9, for at most 50 examples a run: false alarm 5e-8
    X = np.random.default_rng(seed).normal(size=(1, 3))
    assert stats.kstest(RowNoise(X).uniform((4000,), stream)[0].numpy(), "uniform").pvalue > 1e-9


def test_numbers_are_uniform_across_rows():
    # five Kolmogorov–Smirnov tests at p > 1e-7: false alarm 5e-7
    X = np.arange(5000.0)[:, None]  # rows that differ by little
    u = RowNoise(X, seed=3).uniform((5,), 0).numpy()
    assert min(stats.kstest(u[:, j], "uniform").pvalue for j in range(5)) > 1e-7


def test_rows_places_and_streams_are_uncorrelated():
    # 435 correlations of 5000 normal numbers at |r|·√n < 6: false alarm 9e-7
    X = np.arange(5000.0)[:, None]
    made = RowNoise(X, seed=1)
    columns = np.concatenate([made.normal((10,), stream).numpy() for stream in (0, 1)], axis=1)
    shifted = np.concatenate([columns, np.roll(columns[:, :10], 1, axis=0)], axis=1)  # a row's neighbour
    correlation = np.corrcoef(shifted.T) - np.eye(30)
    assert np.abs(correlation).max() * math.sqrt(5000) < 6


def test_normal_numbers_are_quantiles_of_uniform_ones():
    X = np.arange(12.0).reshape(4, 3)
    expected = stats.norm.ppf(RowNoise(X).uniform((500,), 1).numpy())
    np.testing.assert_allclose(RowNoise(X).normal((500,), 1).numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bits", [0, 2**64 - 1])
def test_numbers_lie_in_the_open_interval_whatever_the_bits(monkeypatch, bits):
    monkeypatch.setattr(noise, "mix", lambda value: np.full_like(value, bits))
    made = RowNoise(np.zeros((1, 2)))
    assert 0 < made.uniform((1,), 0).item() < 1
    assert math.isfinite(made.normal((1,), 0).item())


def test_the_mixing_function_is_that_of_splitmix64():
    # the first output of splitmix64 from state zero, as published with the generator
    with np.errstate(over="ignore"):
        assert int(noise.mix(np.array([noise.GOLDEN]))[0]) == 0xE220A8397B1DCDAF


def test_no_two_meanings_share_numbers():
    X = np.arange(6.0).reshape(3, 2)
    by_row = [tuple(RowNoise(X).uniform((4,), stream).flatten().tolist()) for stream in RowStream]
    by_seed = [tuple(stream.rng(7).random(4)) for stream in SeedStream]
    assert len({*by_row, *by_seed}) == len(RowStream.__members__) + len(
        SeedStream.__members__
    )  # aliases would be missing


def test_a_split_stays_what_it_was_when_runs_were_made():
    source = open_source(np.arange(10.0)[:, None])
    order = np.random.default_rng([3, 1]).permutation(10)
    split = split_source(source, None, 3, DataOptions(validation=0.25, test=0.2))
    assert split.test.index.tolist() == sorted(order[:2])
    assert split.validation.index.tolist() == sorted(order[2:4])


def test_a_generator_of_a_stream_is_told_apart_by_more_numbers():
    np.testing.assert_array_equal(SeedStream.BATCHES.rng(5, 3).random(4), np.random.default_rng([5, 2, 3]).random(4))
