"""The simple models of the benchmarks: independent columns sum to one, and a copula keeps marginals and correlation."""

import json

import numpy as np
import pandas as pd
import peer_densities
import pytest
from copula import RankCopula
from marginals import Histogram, IndependentColumns
from peer_job import Job
from scipy.stats import ks_2samp, multivariate_normal, spearmanr
from synthesis import rare
from table_data import Table
from units import find_units


@pytest.mark.parametrize("width", [1.0, 0.1, 20.0])
def test_probabilities_on_a_grid_sum_to_one_at_most(width):
    rng = np.random.default_rng(0)
    known = np.round(rng.normal(size=700) * 30) * width
    known[:200] = 0.0  # a point mass
    grid = np.arange(-3000, 3001) * width
    total = np.exp(Histogram(known, width).log_prob(grid)).sum()
    assert 0.995 < total <= 1 + 1e-9
    zero = float(np.exp(Histogram(known, width).log_prob(np.zeros(1)))[0])
    assert zero == pytest.approx((known == 0).mean(), rel=0.06)  # half a row in every bin


def test_a_density_integrates_to_one_and_follows_the_unit():
    known = np.random.default_rng(0).gamma(2.0, size=900)
    histogram = Histogram(known, 0.0)
    x = np.linspace(-200, 200, 4_000_001)
    assert np.trapezoid(np.exp(histogram.log_prob(x)), x) == pytest.approx(1, abs=1e-3)
    scaled = Histogram(1000 * known, 0.0).log_prob(1000 * known)
    assert scaled == pytest.approx(histogram.log_prob(known) - np.log(1000))


def test_independent_columns_add_up_and_leave_missing_cells_out():
    codes = np.array([[0, 1.0], [1, 2.0], [1, 2.0], [1, np.nan]])
    model = IndependentColumns(codes, [2, 0], [0.0, 1.0])
    found = model.log_prob(np.array([[1, np.nan], [2, np.nan], [1, 2.0], [np.nan, 2.0]]))
    assert np.exp(found[:2]) == pytest.approx([4 / 7, 1 / 7])  # one is added to each count, and to unseen values
    assert found[2] == pytest.approx(found[0] + found[3])


def test_units_are_probabilities_on_grids_and_intervals_beside_point_masses():
    rng = np.random.default_rng(0)
    real = rng.normal(size=1000)
    frame = pd.DataFrame(
        {
            "cents": rng.integers(0, 10**6, 1000) / 100,
            "real": real,
            "masses": np.where(rng.random(1000) < 0.4, 0.0, real),
            "word": rng.choice(["u", "v"], 1000),
        }
    )
    units = find_units(frame.iloc[:800], frame.iloc[800:].reset_index(drop=True), {"word": "categorical"})
    assert units.categories == [0, 0, 0, 2]
    assert units.widths[:2] == [0.01, 0.0]
    between = np.unique(frame["masses"][:800][frame["masses"][:800] != 0])
    assert units.widths[2] == pytest.approx(np.median(np.diff(between)), rel=0.05)
    assert (units.correction(units.cells) == 0).all()


def test_a_model_with_wider_intervals_is_corrected_between_point_masses_only():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(1200) < 0.4, 0.0, rng.normal(size=1200))
    frame = pd.DataFrame({"x": x, "y": rng.normal(size=1200)})
    test = frame.iloc[1000:].reset_index(drop=True)
    few, all_rows = (find_units(frame.iloc[:n], test, {}) for n in (500, 1000))
    found = all_rows.correction(few.cells)
    mass = test["x"].to_numpy() == 0
    assert (found[mass] == 0).all()
    assert found[~mass] == pytest.approx(np.log(all_rows.widths[0] / few.widths[0]))


def correlated(n=4000, rho=0.8):
    z = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).rvs(n, random_state=0)
    levels = pd.CategoricalDtype(["low", "middle", "high"], ordered=True)
    words = pd.cut(z[:, 1], [-np.inf, -0.5, 1.0, np.inf], labels=levels.categories).astype(levels)
    rng = np.random.default_rng(1)
    return pd.DataFrame({"x": np.exp(2 * z[:, 0]), "y": np.round(10 * z[:, 1]), "word": words, "u": rng.random(n)})


def test_a_copula_keeps_marginals_and_correlations():
    frame = correlated()
    new = RankCopula(frame, 0).sample(len(frame))
    assert (new.dtypes == frame.dtypes).all()
    for column in ("x", "y", "u"):
        assert ks_2samp(new[column], frame[column]).statistic < 0.035
        assert set(new[column]) <= set(frame[column])
    shares, real = (f["word"].value_counts(normalize=True).sort_index() for f in (new, frame))
    assert shares.to_numpy() == pytest.approx(real.to_numpy(), abs=0.03)
    for pair in (["x", "y"], ["x", "u"]):
        assert spearmanr(new[pair]).statistic == pytest.approx(spearmanr(frame[pair]).statistic, abs=0.04)
    mean, real = (f.groupby("word", observed=True)["y"].mean() for f in (new, frame))
    assert mean["low"] < mean["middle"] < mean["high"]
    # a threshold hides where in its interval a score lies, so that some of the dependence is lost
    assert 0.6 < (mean["high"] - mean["low"]) / (real["high"] - real["low"]) <= 1.02


def test_the_same_seed_draws_the_same_rows():
    frame = correlated(300)
    first, second, third = (RankCopula(frame, seed).sample(50) for seed in (0, 0, 1))
    assert first.equals(second)
    assert not first.equals(third)


@pytest.mark.parametrize(("width", "step"), [(0.5, 0.5), (0.0, 0.0005)])
def test_a_flow_gives_probabilities_of_intervals_and_densities(tmp_path, monkeypatch, width, step):
    """With noise over its interval, the bound is unbiased before the logarithm: it sums to one over the grid."""
    monkeypatch.setattr(peer_densities, "DRAWS", 1)
    rng = np.random.default_rng(0)
    pd.DataFrame({"0": rng.integers(-3, 4, 300) / 2}).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame({"0": np.tile(np.arange(-12, 12, step), 1000 if width else 1)}).to_parquet(tmp_path / "test.parquet")
    (tmp_path / "job.json").write_text(json.dumps({"seed": 0, "options": {"widths": [width], "max_epochs": 2}}))
    found = np.exp(peer_densities.spline_flow(Job(tmp_path))["log_prob"].to_numpy())
    assert (found.sum() / 1000 if width else found.sum() * step) == pytest.approx(1, abs=0.02)


def test_rare_categories_are_compared_by_their_shares():
    train = pd.DataFrame({"c": pd.Categorical(["a"] * 960 + ["b"] * 20 + ["c"] * 15 + ["d"] * 5)})
    new = pd.DataFrame({"c": pd.Categorical(["a"] * 970 + ["b"] * 10 + ["d"] * 20, train["c"].cat.categories)})
    table = Table("made", train, {"c": "categorical"})
    assert rare(new, train, table) == pytest.approx((0.5 + 0) / 2)  # b halved, c lost, d has too few rows to judge
    assert rare(train, train, table) == 1
    assert rare(train[:960], train[:960], table) is None
