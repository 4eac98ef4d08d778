"""The marginal of complete rows, against enumeration of the missing cells."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data import RowStream
from vaekit.evaluation.tables.patterns import measure_marginals

RNG = np.random.default_rng(0)
A, B, C = (RNG.integers(0, 3, 300) for _ in range(3))
D = RNG.integers(0, 8, 300)
TABLE = {
    "a": ["uvw"[i] for i in A],
    "b": ["xyz"[i] for i in (A + (B == 0)) % 3],
    "c": ["kl"[i % 2] for i in A * C],
    "d": np.where(A == 0, 0.0, 8 * A + D - 7).tolist(),  # 0 to 16, and 0 is a point mass
}
TABLE["a"][:40] = [None] * 40  # so that it comes last
COUNTS = (3, 3, 2, 17)
SETTINGS = {"training.epochs": 40, "likelihood.width": 8, "data.columns": {"d": "count"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("patterns") / "run"
    made = vaekit.train(TABLE, recipe="autoregressive-table", settings=SETTINGS, out=out)
    made.model.eval()
    with torch.no_grad():  # so that its conditionals do not agree with each other
        for weight in made.model.decoder.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return made


def test_missing_cells_are_summed_out(run):
    draws = 20_000
    some = {"a": ["u", None, "w", "v"], "b": [None, "y", "z", None], "c": [None, None, "l", "k"]}
    rows = run.rows(some | {"d": [2.0, 0.0, None, None]})
    model = replace(run._table_model(draws), samples=draws)
    factorised, marginal = measure_marginals(model, rows)
    codes = rows.part.take(0, 4)
    ((x, noise, _),) = rows.blocks(4)
    epsilon = noise.normal((draws, run.model.prior().event_shape[0]), RowStream.POSTERIOR).movedim(1, 0)
    with torch.no_grad():
        joint = run.model.draw(x, noise=epsilon)
        cells, weights = joint.likelihood.base_dist, joint.log_weights().double()
        np.testing.assert_allclose(factorised, weights.logsumexp(0) - math.log(draws), rtol=1e-6, atol=1e-6)
        totals = torch.full_like(weights, -torch.inf)
        for combined in itertools.product(*map(range, COUNTS)):
            fits = torch.from_numpy((np.isnan(codes) | (codes == combined)).all(1))
            if not fits.any():
                continue
            log_prob = cells.log_prob(model.see(np.tile(np.array(combined, float), (4, 1)))).sum(-1)
            totals = torch.where(fits, torch.logaddexp(totals, log_prob.double()), totals)
        each = weights - joint.log_likelihood + totals
    exact = (each.logsumexp(0) - math.log(draws)).numpy()
    np.testing.assert_allclose(marginal, exact, atol=0.02)
    assert np.abs(factorised - exact).max() > 0.1  # the two differ here


def test_rows_without_a_cell_after_a_missing_one_have_one_figure(run):
    *_, last = (run.schema.columns[c] for c in np.array(run._cells.slot_columns)[list(run._cells.layout.order)])
    whole = {name: cells[:5] for name, cells in TABLE.items()}
    for some in (whole, whole | {last: [None] * 5}):
        plain = run.score_samples(some, 20)
        np.testing.assert_allclose(run.score_samples(some, 20, marginal=True), plain, rtol=1e-6)


def test_a_complete_row_has_its_score_beside_rows_with_missing_cells(run):
    rows = {
        "a": ["u", "q", "v", "w"],
        "b": ["y", "x", "x", "y"],
        "c": ["k", "l", "k", "l"],
        "d": [40.0, 3.0, 5.0, None],
    }
    plain, marginal = (run.score_samples(rows, 20, marginal=given) for given in (False, True))
    np.testing.assert_allclose(marginal[:3], plain[:3], rtol=1e-6)  # an unseen number, an unseen category, a usual row
    assert np.isfinite(marginal).all()
    alone = run.score_samples({name: cells[:2] for name, cells in rows.items()}, 20, marginal=True)
    np.testing.assert_allclose(marginal[:2], alone, rtol=1e-6)


def test_a_cell_after_a_missing_one_is_found(run):
    with torch.no_grad():
        cells = run.model.decoder(torch.zeros(1, run.recipe.latent_dim)).base_dist
    by_name = dict(zip(run.schema.columns, COUNTS, strict=True))
    order = list(dict.fromkeys(run.schema.columns[c] for c in run._cells.slot_columns[list(run._cells.layout.order)]))
    for pattern in itertools.product([False, True], repeat=len(by_name)):
        shown = dict(zip(order, pattern, strict=True))
        for number in (0.0, 2.0):  # the point mass, and another number
            codes = np.array([[(number if c == "d" else 0.0) if shown[c] else np.nan for c in run.schema.columns]])
            x = run._table_model(1).see(codes)[:, : run._cells.layout.slots]
            assert cells.has_gaps(x) == (sorted(pattern, reverse=True) != list(pattern)), (shown, number)


def test_cells_that_are_independent_given_z_have_one_figure(tmp_path):
    plain = vaekit.train(TABLE, settings={"training.epochs": 1}, out=tmp_path / "run")
    some = {"a": ["u", None], "b": [None, "y"], "c": ["k", None], "d": [None, 3.0]}
    np.testing.assert_allclose(plain.score_samples(some, 20, marginal=True), plain.score_samples(some, 20), rtol=1e-6)
