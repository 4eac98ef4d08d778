"""Columns whose cells are near each other, in tables where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

import vaekit
from vaekit.data.tables.cells import near_columns
from vaekit.data.tables.columns import Column
from vaekit.data.tables.marginals import fit_marginal
from vaekit.data.tables.neighbours import are_exact, find_neighbours

RNG = np.random.default_rng(0)
ROWS = 3000


def whole(x, **given):
    return fit_marginal(Column(name="x", kind="real", type="double", spacing=1.0, **given), x[~np.isnan(x)])


def test_a_pair_is_found_from_both_sides_and_the_more_frequent_first():
    bill = np.round(RNG.lognormal(8, 1, ROWS))
    often = np.where(RNG.random(ROWS) < 0.5, bill, np.round(RNG.lognormal(8, 1, ROWS)))
    seldom = np.where(RNG.random(ROWS) < 0.1, bill, np.round(RNG.lognormal(8, 1, ROWS)))
    apart = np.round(RNG.lognormal(8, 1, ROWS))
    codes = np.column_stack([seldom, bill, apart, often])
    columns = [whole(x) for x in codes.T]
    assert find_neighbours(columns, codes) == ((1, 3), (3, 0), (), (1, 0))


def test_missing_cells_and_shared_point_masses_are_not_near_each_other():
    zeros = RNG.random((ROWS, 2)) < 0.6
    codes = np.where(zeros, 0.0, np.round(RNG.lognormal(8, 1, (ROWS, 2))))
    codes[RNG.random((ROWS, 2)) < 0.2] = np.nan
    columns = [whole(x) for x in codes.T]
    assert all(0.0 in column.point_masses for column in columns)
    assert find_neighbours(columns, codes) == ((), ())


def test_a_difference_is_near_only_on_the_scale_of_the_column():
    days = RNG.normal(0, 100, ROWS)
    for later, near in ((days + 1.0, True), (days + 60.0, False)):
        columns = [fit_marginal(Column(name="x", kind="real", type="double"), x) for x in (days, later)]
        found = find_neighbours(columns, np.column_stack([days, later]))
        assert found == (((1,), (0,)) if near else ((), ()))


@pytest.mark.parametrize(("scale", "spacing", "exact"), [(100, 1.0, True), (1e6, 0.01, False), (1.0, 0.0, False)])
def test_single_precision_tells_values_apart_unless_the_grid_is_very_fine(scale, spacing, exact):
    x = RNG.normal(0, scale, ROWS)
    x = np.round(x / spacing) * spacing if spacing else x
    column = fit_marginal(Column(name="x", kind="real", type="double", spacing=spacing), x)
    assert are_exact([column], x[:, None]) == (exact,)


def test_describe_lists_groups_of_near_columns():
    bill, other = np.round(RNG.lognormal(8, 1, (2, ROWS)))
    table = {
        "bill": bill,
        "paid": np.where(RNG.random(ROWS) < 0.3, bill, np.round(RNG.lognormal(8, 1, ROWS))),
        "kind": RNG.choice(list("ab"), ROWS).tolist(),
        "other": other,
    }
    notes = vaekit.describe(table).notes
    assert "Cells of these columns are often near each other or equal in a row: bill, paid." in notes
    columns = [Column(name=n, kind="real", type="double", spacing=1.0) for n in ("a", "b", "c", "d", "e")]
    codes = np.column_stack([bill, other, bill + 1, other - 1, np.round(RNG.lognormal(8, 1, ROWS))])
    assert near_columns(columns, codes) == [["a", "c"], ["b", "d"]]
