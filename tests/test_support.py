"""Runs on mixed tables: whatever is drawn or filled stays within the bounds, and no text of a single row is written out."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

import vaekit
from vaekit.data import Column
from vaekit.data.tables.cells import fit_cells
from vaekit.data.tables.inference import kinds
from vaekit.models.likelihoods import AutoregressiveMixed, Mixed

SETTINGS = {
    "training.epochs": 2,
    "training.batch_size": 64,
    "latent_dim": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "evaluation.samples": 10,
    "data.ranges.score": [-4, 4],
}
ROWS = 300
UNIQUE = ("Ada", "Grace", "Emmy", "Sofja")
LIKELIHOODS = ("mixed", "autoregressive_mixed")


def made(seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=ROWS)
    names = rng.choice(["Ann", "Bob", "Cyd"], ROWS, p=[0.6, 0.3, 0.1]).astype(object)
    names[: len(UNIQUE)] = UNIQUE
    deputy = np.where(z > 0, "yes", "no").astype(object)
    deputy[deputy == "yes"] = "no"
    deputy[7] = "yes"
    return pa.table(
        {
            "id": pa.array(np.arange(ROWS)),
            "name": pa.array(names.tolist()),
            "deputy": pa.array(deputy.tolist()),
            "income": np.abs(100 * z + 40 * rng.normal(size=ROWS)),
            "hour": rng.permutation(np.arange(ROWS) % 24),
            "humidity": np.minimum(np.round(95 + 9 * z, 1), 100.0),
            "score": np.clip(z + rng.normal(size=ROWS), -3.9, 3.9),
            "when": [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 90, ROWS)],
        }
    )


TABLE = made()
HOLES = pa.table(
    {
        name: pa.array(
            [None if gone else cell for cell, gone in zip(TABLE[name].to_pylist(), at, strict=True)], TABLE[name].type
        )
        for name, at in zip(TABLE.column_names, np.random.default_rng(1).random((8, ROWS)) < 0.5, strict=True)
    }
)


@pytest.fixture(scope="module", params=LIKELIHOODS)
def run(request, tmp_path_factory):
    settings = SETTINGS | {"likelihood": request.param}
    run = vaekit.train(TABLE, settings=settings, out=tmp_path_factory.mktemp("runs") / request.param)
    with torch.no_grad():  # draws go far beyond all bounds, if nothing holds them
        for value in run.model.decoder.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
    return run


def check_bounds(table):
    cells = {
        name: np.array([cell for cell in table[name].to_pylist() if cell is not None]) for name in table.column_names
    }
    assert cells["income"].min() >= 0
    assert set(cells["hour"]) <= set(range(24))
    assert 0 <= cells["humidity"].min() <= cells["humidity"].max() <= 100
    assert -4 <= cells["score"].min() <= cells["score"].max() <= 4
    assert datetime.date(2020, 1, 1) <= cells["when"].min() <= cells["when"].max() <= datetime.date(2020, 3, 30)
    return cells


def test_drawn_and_filled_numbers_stay_within_bounds(run):
    drawn = run.sample(3000, seed=0)
    cells = check_bounds(drawn)
    assert len(np.unique(cells["income"])) > 2900  # not clipped to the bounds, which real numbers do not reach
    assert (np.abs(cells["score"]) < 4).mean() > 0.99
    given = run.sample(50, given={"hour": 3})
    check_bounds(given)
    assert set(given["hour"].to_pylist()) == {3}
    for table in (run.sample(200, mean=True), run.decode(9 * np.random.default_rng(0).normal(size=(200, 2)))):
        check_bounds(table)
    check_bounds(run.reconstruct(HOLES))
    check_bounds(run.impute(HOLES))
    for filled in run.impute_draws(HOLES, 3):
        check_bounds(filled)


def test_rows_beyond_the_bounds_have_a_low_score_and_no_error(run):
    usual = TABLE.slice(20, 1)
    strange = usual.set_column(usual.column_names.index("income"), "income", pa.array([-5.0]))
    strange = strange.set_column(strange.column_names.index("hour"), "hour", pa.array([24]))
    low, high = run.score_samples(strange)[0], run.score_samples(usual)[0]
    assert np.isfinite(low)
    assert low < high - 15


def test_no_drawn_row_has_a_text_of_a_single_row(run):
    for drawn in (
        run.sample(3000, seed=1),
        run.sample(400, given={"hour": 3}),
        run.sample(400, mean=True),
        run.decode(9 * np.random.default_rng(0).normal(size=(400, 2))),
    ):
        assert "id" not in drawn.column_names
        assert set(drawn["name"].to_pylist()) <= {"Ann", "Bob", "Cyd"}
        assert set(drawn["deputy"].to_pylist()) == {"no"}


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_values_that_share_a_category_with_rare_ones_are_drawn_as_often_as_beside_other_values(
    likelihood, tmp_path, monkeypatch
):
    """150 clerks, 5 smiths and 145 jobs of a single row: new rows have one of the first two, the second in 5 of 155 cases."""
    monkeypatch.setattr(kinds, "MOST_CATEGORIES", 1)  # all jobs but the first share a category
    jobs = ["clerk"] * 150 + ["smith"] * 5 + [f"job {i}" for i in range(145)]
    table = pa.table(
        {"x": np.random.default_rng(0).normal(size=ROWS), "job": np.random.default_rng(1).permutation(jobs)}
    )
    settings = SETTINGS | {"likelihood": likelihood, "training.epochs": 20}
    del settings["data.ranges.score"]
    new = vaekit.train(table, settings=settings, out=tmp_path / "run").sample(5000)["job"].to_pylist()
    assert set(new) == {"clerk", "smith"}
    assert 0.1 < new.count("smith") / 5000 / (5 / 155) < 3


def test_missing_cells_may_be_filled_with_any_known_value(run):
    filled = run.impute_draws(HOLES, 40)
    empty = np.array(HOLES["name"].is_null())
    drawn = {name for table in filled for name in np.array(table["name"].to_pylist())[empty]}
    assert {"Ann", "Bob"} < drawn <= {"Ann", "Bob", "Cyd", *UNIQUE}


def test_the_least_count_may_be_one(tmp_path):
    run = vaekit.train(TABLE, settings=SETTINGS | {"data.least_count": 1}, out=tmp_path / "run")
    assert set(UNIQUE) <= set(run.sample(5000)["name"].to_pylist())


def test_a_column_of_texts_that_are_all_rare_is_drawn_empty(tmp_path):
    table = pa.table({"name": list("abcdefgh"), "x": np.arange(8.0) ** 2})
    run = vaekit.train(table, settings=SETTINGS | {"data.ranges": {}}, out=tmp_path / "run")
    drawn = run.sample(50)
    assert drawn["name"].null_count == 50
    assert run.sample(50, mean=True)["name"].null_count == 50
    assert drawn["x"].null_count == 0


def test_given_texts_stay_and_texts_that_a_rule_calls_for_are_left_empty(tmp_path):
    """The combinations of training rows hold texts of single rows."""
    rules = {"data.rules": ["fixed(name, deputy)"]}
    run = vaekit.train(TABLE, settings=SETTINGS | rules, out=tmp_path / "run")
    for drawn in (run.sample(2000), run.sample(50, given={"hour": 3}), run.sample(20, mean=True)):
        assert set(drawn["name"].to_pylist()) <= {"Ann", "Bob", "Cyd", None}
        assert set(drawn["deputy"].to_pylist()) <= {"no", None}
        check_bounds(drawn)
    given = run.sample(20, given={"name": "Ada"})
    assert set(given["name"].to_pylist()) == {"Ada"}


@pytest.mark.parametrize("likelihood", [Mixed, AutoregressiveMixed])
def test_on_a_grid_draws_have_the_probabilities_of_the_likelihood(likelihood):
    """χ² at p > 1e-6: false alarm 4e-6. The ends take the tails, and a 0 that is a point mass is drawn as one alone."""
    rng = np.random.default_rng(0)
    columns = (
        Column(name="a", kind="count", type="int64", spacing=1.0, lowest=0.0, drawn=(None, 30.0)),
        Column(name="b", kind="real", type="double", spacing=0.1, drawn=(-1.0, 2.0)),
    )
    a, b = np.where(rng.random(900) < 0.4, 0, rng.integers(1, 31, 900)), rng.integers(-10, 21, 900) / 10
    codes = np.column_stack([a, b])
    cells = fit_cells(columns, codes)
    assert [c.point_masses for c in cells.columns] == [(0.0,), ()]
    torch.manual_seed(1)
    model = likelihood(cells.layout)
    model.start(cells.forward(torch.from_numpy(codes)))
    with torch.no_grad():
        model.offset.add_(0.7 * torch.randn(model.offset.shape))
        p = model.eval()(torch.randn(model.parameters_per_feature))
        drawn = cells.inverse(p.sample((20_000,))).numpy()
        grid = np.stack(np.meshgrid(np.arange(31), np.arange(-10, 21) / 10, indexing="ij"), -1).reshape(-1, 2)
        expected = p.log_prob(cells.forward(torch.from_numpy(grid))).double().exp().numpy()
    assert drawn.min(0).tolist() >= [0, -1]
    assert drawn.max(0).tolist() <= [30, 2]
    assert expected.sum() == pytest.approx(1, abs=1e-4)
    index = (drawn[:, 0] * 31 + 10 * (drawn[:, 1] + 1)).round().astype(int)
    counts, often = np.bincount(index, minlength=len(grid)), 20_000 * expected / expected.sum() >= 5
    seen, wanted = np.append(counts[often], counts[~often].sum()), np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(seen, 20_000 * wanted / wanted.sum()).pvalue > 1e-6


@pytest.mark.parametrize("likelihood", [Mixed, AutoregressiveMixed])
def test_a_bounded_density_of_data_integrates_to_one_and_is_that_of_draws(likelihood):
    # a Kolmogorov-Smirnov test at p > 1e-6: false alarm 2e-6
    rng = np.random.default_rng(0)
    column = Column(name="x", kind="positive", type="double", lowest=0.0, drawn=(None, 9.0))
    codes = np.minimum(rng.gamma(1, 3, (900, 1)), 9.0)
    cells = fit_cells((column,), codes)
    torch.manual_seed(1)
    model = likelihood(cells.layout)
    model.start(cells.forward(torch.from_numpy(codes)))
    with torch.no_grad():
        p = model.eval()(torch.randn(model.parameters_per_feature))
        x = np.linspace(0, 9, 40_001)
        points = cells.columns[0].point_masses
        assert points == (9.0,)
        own = p.log_prob(cells.forward(torch.from_numpy(x[:-1, None]))).double().exp().numpy()
        top = float(p.log_prob(cells.forward(torch.tensor([[9.0]]).double())).exp())
        drawn = cells.inverse(p.sample((20_000,))).numpy()[:, 0]
    resolution = cells.columns[0].resolution
    reached = np.append(0, np.cumsum((own[1:] + own[:-1]) / 2 * np.diff(x[:-1]))) / resolution
    assert reached[-1] + top == pytest.approx(1, abs=2e-3)
    assert stats.binomtest(int((drawn == 9).sum()), 20_000, top).pvalue > 1e-6
    inside = drawn[drawn < 9]
    assert stats.kstest(inside, lambda y: np.interp(y, x[:-1], reached / reached[-1])).pvalue > 1e-6
