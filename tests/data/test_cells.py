"""From coded rows to slots and measures and back, against what was worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from vaekit.data import Cells, Column
from vaekit.data.tables.cells import Categories, fit_cells
from vaekit.data.tables.marginals import Marginal

COLOUR = Column(
    name="colour", kind="categorical", type="string", categories=("red", "blue"), rare=(("pink", 3), ("grey", 1))
)
TRUTH = Column(name="truth", kind="binary", type="bool", categories=(False, True))
LINE = Marginal(knots=(0.0, 10.0), scores=(-1.0, 1.0), tails=(0.5, 2.0))
COUNT = Marginal(
    bounds=(0.0, None), knots=(-0.5, 9.5), scores=(-2.0, 0.0), tails=(0.1, 0.1), spacing=1.0, point_masses=(0.0, 4.0)
)
HAND = Cells(
    columns=(
        LINE,
        Categories(n_categories=3, known=3, log_share=tuple(COLOUR.log_share().tolist())),
        COUNT,
        Categories(n_categories=3, known=2, log_share=tuple(TRUTH.log_share().tolist())),
    )
)
"""Slots in order: the two lists and the count's atoms (three places each), the count's score, the real's score."""


def slots(codes):
    return HAND.forward(torch.tensor(codes, dtype=torch.float64)).numpy()


def test_the_layout_puts_lists_first_then_lattices_then_reals():
    assert HAND.layout.sizes == (3, 3, 3)
    assert HAND.layout.on_grid == (True, False)
    assert HAND.layout.slots == 5
    assert HAND.slot_columns.tolist() == [1, 2, 3, 2, 0]
    (low, high), real = HAND.layout.edges
    assert (low, high) == (pytest.approx(-1.9), math.inf)  # the middle of the interval of 0
    assert HAND.layout.drawable == ((1, 1, 1), (1, 1, 1), (1, 1, 0))  # unseen values are not drawn
    assert real == (-math.inf, math.inf)


def test_columns_with_missing_cells_come_last_in_the_order():
    # slots of the columns 1, 2, 3, 2, 0: the third column has two
    assert HAND.layout.order == ()
    assert Cells(columns=HAND.columns, missing=(0, 0, 0, 0)).layout.order == (0, 1, 2, 3, 4)
    assert Cells(columns=HAND.columns, missing=(0, 1, 8, 0)).layout.order == (2, 4, 0, 1, 3)
    assert Cells(columns=HAND.columns, missing=(3, 3, 3, 3)).layout.order == (0, 1, 2, 3, 4)
    codes = np.zeros((100, 4))
    codes[:1, 1] = codes[:18, 2] = codes[:22, 3] = np.nan
    assert fit_cells([COLOUR] * 4, codes).missing == (0, 1, 3, 3)  # tenths, so that a few cells do not decide
    assert fit_cells([COLOUR], codes[:0, :1]).missing == (0,)


def test_lists_are_sorted_by_their_length():
    lengths = (7, 2, 200, 3)
    cells = Cells(columns=tuple(Categories(n_categories=n, known=n, log_share=(0.0,) * (n + 1)) for n in lengths))
    assert cells.layout.sizes == (2, 3, 7, 200)
    assert cells.slot_columns.tolist() == [1, 3, 0, 2]
    codes = torch.tensor([[6.0, 1.0, 199.0, 2.0], [0.0, 0.0, 17.0, 1.0]], dtype=torch.float64)
    seen = cells.forward(codes)
    assert seen[:, :4].tolist() == [[1, 2, 6, 199], [0, 1, 0, 17]]
    assert torch.equal(cells.inverse(seen[:, :4]), codes)


def test_cells_as_they_were_worked_out():
    found = slots([[5.0, 1.0, 7.0, 0.0], [20.0, 3.0, 4.0, 1.0]])
    wanted = [
        # colour, atom, truth, count, real; then the measures
        [1, 2, 0, -0.5, 0.0, 0, 0, 0, math.log(0.2), math.log(0.2)],
        [2, 1, 1, math.nan, 21.0, math.log(1 / 5), 0, 0, math.nan, math.log(2)],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert found.dtype == np.float32


def test_a_missing_cell_is_missing_in_all_its_slots():
    whole = slots([[5.0, 1.0, 7.0, 0.0]])[0]
    for column in range(4):
        codes = [5.0, 1.0, 7.0, 0.0]
        codes[column] = math.nan
        found = slots([codes])[0]
        own = np.tile(HAND.slot_columns == column, 2)
        assert np.isnan(found[own]).all()
        np.testing.assert_array_equal(found[~own], whole[~own])
    assert np.isnan(slots([[math.nan] * 4])).all()


def test_values_that_share_a_place_are_told_apart_by_their_share():
    """pink 3, grey 1, and one for all that were never seen."""
    found = slots([[0.0, code, 1.0, 0.0] for code in (0, 1, 2, 3, 4)])
    assert found[:, 0].tolist() == [0, 1, 2, 2, 2]
    np.testing.assert_allclose(np.exp(found[:, 5]), [1, 1, 3 / 5, 1 / 5, 1 / 5], rtol=1e-6)
    assert COLOUR.unseen == 4


def test_there_and_back():
    rng = np.random.default_rng(0)
    codes = np.column_stack(
        [rng.normal(5, 9, 300), rng.integers(0, 3, 300), rng.poisson(4, 300), rng.integers(0, 2, 300)]
    )
    codes[rng.random(codes.shape) < 0.2] = np.nan
    found = slots(codes)[:, :5]
    back = HAND.inverse(torch.from_numpy(found)).numpy()
    there = ~np.isnan(codes)
    np.testing.assert_allclose(back[there[:, 0], 0], codes[there[:, 0], 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(back[:, 1:][there[:, 1:]], codes[:, 1:][there[:, 1:]])


def test_back_from_any_leading_dimensions_into_values_that_were_seen():
    drawn = torch.tensor([[[2.0, 2.0, 2.0, -9.0, 3.0]], [[0.0, 0.0, 1.0, 3.3, -1.0]]])
    back = HAND.inverse(drawn).numpy()
    assert back.shape == (2, 1, 4)
    assert back[0, 0].tolist() == [11.0, 2.0, 0.0, 1.0]  # bounded below; of truth only two places have values
    assert back[1, 0].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert back.dtype == np.float64


def test_large_numbers_lose_nothing_on_a_lattice():
    """Days in microseconds since 1970: the scores in single precision still tell each from its neighbours."""
    day = 86_400e6
    x = (19_000 + np.random.default_rng(0).integers(0, 4000, 900)) * day
    cells = fit_cells([Column(name="day", kind="datetime", type="date32[day]", spacing=day)], x[:, None])
    seen = cells.forward(torch.from_numpy(x[:, None]))
    np.testing.assert_array_equal(cells.inverse(seen[:, :1]).numpy()[:, 0], x)


def test_each_kind_of_column_is_fitted():
    rng = np.random.default_rng(0)
    columns = [
        COLOUR,
        TRUTH,
        Column(name="grade", kind="ordinal", type="int64", categories=(1.0, 2.0, 3.0)),
        Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
        Column(name="x", kind="real", type="double"),
        Column(name="empty", kind="positive", type="double", lowest=0.0),
    ]
    codes = np.column_stack(
        [
            rng.integers(0, 4, 500),
            rng.integers(0, 2, 500),
            rng.integers(0, 3, 500),
            rng.negative_binomial(3, 0.02, 500),
            rng.normal(size=500),
            np.full(500, np.nan),
        ]
    )
    cells = fit_cells(columns, codes)
    assert cells.columns[:3] == tuple(
        Categories(n_categories=len(c.categories) + 1, known=known, log_share=tuple(c.log_share().tolist()))
        for c, known in zip(columns, (3, 2, 3), strict=False)
    )
    assert cells.layout.on_grid == (True, False, False)
    assert cells.columns[3].spacing == 1.0
    seen = cells.forward(torch.from_numpy(codes))
    kept = ~torch.isnan(seen)
    assert kept[:, cells.slot_columns.tolist().index(0)].all()
    assert torch.isfinite(seen[kept]).all()
    again = Cells.model_validate_json(cells.model_dump_json())  # as a run folder keeps it
    assert torch.equal(again.forward(torch.from_numpy(codes))[kept], seen[kept])


def test_hidden_cells_are_hidden_whole_and_the_first_rows_left_alone():
    x = torch.from_numpy(slots(np.tile([5.0, 1.0, 7.0, 0.0], (4000, 1))))
    uniform = torch.rand((4000, 1 + len(HAND.columns)), generator=torch.Generator().manual_seed(0))
    hidden = HAND.hide(x, 1000, uniform)
    assert torch.equal(hidden[:1000], x[:1000])
    gone = torch.isnan(hidden[1000:]).numpy()
    np.testing.assert_array_equal(gone[:, :5], gone[:, 5:])  # a measure goes with its slot
    np.testing.assert_array_equal(gone[:, 1], gone[:, 3])  # both slots of the count
    np.testing.assert_array_equal(hidden[1000:].numpy()[~gone], x[1000:].numpy()[~gone])
    # each row has a rate of its own, uniform in (0, 1): of four cells, each number is hidden as often
    counts = np.bincount(gone[:, [0, 1, 2, 4]].sum(1), minlength=5)
    assert stats.chisquare(counts).pvalue > 1e-6  # false alarm 1e-6


def draw_rare(how, codes, uniform, common=True):
    return how.draw_rare(torch.from_numpy(codes), torch.from_numpy(uniform), common).numpy()


def test_rare_values_are_drawn_by_their_counts():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (200, 100)).astype(float)
    drawn = draw_rare(column_of(COLOUR), codes, rng.random(codes.shape), common=True)
    np.testing.assert_array_equal(drawn[codes < 2], codes[codes < 2])
    shared = drawn[codes == 2]
    assert set(shared) == {2.0, 3.0}
    assert stats.binomtest(int((shared == 2).sum()), len(shared), 3 / 4).pvalue > 1e-6  # false alarm 1e-6
    assert COLOUR.decode(np.array([2.0, 3.0])).to_pylist() == ["pink", "grey"]
    np.testing.assert_array_equal(draw_rare(column_of(TRUTH), codes, codes / 3, common=True), codes)  # has none


def column_of(column, withheld=()):
    found = fit_cells([column.model_copy(update={"withheld": withheld})], np.zeros((20, 1)))
    return found.columns[0]


def test_withheld_values_are_drawn_for_missing_cells_alone():
    rng = np.random.default_rng(0)
    codes = np.repeat([0.0, 1.0, 2.0], 500)
    some = column_of(COLOUR, withheld=(0, 3))
    assert some.drawable == (0, 1, pytest.approx(3 / 4))
    assert set(draw_rare(some, codes, rng.random(1500), common=True)[1000:]) == {2.0}
    assert set(draw_rare(some, codes, np.repeat([0.0, 1 - 1e-16, 0.5], 500), common=True)[1000:]) == {2.0}
    assert set(draw_rare(some, codes, rng.random(1500), common=False)[1000:]) == {2.0, 3.0}
    shared = column_of(COLOUR, withheld=(2, 3))
    assert shared.drawable == (1, 1, 0)
    np.testing.assert_array_equal(draw_rare(shared, codes[:1000], rng.random(1000), common=True), codes[:1000])
    everything = fit_cells([COLOUR.model_copy(update={"withheld": (0, 1, 2, 3)})], np.zeros((20, 1)))
    assert everything.layout.drawable == ((1, 1, 1),)  # drawn, and then left empty
    assert np.isnan(draw_rare(everything, codes[:, None], rng.random((1500, 1)))).all()
    assert not np.isnan(draw_rare(everything, codes[:, None], rng.random((1500, 1)), common=False)).any()


@pytest.mark.parametrize("spacing", [0.01, 25.0, 0.3])
def test_a_number_that_is_rounded_to_nought_is_written_without_a_sign(spacing):
    column = Column(name="x", kind="real", type="double", rounding=spacing)
    written = column.decode(np.array([-0.001 * spacing, -spacing]))
    assert column.write(written).to_pylist()[0] in ("0", "0.0")
    assert written[1].as_py() == pytest.approx(-spacing)
