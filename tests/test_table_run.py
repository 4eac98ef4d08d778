"""A run on a mixed table: tables go in and come out with their names, order and types; nothing that is known is changed."""

import datetime
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vaekit
from vaekit.errors import DataError, VaekitError
from vaekit.runs.table_run import TableRun

SETTINGS = {
    "training.epochs": 4,
    "training.batch_size": 64,
    "training.validations": 1,
    "latent_dim": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "objective.samples": 2,
    "evaluation.samples": 60,
}
ROWS = 400
LEFT_OUT = ("name", "remark")
COLOURS = ["red", "green", "blue"]


def made(rows=ROWS, seed=0, missing=0.1):
    """Columns of every kind that depend on one another, some cells empty."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=rows)
    colour = np.where(rng.random(rows) < 0.02, "mauve", np.array(COLOURS)[np.clip(np.round(z + 1), 0, 2).astype(int)])
    colour[:3] = ["teal", "ochre", "teal"]
    cells = {
        "name": [f"row{i}of{seed}" for i in range(rows)],
        "colour": colour.tolist(),
        "member": (rng.random(rows) < 1 / (1 + np.exp(-2 * z))).tolist(),
        "grade": (2 + np.clip(np.round(z), -1, 1)).astype(int).tolist(),
        "visits": np.where(rng.random(rows) < 0.6, 0, rng.poisson(np.exp(2 + z))).tolist(),
        "price": np.round(np.exp(1 + 0.5 * z + 0.3 * rng.normal(size=rows)), 1).tolist(),
        "height": (170 + 8 * z + rng.normal(size=rows)).tolist(),
        "day": [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 900, rows)],
        "remark": [" ".join(rng.choice(list("abcdefgh"), 9)) for _ in range(rows)],
        "country": ["NL"] * rows,
    }
    types = {"day": pa.date32(), "visits": pa.int32()}
    gone = rng.random((len(cells), rows)) < missing
    return pa.table(
        {
            name: pa.array([None if g else c for c, g in zip(column, hidden, strict=True)], types.get(name))
            for (name, column), hidden in zip(cells.items(), gone, strict=True)
        }
    )


TABLE = made()
NEW = made(40, seed=1, missing=0.3)
MODELLED = [name for name in TABLE.column_names if name not in (*LEFT_OUT, "country")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = SETTINGS | {"data.columns.grade": "ordinal"}
    return vaekit.train(TABLE, settings=settings, out=tmp_path_factory.mktemp("runs") / "mixed")


@pytest.fixture(scope="module")
def array_run(tmp_path_factory):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3)) * [1, 100, 1e-3]
    X[rng.random(X.shape) < 0.1] = np.nan
    return vaekit.train(X, settings=SETTINGS, out=tmp_path_factory.mktemp("runs") / "array"), X


def cells(table):
    return {name: table[name].to_pylist() for name in table.column_names}


def test_what_the_columns_are(run):
    assert isinstance(run, TableRun)
    kinds = {column.name: column.kind for column in run.schema.table}
    assert kinds == {
        "name": "identifier",
        "colour": "categorical",
        "member": "binary",
        "grade": "ordinal",
        "visits": "count",
        "price": "positive",
        "height": "real",
        "day": "datetime",
        "remark": "text",
        "country": "constant",
    }
    assert list(run.schema.columns) == MODELLED
    assert run.recipe.likelihood.name == "mixed"
    assert run.recipe.objective.name == "iwae"


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_are_tables_like_the_data(run):
    drawn = run.sample(500, seed=3, complete=True)
    wanted = [name for name in TABLE.column_names if name not in LEFT_OUT]  # names cannot be made up
    assert drawn.column_names == wanted
    assert drawn.schema.types == [TABLE.schema.field(name).type for name in wanted]
    assert all(drawn[name].null_count == 0 for name in wanted)
    assert set(cells(drawn)["country"]) == {"NL"}
    assert {"red", "green", "blue"} <= set(cells(drawn)["colour"]) <= set(cells(TABLE)["colour"])
    assert set(cells(drawn)["grade"]) == {1, 2, 3}
    assert min(cells(drawn)["visits"]) == 0
    assert all(price == float(f"{price:.1f}") for price in cells(drawn)["price"])  # as they are written
    assert 0.4 < np.mean(np.array(cells(drawn)["visits"]) == 0) < 0.8


def test_the_seed_decides_the_samples(run):
    assert run.sample(30, seed=1).equals(run.sample(30, seed=1))
    assert not run.sample(30, seed=1).equals(run.sample(30, seed=2))
    with pytest.raises(VaekitError, match="n must be at least 1"):
        run.sample(0)


def test_categories_of_too_few_rows_are_not_drawn(run):
    drawn = cells(run.sample(6000, seed=0))["colour"]
    rare = {value for value, _ in next(c for c in run.schema.table if c.name == "colour").rare}
    assert rare == {"teal", "ochre"}
    assert set(drawn) == {*COLOURS, "mauve", None}


def test_typical_rows(run):
    for typical in (run.sample(20, seed=0, mean=True), run.decode(np.zeros((20, 2)))):
        assert typical.column_names == run.sample(1).column_names
        assert typical.num_rows == 20
        assert all(price == float(f"{price:.1f}") for price in cells(typical)["price"])
        days = cells(typical)["day"]
        assert datetime.date(2020, 3, 1) < min(days) <= max(days) < datetime.date(2022, 5, 1)
    assert len(set(cells(run.decode(np.zeros((20, 2))))["day"])) == 1


def test_large_numbers_are_not_squeezed_through_single_precision(tmp_path):
    rng = np.random.default_rng(0)
    start = datetime.datetime(2021, 5, 1)
    moments = [start + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 100, 200)]
    large = 2**40 + rng.integers(0, 50, 200)
    table = pa.table({"at": moments, "large": large, "x": rng.normal(size=200)})
    run = vaekit.train(table, settings=SETTINGS, out=tmp_path / "run")
    for typical in (run.decode(rng.normal(size=(9, 2))), run.sample(9, mean=True), run.reconstruct(table)):
        for name in ("at", "large"):
            found, given = cells(typical)[name], cells(table)[name]
            spread = max(given) - min(given)
            assert min(given) - spread < min(found) <= max(found) < max(given) + spread


# --- imputation ------------------------------------------------------------------------------------------------------


def holds(filled, given):
    """Whether all that was given is there as it was, and all that can be filled is filled."""
    assert filled.column_names == TABLE.column_names
    assert filled.schema.types == TABLE.schema.types
    for name in filled.column_names:
        for before, after in zip(cells(given)[name], cells(filled)[name], strict=True):
            if before is not None:
                assert after == before
                assert type(after) is type(before)
            elif name in LEFT_OUT:
                assert after is None
            else:
                assert after is not None


def test_imputation_leaves_what_is_known_and_fills_the_rest(run):
    assert all(NEW[name].null_count for name in NEW.column_names)
    filled = run.impute(NEW)
    holds(filled, NEW)
    assert set(cells(filled)["colour"]) <= set(cells(TABLE)["colour"]) | set(cells(NEW)["colour"]) - {None}


def test_known_cells_need_not_be_known_to_the_model(run):
    """A category that was never seen, and a number that no double holds, stay as they are."""
    table = NEW.set_column(1, "colour", pa.array(["ultraviolet"] * 40))
    holds(run.impute(table), table)
    (drawn,) = run.impute_draws(table, 1)
    assert set(cells(drawn)["colour"]) == {"ultraviolet"}


def test_rows_come_back_in_the_library_they_were_given_in(run, tmp_path):
    filled = run.impute(NEW)
    frame = pl.from_arrow(NEW)
    from_polars = run.impute(frame)
    assert isinstance(from_polars, pl.DataFrame)
    assert from_polars.schema == frame.schema
    assert cells(from_polars.to_arrow()) == cells(filled)
    pandas = NEW.to_pandas()
    from_pandas = run.impute(pandas)
    assert isinstance(from_pandas, pd.DataFrame)
    assert list(from_pandas.columns) == list(pandas.columns)
    np.testing.assert_allclose(from_pandas["height"], cells(filled)["height"], rtol=1e-6)
    pa.parquet.write_table(NEW, tmp_path / "x.parquet")
    assert run.impute(tmp_path / "x.parquet").equals(filled)


def test_columns_in_another_order_and_further_ones(run):
    names = NEW.column_names[::-1]
    other = NEW.select(names).append_column("more", pa.array(range(40)))
    assert cells(run.impute(other).select(MODELLED)) == cells(run.impute(NEW).select(MODELLED))
    without = run.impute(NEW.drop_columns(["name", "country"]))
    assert cells(without.select(MODELLED)) == cells(run.impute(NEW).select(MODELLED))
    with pytest.raises(DataError, match=r"lack columns .*: 'height'"):
        run.impute(NEW.drop_columns(["height"]))


def test_uncertainty_is_of_the_filled_cells(run):
    found = run.uncertainty(NEW)
    assert found.column_names == MODELLED
    for name in MODELLED:
        np.testing.assert_array_equal(found[name].is_null(), NEW[name].is_valid())
        given = np.array([value for value in cells(found)[name] if value is not None])
        assert (given > 0).all()
        if name in ("colour", "member", "grade"):
            assert (given <= 1).all()


def test_draws_differ_from_seed_to_seed_and_from_table_to_table(run):
    first, again, other = (run.impute_draws(NEW, 3, samples=40, seed=s) for s in (1, 1, 2))
    assert len(first) == 3
    for table in first:
        holds(table, NEW)
        assert all(price == float(f"{price:.1f}") for price in cells(table)["price"])  # draws lie on the lattice
    assert all(a.equals(b) for a, b in zip(first, again, strict=True))
    gone = NEW["height"].is_null().to_numpy()
    heights = [np.array(cells(table)["height"])[gone] for table in (*first, *other)]
    assert all((heights[i] != heights[j]).all() for i in range(6) for j in range(i))
    with pytest.raises(VaekitError, match="draws must be at least 1"):
        run.impute_draws(NEW, 0)


# --- functions of the row --------------------------------------------------------------------------------------------


def numbers(table):
    """What a table says, as floats: categories by their text's hash."""
    columns = []
    for name in table.column_names:
        values = [hash(v) % 997 if isinstance(v, str) else v for v in cells(table)[name]]
        values = [v.toordinal() if isinstance(v, datetime.date) else v for v in values]
        columns.append([math.nan if v is None else float(v) for v in values])
    return np.array(columns).T


@pytest.mark.parametrize(
    "verb", ["encode", "score_samples", "impute", "uncertainty", "explain", "impute_draws", "reconstruct"]
)
def test_the_same_numbers_whatever_the_order_and_the_company(run, verb):
    def found(table):
        result = getattr(run, verb)(table, **({"draws": 1, "ids": "row"} if verb == "impute_draws" else {}))
        result = result[0] if isinstance(result, list) else result
        return numbers(result) if isinstance(result, pa.Table) else np.asarray(result)

    new, old = (
        rows.append_column("row", pa.array(np.arange(len(rows)) + first)) for rows, first in ((NEW, 500), (TABLE, 0))
    )
    whole, order = found(new), np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(found(new), whole)
    np.testing.assert_array_equal(found(new.take(order)), whole[order])
    np.testing.assert_array_equal(found(new.slice(7, 1)), whole[7:8])
    np.testing.assert_array_equal(found(pa.concat_tables([old.slice(0, 90), new]))[90:], whole)


def test_a_run_that_is_loaded_is_the_run_that_was_trained(run):
    loaded = vaekit.load(run.path)
    assert isinstance(loaded, TableRun)
    assert loaded.schema == run.schema
    assert loaded.transform.model_dump() == run.transform.model_dump()
    assert loaded.sample(20).equals(run.sample(20))
    assert loaded.impute(NEW).equals(run.impute(NEW))
    np.testing.assert_array_equal(loaded.score_samples(NEW), run.score_samples(NEW))
    with pytest.raises(DataError, match="trained on an array or a data frame, which is not kept"):
        loaded.evaluate()


# --- scores ----------------------------------------------------------------------------------------------------------


def test_a_category_that_was_never_seen_has_a_low_and_finite_score(run):
    whole = TABLE.filter(TABLE["colour"].is_valid()).slice(3, 100)
    usual = run.score_samples(whole)
    strange = run.score_samples(whole.set_column(1, "colour", pa.array(["ultraviolet"] * 100)))
    assert np.isfinite(strange).all()
    assert (strange < usual - 1).mean() > 0.95


@pytest.mark.parametrize("far", [1e4, 1e10, 1e17, 9e29])
def test_numbers_however_far_out_have_a_finite_score(run, far):
    """Which falls with the distance; and the other cells of the row can still be told."""
    whole = TABLE.filter(TABLE["day"].is_valid()).slice(3, 2)
    for name, kind in (("height", pa.float64()), ("price", pa.float64()), ("visits", pa.float64())):
        place = TABLE.column_names.index(name)
        cells_ = pa.array([far, -far], kind)
        wrong = whole.set_column(place, name, cells_).set_column(7, "day", pa.nulls(2, pa.date32()))
        assert np.isfinite(run.score_samples(wrong)).all()
        assert np.isfinite(run.encode(wrong)).all()
        assert run.impute(wrong)["day"].null_count == 0
        assert np.isfinite(np.array(cells(run.explain(wrong))[name])).all()
    assert (run.score_samples(wrong) < run.score_samples(whole) - 5).all()


def test_a_row_of_nothing_scores_nought(run):
    nothing = pa.table({name: pa.nulls(2, TABLE.schema.field(name).type) for name in TABLE.column_names})
    np.testing.assert_allclose(run.score_samples(nothing, samples=5000), 0.0, atol=0.1)
    assert run.impute(nothing)["height"].null_count == 0
    first, second = (numbers(table.select(MODELLED)) for table in run.impute_draws(nothing, 2))
    assert (first[0] != first[1]).any()  # equal rows have draws of their own
    assert (first != second).any()


def test_far_out_cells_are_the_strange_ones(run):
    whole = TABLE.filter(pa.compute.is_valid(TABLE["height"])).slice(0, 20)
    wrong = whole.set_column(6, "height", pa.array([400.0] * 20))
    assert (run.score_samples(wrong) < run.score_samples(whole) - 3).all()
    found = run.explain(wrong)
    assert found.column_names == MODELLED
    table = np.array([[-math.inf if v is None else v for v in cells(found)[name]] for name in MODELLED])
    assert (table.argmax(0) == MODELLED.index("height")).all()
    for name in MODELLED:
        np.testing.assert_array_equal(found[name].is_null(), wrong[name].is_null())


def test_figures_stand_beside_those_of_independent_columns(run):
    figures = run.evaluate(TABLE, samples=20, rows="all")
    assert figures.log_likelihood.value >= figures.elbo
    assert set(figures.baselines.known()) == {"independent columns"}
    assert figures.log_likelihood.value == pytest.approx(run.score_samples(TABLE, samples=20).mean())


# --- conditions ------------------------------------------------------------------------------------------------------


def test_given_cells_hold_in_all_rows(run):
    given = {"colour": "blue", "visits": 3, "day": "2021-06-01"}
    drawn = run.sample(50, seed=1, given=given)
    assert set(cells(drawn)["colour"]) == {"blue"}
    assert set(cells(drawn)["visits"]) == {3}
    assert set(cells(drawn)["day"]) == {datetime.date(2021, 6, 1)}
    assert drawn.column_names == run.sample(1).column_names
    again, size = run.condition(50, given, seed=1)
    assert again.equals(drawn)
    assert 10 < size <= 20_000
    assert not run.sample(50, seed=2, given=given).equals(drawn)
    free, size = run.condition(10, {})
    assert free.num_rows == 10
    assert size <= 20_000
    assert len(set(cells(run.sample(50, given={"member": True}, complete=True))["height"])) == 50


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"color": "red"}, r"must be a modelled column. Got 'color' instead. Did you mean 'colour'\?"),
        ({"name": "row"}, "must be a modelled column. Got 'name'"),
        (
            {"colour": "rde"},
            r"the value of 'colour' must be one of its categories. Got 'rde' instead. Did you mean 'red'\?",
        ),
        ({"grade": 7}, "the value of 'grade' must be one of its categories. Got 7"),
        ({"height": "tall"}, "'height' must be a number"),
        ({"height": math.inf}, "finite"),
        ({"day": "yesterday"}, "'day' must be a date"),
        ({"height": {1: 2}}, "'height'"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(run, given, words):
    with pytest.raises(DataError, match=words):
        run.sample(5, given=given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"visits": -5}, "the value of 'visits' must be at least 0. Got -5"),
        ({"visits": 2.5}, "the value of 'visits' must be a multiple of 1. Got 2.5"),
        ({"visits": None}, "the value of 'visits' must be given. Got None"),
        ({"colour": None}, "the value of 'colour' must be given. Got None"),
    ],
)
def test_impossible_values_are_no_conditions(run, given, words):
    with pytest.raises(DataError, match=words):
        run.sample(5, given=given)


def test_integers_beyond_double_precision_stay_in_their_range(tmp_path):
    nanoseconds = pa.array((17 * 10**17 + np.random.default_rng(0).integers(0, 10**15, 200)).tolist(), pa.int64())
    largest = pa.array([2**63 - 1 - i for i in range(200)], pa.int64())
    table = pa.table({"time": nanoseconds, "largest": largest, "x": np.arange(200) % 7 / 3})
    drawn = vaekit.train(table, settings=SETTINGS | {"data.columns.time": "real"}, out=tmp_path / "run").sample(50)
    assert abs(np.median(drawn["time"].to_numpy()) - 17 * 10**17) < 2 * 10**15


def test_zero_may_be_given_for_a_column_of_large_numbers_with_zeros(tmp_path):
    rng = np.random.default_rng(0)
    table = {"m": np.where(rng.random(300) < 0.7, 0, rng.integers(1, 10_000, 300)).tolist(), "k": list("ab") * 150}
    run = vaekit.train(table, settings={"training.epochs": 1}, out=tmp_path / "run")
    assert run.schema.modelled[0].kind == "positive"
    assert run.sample(3, given={"m": 0})["m"].to_pylist() == [0, 0, 0]
    with pytest.raises(DataError, match=r"the value of 'm' must be at least 0. Got -1"):
        run.sample(3, given={"m": -1})


def test_means_and_conditions_do_not_go_together(run):
    with pytest.raises(VaekitError, match="`mean=True` cannot be used together with `given`"):
        run.sample(5, mean=True, given={"colour": "red"})


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_arrays_come_back_as_arrays(array_run):
    run, X = array_run
    assert isinstance(run, TableRun)
    filled = run.impute(X)
    assert isinstance(filled, np.ndarray)
    there = ~np.isnan(X)
    np.testing.assert_array_equal(filled[there], X[there])
    assert np.isfinite(filled).all()
    assert (np.abs(filled - np.nanmean(X, 0)) < 6 * np.nanstd(X, 0)).all()
    for other in (run.sample(7), run.sample(7, mean=True), run.decode(np.zeros((7, 2))), run.reconstruct(X[:7])):
        assert isinstance(other, np.ndarray)
        assert other.shape == (7, 3)
        assert other.dtype == np.float64
    assert run.encode(X).shape == (200, 2)
    assert np.isfinite(run.score_samples(X)).all()


def test_a_density_is_one_of_the_data_as_given(tmp_path):
    """The integral over the data's own axis is 1, whatever its unit."""
    X = np.random.default_rng(0).gamma(3.0, 1000.0, (200, 1)) + np.random.default_rng(1).random((200, 1))
    run = vaekit.train(X, settings=SETTINGS | {"latent_dim": 1}, out=tmp_path / "run")
    grid = np.concatenate(
        [np.linspace(-40_000, 0, 300), np.linspace(0, 15_000, 1500)[1:], np.linspace(15_000, 90_000, 300)[1:]]
    )
    density = np.exp(run.score_samples(grid[:, None], samples=300))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=0.03)
