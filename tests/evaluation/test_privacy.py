"""Measures of privacy: a model that copies its training rows is flagged, and one that draws from the population is not."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import vaekit
from mixed_frames import SMALL
from vaekit.data import Part, Rows
from vaekit.evaluation.tables import privacy
from vaekit.evaluation.tables.privacy import area_under_curve, closest, compare_distances, measure_privacy

LISTED = np.array([True, False, False])


def population(n, rng):
    """Independent rows of a category and two numbers, one rounded."""
    return np.column_stack([rng.integers(0, 4, n), rng.normal(size=n), np.round(rng.normal(size=n), 1)])


def by_hand(row, other):
    terms = [
        float(a != b) if is_list else abs(a - b)
        for a, b, is_list in zip(row, other, LISTED, strict=True)
        if not (math.isnan(a) or math.isnan(b))
    ]
    return sum(terms) / len(terms) if terms else math.inf


def test_distances_by_hand(monkeypatch):
    monkeypatch.setattr(privacy, "BLOCK", 7)
    rng = np.random.default_rng(0)
    rows, others = population(20, rng), population(30, rng)
    rows[rng.random(rows.shape) < 0.4] = np.nan
    others[rng.random(others.shape) < 0.2] = np.nan
    rows[3] = np.nan
    expected = np.array([[by_hand(row, other) for other in others] for row in rows])
    distance, position = closest(rows, others, LISTED)
    np.testing.assert_allclose(distance, expected.min(1), rtol=1e-12)
    np.testing.assert_allclose(expected[np.arange(20), position], expected.min(1), rtol=1e-12)
    assert distance[3] == math.inf


def test_the_share_that_is_nearer_and_its_error_are_those_of_many_populations():
    """Independent rows: the share is ½ on average, and its spread is the standard error, also where rows are close together."""
    rng = np.random.default_rng(0)
    shares, errors = [], []
    for _ in range(300):
        generated = population(60, rng)
        generated[:30] = generated[0]  # thirty rows with the same closest row
        share, error = compare_distances(generated, population(40, rng), population(40, rng), LISTED)
        shares.append(share)
        errors.append(error)
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * np.std(shares) / 300**0.5)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.15)
    assert np.mean(errors) > 2 * 0.5 / 60**0.5


def test_shares_and_ties_by_hand():
    train, held_out = np.array([[0.0, 0.0, 0.0], [0.0, 9.0, 0.0]]), np.array([[0.0, 3.0, 0.0], [0.0, 9.0, 0.0]])
    generated = np.array([[0.0, 0.3, 0.0], [0.0, 2.7, 0.0], [0.0, 9.0, 0.0], [1.0, 0.0, 0.0]])
    share, error = compare_distances(generated, held_out, train, LISTED)
    assert share == (1 + 0 + 0.5 + 1) / 4
    assert error == pytest.approx(0.5 * math.sqrt(2**2 + 1 + 1) / 4)


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_under_the_curve_and_its_error(ties):
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(0.4, 1, 300), rng.normal(0, 1, 200)
    if ties:
        positive, negative = np.round(positive), np.round(negative)
    found, error = area_under_curve(positive, negative)
    assert found == pytest.approx(stats.mannwhitneyu(positive, negative).statistic / (300 * 200), rel=1e-12)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    by_rows, by_columns = wins.mean(1), wins.mean(0)  # DeLong, DeLong and Clarke-Pearson (1988)
    assert error == pytest.approx(math.sqrt(by_rows.var(ddof=1) / 300 + by_columns.var(ddof=1) / 200), rel=1e-9)
    again = [area_under_curve(rng.choice(positive, 300), rng.choice(negative, 200))[0] for _ in range(400)]
    assert error == pytest.approx(np.std(again), rel=0.15)
    assert math.isnan(area_under_curve(positive[:1], negative)[1])


# a run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 800
    table = pd.DataFrame(
        {"group": rng.choice(list("abcd"), n), "x": rng.normal(size=n), "y": rng.normal(size=n).round(1)}
    )
    table.loc[::9, "x"] = np.nan
    table["x"] = table["x"].round(3)
    settings = SMALL | {"training.epochs": 3, "data.test": 0.4}
    path = tmp_path_factory.mktemp("privacy")
    table.to_csv(path / "t.csv", index=False)
    return vaekit.train(path / "t.csv", settings=settings, out=path / "run")


@pytest.fixture(scope="module")
def parts(run):
    split = run.split()
    rows, train = (Rows(part, run.transform, run.recipe.seed) for part in (split.test, split.train))
    return run._table_model(10), rows, train


def test_a_model_of_independent_rows_is_not_flagged(run, parts):
    found = measure_privacy(*parts, run.sample_at)
    assert found.rows == found.scored_rows == 320
    assert [found.is_nearer, found.has_copies, found.tells_members] == [False] * 3
    assert found.nearer == pytest.approx(0.5, abs=4 * found.nearer_error)  # false alarm 6e-5
    assert found.copies <= found.copies_held_out < 0.1  # a few rows that lack x are equal
    assert found.membership == pytest.approx(0.5, abs=4 * found.membership_error)  # false alarm 6e-5
    assert 0 < found.distance < 3 * found.distance_held_out


def test_a_model_that_copies_training_rows_is_flagged(parts):
    model, rows, train = parts
    kept = np.asarray(train.part.take(0, len(train)), float)

    def copy(_, n):
        made = kept[np.random.default_rng(0).choice(len(kept), n)]
        return made + np.where(np.arange(n)[:, None] % 2, [0, 1e-9, 0], 0)  # half of them not to the last digit

    found = measure_privacy(model, rows, train, copy)
    assert found.is_nearer
    assert found.has_copies
    assert found.nearer > 0.5 + 0.5 * found.rows / len(train) - 0.2  # the other training rows are not compared
    assert found.copies == 1.0  # as they are written, with three decimals
    assert found.distance < 0.5 * found.distance_held_out


def test_a_model_that_knows_its_training_rows_is_flagged(run, parts, monkeypatch):
    model, rows, train = parts
    rng = np.random.default_rng(0)
    monkeypatch.setattr(privacy, "_score", lambda _, some: rng.normal(float(some is train), 1, 300))
    found = measure_privacy(model, rows, train, run.sample_at)
    assert found.membership == pytest.approx(stats.norm.cdf(1 / 2**0.5), abs=0.08)  # false alarm 1e-4
    assert found.tells_members


def test_rows_that_repeat_are_no_copies_if_held_out_rows_repeat_as_often(run, parts):
    _, rows, train = parts
    few = {
        name: np.round(np.asarray(part.part.take(0, len(part)), float))
        for name, part in (("rows", rows), ("train", train))
    }
    generated = few["rows"][np.random.default_rng(0).permutation(len(few["rows"]))]
    columns = run.schema.modelled

    known = Rows(Part(few["train"], np.arange(len(train))), run.transform, 0)
    made, true = privacy.count_copies(columns, generated, few["rows"], known)
    equal = [
        any(((row == other) | (np.isnan(row) & np.isnan(other))).all() for other in few["train"]) for row in few["rows"]
    ]
    assert made == true == np.mean(equal) > 0.5


def test_it_is_among_the_figures_of_tables(run):
    figures = run.evaluate(tables=True)
    found = json.loads(json.dumps(figures.as_json(), allow_nan=False))["tables"]["privacy"]
    assert found["rows"] == 320
    assert found["membership"] == figures.tables.privacy.membership
    assert dict(figures.tables.rows())["privacy"] == str(figures.tables.privacy)
