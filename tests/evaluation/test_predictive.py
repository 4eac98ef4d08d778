"""Distributions of missing cells: their positions and quantiles against draws, and against a model that is integrated."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import oracles
from builders import decoder_weights, mixed_vae
from vaekit.data import Cells, Column, Part, Rows, Schema, Transform
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.marginals import Marginal
from vaekit.evaluation import TableModel, evaluating
from vaekit.evaluation.tables.predictive import Predictive, find_intervals, judge

TABLE = (
    Column(
        name="colour", kind="categorical", type="string", categories=("blue", "green", "red"), rare=(("x", 2), ("y", 1))
    ),
    Column(name="level", kind="ordinal", type="int64", categories=(1.0, 2.0, 3.0)),
    Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
    Column(name="x", kind="real", type="double"),
    Column(name="half", kind="positive", type="double", lowest=0.0),
    Column(name="cents", kind="real", type="double", spacing=0.5),
)
LINE = {"knots": (-3.0, 0.0, 5.0), "scores": (-1.2, 0.1, 1.5), "tails": (0.3, 0.4)}


def categories(column):
    known = len(column.categories) + bool(column.rare)
    return Categories(n_categories=column.n_categories, known=known, log_share=tuple(column.log_share().tolist()))


CELLS = Cells(
    columns=(
        categories(TABLE[0]),
        categories(TABLE[1]),
        Marginal(knots=(-0.5, 2.5, 8.5), scores=(-1.5, 0.2, 1.8), tails=(0.5, 0.3), spacing=1.0, bounds=(0.0, None)),
        Marginal(**LINE),
        Marginal(**LINE, bounds=(0.0, 4.0), point_masses=(0.0, 2.0), resolution=0.1),
        Marginal(**LINE, spacing=0.5, point_masses=(-1.0, 0.5)),
    )
)
SCHEMA = Schema(kind="mixed", shape=(6,), columns=tuple(c.name for c in TABLE), table=TABLE)
ROWS = np.array([[np.nan] * 6, [0, 1, 3, 1.3, 2.0, 0.5], [2, np.nan, np.nan, -2.0, np.nan, np.nan]])
ROWS[1, [0, 2, 4]] = np.nan


@pytest.fixture(scope="module")
def model():
    made = mixed_vae(CELLS.layout, seed=3)
    with torch.no_grad():  # a level that was never seen has no probability worth mentioning
        made.decoder.likelihood.offset[15] = -40.0
    return TableModel(made, SCHEMA, CELLS, 60)


def rows_of(codes):
    return Rows(Part(codes, np.arange(len(codes))), Transform(steps=(CELLS,)))


def predictive(model, codes):
    with evaluating(model.model) as device:
        ((x, noise, _),) = rows_of(codes).blocks(len(codes))
        return Predictive(model.draw_weighted(x, noise, device), CELLS, TABLE)


def test_positions_are_those_among_draws(model):
    """A draw's own position is compared with the share of draws below it; 5 standard errors of 20,000 draws."""
    known, draws = predictive(model, ROWS), model.draw(rows_of(ROWS), 20_000)
    missing = np.isnan(ROWS)
    for truth in draws[:6]:
        below, reached = known.positions(np.where(missing, truth, np.nan))
        assert (np.isnan(below) == ~missing).all()
        for column in range(1, 6):
            shares = (draws[:, :, column] < truth[:, column]).mean(0), (draws[:, :, column] <= truth[:, column]).mean(0)
            for found, expected in zip((below, reached), shares, strict=True):
                error = 5 * np.sqrt(0.25 / len(draws))
                np.testing.assert_allclose(found[missing[:, column], column], expected[missing[:, column]], atol=error)


def test_more_probable_values_come_first(model):
    known, draws = predictive(model, ROWS), model.draw(rows_of(ROWS), 20_000)[:, 0, 0]
    shares = np.array([(draws == code).mean() for code in range(5)])
    np.testing.assert_allclose(known.probabilities(0)[0], shares, atol=0.02)
    for code in range(5):
        below, reached = known.positions(np.array([[code, *[np.nan] * 5]] * 3))
        own = known.probabilities(0)[0]
        assert below[0, 0] == pytest.approx(own[own > own[code]].sum())
        assert reached[0, 0] - below[0, 0] == pytest.approx(own[code])
    below, reached = known.positions(np.array([[5.0, *[np.nan] * 5]] * 3))  # a value that training did not see
    assert below[0, 0] == reached[0, 0] == 1


@pytest.mark.parametrize("u", [0.001, 0.05, 0.31, 0.5, 0.95, 0.999])
def test_a_quantile_is_the_least_value_that_reaches_it(model, u):
    known = predictive(model, ROWS)
    found = known.quantiles(np.full(6, u))
    assert np.isnan(found[:, 0]).all()
    below, reached = known.positions(np.where(np.isnan(ROWS), found, np.nan))
    for column in range(1, 6):
        there = np.isnan(ROWS[:, column])
        assert (below[there, column] <= u + 1e-9).all()
        assert (reached[there, column] >= u - 1e-9).all()
    bounded = found[np.isnan(ROWS[:, 4]), 4]
    assert ((bounded >= 0) & (bounded <= 4)).all()
    on_grid = found[np.isnan(ROWS[:, 5]), 5]
    assert (on_grid == np.round(2 * on_grid) / 2).all()


def test_positions_against_integration():
    """With many draws of z, the distribution is that of the model, by quadrature over z."""
    columns = tuple(CELLS.columns[i] for i in (0, 2, 3))
    table, cells = tuple(TABLE[i] for i in (0, 2, 3)), Cells(columns=columns)
    schema = Schema(kind="mixed", shape=(3,), columns=tuple(c.name for c in table), table=table)
    vae = mixed_vae(cells.layout, seed=5)
    W1, b1, W2, b2 = decoder_weights(vae)
    offset = vae.decoder.likelihood.offset.detach().double().numpy()
    lines = oracles.Line((-0.5, 2.5, 8.5), (-1.5, 0.2, 1.8), (0.5, 0.3), counts=True), oracles.Line(*LINE.values())
    exact = oracles.MixedTable(
        (W1, b1, W2, b2 + offset), ((4, 0), (lines[0], 4), (lines[1], 10)), 2, np.linspace(-7, 7, 201)
    )
    row = np.array([1.0, 3.0, np.nan])
    rows = Rows(Part(row[None], np.arange(1)), Transform(steps=(cells,)))
    values = np.linspace(-30, 30, 3001)
    density = exact.conditional(row, 2, values)
    reached = np.cumsum(density) * (values[1] - values[0])
    for x in (-2.0, 0.5, 3.0):
        found = judge(TableModel(vae, schema, cells, 5_000), rows, np.array([[1.0, 3.0, x]]))
        expected = np.interp(x, values, reached)
        assert found.below[0, 2] == found.reached[0, 2] == pytest.approx(expected, abs=0.02)


def test_intervals_hold_their_share_and_no_more_values_than_needed(model):
    found = find_intervals(model, rows_of(ROWS), np.full(6, 0.9))
    missing = np.isnan(ROWS)
    assert (np.isnan(found.lower[:, 1:]) == ~missing[:, 1:]).all()
    assert np.isnan(found.lower[:, 0]).all()
    known = predictive(model, ROWS)
    below, _ = known.positions(np.where(missing, found.lower, np.nan))
    _, reached = known.positions(np.where(missing, found.upper, np.nan))
    share = reached - below
    assert (share[:, 1:][missing[:, 1:]] >= 0.9 - 1e-9).all()
    np.testing.assert_allclose(share[missing[:, 3], 3], 0.9, atol=1e-9)  # a density: no more than asked
    shares, inside = known.probabilities(0), found.sets[0]
    held = (shares * inside).sum(1)
    least = np.where(inside, shares, 1).min(1)
    assert (held[:2] >= 0.9 - 1e-9).all()
    assert (held[:2] - least[:2] < 0.9).all()
    assert not inside[2].any()  # the cell is there


def test_hidden_cells_are_judged_without_their_values(model):
    truth = np.array([[0, 1, 3, 1.3, 2.0, 0.5]])
    hidden = truth.copy()
    hidden[0, 3] = np.nan
    first, second = (judge(model, rows_of(hidden), np.where(np.isnan(hidden), x, truth)) for x in (-1.0, 2.5))
    assert first.reached[0, 3] < second.reached[0, 3]
    assert np.isnan(first.reached[0, [0, 1, 2, 4, 5]]).all()
    assert np.isnan(first.confidence).all()
    hidden[0, :2] = np.nan
    found = judge(model, rows_of(hidden), truth)
    assert np.isfinite(found.confidence[0, :2]).all()
    assert set(found.hit[0, :2]) <= {0.0, 1.0}
