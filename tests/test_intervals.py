"""Intervals of a run on a mixed table: their form, their types, and what is kept with the run."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import vaekit
from test_table_run import COLOURS, NEW, SETTINGS, TABLE
from vaekit import VAE, VAEImputer
from vaekit.cli.app import app
from vaekit.data import Part, Split
from vaekit.errors import RunError, VaekitError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return vaekit.train(
        TABLE, settings=SETTINGS | {"data.validation": 0.25}, out=tmp_path_factory.mktemp("runs") / "run"
    )


@pytest.fixture(scope="module")
def found(run):
    return run.intervals(NEW)


def test_missing_cells_have_intervals_or_sets_and_others_none(found):
    assert found.column_names[:3] == ["colour.set", "member.set", "grade.set"]
    assert {"visits.lower", "visits.upper", "day.lower", "day.upper"} < set(found.column_names)
    assert not {"name.lower", "remark.set", "country.set"} & set(found.column_names)
    for name in found.column_names:
        column, ending = name.rsplit(".", 1)
        empty = np.array(NEW[column].is_null())
        assert (np.array(found[name].is_null()) == ~empty).all()
        if ending == "lower":
            low, high = (found[f"{column}.{end}"].to_pylist() for end in ("lower", "upper"))
            assert all(a <= b for a, b in zip(low, high, strict=True) if a is not None)
            assert found[name].type == TABLE[column].type
    sets = [each for each in found["colour.set"].to_pylist() if each is not None]
    assert all(set(each) <= {*COLOURS, "mauve", "teal", "ochre"} and len(set(each)) == len(each) for each in sets)


def test_a_higher_level_holds_more(run):
    half, most = run.intervals(NEW, 0.5), run.intervals(NEW, 0.95)
    width = [
        np.array(each["height.upper"].drop_null()) - np.array(each["height.lower"].drop_null()) for each in (half, most)
    ]
    assert (width[0] < width[1]).all()
    sizes = [[len(each) for each in table["colour.set"].to_pylist() if each] for table in (half, most)]
    assert (np.array(sizes[0]) <= np.array(sizes[1])).all()
    assert sum(sizes[0]) < sum(sizes[1])


def test_the_ends_are_quantiles_of_draws(run):
    """At the model's own levels; 600 draws of each cell have quantiles within four standard errors."""
    own, run.recalibration = run.recalibration, None
    try:
        found = run.intervals(NEW, 0.8)
    finally:
        run.recalibration = own
    (row, *_) = np.flatnonzero(np.array(NEW["height"].is_null())).tolist()
    drawn = np.array([table["height"][0].as_py() for table in run.impute_draws(NEW.slice(row, 1), 600)])
    for end, u in (("lower", 0.1), ("upper", 0.9)):
        assert (drawn <= found[f"height.{end}"][row].as_py()).mean() == pytest.approx(u, abs=4 * np.sqrt(0.09 / 600))


def test_levels_between_0_and_1_alone(run):
    for level in (0, 1, 1.5, -0.1, float("nan")):
        with pytest.raises(VaekitError, match="between 0 and 1"):
            run.intervals(NEW, level)


def test_libraries_and_arrays(run, tmp_path):
    frame = NEW.to_pandas().set_index(pd.Index(range(100, 140)))
    made = run.intervals(frame)
    assert isinstance(made, pd.DataFrame)
    assert made.index.tolist() == frame.index.tolist()
    X = np.random.default_rng(0).normal(size=(120, 3))
    X[:40, 0] = np.nan
    vae = VAE(epochs=1, random_state=0).fit(X)
    table = vae.intervals(X)
    assert isinstance(table, pa.Table)
    assert table.column_names[:2] == ["column0.lower", "column0.upper"]
    assert table["column0.lower"].null_count == 80
    assert VAEImputer(VAE(epochs=1), random_state=0).fit(X).intervals(X).equals(table)


def test_structural_blanks_have_no_interval_unless_asked(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.choice(["joint", "single"], 300)
    partner = np.where(kind == "single", np.nan, rng.normal(size=300))
    partner[rng.random(300) < 0.1] = np.nan
    frame = pd.DataFrame({"kind": kind, "partner": partner, "x": rng.normal(size=300)})
    run = vaekit.train(frame, settings=SETTINGS, out=tmp_path / "run")
    assert run.schema.table[1].blank_where == ("kind", ("single",))
    missing, single = frame["partner"].isna(), frame["kind"] == "single"
    assert (run.intervals(frame)["partner.lower"].notna() == (missing & ~single)).all()
    assert (run.intervals(frame, blanks=True)["partner.lower"].notna() == missing).all()


def test_levels_are_kept_with_the_run(run, tmp_path):
    assert run.recalibration.rows == 45  # half of a quarter of the rows that are not held out
    loaded = vaekit.load(run.path)
    assert loaded.recalibration == run.recalibration
    loaded.save(tmp_path / "copy")
    assert vaekit.load(tmp_path / "copy").intervals(NEW).equals(run.intervals(NEW))
    assert ("intervals", "recalibrated on 45 validation rows") in run.facts()
    text = (tmp_path / "copy" / "intervals.json").read_text()
    (tmp_path / "copy" / "intervals.json").write_text(text.replace('"rows": 45', '"rows": 46'))
    with pytest.raises(RunError, match=r"intervals.json.*damaged, or was changed"):
        vaekit.load(tmp_path / "copy")


def test_without_validation_rows_the_levels_are_the_models_own(tmp_path):
    run = vaekit.train(TABLE, settings=SETTINGS | {"data.validation": 0}, out=tmp_path / "run")
    assert run.recalibration is None
    assert not (run.path / "intervals.json").exists()
    assert ("intervals", "not recalibrated") in run.facts()
    assert run.intervals(NEW).num_rows == len(NEW)


def test_validation_rows_that_calibrate_do_not_choose():
    def split(rows):
        part = Part(np.arange(100.0)[:, None], np.arange(rows))
        return Split(part, part, part)

    for rows in (0, 10, 39):
        choosing, calibrating = split(rows).divide_validation()
        assert (len(choosing), len(calibrating)) == (rows, 0)
    choosing, calibrating = split(41).divide_validation()
    assert len(calibrating) == 20
    assert sorted([*choosing.index, *calibrating.index]) == list(range(41))
    assert np.ptp(calibrating.index) > 35  # spread over all rows
    large = Split(*[Part(np.zeros((5000, 1)), np.arange(5000))] * 3).divide_validation()
    assert [len(part) for part in large] == [4500, 500]


def test_calibration_is_measured_by_default(run):
    figures = run.evaluate(TABLE)
    found = json.loads(json.dumps(figures.as_json()["calibration"]))
    assert {each["hidden"] for each in found["cells"]} == {"at random", "as in training"}
    assert found["recalibrated_rows"] == 45
    assert {each["about"] for each in found["verdicts"]} >= {"intervals", "sets", "columns", "posterior", "encoder"}
    assert figures.calibration.as_json() == run.calibration(TABLE).as_json()
    names = [name for name, _ in figures.rows()]
    assert {"coverage, hidden at random", "posterior", "standard errors"} < set(names)
    assert run.calibration(NEW).cells[0].rows == len(NEW)


def test_an_autoencoder_has_no_probabilities(tmp_path):
    run = vaekit.train("digits", settings={"training.epochs": 1}, recipe="autoencoder", out=tmp_path / "run")
    assert run.evaluate().as_json().get("calibration") is None
    with pytest.raises(VaekitError, match="calibration"):
        run.calibration()


def test_the_command_line_writes_intervals(run, tmp_path):
    pq.write_table(NEW, tmp_path / "new.parquet")
    out, ends = tmp_path / "filled.csv", tmp_path / "ends.csv"
    words = ["impute", str(run.path), str(tmp_path / "new.parquet"), "--out", str(out), "--level", "0.8", "--intervals"]
    assert CliRunner().invoke(app, [*words, str(ends)]).exit_code == 0
    written, found = pd.read_csv(ends), run.intervals(NEW, 0.8)
    np.testing.assert_allclose(written["height.lower"], np.array(found["height.lower"], float), rtol=1e-9)
    sets = [None if each is None else " | ".join(each) for each in found["colour.set"].to_pylist()]
    assert written["colour.set"].where(written["colour.set"].notna(), None).tolist() == sets
    assert CliRunner().invoke(app, [*words, str(tmp_path / "ends.parquet")]).exit_code == 0
    assert pq.read_table(tmp_path / "ends.parquet").equals(found)
