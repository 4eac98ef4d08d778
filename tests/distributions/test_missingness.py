"""Missingness that depends on the value: the probabilities of all values and of a missing cell sum to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.special import expit

from vaekit.data import Column
from vaekit.data.tables.cells import fit_cells
from vaekit.distributions import TableCells
from vaekit.models.likelihoods import Mixed

RNG = np.random.default_rng(0)
COLUMNS = (
    Column(name="c", kind="categorical", type="string", categories=("a", "b", "c")),
    Column(name="o", kind="ordinal", type="int64", categories=tuple(map(float, range(12)))),
    Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
    Column(name="x", kind="real", type="double"),
    Column(name="z", kind="positive", type="double", lowest=0.0),
)
CODES = np.column_stack(
    [
        RNG.integers(0, 3, 600),
        RNG.integers(0, 12, 600),
        RNG.negative_binomial(4, 0.04, 600),
        RNG.normal(3, 2, 600),
        np.where(RNG.random(600) < 0.4, 0.0, RNG.gamma(4, 1, 600)),
    ]
)
CELLS = fit_cells(COLUMNS, CODES)


@pytest.fixture(scope="module")
def parts():
    """Return a likelihood with missingness logits, and its distribution of a row."""
    torch.manual_seed(1)
    likelihood = Mixed(CELLS.layout, missing="modelled")
    raw = 0.7 * torch.randn(likelihood.parameters_per_feature)
    with torch.no_grad():
        likelihood.missing_places.normal_()
        likelihood.missing_lines.copy_(torch.tensor([-0.5, 1.5]))
        cells = likelihood(raw).base_dist
    assert cells.plain is not cells
    return likelihood, cells


def log_prob(cells, column, values):
    """Return the log-probability of each value of one column, NaN for a missing cell."""
    codes = np.full((len(values), len(COLUMNS)), np.nan)
    codes[:, column] = values
    own = torch.from_numpy(np.flatnonzero(CELLS.slot_columns == column))
    with torch.no_grad():
        found = cells.log_prob(CELLS.forward(torch.from_numpy(codes)))
    return found[..., own].sum(-1).double().numpy()


def test_values_and_being_missing_share_one(parts):
    _, cells = parts
    for column, values in ((0, range(4)), (1, range(13)), (2, range(4000))):
        missing = math.exp(log_prob(cells, column, [np.nan])[0])
        assert 0.01 < missing < 0.99
        assert np.exp(log_prob(cells, column, list(values))).sum() + missing == pytest.approx(1, abs=0.01)
    grid = np.sinh(np.linspace(-8, 8, 40_001)) + 1e-7
    for column, resolution, atoms in ((3, 1.0, ()), (4, CELLS.columns[4].resolution, CELLS.columns[4].point_masses)):
        density = np.exp(log_prob(cells, column, grid)) / resolution
        total = np.trapezoid(density, grid) + sum(np.exp(log_prob(cells, column, list(atoms))))
        missing = math.exp(log_prob(cells, column, [np.nan])[0])
        assert total + missing == pytest.approx(1, abs=0.01)  # sixteen quantiles stand for each component
    assert CELLS.columns[4].point_masses == (0.0,)


def test_each_part_by_hand(parts):
    """p(x)(1 − σ(ℓ(x))) where the cell is there, ∫ p(x)σ(ℓ(x)) where it is not."""
    likelihood, cells = parts
    plain = cells.plain
    begin = 4 * CELLS.layout.sizes.index(4)  # lists of a group have as many parameters as its longest
    ell = likelihood.missing_places.detach().double().numpy()[begin : begin + 4]
    p = np.exp(log_prob(plain, 0, range(4)))
    np.testing.assert_allclose(np.exp(log_prob(cells, 0, range(4))), p * (1 - expit(ell)), rtol=1e-5)
    assert math.exp(log_prob(cells, 0, [np.nan])[0]) == pytest.approx((p * expit(ell)).sum(), rel=1e-5)
    number = CELLS.slot_columns[len(CELLS.layout.sizes) :].tolist().index(3)
    a, b = likelihood.missing_lines.detach().double().numpy()[number]
    x = np.array([-4.0, 2.9, 11.0])
    y = CELLS.columns[3].forward(x)
    expected = log_prob(plain, 3, x) + np.log1p(-expit(a + b * y))
    np.testing.assert_allclose(log_prob(cells, 3, x), expected, rtol=1e-5, atol=1e-5)


def test_what_is_missing_is_distributed_by_bayes(parts):
    """Draws of missing cells follow p(x)σ(ℓ(x)), normalised. χ² and Kolmogorov-Smirnov at p > 1e-6: false alarm 2e-6."""
    likelihood, cells = parts
    of_missing = cells.of_missing()
    assert isinstance(of_missing, TableCells)
    torch.manual_seed(0)
    n = 8000
    codes = CELLS.inverse(of_missing.sample((n,))).numpy()
    begin = 4 * CELLS.layout.sizes.index(4)
    ell = likelihood.missing_places.detach().double().numpy()[begin : begin + 4]
    p = (np.exp(log_prob(cells.plain, 0, range(4))) * expit(ell))[:3]  # values never seen are not drawn
    assert stats.chisquare(np.bincount(codes[:, 0].astype(int), minlength=3), n * p / p.sum()).pvalue > 1e-6
    number = CELLS.slot_columns[len(CELLS.layout.sizes) :].tolist().index(3)
    a, b = likelihood.missing_lines.detach().double().numpy()[number]
    grid = np.sinh(np.linspace(-8, 8, 8001))
    density = np.exp(log_prob(cells.plain, 3, grid)) * expit(a + b * CELLS.columns[3].forward(grid))
    reached = integrate.cumulative_trapezoid(density, grid, initial=0)
    found = stats.kstest(codes[:, 3], lambda x: np.interp(x, grid, reached / reached[-1]))
    assert found.statistic < 0.02  # an approximation by quantiles: near, and not exact
    untilted = integrate.cumulative_trapezoid(np.exp(log_prob(cells.plain, 3, grid)), grid, initial=0)
    assert stats.kstest(codes[:, 3], lambda x: np.interp(x, grid, untilted)).pvalue < 1e-6  # it makes a difference


@pytest.mark.parametrize("columns", [len(COLUMNS), 2], ids=["all", "categories alone"])
def test_missingness_that_does_not_look_at_values_changes_nothing_but_by_a_constant(columns):
    layout = fit_cells(COLUMNS[:columns], CODES[:, :columns])
    likelihood = Mixed(layout.layout, missing="modelled")
    codes = np.where(RNG.random((len(CODES), columns)) < 0.3, np.nan, CODES[:, :columns])
    x = layout.forward(torch.from_numpy(codes))
    likelihood.start(x)
    with torch.no_grad():
        cells = likelihood(torch.randn(likelihood.parameters_per_feature)).base_dist
        difference = cells.log_prob(x).sum(-1) - cells.plain.log_prob(x).sum(-1)
    gone = np.isnan(codes)
    rate = np.clip((gone.sum(0) + 0.5) / (len(codes) + 1), 0, 1)
    expected = (np.log(rate) * gone + np.log1p(-rate) * ~gone).sum(1)
    np.testing.assert_allclose(difference.numpy(), expected, rtol=1e-3, atol=2e-2)
