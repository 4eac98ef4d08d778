"""Calibration of hidden cells: a model that drew the rows itself passes, and every model that is broken on purpose is told."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from builders import mixed_vae
from vaekit.data import Cells, Column, Part, Rows, Schema, Transform, seeded
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.marginals import Marginal
from vaekit.distributions import DiagonalNormal
from vaekit.evaluation import TableModel, evaluating, measure
from vaekit.evaluation.calibration import Recalibration, measure_calibration, recalibrate
from vaekit.evaluation.calibration.coverage import measure_coverage, measure_reliability
from vaekit.evaluation.calibration.measure import observe_cells
from vaekit.evaluation.calibration.recalibration import fit_recalibration
from vaekit.models.missing_pattern import MissingPattern

LINE = {"knots": (-3.0, 0.0, 5.0), "scores": (-1.2, 0.1, 1.5), "tails": (0.3, 0.4)}
TABLE = (
    Column(name="truth", kind="binary", type="bool", categories=(False, True)),
    Column(name="level", kind="ordinal", type="int64", categories=(1.0, 2.0, 3.0)),
    Column(name="x", kind="real", type="double"),
    Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
    Column(name="y", kind="real", type="double"),
)
CELLS = Cells(
    columns=(
        *(
            Categories(n_categories=c.n_categories, known=len(c.categories), log_share=tuple(c.log_share().tolist()))
            for c in TABLE[:2]
        ),
        Marginal(**LINE),
        Marginal(knots=(-0.5, 2.5, 8.5), scores=(-1.5, 0.2, 1.8), tails=(0.5, 0.3), spacing=1.0, bounds=(0.0, None)),
        Marginal(**LINE),
    )
)
SCHEMA = Schema(kind="mixed", shape=(5,), columns=tuple(c.name for c in TABLE), table=TABLE)


def rows_of(codes, cells=CELLS):
    return Rows(Part(codes, np.arange(len(codes))), Transform(steps=(cells,)))


@pytest.fixture(scope="module")
def vae():
    model = mixed_vae(CELLS.layout, seed=3)
    with torch.no_grad():  # categories for unseen values: cell 0 has three logits in a group of four
        offset = model.decoder.likelihood.offset
        offset[2] = offset[7] = -40.0
    return model


@pytest.fixture(scope="module")
def codes(vae):
    """Rows drawn from the model itself."""
    with evaluating(vae), seeded(0):
        seen = observe_cells(CELLS)(vae, vae.prior().sample((400,)))
    return CELLS.inverse(seen[:, : CELLS.layout.slots]).numpy()


def calibration(vae, codes, cells=CELLS, missing=None, recalibration=None):
    rows, table = rows_of(codes, cells), TableModel(vae, SCHEMA, cells, 100)
    return measure_calibration(vae, rows, measure(vae, rows, 100).score, 100, table, missing, recalibration)


def verdicts(found, level="warning"):
    return {verdict.about: verdict.text for verdict in found.verdicts if verdict.level == level}


def test_a_model_that_drew_the_rows_passes(vae, codes):
    found = calibration(vae, codes)
    assert verdicts(found) == {}
    (cells,) = found.cells
    assert (cells.hidden, cells.rows) == ("at random", 250)
    assert [column.cells for column in cells.columns] == [250] * 5  # every cell once
    for group in (cells.numbers, cells.categories):
        for each in group.returned:
            assert each.share == pytest.approx(each.level, abs=3 * each.error)
            assert each.returned >= each.share - 0.03
    assert cells.numbers.returned == cells.numbers.own
    assert cells.numbers.returned[0].cells == 4 * 250
    assert cells.reliability.error < 2 * cells.reliability.by_chance
    assert all(math.isclose(c.positions.spread, 1, abs_tol=0.2) for c in cells.columns)


class Scaled(nn.Module):
    """An encoder whose standard deviations are multiplied."""

    def __init__(self, encoder, scale):
        super().__init__()
        self.encoder, self.scale = encoder, scale

    def forward(self, x):
        q = self.encoder(x)
        return DiagonalNormal(q.mean, self.scale * q.stddev)


def test_a_posterior_that_is_too_narrow_is_told(vae, codes):
    broken = copy.deepcopy(vae)
    broken.encoder = Scaled(vae.encoder, 0.05)
    measured = calibration(broken, codes)
    found, lines = verdicts(measured), dict(measured.rows())
    assert "too narrow" in found["posterior"]
    assert lines["posterior"].startswith("too narrow by a factor of ")
    assert lines["posterior"].endswith(f"; 100 weighted draws are worth {measured.posterior.effective:.0f}")
    assert lines["encoder, without weights"].startswith("too narrow by a factor of ")
    share, over = measured.errors.test_sets[1], measured.errors.over_seeds[1]
    assert lines["standard errors"] == (
        f"90 % intervals of log p(x) are right in {100 * share:.0f} % of resampled test sets and {100 * over:.0f} % of pairs of seeds"
    )
    assert "effective draws" in found["errors over seeds"]
    note = verdicts(measured, "note")["encoder"]
    assert "too narrow" in note and "do not correct" in note  # noqa: PT018


def test_a_scale_that_is_halved_is_told(vae, codes):
    broken, likelihood = copy.deepcopy(vae), vae.decoder.likelihood
    with torch.no_grad():
        numbers = broken.decoder.likelihood.offset[likelihood.logit_count :].view(likelihood.numbers, 3, -1)
        numbers[:, 2] -= math.log(2)
    found = calibration(broken, codes)
    assert found.cells[0].numbers.own[1].share < 0.85
    assert "too narrow" in verdicts(found)["intervals"]
    assert "too narrow by a factor" in verdicts(found)["columns"]
    assert not verdicts(found).keys() & {"sets", "posterior"}  # inference is right for the model that it has


def test_a_margin_that_is_shifted_is_told(vae, codes):
    moved = Marginal(knots=(-6.0, -3.0, 2.0), scores=LINE["scores"], tails=LINE["tails"])
    cells = Cells(columns=(*CELLS.columns[:2], moved, *CELLS.columns[3:]))
    found = verdicts(calibration(vae, codes, cells))["columns"]
    assert "'x' is too low by" in found  # the truth is higher than the model says
    assert "'y'" not in found


def test_categories_that_are_too_sure_are_told(vae, codes):
    broken = copy.deepcopy(vae)
    with torch.no_grad():
        broken.decoder.likelihood.offset[:7] *= 4
        broken.decoder.network.layers[1].weight[:7] *= 4
    found = calibration(broken, codes)
    assert "less often right than their probability says" in verdicts(found)["probabilities"]


def test_recalibration_mends_coverage(vae, codes):
    """The scale is halved; half of the rows set the levels, the others measure."""
    broken, likelihood = copy.deepcopy(vae), vae.decoder.likelihood
    with torch.no_grad():
        broken.decoder.likelihood.offset[likelihood.logit_count :].view(likelihood.numbers, 3, -1)[:, 2] -= math.log(3)
    levels = recalibrate(TableModel(broken, SCHEMA, CELLS, 100), rows_of(codes[:200]), None)
    assert levels.rows == 200
    assert levels.cells == (200,) * 5
    assert levels.level(2, 0.9) > 0.95
    found = calibration(broken, codes[200:], recalibration=levels)
    numbers = found.cells[0].numbers
    assert numbers.own[1].share < 0.8
    assert numbers.returned[1].share == pytest.approx(0.9, abs=0.04)
    assert found.recalibrated_rows == 200
    assert "intervals" not in verdicts(found)
    assert "too narrow by a factor" in verdicts(found)["columns"]  # of the model's own distributions


def test_cells_are_hidden_as_they_are_missing(vae, codes):
    """Column x is missing where the category is true; other columns never are."""
    pattern = MissingPattern(CELLS, [2])
    holes = codes.copy()
    holes[codes[:, 0] == 1, 2] = np.nan
    pattern.start(rows_of(holes).tensor())
    with torch.no_grad():
        pattern.offset.fill_(-30.0)
        pattern.rules = {0: (int(np.flatnonzero(CELLS.slot_columns == 0)[0]), torch.tensor([1.0]))}
    found = calibration(vae, codes, missing=pattern)
    assert [cells.hidden for cells in found.cells] == ["at random", "as in training"]
    counts = [column.cells for column in found.cells[1].columns]
    assert counts[2] == pytest.approx(250 * (codes[:, 0] == 1).mean(), abs=25)
    assert counts[:2] + counts[3:] == [0, 0, 0, 0]
    assert found.cells[1].categories is None
    assert found.cells[1].numbers.returned[1].share == pytest.approx(0.9, abs=0.08)


def test_same_rows_same_figures(vae, codes):
    assert calibration(vae, codes[:60]) == calibration(vae, codes[:60])


# --- parts -----------------------------------------------------------------------------------------------------------


def test_the_error_of_a_coverage_counts_rows():
    """Cells of a row that are alike count as one; cells that are not count on their own."""
    rng = np.random.default_rng(0)
    alike = np.repeat((rng.random((400, 1)) < 0.9).astype(float), 10, 1)
    apart = (rng.random((400, 10)) < 0.9).astype(float)
    apart[0, 0] = np.nan
    assert measure_coverage(alike, alike, 0.9).error == pytest.approx(math.sqrt(0.09 / 400), rel=0.15)
    found = measure_coverage(apart, apart, 0.9)
    assert found.error == pytest.approx(math.sqrt(0.09 / 3999), rel=0.1)
    assert found.cells == 3999
    assert found.share == np.nanmean(apart)
    assert str(replace(found, share=0.912, error=0.0051)) == "91.2 ± 0.5 % at 90 %"
    empty = measure_coverage(np.full((3, 2), np.nan), np.full((3, 2), np.nan), 0.9)
    assert empty.cells == 0
    assert math.isnan(empty.share)


def test_the_error_of_probabilities_is_that_beyond_chance():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 5000)
    right = measure_reliability(confidence, (rng.random(5000) < confidence).astype(float))
    wrong = measure_reliability(confidence, (rng.random(5000) < confidence - 0.1).astype(float))
    assert right.error == pytest.approx(right.by_chance, abs=0.01)
    assert wrong.error == pytest.approx(0.1, abs=0.02)
    assert wrong.by_chance == right.by_chance
    assert sum(right.counts) == right.cells == 5000
    assert right.confidence == pytest.approx([0.55, 0.65, 0.75, 0.85, 0.95], abs=0.01)  # without empty bins
    exact = measure_reliability(np.array([0.25, 0.25, 0.25, 0.25]), np.array([1.0, 0.0, 0.0, 0.0]))
    assert exact.error == 0
    assert measure_reliability(np.empty(0), np.empty(0)) is None


def test_recalibrated_levels_hold_their_share_of_new_cells():
    """Split conformal prediction: coverage of at least L on average over calibration sets, whatever the scores."""
    rng, column = np.random.default_rng(0), [Column(name="x", kind="real", type="double")]
    held = []
    for _ in range(300):
        scores = rng.beta(2, 1, (60, 1))
        q = fit_recalibration(column, scores, 60).level(0, 0.9)
        held.append(q**2)  # the distribution function of Beta(2, 1)
    assert 0.89 < np.mean(held) < 0.93
    assert Recalibration(rows=0, cells=(0,), levels=((),)).level(0, 0.7) == 0.7


def test_columns_with_few_cells_borrow_from_others():
    columns = [Column(name=name, kind="real", type="double") for name in "ab"]
    columns.append(Column(name="c", kind="binary", type="bool", categories=(False, True)))
    rng = np.random.default_rng(0)
    scores = np.full((500, 3), np.nan)
    scores[:, 0] = rng.random(500) ** 0.5
    scores[:4, 1] = 0.1
    found = fit_recalibration(columns, scores, 500)
    assert found.cells == (500, 4, 0)
    assert found.level(1, 0.9) == pytest.approx(found.level(0, 0.9), abs=0.02)
    assert found.levels[2] == ()  # no cell of a category
    assert np.diff(found.levels[0]).min() >= 0
    assert found.level(0, 0.9999999) == 0.9999999  # never below what is asked, where no data speak
