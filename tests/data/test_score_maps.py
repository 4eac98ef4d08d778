"""The maps of normal scores in torch, against those of each column in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit.data.tables.columns import Column
from vaekit.data.tables.marginals import fit_marginal
from vaekit.data.tables.score_maps import ScoreMaps

RNG = np.random.default_rng(0)
COLUMNS = {
    "whole": (RNG.poisson(3, 500).astype(float), {"kind": "count", "spacing": 1.0, "lowest": 0.0}),
    "cents": (np.round(RNG.lognormal(3, 1, 500), 2), {"kind": "positive", "spacing": 0.01, "lowest": 0.0}),
    "thirds": (RNG.integers(-9, 9, 500) / 3, {"kind": "real", "spacing": 1 / 3}),
    "twenties": (20.0 * RNG.integers(-9, 9, 500), {"kind": "real", "spacing": 20.0}),
    "real": (RNG.normal(2, 3, 500), {"kind": "real"}),
    "share": (RNG.beta(2, 3, 500), {"kind": "bounded", "lowest": 0.0, "highest": 1.0}),
}
MARGINALS = [fit_marginal(Column(name=n, type="double", **given), x) for n, (x, given) in COLUMNS.items()]
MAPS = ScoreMaps(MARGINALS)


@pytest.mark.parametrize("shape", [(300,), (20, 15)])
def test_values_are_those_of_each_column(shape):
    y = RNG.normal(0, 2.5, (*shape, len(MARGINALS)))
    expected = np.stack([m.inverse(y[..., i]) for i, m in enumerate(MARGINALS)], -1)
    np.testing.assert_allclose(
        MAPS.values(torch.from_numpy(y), torch.arange(len(MARGINALS))).numpy(), expected, rtol=1e-14
    )


def test_scores_are_those_of_the_columns_that_are_named():
    columns = [3, 0, 1, 1, 4, 2, 5]
    x = RNG.normal(0, 20, (300, len(columns)))
    expected = np.stack([MARGINALS[c].score_cells(x[:, i])[0] for i, c in enumerate(columns)], -1)
    found = MAPS.scores(torch.from_numpy(x), torch.tensor(columns)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_values_that_a_column_cannot_have_as_a_number_are_missing():
    whole, cents = MARGINALS[:2]
    assert whole.point_masses[:2] == (1.0, 2.0)
    assert not cents.point_masses
    x = torch.tensor([[-1.0, -0.004, 1.004, 7.4, 7.5001, -0.004, 7.004]], dtype=torch.float64)
    found = MAPS.round(x, torch.tensor([0, 0, 0, 0, 0, 1, 1])).numpy()
    np.testing.assert_array_equal(found, [[np.nan, 0.0, np.nan, 7.0, 8.0, 0.0, 7.0]])
