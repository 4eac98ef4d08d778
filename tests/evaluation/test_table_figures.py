"""The figures of a table as they are reached: from Python, as JSON, and on the command line."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import vaekit
from mixed_frames import SMALL, make_frame
from vaekit.data import Rows
from vaekit.errors import VaekitError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def run(folder):
    make_frame().to_parquet(folder / "mixed.parquet")
    return vaekit.train(folder / "mixed.parquet", settings=SMALL, out=folder / "run")


@pytest.fixture(scope="module")
def figures(run):
    split = run.split()
    return run.table_figures(*(Rows(part, run.transform, run.recipe.seed) for part in (split.test, split.train)))


def test_they_are_added_to_the_figures_of_a_run(run, figures):
    plain, with_tables = run.evaluate(), run.evaluate(tables=True)
    assert with_tables.tables.as_json() == figures.as_json()
    assert replace(with_tables, tables=None) == plain


def test_they_are_json_without_nan(figures):
    found = json.loads(json.dumps(figures.as_json(), allow_nan=False))
    assert (
        found["columns"]
        == [each["column"] for each in found["marginals"]]
        == [each["column"] for each in found["hidden"]]
    )
    assert found["compared_rows"] == 60
    assert len(found["associations"]["held_out"]) == len(found["columns"]) == 8
    ranks = {tuple(each["columns"]): each["held_out_rank"] for each in found["associations"]["differences"]}
    assert ranks["quoted", "温度"] is None  # a list without an order
    assert set(found["marginals"][2]["histogram"]) == {"edges", "held_out", "generated", "axis"}
    with pytest.raises(FrozenInstanceError):
        figures.compared_rows = 0


def test_missing_cells_are_counted(run, figures):
    codes = [np.asarray(part.take(0, 10**4), float) for part in (run.split().test, run.split().train)]
    missing = figures.missing
    assert missing.held_out == pytest.approx(np.isnan(codes[0]).mean(0))
    assert missing.train == pytest.approx(np.isnan(codes[1]).mean(0))
    assert missing.complete_rows == (~np.isnan(codes[0]).any(1)).mean()
    assert missing.cells_per_row == np.isnan(codes[0]).sum(1).mean()


def test_generated_rows_are_those_that_the_run_samples(run, figures):
    drawn = np.asarray(run.sample_at(None, 60))
    (group,) = (each for each in figures.marginals if each.column == "group")
    assert [share.generated for share in group.shares] == [(drawn[:, 3] == k).mean() for k in (0, 1)]


def test_figures_that_need_training_rows_are_left_out_where_these_are_gone(run):
    rows = Rows(run.split().test, run.transform, run.recipe.seed)
    found = run.table_figures(rows, None)
    assert (found.associations, found.hidden, found.missing.train) == (None, None, None)
    assert len(found.marginals) == 8


def test_a_column_whose_held_out_cells_are_all_missing(run):
    part = run.split().test
    values = np.array(part.take(0, 60), float)
    values[:, 2] = values[:, 3] = np.nan
    part = replace(part, values=values, index=np.arange(60))
    found = run.table_figures(*(Rows(p, run.transform, run.recipe.seed) for p in (part, run.split().train))).as_json()
    for i in (2, 3):
        assert (found["marginals"][i]["cells"], found["marginals"][i]["distance"]) == (0, None)
        assert (found["hidden"][i]["cells"], found["hidden"][i]["error"]) == (0, None)
    json.dumps(found, allow_nan=False)


def test_a_run_on_other_data_is_refused(folder):
    settings = SMALL | {"training.epochs": 1, "data.kind": "real"}
    run = vaekit.train(np.random.default_rng(0).normal(size=(60, 8)), settings=settings, out=folder / "real")
    words = r"^This action needs a run on a mixed table, but .* was trained on real data\. Train with data\.kind=mixed"
    with pytest.raises(VaekitError, match=words):
        run.evaluate(np.zeros((5, 8)), tables=True)


def test_the_command_line_prints_the_worst_columns(call, run, figures, monkeypatch):
    monkeypatch.setattr("vaekit.cli.tables.console.width", 1000)
    plain = " ".join(call("evaluate", run.path, "--tables").out.split())
    far = max(figures.marginals, key=lambda each: each.distance / each.by_chance)
    assert f"columns furthest apart {far.column} {far.distance:.2f} ({far.by_chance:.2f} by chance)" in plain
    assert f"V differs by {figures.associations.gap:.3f} on average" in plain
    predicted = sum(each.is_predicted for each in figures.hidden)
    assert f"hidden cells {predicted} of 8 columns are predicted better from the rest of their row" in plain
    found = json.loads(call("evaluate", run.path, "--tables", "--json").out)
    assert found["tables"] == figures.as_json()
