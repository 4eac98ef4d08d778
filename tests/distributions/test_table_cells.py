"""The cells of a row: each log-probability is compared with one by hand, and a NaN adds nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from vaekit.distributions import CategoryGroup, LogisticMixture, NumberGroup, TableCells

SIZES, WIDTHS = (2, 3, 3, 12), (3, 3, 3, 12)
LATTICE, EDGES = (True, True, False), ((-1.0, math.inf), (-math.inf, 0.75), (-math.inf, math.inf))
COMPONENTS = 2
COUNT = sum(WIDTHS) + 9 * COMPONENTS


def made(parameters):
    """Return cells of these parameters (..., P), in the dtype they have."""
    first, second = parameters[..., :9].unflatten(-1, (3, 3)).clone(), parameters[..., 9:21].unsqueeze(-2)
    first[..., 0, 2] = -math.inf
    scores = parameters[..., 21:].unflatten(-1, (3, 3, COMPONENTS))
    mixtures = [LogisticMixture(*scores[..., part, :, :].unbind(-2)) for part in (slice(0, 2), slice(2, 3))]
    return TableCells(
        [CategoryGroup(slice(0, 3), first.log_softmax(-1)), CategoryGroup(slice(3, 4), second.log_softmax(-1))],
        [
            NumberGroup(slice(4, 6), mixtures[0], torch.tensor(EDGES[:2], dtype=parameters.dtype).T),
            NumberGroup(slice(6, 7), mixtures[1], None),
        ],
        7,
    )


def rows(n, rng, missing=0.3):
    """Return categories, normal scores and measures as a table has them, some at an edge."""
    places = np.stack([rng.integers(0, size, n) for size in SIZES], 1)
    scores = np.where(rng.random((n, 3)) < 0.2, [-1.0, 0.75, 0.0], rng.normal(size=(n, 3)))
    x = np.concatenate([places, scores, -rng.gamma(1, 2, (n, 7))], 1)
    return np.where(np.tile(rng.random((n, 7)) < missing, 2), np.nan, x)


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, COUNT)), rows(40, rng)


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_each_cell_is_what_it_is_by_hand(parts, dtype, accuracy):
    parameters, x = parts
    found = made(torch.tensor(parameters, dtype=dtype)).log_prob(torch.tensor(x, dtype=dtype))
    assert found.shape == (40, 7)
    expected = [
        oracles.mixed_slots(p, row, SIZES, WIDTHS, LATTICE, EDGES, COMPONENTS, log_scale=(-1e3, 1e3))
        for p, row in zip(parameters, x, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=accuracy, atol=accuracy)


def test_a_cell_that_is_not_observed_adds_exactly_nothing_and_has_no_gradient(parts):
    parameters, x = parts
    weights = torch.tensor(parameters, requires_grad=True)
    found = made(weights).log_prob(torch.from_numpy(x))
    np.testing.assert_array_equal(found.detach().numpy()[np.isnan(x[:, :7])], 0.0)
    assert torch.isfinite(found).all()
    (gradient,) = torch.autograd.grad(found.sum(), weights)
    assert torch.isfinite(gradient).all()
    owner = np.repeat(np.arange(7), [*WIDTHS, *[3 * COMPONENTS] * 3])
    np.testing.assert_array_equal(gradient.numpy()[np.isnan(x)[:, owner]], 0.0)
    assert (gradient.numpy()[~np.isnan(x)[:, owner]] != 0).mean() > 0.9


def test_rows_of_nothing_but_missing_cells():
    p = made(torch.zeros(COUNT).double())
    assert torch.equal(p.log_prob(torch.full((5, 14), math.nan).double()), torch.zeros(5, 7).double())


def test_draws_and_rows_broadcast(parts):
    """K draws of parameters for each row, one row for many parameters, one constant for many rows."""
    parameters, x = torch.from_numpy(parts[0]), torch.from_numpy(parts[1])
    stacked = made(torch.stack([parameters, parameters.flip(0)])).log_prob(x)
    np.testing.assert_array_equal(stacked[1].numpy(), made(parameters.flip(0)).log_prob(x).numpy())
    one_row = made(parameters).log_prob(x[3:4])
    np.testing.assert_array_equal(one_row[9].numpy(), made(parameters[9]).log_prob(x[3]).numpy())
    constant = made(parameters[0]).log_prob(x)
    assert constant.shape == (40, 7)
    np.testing.assert_array_equal(constant[7].numpy(), made(parameters[0]).log_prob(x[7]).numpy())


def test_draws_follow_the_distribution_of_each_cell(parts):
    # χ²-tests of four lists and Kolmogorov-Smirnov tests of three scores at p > 1e-6: false alarm 7e-6
    parameters = torch.from_numpy(parts[0][0])
    torch.manual_seed(0)
    n = 20_000
    drawn = made(parameters).sample((n,)).numpy()
    assert drawn.shape == (n, 7)
    begin = 0
    for cell, (size, width) in enumerate(zip(SIZES, WIDTHS, strict=True)):
        p = np.exp(parts[0][0][begin : begin + size])
        begin += width
        counts = np.bincount(drawn[:, cell].astype(int), minlength=size)
        assert len(counts) == size  # never a category beyond the end of a shorter list
        assert stats.chisquare(counts, n * p / p.sum()).pvalue > 1e-6
    for cell in (4, 5, 6):
        logits, location, log_scale = parts[0][0][begin : begin + 3 * COMPONENTS].reshape(3, COMPONENTS)
        begin += 3 * COMPONENTS
        mixture = (np.exp(logits) / np.exp(logits).sum(), location, np.exp(log_scale))
        assert stats.kstest(drawn[:, cell], oracles.logistic_mixture_cdf, args=mixture).pvalue > 1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_draws_at_the_ends_of_the_uniform_numbers_are_categories_that_exist(parts, dtype):
    p = made(torch.tensor(parts[0], dtype=dtype))
    for end in (0.0, 1e-9, 1.0):
        drawn = p.draw(torch.full((40, 7, 2), end, dtype=dtype))
        assert torch.isfinite(drawn).all()
        assert (drawn[:, :4] <= torch.tensor(SIZES) - 1).all()
        assert (drawn[:, :4] >= 0).all()


def test_a_typical_row_has_the_likeliest_categories_and_mean_scores(parts):
    parameters = parts[0][1]
    typical = made(torch.from_numpy(parameters)).mean.numpy()
    logits = [parameters[:2], parameters[3:6], parameters[6:9], parameters[9:21]]
    assert typical[:4].tolist() == [values.argmax() for values in logits]
    for cell, (weights, location, _) in enumerate(parameters[21:].reshape(3, 3, COMPONENTS), 4):
        assert typical[cell] == pytest.approx((np.exp(weights) * location).sum() / np.exp(weights).sum())


def test_cells_of_one_sort_alone():
    nothing = torch.zeros(5, 2, 3).double()
    lists = TableCells([CategoryGroup(slice(0, 2), nothing.log_softmax(-1))], [], 2)
    assert lists.log_prob(torch.zeros(5, 4).double()).sum(-1).tolist() == pytest.approx([-2 * math.log(3)] * 5)
    assert lists.sample((3,)).shape == (3, 5, 2)
    scores = TableCells([], [NumberGroup(slice(0, 2), LogisticMixture(nothing, nothing, nothing), None)], 2)
    assert scores.log_prob(torch.zeros(5, 4).double()).sum(-1).tolist() == pytest.approx([2 * math.log(0.25)] * 5)
    assert scores.sample().shape == scores.mean.shape == (5, 2)
