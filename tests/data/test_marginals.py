"""The map to normal scores, held against interpolation, numerical slopes and the columns it has to survive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vaekit.data import Column
from vaekit.data.tables.marginals import Marginal, fit_marginal

RNG = np.random.default_rng(0)


def column(step=0.0, **parts):
    return Column(name="x", kind="real", type="double", spacing=step, **parts)


def fit(x, step=0.0, **parts):
    return fit_marginal(column(step, **parts), np.asarray(x, np.float64))


HAND = Marginal(knots=(-2.0, 0.5, 4.0), scores=(-1.0, 0.25, 2.0), tails=(0.1, 3.0))
"""Known to the last digit: slopes 0.1, 0.5, 0.5, 3."""

REALS = {
    "normal": RNG.normal(5, 2, 3000),
    "heavy tails": RNG.standard_cauchy(2000),
    "two modes": np.concatenate([RNG.normal(-1e3, 1, 500), RNG.normal(1e3, 1e-3, 500)]),
    "skewed": RNG.lognormal(0, 5, 2000),
    "tiny numbers": RNG.normal(size=300) * 1e-12,
    "large numbers": RNG.normal(size=300) * 1e12,
    "moments": 1.7e15 + RNG.integers(0, 3 * 10**9, 700),
    "two values": np.repeat([0.0, 7.0], [990, 10]),
    "two rows": [1.5, 2.5],
    "five rows": [1.0, 1.0, 2.0, -8.0, 1e6],
    "one row": [3.25],
    "no rows": [],
    "neighbours": [1.0, np.nextafter(1.0, 2), 2.0],
    "next to nothing": [5e-324, 1e-323, 3e-323],
    "nearly all zero": np.concatenate([np.zeros(900), RNG.gamma(2, 30, 100)]),
}
LATTICES = {
    "counts": (RNG.poisson(3, 5000), 1.0),
    "large counts": (RNG.negative_binomial(5, 0.01, 4000), 1.0),
    "a long tail": (stats.nbinom(5, 1 / 7).rvs(100_000, random_state=1), 1.0),
    "cents": (np.round(RNG.gamma(2, 30, 2000), 2), 0.01),
    "thirds": (RNG.integers(-5, 9, 500) / 3, 1 / 3),
    "fives": (RNG.integers(0, 9, 500) * 5, 5.0),
    "halves above": (RNG.integers(0, 40, 60) * 2.5, 2.5),
    "days": ((19_000 + RNG.integers(0, 900, 400)) * 86_400e6, 86_400e6),
    "two levels far apart": (np.repeat([3.0, 90_000.0], [40, 30]), 1.0),
    "three rows": ([0.0, 4.0, 4.0], 1.0),
    "one level": ([4.0], 1.0),
}


def probes(x):
    """Values inside, between and beyond those seen."""
    x = np.unique(x) if len(x) else np.zeros(1)
    spread = max(np.ptp(x), 1e-3 * abs(x[0]), 0.0 if np.ptp(x) > 1e-290 else 1e-3)
    return np.concatenate([x, (x[1:] + x[:-1]) / 2, np.linspace(x[0] - spread, x[-1] + spread, 400)])


def test_a_map_that_is_known():
    x = np.array([-12.0, -2.0, 0.0, 0.5, 2.25, 4.0, 5.0])
    np.testing.assert_allclose(HAND.forward(x), [-2.0, -1.0, 0.0, 0.25, 1.125, 2.0, 5.0], rtol=1e-15)
    np.testing.assert_allclose(HAND.inverse(np.array([-2.0, -1.0, 0.0, 1.125, 5.0])), [-12, -2, 0, 2.25, 5], rtol=1e-15)
    inner = np.linspace(-2, 4, 101)
    np.testing.assert_allclose(HAND.forward(inner), np.interp(inner, HAND.knots, HAND.scores), rtol=1e-12, atol=1e-15)
    y, log_slope = HAND.score_cells(np.array([-5.0, 1.0, 9.0]))
    np.testing.assert_allclose(y, [-1.3, 0.5, 17.0], rtol=1e-14)
    np.testing.assert_allclose(log_slope, np.log([0.1, 0.5, 3.0]), rtol=1e-14)


@pytest.mark.parametrize("name", REALS)
def test_reals_of_every_sort_have_a_rising_map_and_its_inverse(name):
    x = np.asarray(REALS[name], np.float64)
    t, seen = fit(x), np.unique(probes(x))
    y, spacing = t.forward(seen), np.spacing(np.abs(seen).max())
    assert np.isfinite(y).all()
    assert (np.diff(y) >= 0).all()
    assert (np.diff(y)[np.diff(seen) > 1e-9 * np.abs(seen).max()] > 0).all()
    np.testing.assert_allclose(t.inverse(y), seen, rtol=1e-9, atol=1e-9 * max(np.ptp(x) if len(x) else 1.0, spacing))
    assert np.isfinite(t.score_cells(seen)[1]).all()
    assert np.isfinite(t.inverse(np.linspace(-9, 9, 50))).all()


@pytest.mark.parametrize("name", REALS)
def test_the_slope_is_the_derivative(name):
    x = np.asarray(REALS[name], np.float64)
    t, seen = fit(x), probes(x)
    h = 1e-4 * np.diff(t.knots).min()
    inside = np.abs(seen[:, None] - np.array(t.knots)).min(1) > 2 * h  # a knot has a slope on either side
    inside &= np.spacing(np.abs(seen)) < 1e-5 * h
    rise = t.forward(seen[inside] + h) - t.forward(seen[inside] - h)
    np.testing.assert_allclose(
        np.exp(t.score_cells(seen[inside])[1]) / t.resolution * 2 * h, rise, rtol=1e-3, atol=1e-14
    )


def test_scores_are_normal_where_rows_are_many():
    """The map is the normal quantile of the distribution function, whatever that is."""
    for x in (RNG.normal(3, 7, 40_000), RNG.gamma(0.7, 2, 40_000), RNG.standard_cauchy(40_000)):
        y = fit(x).forward(x)
        assert stats.kstest(y, "norm").statistic < 0.02
        assert abs(y.mean()) < 0.05
        assert abs(y.std() - 1) < 0.1


def test_clusters_have_scores_apart_and_a_single_peak_keeps_normal_scores():
    """The density between clusters is that of the lower one, at most the mean of the middle: .9/6.7 here, not .01."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(5, 1, 20_000)])
    found = fit(x)
    middle = found.forward(np.array([3.0])) - found.forward(np.array([2.0]))
    mean = 0.9 / np.diff(np.quantile(x, [0.05, 0.95]))
    total = 1 + (mean - stats.norm.pdf(np.linspace(1.4, 3.6, 100), [[0.0], [5.0]]).mean(0)).clip(0).mean() * 2.2
    assert middle == pytest.approx(mean / total / stats.norm.pdf(0), rel=0.05)
    for unimodal in (rng.normal(size=5000), rng.exponential(size=5000), rng.lognormal(0, 1.5, 5000)):
        ranks = (stats.rankdata(unimodal) - 0.5) / 5000
        inside = (ranks > 0.02) & (ranks < 0.98)
        np.testing.assert_allclose(fit(unimodal).forward(unimodal)[inside], stats.norm.ppf(ranks[inside]), atol=0.06)


@pytest.mark.parametrize("name", LATTICES)
def test_intervals_of_neighbouring_values_touch(name):
    x, step = LATTICES[name]
    t = fit(x, step)
    levels = np.round(np.min(x) / step) * step + step * np.arange(-50, min(np.ptp(x) / step, 2000) + 50)
    middle, log_width = t.score_cells(levels)
    below, above = middle - np.exp(log_width) / 2, middle + np.exp(log_width) / 2
    np.testing.assert_allclose(above[:-1], below[1:], rtol=0, atol=1e-7 * max(1, np.abs(middle).max()))
    np.testing.assert_allclose(below, t.forward(levels - step / 2), rtol=1e-9, atol=1e-9)
    for p in (stats.norm(), stats.logistic(0.3, 0.8), stats.cauchy(2, 1)):  # of any distribution over scores
        total = (p.cdf(above) - p.cdf(below)).sum()
        assert 0 < total <= 1 + 1e-9
        assert total == pytest.approx(p.cdf(above[-1]) - p.cdf(below[0]), abs=1e-6)


@pytest.mark.parametrize("name", LATTICES)
def test_values_of_a_lattice_return_exactly(name):
    x, step = LATTICES[name]
    x = np.asarray(x, np.float64)
    t = fit(x, step)
    np.testing.assert_array_equal(t.inverse(t.forward(x)), x)
    middle, log_width = t.score_cells(x)
    for place in (-0.49, 0.0, 0.49):  # any score within the interval is this value
        np.testing.assert_array_equal(t.inverse(middle + place * np.exp(log_width)), x)


def test_decimals_return_as_they_are_written():
    """3 · 0.1 is another number than 0.3: samples would not equal the values they stand for."""
    x = np.array([float(f"{i / 10:.1f}") for i in range(200)])
    assert set(fit(x, 0.1).inverse(fit(x, 0.1).forward(x)).tolist()) == set(x.tolist())
    assert fit(x, 0.1).round(np.array([0.3000001])).tolist() == [0.3]


def test_a_level_is_as_wide_as_its_share():
    """Levels that each have their knot: with a standard normal score, P(x) is the share of the rows."""
    x = stats.nbinom(8, 0.2).rvs(200_000, random_state=0).astype(float)
    t = fit(x, 1.0, lowest=0.0)
    assert t.point_masses == ()
    levels, counts = np.unique(x, return_counts=True)
    often = counts > 200
    middle, log_width = t.score_cells(levels)
    share = stats.norm.cdf(middle + np.exp(log_width) / 2) - stats.norm.cdf(middle - np.exp(log_width) / 2)
    np.testing.assert_allclose(share[often][1:], counts[often][1:] / len(x), rtol=0.05)


def test_rare_levels_at_the_end_keep_their_room():
    """Squeezed to nothing they would never be drawn, and look stranger than all that lies beyond them."""
    p = stats.nbinom(5, 1 / 7)
    x = p.rvs(200_000, random_state=0).astype(float)
    levels = np.arange(80.0, x.max() + 20)
    middle, log_width = fit(x, 1.0, lowest=0.0).score_cells(levels)
    log_p = stats.norm.logpdf(middle) + log_width
    np.testing.assert_allclose(log_p, p.logpmf(levels), atol=5)  # single rows scatter; squeezed it were 10


def test_atoms_are_values_that_many_rows_share():
    x = np.concatenate([np.zeros(500), np.full(20, 7.5), np.full(9, 3.25), RNG.normal(size=471)])
    assert fit(x).point_masses == (0.0, 7.5)  # half, a fiftieth; nine rows are too few
    assert fit(np.repeat(x, 3)[:3000]).point_masses[:1] == (0.0,)
    assert fit(RNG.normal(size=1000)).point_masses == ()
    fractions = np.concatenate([RNG.random(9851), np.repeat([1 / 3, 1 / 7, 1 / 9], [100, 40, 9])])
    assert fit(fractions).point_masses == (1 / 7, 1 / 3)  # not what nine of ten thousand rows share
    counts = RNG.poisson(1.0, 2000).astype(float)  # each level has its knot: only what is common is an atom
    assert fit(counts, 1.0).point_masses == (0.0, 1.0, 2.0, 3.0)
    assert fit(stats.nbinom(8, 0.1).rvs(9000, random_state=0), 1.0).point_masses == ()


def test_the_commonest_of_many_levels_is_no_atom_for_that():
    """An atom of a lattice stands out from its neighbours; else scatter alone would make atoms of ages."""
    for x in (RNG.integers(17, 77, 500), RNG.poisson(100, 300), stats.nbinom(5, 0.05).rvs(20_000, random_state=0)):
        assert fit(x, 1.0).point_masses == ()
    heaped = np.where(RNG.random(800) < 0.3, 500.0 * RNG.integers(1, 5, 800), 10.0 * RNG.integers(0, 300, 800))
    assert fit(heaped, 10.0).point_masses == (500.0, 1000.0, 1500.0, 2000.0)


def test_no_more_atoms_than_can_be_told_apart():
    x = np.concatenate([np.repeat(np.arange(250.0) * 1.37, 50 + np.arange(250) % 7), RNG.normal(500, 1, 10)])
    atoms = fit(x).point_masses
    assert len(atoms) == 200
    assert list(atoms) == sorted(atoms)
    assert min((x == a).sum() for a in atoms) >= 50


def test_which_point_mass_a_value_is():
    t = Marginal(knots=(0.0, 1.0), scores=(0.0, 1.0), tails=(1.0, 1.0), point_masses=(0.0, 0.25, 9.0))
    assert t.point_mass(np.array([-1.0, 0.0, 0.1, 0.25, 9.0, 9.5, np.nan])).tolist() == [3, 0, 3, 1, 2, 3, 3]
    cents = Marginal(**t.model_dump() | {"spacing": 0.1, "point_masses": (0.1, 0.3)})
    assert cents.point_mass(np.array([0.1, 3 * 0.1, np.float32(0.3), 0.2])).tolist() == [0, 1, 1, 2]  # to rounding


def test_samples_stay_within_the_bounds_and_edges_are_the_ends():
    t = fit(RNG.poisson(40, 900), 1.0, lowest=0.0)
    assert t.inverse(np.array([-30.0, 0.0])).min() == 0.0
    low, high = t.edge_scores
    assert low == t.score_cells(np.array([0.0]))[0][0]
    assert high == np.inf
    x = RNG.gamma(2, 1, size=90)
    assert fit(x).edge_scores == (-np.inf, np.inf)
    t = fit(x, lowest=0.0, drawn=(None, 20.0))
    assert t.edge_scores == tuple(t.forward(np.array([0.0, 20.0])))
    assert t.inverse(np.array([-99.0, 99.0])).tolist() == [0.0, 20.0]
    both = fit(RNG.integers(0, 101, 400), 1.0, lowest=0.0, highest=100.0)
    assert both.edge_scores == tuple(both.score_cells(np.array([0.0, 100.0]))[0])
    assert both.inverse(np.array([-99.0, 99.0])).tolist() == [0.0, 100.0]


def test_on_a_grid_the_numbers_that_are_no_point_masses_lie_within_those_at_the_ends():
    """Otherwise a tail would be drawn as the 0 that is a point mass, and count twice."""
    x = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0, 9.0], [400, 300, 3, 5, 2, 290])
    t = fit(x, 1.0, lowest=0.0, drawn=(None, 9.0))
    assert t.point_masses == (0.0, 1.0, 9.0)
    assert t.bounds == (2.0, 8.0)
    assert t.inverse(np.array([-99.0, 99.0])).tolist() == [2.0, 8.0]
    only = fit(np.repeat([0.0, 1.0], [50, 50]), 1.0, lowest=0.0, drawn=(None, 1.0))
    assert only.point_masses == (0.0, 1.0)
    assert only.bounds == (0.0, 1.0)  # nothing is left between them
    reals = fit(np.append(np.zeros(90), RNG.gamma(2, 1, 200)), lowest=0.0)
    assert reals.point_masses == (0.0,)
    assert reals.bounds == (0.0, None)


def test_a_change_of_unit_moves_nothing_but_the_slope():
    x = RNG.gamma(2, 3, 500)
    here, there = fit(x), fit(1000 * x)
    np.testing.assert_allclose(there.forward(1000 * x), here.forward(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.score_cells(1000 * x)[1], here.score_cells(x)[1] - np.log(1000), rtol=1e-9)


@pytest.mark.parametrize("x", [1e9, 1e17, 9e29])
def test_values_far_out_have_a_finite_score_and_width(x):
    """Where x ± step/2 is x, and where a score would overflow."""
    far = np.array([-x, x])
    for t in (fit(RNG.poisson(50, 500), 1.0), fit(RNG.normal(size=500)), fit(5 + 1e-12 * RNG.normal(size=500))):
        y, log_measure = t.score_cells(far)
        assert np.isfinite(y.astype(np.float32)).all()
        assert np.isfinite(log_measure).all()
        assert y[0] < -9 < 9 < y[1]


def test_maps_that_do_not_rise_are_refused():
    for parts in ({"knots": (1.0, 1.0)}, {"scores": (2.0, 1.0)}, {"knots": (1.0, 2.0, 3.0)}, {"tails": (0.0, 1.0)}):
        with pytest.raises(ValueError, match=r"increase|greater than 0"):
            Marginal(**({"knots": (0.0, 1.0), "scores": (0.0, 1.0), "tails": (1.0, 1.0)} | parts))


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 12)), min_size=2, max_size=60),
    st.sampled_from([1e-18, 1e-12, 1e-3, 1.0, 1e12]),
    st.sampled_from([0.0, 1.0, -3e7]),
    st.integers(1, 30),
)
def test_any_reals_at_all(x, scale, offset, times):
    x = np.repeat(np.array(x) * scale + offset, times)
    t = fit(x)
    y, log_slope = t.score_cells(np.sort(x))
    assert np.isfinite(y).all()
    assert np.isfinite(log_slope).all()
    assert (np.diff(y) >= -1e-14).all()
    np.testing.assert_allclose(t.inverse(y), np.sort(x), rtol=1e-6, atol=1e-6 * scale + 1e-15)


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=60),
    st.sampled_from([0.01, 0.5, 1.0, 2.5, 3_600e6]),
    st.integers(1, 30),
)
def test_any_lattice_at_all(whole, step, times):
    x = np.repeat(np.array(whole) * step, times)
    t = fit(x, step)
    middle, log_width = t.score_cells(np.sort(x))
    assert np.isfinite(middle).all()
    assert np.isfinite(log_width).all()
    np.testing.assert_allclose(t.inverse(middle), np.sort(x), rtol=1e-12)


def test_a_lattice_finer_than_the_numbers_is_a_line():
    """10¹⁷ + 1 is 10¹⁷ in double precision: no interval lies around it."""
    x = np.array([10.0**17] * 6 + [10.0**17 + 64 * i for i in range(14)])
    found = fit(x, 1.0)
    assert found.spacing == 0
    assert np.isfinite(found.score_cells(x)[0]).all()
    assert fit(np.arange(200.0) + 10**6, 1.0).spacing == 1


def test_the_measure_of_a_real_cell_is_an_interval_as_wide_as_neighbours_are_apart():
    x = np.concatenate([np.zeros(400), 0.01 * RNG.gamma(2, 30, 600)])
    line = fit(x)
    apart = np.median(np.diff(np.unique(x[x > 0])))
    assert line.point_masses == (0.0,)
    assert apart < 0.1
    middles = (np.array(line.knots[:-1]) + np.array(line.knots[1:])) / 2
    slope = (line.forward(middles + 1e-6) - line.forward(middles - 1e-6)) / 2e-6
    np.testing.assert_allclose(line.score_cells(middles)[1], np.log(slope * apart), rtol=1e-4)
    inside = line.inverse(RNG.normal(size=20_000))  # scores of the numbers between atoms are normal
    share = np.mean(np.abs(inside - middles[5]) < 20 * apart)
    expected = 40 * stats.norm.pdf(line.forward(middles[5])) * np.exp(line.score_cells(middles[5:6])[1][0])
    assert share == pytest.approx(expected, rel=0.2)


def test_round_amounts_of_few_rows_are_point_masses():
    rng = np.random.default_rng(0)
    amounts = np.round(rng.lognormal(8, 1, 20_000))
    amounts[:1500] = rng.choice(np.arange(1, 31) * 100.0, 1500)  # about .25 % of the rows each
    column = Column(name="paid", kind="real", type="double", spacing=1.0)
    masses = fit_marginal(column, amounts).point_masses
    assert masses == tuple(np.arange(1, 31) * 100.0)
