"""Hidden cells: each is predicted once, and judged against a guess that ignores the rest of its row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vaekit
from mixed_frames import SMALL, make_frame
from vaekit.data import Part, Rows
from vaekit.evaluation import TableModel
from vaekit.evaluation.tables.hidden import log_prob_alone, measure_hidden
from vaekit.evaluation.tables.posterior import sum_by_column


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def run(folder):
    make_frame().to_parquet(folder / "mixed.parquet")
    settings = SMALL | {"data.columns": {"stars": "ordinal"}}
    return vaekit.train(folder / "mixed.parquet", settings=settings, out=folder / "run")


def table_model(run):
    return TableModel(run.model, run.schema, run.transform.cells, 20)


def rows_of(run, part):
    return Rows(part, run.transform, run.recipe.seed)


def codes_of(run, n):
    return np.asarray(run.split().test.take(0, n), float)


@pytest.fixture(scope="module")
def found(run):
    split = run.split()
    hidden = measure_hidden(table_model(run), rows_of(run, split.test), rows_of(run, split.train))
    return {each.column: each for each in hidden}


def test_every_observed_cell_is_judged_once(run, found):
    assert [each.cells for each in found.values()] == (~np.isnan(codes_of(run, 60))).sum(0).tolist()
    assert list(found) == list(run.schema.columns)


def test_the_simple_guess_is_that_of_training_rows(run, found):
    names = list(run.schema.columns)
    train, test = (np.asarray(p.take(0, 10**4), float) for p in (run.split().train, run.split().test))
    x, y = (part[:, names.index("温度")] for part in (train, test))
    expected = np.sqrt(np.nanmean((y - np.nanmean(x)) ** 2)) / np.nanstd(x)
    assert (found["温度"].measure, found["温度"].baseline) == ("RMSE / std", pytest.approx(expected))
    x, y = (part[:, names.index("quoted")] for part in (train, test))
    assert found["quoted"].baseline == pytest.approx((y != np.bincount(x.astype(int)).argmax()).mean())
    x, y = (part[:, names.index("stars")] for part in (train, test))
    assert (found["stars"].measure, found["stars"].baseline) == (
        "levels off",
        pytest.approx(np.abs(y - np.median(x)).mean()),
    )


def test_a_model_that_has_learned_predicts_hidden_cells(found):
    assert found["group"].error < 0.7 * found["group"].baseline
    assert found["group"].gain > 2 * found["group"].gain_error > 0
    assert found["group"].is_predicted
    assert abs(found["quoted"].gain) < 0.1  # independent of the other columns
    assert not found["quoted"].is_predicted


def test_predictions_and_their_probability_are_those_of_imputation(run):
    model, column = table_model(run), list(run.schema.columns).index("group")
    codes = codes_of(run, 40)
    rest = codes.copy()
    rest[:, column] = np.nan
    rows = rows_of(run, Part(rest, np.arange(40)))
    likeliest, probability = model.impute(rows)
    predicted, log_prob = model.predict(rows, codes)
    missing = np.isnan(rest)
    np.testing.assert_array_equal(predicted[missing], likeliest[missing])
    right = likeliest[:, column] == codes[:, column]
    assert right.sum() > 10
    assert np.exp(log_prob[right, column]) == pytest.approx(probability[right, column], rel=1e-5)


def test_log_probability_alone_is_the_frequency_in_training(run):
    column = list(run.schema.columns).index("quoted")
    train = np.asarray(run.split().train.take(0, 10**4), float)
    counts = np.bincount(train[:, column].astype(int), minlength=3)
    alone = log_prob_alone(table_model(run), train, codes_of(run, 40))[:, column]
    codes = codes_of(run, 40)[:, column].astype(int)
    assert alone == pytest.approx(np.log(counts / counts.sum())[codes], abs=0.01)


def test_parts_of_a_row_are_summed_by_column(run):
    cells = run.transform.cells
    parts = torch.arange(cells.layout.slots, dtype=torch.float64)
    expected = [parts[cells.slot_columns == i].sum() for i in range(len(cells.columns))]
    assert sum_by_column(parts.expand(2, -1), cells.slot_columns)[1].tolist() == expected


def test_missing_cells_are_neither_likely_nor_unlikely(folder, run):
    """Where the model also predicts which cells are missing, a cell that was hidden on purpose is no sign of anything."""
    settings = SMALL | {"training.epochs": 2, "likelihood.missing": "modelled", "data.hide": 0.0}
    other = vaekit.train(folder / "mixed.parquet", settings=settings, out=folder / "modelled")
    codes = codes_of(other, 10)
    _, log_prob = table_model(other).predict(rows_of(other, Part(codes, np.arange(10))), codes)
    assert (np.abs(log_prob[np.isnan(codes)]) < 1e-12).all()
    assert np.isfinite(log_prob).all()
