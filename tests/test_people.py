"""What people meet in a notebook: frames come back as they came, data are recognised, figures and plots show what they say."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from markupsafe import Markup

import vaekit
from vaekit.data import Part, Rows, Schema, Transform
from vaekit.errors import DataError, RunError, VaekitError
from vaekit.evaluation import LinearBaselines
from vaekit.evaluation.baselines import measure_picture_baselines
from vaekit.runs import pattern

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "training.epochs": 1, "training.validations": 2, "latent_dim": 2}
ROWS = 90


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": pd.array(rng.integers(18, 90, ROWS), dtype="Int64"),
            "work": pd.Categorical(rng.choice(["city", "farm"], ROWS)),
            "born": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, ROWS), "D"),
            "income": rng.normal(size=ROWS),
        },
        index=pd.Index([f"r{i}" for i in range(ROWS)], name="who"),
    )
    table.loc[table.index[::5], "age"] = pd.NA
    table.loc[table.index[::7], "work"] = None
    return table


def forms(people):
    numbers = people[["age", "income"]].astype(float)
    return {
        "pandas": people,
        "polars": pl.from_pandas(people),
        "arrow": pa.Table.from_pandas(people, preserve_index=False),
        "numpy": numbers.to_numpy(),
    }


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "numpy"])
def test_rows_come_back_from_every_method_as_they_came(people, library, tmp_path):
    given = forms(people)[library]
    run = vaekit.train(given, settings=SMALL | {"data.kind": "mixed"}, out=tmp_path / "run")
    for each in (run, vaekit.load(tmp_path / "run")):
        same = [each.impute(given), each.reconstruct(given), *each.impute_draws(given, 2)]
        for found in [*same, each.sample(5), each.sample(5, mean=True), each.condition(5, {})[0]]:
            assert type(found) is type(given)
            if library == "pandas":
                assert found.dtypes.equals(given.dtypes)
            elif library == "polars":
                assert dict(found.schema) == dict(given.schema)
            elif library == "arrow":
                assert found.schema.types == given.schema.types
            else:
                assert found.shape[1] == given.shape[1]
        for found in (each.explain(given, 2), each.uncertainty(given, 2)):
            assert type(found) is type(given)
            assert len(found) == ROWS
        if library == "pandas":
            for found in [*same, each.explain(given, 2), each.uncertainty(given, 2)]:
                assert found.index.equals(given.index)


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "numpy"])
def test_a_run_is_evaluated_and_reported_with_its_own_data_given_again(people, library, tmp_path):
    given = forms(people)[library]
    run = vaekit.train(given, settings=SMALL | {"data.kind": "mixed"}, out=tmp_path / "run")
    figures = run.evaluate(samples=3)
    assert (figures.measured_on, figures.examples, figures.training_rows) == ("held-out", 9, 0)
    with pytest.raises(DataError, match=r"not kept\. Pass the rows again"):
        vaekit.load(tmp_path / "run").report()
    assert vaekit.load(tmp_path / "run").evaluate(given, 3) == figures
    assert vaekit.load(tmp_path / "run").report(given).read_text() == run.report().read_text()
    whole = vaekit.load(tmp_path / "run").evaluate(given, 3, rows="all")
    assert (whole.measured_on, whole.examples, whole.training_rows) == ("all", ROWS, 73)
    other = vaekit.load(tmp_path / "run").evaluate(given[:40], 3)
    assert (other.measured_on, other.examples) == ("given", 40)
    assert 25 < other.training_rows < 40
    with pytest.raises(VaekitError, match=r"'held-out' or 'all'\. Got 'half'"):
        run.evaluate(rows="half")


def test_a_changed_cell_is_other_data(people, tmp_path):
    run = vaekit.train(people, settings=SMALL, out=tmp_path / "run")
    changed = people.copy()
    changed.iloc[0, 3] += 1e-9
    assert vaekit.load(run.path).evaluate(changed, 2).measured_on == "given"
    assert (
        vaekit.load(run.path).evaluate(people.iloc[:, ::-1], 2).measured_on == "held-out"
    )  # columns are found by name


def test_a_run_is_replaced_only_on_request_and_nothing_else_is(people, tmp_path):
    settings = SMALL | {"data.test": 0.3}
    vaekit.train(people, settings=settings, out=tmp_path / "run")
    with pytest.raises(RunError, match=r"holds a run already.*`overwrite=True`, or continue with `resume="):
        vaekit.train(people, settings=settings, out=tmp_path / "run")
    again = vaekit.train(people, settings=SMALL, out=tmp_path / "run", overwrite=True)
    assert vaekit.load(tmp_path / "run").recipe == again.recipe
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"'notes.txt', which is no file of a run"):
        vaekit.train(people, settings=SMALL, out=tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    (tmp_path / "run" / "notes.txt").unlink()
    with pytest.raises(DataError):  # nothing is removed before the data are known to be usable
        vaekit.train(people.iloc[:0], settings=SMALL, out=tmp_path / "run", overwrite=True)
    assert vaekit.load(tmp_path / "run").recipe == again.recipe


def test_a_combination_that_never_occurs_is_said(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 300)
    size = np.where(kind == "a", "small", rng.choice(["small", "large"], 300))
    run = vaekit.train(pd.DataFrame({"kind": kind, "size": size}), settings=SMALL, out=tmp_path / "run")
    with pytest.warns(UserWarning, match="No training row has kind=a and size=large together"):
        run.sample(3, given={"kind": "a", "size": "large"})
    run.sample(3, given={"kind": "b", "size": "large"})  # a warning would be an error


def test_codes_of_single_rows_are_left_out():
    rng = np.random.default_rng(0)
    codes = [f"N{i}" for i in rng.integers(0, 200, 200)]
    jobs = np.where(rng.random(200) < 0.6, "clerk", [f"job {i}" for i in range(200)])
    found = vaekit.describe(pd.DataFrame({"code": codes, "job": jobs, "mass": rng.normal(size=200)}))
    kinds = {name: (kind, why) for name, kind, why, _ in found.rows()}
    assert kinds["code"][0] == "identifier"
    assert "so few repeat" in kinds["code"][1]
    assert kinds["job"][0] == "categorical"  # one value occurs often
    assert any("'code' is left out, also of drawn rows" in note for note in (*found.notes, *found.choices))
    assert "identifier" in found._repr_html_()
    assert repr(found).splitlines()[0].startswith("source")


def test_records_are_shown_as_tables_without_markup_of_the_data(people, tmp_path):
    table = people.rename(columns={"income": "<b>income</b>"})
    run = vaekit.train(table, settings=SMALL, out=tmp_path / "run")
    for shown in (run._repr_html_(), run.evaluate(samples=2)._repr_html_(), vaekit.describe(table)._repr_html_()):
        assert shown.startswith("<table>")
        assert "<b>" not in shown
    digits = vaekit.train("digits", settings=SMALL, out=tmp_path / "digits")
    assert 'src="data:image/png;base64,' in digits._repr_html_()
    figures = digits.evaluate(samples=2)
    assert all(Markup.escape(each.text) in figures._repr_html_() for each in figures.readings)


def test_histograms_and_files_are_those_of_the_same_pictures():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 4, (50, 2, 3, 1)), rng.integers(0, 4, (20, 2, 3, 1))
    schema = Schema(shape=(2, 3, 1), kind="levels", levels=4, picture=True, dtype="uint8")
    rows = [Rows(Part(values, np.arange(len(values))), Transform()) for values in (train, test)]
    found = measure_picture_baselines(*rows, schema, LinearBaselines(ppca=-9.0))
    expected = 0.0
    for picture in test:
        for place in np.ndindex(2, 3, 1):
            count = (train[(slice(None), *place)] == picture[place]).sum()
            expected += math.log((count + 0.5) / (50 + 2))
    assert found.histograms == pytest.approx(expected / 20)
    assert (found.ppca, found.png, found.webp) == (-9.0, None, None)
    noise = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    schema = Schema(shape=(32, 32, 3), kind="levels", levels=256, picture=True, dtype="uint8")
    rows = Rows(Part(noise, np.arange(30)), Transform())
    found = measure_picture_baselines(rows, rows, schema, LinearBaselines())
    limit = -32 * 32 * 3 * math.log(256)  # nothing compresses noise
    assert limit * 1.1 < found.png < limit
    assert limit * 1.1 < found.webp < limit * 0.99
    flat = Rows(Part(np.full_like(noise, 7), np.arange(30)), Transform())
    assert measure_picture_baselines(flat, flat, schema, LinearBaselines()).png > 0.05 * limit


@pytest.fixture
def axes():
    with mpl.rc_context({"backend": "agg"}):
        from matplotlib.figure import Figure

        yield lambda columns=1: Figure().subplots(1, columns)


def test_plots_draw_what_they_say(people, tmp_path, axes):
    run = vaekit.train("digits", settings=SMALL, out=tmp_path / "digits")
    plot = run.plot
    ax = plot.training(ax=axes())
    history = run.read_history().validations
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [row["elbo"] for row in history])
    sheet = plot.samples(4, seed=3, ax=axes()).images[0].get_array()
    assert sheet.shape == (17, 17, 4)  # two rows of two pictures with a gap
    np.testing.assert_array_equal(sheet[:8, :8, 0], np.round(run.sample(4, 3, mean=True)[0, ..., 0] * 255 / 16))
    sheet = plot.reconstructions(n=5, ax=axes()).images[0].get_array()
    assert sheet.shape == (17, 44, 4)
    codes = plot.codes(ax=axes())
    assert sum(len(line.get_xdata()) for line in codes.lines) == len(run.split().test)
    assert [text.get_text() for text in codes.get_legend().get_texts()] == [str(digit) for digit in range(10)]
    assert plot.traversal(steps=5, ax=axes()).images[0].get_array().shape == (17, 44, 4)
    heights = [patch.get_height() for patch in plot.rates(ax=axes()).patches]
    assert heights == sorted(heights, reverse=True)
    with pytest.raises(VaekitError, match="mixed table"):
        plot.dependence()
    table = vaekit.train(people, settings=SMALL, out=tmp_path / "table")
    assert "work: distance" in table.plot.marginals("work", ax=axes()).get_title()
    both = table.plot.dependence(axes=axes(2))
    assert [label.get_text() for label in both[0].get_xticklabels()] == ["age", "work", "born", "income"]
    assert table.plot.codes(people, color="income", ax=axes()).collections
    with pytest.raises(DataError, match=r"Did you mean 'income'\?"):
        table.plot.codes(people, color="incom")
    with pytest.raises(VaekitError, match="drawn for pictures"):
        table.plot.samples()


def test_codes_between_two_rows_are_on_a_line(tmp_path):
    X = vaekit.data.open_source("digits").values
    run = vaekit.train(X, settings=SMALL, out=tmp_path / "run")
    found = run.interpolate(X[:1], X[1:2], steps=3)
    ends = run.encode(X[:2])
    np.testing.assert_allclose(found, run.decode([ends[0], ends.mean(0), ends[1]]), rtol=1e-4, atol=1e-6)
    with pytest.raises(VaekitError, match=r"one row each. Got 2 and 1"):
        run.interpolate(X[:2], X[:1])
    with pytest.raises(VaekitError, match="at least 2"):
        run.interpolate(X[:1], X[:1], steps=1)


def test_a_library_that_is_missing_and_a_row_that_is_damaged_are_told(people, tmp_path, monkeypatch):
    run = vaekit.train(pl.from_pandas(people), settings=SMALL, out=tmp_path / "run")
    loaded, sink = vaekit.load(run.path), pa.BufferOutputStream()
    pyarrow.parquet.write_table(pl.from_pandas(people).to_arrow(), sink)
    loaded.row = sink.getvalue().to_pybytes()  # more than a typical row: it could be of any size
    with pytest.raises(RunError, match=r"row\.parquet.*it has 90 rows"):
        loaded.sample(2)

    def missing(*_, **__):
        raise ModuleNotFoundError("polars")

    monkeypatch.setattr(pattern.nw, "read_parquet", missing)
    for use in (lambda: vaekit.load(run.path).sample(2), lambda: vaekit.VAE.load(run.path)):
        with pytest.raises(RunError, match=r"polars data frame, but polars is not installed\. Install polars"):
            use()
