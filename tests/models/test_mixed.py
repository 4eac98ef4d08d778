"""The likelihood of a mixed table: probabilities that sum to one, densities of the data as given, and its start."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import oracles
from vaekit.data import Cells, Column, Layout
from vaekit.data.tables.cells import fit_cells
from vaekit.models.likelihoods import Mixed

RNG = np.random.default_rng(0)
LAYOUT = Layout(sizes=(2, 3, 4, 9, 40), on_grid=(True, False), edges=((-1.0, math.inf), (-math.inf, math.inf)))
WIDTHS = (4, 4, 4, 9, 40)
"""Lists are worked on together until their length doubles."""


def spread(likelihood, seed=0, scale=1.0):
    """Random parameters of a likelihood, as from a network."""
    torch.manual_seed(seed)
    return scale * torch.randn(likelihood.parameters_per_feature)


@pytest.mark.parametrize("components", [1, 3])
def test_a_row_is_the_sum_of_its_slots_worked_out_by_hand(components):
    likelihood = Mixed(LAYOUT, components).double()
    assert likelihood.parameters_per_feature == sum(WIDTHS) + 2 * 3 * components
    raw = torch.from_numpy(RNG.normal(size=(30, likelihood.parameters_per_feature)) * 2)
    with torch.no_grad():
        likelihood.offset.copy_(torch.from_numpy(RNG.normal(size=likelihood.offset.shape)))
    x = np.column_stack(
        [
            *(RNG.integers(0, size, 30) for size in LAYOUT.sizes),
            np.where(RNG.random(30) < 0.3, -1.0, RNG.normal(size=30)),
            RNG.normal(size=30),
            -RNG.gamma(1, 1, (30, 7)),
        ]
    )
    x[np.tile(RNG.random((30, 7)) < 0.2, 2)] = np.nan
    p = likelihood(raw)
    parameters = (raw + likelihood.offset).detach().numpy()
    edges = LAYOUT.edges
    expected = np.array(
        [
            oracles.mixed_slots(q, row, LAYOUT.sizes, WIDTHS, LAYOUT.on_grid, edges, components)
            for q, row in zip(parameters, x, strict=True)
        ]
    )
    np.testing.assert_allclose(p.base_dist.log_prob(torch.from_numpy(x)).detach(), expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(p.log_prob(torch.from_numpy(x)).detach(), expected.sum(1), rtol=1e-7)
    assert (p.batch_shape, p.event_shape) == ((30,), (7,))


def table(columns, codes):
    """Cells fitted to a table, a likelihood of them, and random parameters for every row."""
    cells = fit_cells(columns, np.asarray(codes, np.float64))
    return cells, Mixed(cells.layout)


def log_prob(cells: Cells, likelihood, parameters, codes):
    x = cells.forward(torch.from_numpy(np.asarray(codes, np.float64)))
    with torch.no_grad():
        return likelihood(parameters.expand(len(x), -1)).log_prob(x).double().numpy()


DISCRETE = (
    Column(name="c", kind="categorical", type="string", categories=("a", "b"), rare=(("c", 5), ("d", 2))),
    Column(name="o", kind="ordinal", type="int64", categories=(1.0, 2.0, 3.0)),
    Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilities_of_all_rows_of_a_discrete_table_sum_to_one(seed):
    """Every value that was seen, one for all that were not, and counts up to where nothing is left."""
    n = 800
    counts = RNG.negative_binomial(5, 0.05, n)
    cells, likelihood = table(DISCRETE, np.column_stack([RNG.integers(0, 4, n), RNG.integers(0, 3, n), counts]))
    assert cells.columns[2].point_masses == ()
    everything = np.array(list(itertools.product(range(5), range(4), range(3000))))
    p = np.exp(log_prob(cells, likelihood, spread(likelihood, seed, 0.7), everything))
    assert p.sum() == pytest.approx(1.0, abs=1e-5)
    # and so do those of each column, whatever cells are missing
    for column in range(3):
        one = np.full((4 if column == 1 else 5 if column == 0 else 3000, 3), np.nan)
        one[:, column] = np.arange(len(one))
        assert np.exp(log_prob(cells, likelihood, spread(likelihood, seed, 0.7), one)).sum() == pytest.approx(
            1, abs=1e-5
        )


def test_a_bounded_lattice_ends_where_its_bounds_are():
    column = Column(name="n", kind="bounded", type="int64", spacing=1.0, lowest=0.0, highest=100.0)
    cells, likelihood = table([column], RNG.integers(20, 90, (90, 1)))
    p = np.exp(log_prob(cells, likelihood, spread(likelihood, scale=2), np.arange(101.0)[:, None]))
    assert p.sum() == pytest.approx(1.0, abs=1e-5)


def test_atoms_leave_to_the_continuum_what_is_theirs():
    """An atom's own interval of the continuum is never used: probabilities sum to one but for that."""
    column = Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0)
    x = np.concatenate([np.zeros(700), RNG.negative_binomial(3, 0.02, 300) + 1])[:, None]
    cells, likelihood = table([column], x)
    assert cells.columns[0].point_masses == (0.0,)
    with torch.no_grad():
        likelihood.start(cells.forward(torch.from_numpy(x)))
    p = np.exp(log_prob(cells, likelihood, torch.zeros(likelihood.parameters_per_feature), np.arange(9000.0)[:, None]))
    assert 0.97 < p.sum() <= 1 + 1e-6
    assert p[0] == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_density_of_a_real_column_integrates_to_one_in_the_units_of_the_data(unit, seed):
    x = np.concatenate([RNG.normal(0, 1, 150), RNG.normal(40, 0.1, 150)]) * unit
    cells, likelihood = table([Column(name="x", kind="real", type="double")], x[:, None])
    parameters = spread(likelihood, seed)

    def density(y):  # y in some unit that the integrator copes with
        return float(np.exp(log_prob(cells, likelihood, parameters, [[y * unit]]))[0] * unit)

    knots = [knot / unit for knot in cells.columns[0].knots]
    reach = 400.0
    total = sum(
        integrate.quad(density, a, b, epsabs=1e-4, epsrel=1e-4)[0]
        for a, b in itertools.pairwise([-reach, *knots, 40 + reach])
    )
    assert total == pytest.approx(1.0, abs=2e-3)


def test_density_and_atoms_of_a_column_share_one():
    """A number between atoms has the probability of an interval of the column's resolution, in whatever unit."""
    x = np.concatenate([np.zeros(200), np.full(50, 3.5), RNG.gamma(3, 1, 250)])[:, None]
    cells, likelihood = table([Column(name="x", kind="positive", type="double")], x)
    (line,) = cells.columns
    assert line.point_masses == (0.0, 3.5)
    assert line.resolution == np.median(np.diff(np.unique(x[250:])))
    parameters = spread(likelihood)
    grid = np.linspace(-300, 300, 400_002)[:, None]  # meets no atom
    density = np.exp(log_prob(cells, likelihood, parameters, grid)) / line.resolution
    atoms = np.exp(log_prob(cells, likelihood, parameters, [[0.0], [3.5]]))
    assert np.trapezoid(density, grid[:, 0]) + atoms.sum() == pytest.approx(1.0, abs=1e-3)


def test_another_unit_shifts_the_log_density_by_its_logarithm():
    rng = np.random.default_rng(3)
    x = rng.gamma(2, 3, (400, 1))
    column = Column(name="x", kind="real", type="double")
    metres, likelihood = table([column], x)
    millimetres, same = table([column], 1000 * x)
    parameters = spread(likelihood)
    here = log_prob(metres, likelihood, parameters, x)
    there = log_prob(millimetres, same, parameters, 1000 * x)
    np.testing.assert_allclose(there, here - math.log(1000), rtol=1e-5, atol=1e-5)


def test_another_unit_leaves_the_probability_beside_atoms_as_it_is():
    x = np.concatenate([np.zeros((200, 1)), np.random.default_rng(3).gamma(2, 3, (200, 1))])
    column = Column(name="x", kind="positive", type="double")
    metres, likelihood = table([column], x)
    millimetres, same = table([column], 1000 * x)
    parameters = spread(likelihood)
    found = log_prob(millimetres, same, parameters, 1000 * x)
    np.testing.assert_allclose(found, log_prob(metres, likelihood, parameters, x), rtol=1e-5, atol=1e-5)


def test_another_unit_leaves_the_probability_of_a_lattice_as_it_is():
    counts = RNG.negative_binomial(4, 0.05, (700, 1)).astype(float)
    single, likelihood = table([Column(name="n", kind="count", type="double", spacing=1.0)], counts)
    dozens, same = table([Column(name="n", kind="count", type="double", spacing=12.0)], 12 * counts)
    parameters = spread(likelihood)
    np.testing.assert_allclose(
        log_prob(dozens, same, parameters, 12 * counts), log_prob(single, likelihood, parameters, counts), atol=1e-5
    )


def test_training_starts_at_the_frequencies_and_near_normal_scores():
    n = 5000
    codes = np.column_stack([RNG.choice(3, n, p=[0.7, 0.2, 0.1]), RNG.gamma(2, 1, n)])
    codes[RNG.random(codes.shape) < 0.2] = np.nan
    column = Column(name="c", kind="categorical", type="string", categories=("a", "b", "c"))
    cells, likelihood = table([column, Column(name="x", kind="real", type="double")], codes)
    likelihood.start(cells.forward(torch.from_numpy(codes)))
    with torch.no_grad():
        p = likelihood(torch.zeros(likelihood.parameters_per_feature)).base_dist
    counts = np.bincount(codes[~np.isnan(codes[:, 0]), 0].astype(int), minlength=4) + 1 / 4
    np.testing.assert_allclose(p.categories[0].log_probs[0].exp().numpy(), counts / counts.sum(), rtol=1e-5)
    mixture = p.numbers[0].mixture
    y = np.linspace(-4, 4, 200)
    weights, location, scale = (
        v[0].double().numpy() for v in (mixture.log_weights.exp(), mixture.location, mixture.log_scale.exp())
    )
    found = oracles.logistic_mixture_cdf(y, weights, location, scale)
    assert np.abs(found - stats.norm.cdf(y)).max() < 0.02


@pytest.mark.parametrize("columns", [DISCRETE[:2], DISCRETE[2:], [Column(name="x", kind="real", type="double")]])
def test_tables_of_one_sort_alone(columns):
    codes = RNG.integers(0, 3, (90, len(columns))) + (0.0 if columns[0].kind != "real" else RNG.random((90, 1)))
    cells, likelihood = table(columns, codes)
    likelihood.start(cells.forward(torch.from_numpy(codes)))
    assert np.isfinite(log_prob(cells, likelihood, spread(likelihood), codes)).all()


def test_gradients_are_finite_for_parameters_of_every_size():
    cells, likelihood = table(
        DISCRETE, np.column_stack([RNG.integers(0, 3, 99), RNG.integers(0, 3, 99), RNG.poisson(3, 99) * 7])
    )
    x = cells.forward(torch.tensor([[0.0, 1.0, 0.0], [1.0, np.nan, 700.0], [3.0, 3.0, 7e6]]).double())
    for scale in (0.0, 1.0, 30.0, 1e4):
        raw = torch.stack([spread(likelihood, seed, scale) for seed in range(3)]).requires_grad_()
        value = likelihood(raw).log_prob(x)
        (gradient,) = torch.autograd.grad(value.sum(), raw)
        assert torch.isfinite(value).all()
        assert torch.isfinite(gradient).all()
