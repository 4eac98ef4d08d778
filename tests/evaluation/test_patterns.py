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
from vaekit.errors import VaekitError
from vaekit.evaluation.tables.patterns import measure_marginals

RNG = np.random.default_rng(0)
A, B, C = (RNG.integers(0, 3, 300) for _ in range(3))
TABLE = {
    "a": ["uvw"[i] for i in A],
    "b": ["xyz"[i] for i in (A + (B == 0)) % 3],
    "c": ["kl"[i % 2] for i in A * C],
}
SETTINGS = {"training.epochs": 2, "likelihood.width": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("patterns") / "run"
    made = vaekit.train(TABLE, recipe="autoregressive-table", settings=SETTINGS, out=out)
    made.model.eval()
    with torch.no_grad():  # far from trained: its conditionals do not agree with each other
        for weight in made.model.decoder.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return made


def test_missing_cells_are_summed_out(run):
    draws = 10_000
    model = replace(run._table_model(draws), samples=draws)
    rows = run.rows({"a": ["u", None, None], "b": [None, "y", "z"], "c": ["k", None, "l"]})
    factorised, marginal = measure_marginals(model, rows)
    codes = rows.part.take(0, 3)
    ((x, noise, _),) = rows.blocks(3)
    epsilon = noise.normal((draws, run.model.prior().event_shape[0]), RowStream.POSTERIOR).movedim(1, 0)
    with torch.no_grad():
        joint = run.model.draw(x, noise=epsilon)
        cells, weights = joint.likelihood.base_dist, joint.log_weights().double()
        np.testing.assert_allclose(factorised, weights.logsumexp(0) - math.log(draws), rtol=1e-6)
        totals = []
        for combined in itertools.product(range(3), range(3), range(2)):
            fits = np.isnan(codes) | (codes == combined)
            log_prob = cells.log_prob(model.see(np.tile(np.array(combined, float), (3, 1)))).sum(-1)
            totals.append(torch.where(torch.from_numpy(fits.all(1)), log_prob, -torch.inf))
        each = weights - joint.log_likelihood + torch.stack(totals).logsumexp(0)
    exact = (each.logsumexp(0) - math.log(draws)).numpy()
    np.testing.assert_allclose(marginal, exact, atol=0.03)
    assert np.abs(factorised - exact).max() > 0.1  # the two differ here


def test_complete_rows_have_one_figure(run):
    rows = run.rows({name: cells[:5] for name, cells in TABLE.items()})
    factorised, marginal = measure_marginals(run._table_model(20), rows)
    np.testing.assert_allclose(marginal, factorised, rtol=1e-6)


def test_independent_cells_are_refused(tmp_path):
    plain = vaekit.train(TABLE, settings={"training.epochs": 1}, out=tmp_path / "run")
    with pytest.raises(VaekitError, match="independent given z"):
        measure_marginals(plain._table_model(2), plain.rows(TABLE))
