"""Missing cells, held against a model small enough to be integrated: what is said of them is exact but for sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import oracles
from builders import decoder_weights, mixed_vae
from vaekit.data import Cells, Column, Part, Rows, Schema, Transform
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.marginals import Marginal
from vaekit.distributions import DiagonalNormal
from vaekit.evaluation import TableModel, measure
from vaekit.evaluation.tables import model as table_model_module

COLOURS, COUNTS, X = np.arange(3), np.arange(200), np.sinh(np.linspace(-7, 7, 5001))
"""All values that the columns can have, as good as all of the last two."""
DX = np.gradient(X)
TABLE = (
    Column(name="colour", kind="categorical", type="string", categories=("blue", "green", "red")),
    Column(name="truth", kind="binary", type="bool", categories=(False, True)),
    Column(name="n", kind="count", type="int64", spacing=1.0, lowest=0.0),
    Column(name="x", kind="real", type="double"),
)
N = oracles.Line((-0.5, 2.5, 8.5), (-1.5, 0.2, 1.8), (0.5, 0.3), counts=True)
LENGTH = oracles.Line((-3.0, 0.0, 5.0), (-1.2, 0.1, 1.5), (0.3, 0.4))
CELLS = Cells(
    columns=(
        *(
            Categories(
                n_categories=len(c.categories) + 1, known=len(c.categories), log_share=tuple(c.log_share().tolist())
            )
            for c in TABLE[:2]
        ),
        Marginal(knots=N.knots, scores=N.scores, tails=N.tails, spacing=1.0, bounds=(0.0, None)),
        Marginal(knots=LENGTH.knots, scores=LENGTH.scores, tails=LENGTH.tails),
    )
)
SCHEMA = Schema(kind="mixed", shape=(4,), columns=tuple(c.name for c in TABLE), table=TABLE)
WHOLE = np.array([[2.0, 0.0, 3.0, 1.3], [0.0, 1.0, 0.0, -7.0], [1.0, 1.0, 14.0, 0.4]])
PATTERNS = np.array([[np.nan if i >> bit & 1 else 1.0 for bit in range(4)] for i in range(16)])
"""Every way in which cells of a row can be missing."""
ROWS = (WHOLE[:2, None, :] * np.where(np.isnan(PATTERNS), np.nan, 1.0)).reshape(32, 4)


@pytest.fixture(scope="module")
def model():
    model = mixed_vae(CELLS.layout, seed=3)
    with torch.no_grad():  # values that were never seen have no probability worth mentioning
        offset = model.decoder.likelihood.offset
        offset[2] = offset[7] = -40.0
    return model


@pytest.fixture(scope="module")
def exact(model):
    W1, b1, W2, b2 = decoder_weights(model)
    offset = model.decoder.likelihood.offset.detach().double().numpy()
    columns = ((3, 4), (2, 0), (N, 8), (LENGTH, 14))  # lists are sorted by length, each with four logits
    return oracles.MixedTable((W1, b1, W2, b2 + offset), columns, 2, np.linspace(-7, 7, 401))


def rows_of(codes, seed=0, cells=CELLS):
    codes = np.atleast_2d(np.asarray(codes, np.float64))
    return Rows(Part(codes, np.arange(len(codes))), Transform(steps=(cells,)), seed)


def repeated(method, times):
    """Results for as many seeds, stacked."""
    return np.stack([method(seed) for seed in range(times)])


def table_model(model, samples):
    return TableModel(model, SCHEMA, CELLS, samples)


# --- the oracle itself -----------------------------------------------------------------------------------------------


def test_the_oracle_is_a_distribution(exact):
    """It has all of the mass, and its conditionals are ratios of its evidences."""
    for row in ROWS[[0, 5, 9, 31]]:
        hidden = np.full(4, np.nan)
        assert exact.log_evidence(hidden) == pytest.approx(0.0, abs=1e-9)
        for column, values in enumerate((COLOURS, COLOURS[:2], COUNTS)):
            assert exact.conditional(row, column, values).sum() == pytest.approx(1.0, abs=1e-6)
        assert exact.conditional(row, 3, X) @ DX == pytest.approx(1.0, abs=1e-3)
    evidence = [exact.log_evidence([colour, np.nan, 3.0, np.nan]) for colour in COLOURS]
    ratio = np.exp(evidence - logsumexp(evidence))
    np.testing.assert_allclose(exact.conditional([np.nan, np.nan, 3.0, np.nan], 0, COLOURS), ratio, rtol=1e-9)
    assert ratio.max() < 0.9  # it has something to say
    # and z binds the columns together: what is given matters
    given = exact.conditional([np.nan, np.nan, 14.0, -7.0], 0, COLOURS)
    assert np.abs(given - ratio).max() > 0.2


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_weights_average_to_the_probability_of_the_observed_cells(model, exact):
    """E[exp(IWAE_K)] = p(x_o) for every pattern; |z| < 6 in 32 rows raises a false alarm once in 10,000."""
    log_p = np.array([exact.log_evidence(row) for row in ROWS])
    found = repeated(lambda seed: measure(model, rows_of(ROWS, seed), 3000).log_likelihood, 30)
    ratio = np.exp(found - log_p)
    assert (np.abs(oracles.z_scores(ratio, 1.0)) < 6).all()
    assert (ratio.std(0) / math.sqrt(30) < 0.03).all()  # and it is told within three hundredths
    assert np.ptp(log_p) > 3


def test_bounds_stay_below_and_never_loosen_as_draws_are_added(model, exact):
    log_p = np.array([exact.log_evidence(row) for row in ROWS])
    bounds = [
        repeated(lambda seed, k=k: measure(model, rows_of(ROWS, seed), k).log_likelihood, 150) for k in (1, 4, 32)
    ]
    errors = [bound.std(0, ddof=1) / math.sqrt(len(bound)) for bound in bounds]
    for bound, error in zip(bounds, errors, strict=True):
        assert (bound.mean(0) < log_p + 6 * error + 1e-5).all()
    for (looser, error), (tighter, other) in zip(
        zip(bounds[:-1], errors[:-1], strict=True), zip(bounds[1:], errors[1:], strict=True), strict=True
    ):
        assert (tighter.mean(0) > looser.mean(0) - 6 * np.hypot(error, other) - 1e-5).all()
    assert (bounds[0].mean(0) < bounds[2].mean(0)).mean() > 0.9


def test_a_row_of_nothing_says_nothing(model):
    found = measure(model, rows_of(np.full(4, np.nan)), 20_000)
    assert found.distortion == 0.0
    expected = oracles.standard_normal_kl(found.mean, found.std)
    assert found.rate == pytest.approx(expected, rel=1e-4)
    assert found.elbo == pytest.approx(-expected, rel=1e-4)
    assert found.log_likelihood == pytest.approx(0.0, abs=0.05)


# --- imputation ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imputed(model):
    """Values and their uncertainty, for 25 seeds: shape (25, 2, 32, 4)."""
    return repeated(lambda seed: np.stack(table_model(model, 1000).impute(rows_of(ROWS, seed))), 25)


def test_imputed_numbers_are_conditional_means_with_their_standard_deviation(imputed, exact):
    """|z| < 6 for mean and spread of 32 cells."""
    for column, values in ((2, COUNTS.astype(float)), (3, X)):
        gone = np.isnan(ROWS[:, column])
        width = 1.0 if column == 2 else DX
        p = np.stack([exact.conditional(row, column, values) * width for row in ROWS[gone]])
        mean = p @ values
        std = np.sqrt(p @ values**2 - mean**2)
        means, stds = imputed[:, 0, gone, column], imputed[:, 1, gone, column]
        assert (np.abs(oracles.z_scores(means, mean)) < 6).all()
        assert (np.abs(stds.mean(0) - std) < 6 * stds.std(0, ddof=1) / 5 + 0.01 * std).all()  # a ratio has a small bias
        assert np.ptp(mean) > 10 * np.median(means.std(0)) / 5  # it depends on what is given


def test_imputed_categories_are_the_likeliest_with_their_probability(imputed, exact):
    for column, values in ((0, COLOURS), (1, COLOURS[:2])):
        gone = np.isnan(ROWS[:, column])
        p = np.stack([exact.conditional(row, column, values) for row in ROWS[gone]])
        clear = np.abs(np.diff(np.sort(p)[:, -2:])[:, 0]) > 0.02
        assert clear.mean() > 0.6
        chosen, probability = imputed[:, 0, gone, column][:, clear], imputed[:, 1, gone, column][:, clear]
        np.testing.assert_array_equal(chosen, np.tile(p[clear].argmax(1), (25, 1)))
        assert (np.abs(oracles.z_scores(probability, p[clear].max(1))) < 6).all()


def test_observed_cells_stay_as_they_are(model):
    filled, certain = table_model(model, 50).impute(rows_of(ROWS))
    there = ~np.isnan(ROWS)
    np.testing.assert_array_equal(filled[there], ROWS[there])
    assert np.isnan(certain[there]).all()
    assert np.isfinite(filled).all()
    assert np.isfinite(certain[~there]).all()
    for drawn in table_model(model, 50).draw(rows_of(ROWS), 3):
        np.testing.assert_array_equal(drawn[there], ROWS[there])
        assert np.isfinite(drawn).all()


def test_an_ordered_list_is_filled_with_its_median(model, exact):
    levels = TABLE[0].model_copy(update={"kind": "ordinal"})
    schema = SCHEMA.model_copy(update={"table": (levels, *TABLE[1:])})
    rows = ROWS[np.isnan(ROWS[:, 0])]
    filled, certain = TableModel(model, schema, CELLS, 20_000).impute(rows_of(rows))
    p = np.stack([exact.conditional(row, 0, COLOURS) for row in rows])
    clear = np.abs(p.cumsum(1) - 0.5).min(1) > 0.02
    median = (p.cumsum(1) < 0.5).sum(1)
    np.testing.assert_array_equal(filled[clear, 0], median[clear])
    np.testing.assert_allclose(certain[clear, 0], p[clear, median[clear]], atol=0.03)


# --- draws -----------------------------------------------------------------------------------------------------------

GIVEN = np.array([np.nan, np.nan, 3.0, np.nan])


def chi_square(drawn, p, least=8):
    """Of whole numbers drawn against their probabilities, rare ones joined."""
    counts, expected = np.bincount(drawn.astype(int), minlength=len(p))[: len(p)], p / p.sum() * len(drawn)
    often = expected >= least
    if not often.all() and expected[~often].sum() > 0:
        counts, expected = (np.append(v[often], v[~often].sum()) for v in (counts, expected))
    return stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue


def follows(drawn, exact, row):
    """Every missing column of rows (n, 4) against its exact conditional distribution, two lists together.

    Draws share a finite set of z's, so p-values are a little too small: p > 1e-7 raises a false alarm about once in 10⁶.
    """
    both = 2 * drawn[:, 0] + drawn[:, 1] if np.isnan(row[:2]).all() else None
    if both is not None:
        assert chi_square(both, exact.pair(row, 0, 1, COLOURS, COLOURS[:2]).ravel()) > 1e-7
    for column, values in ((0, COLOURS), (1, COLOURS[:2]), (2, COUNTS)):
        if np.isnan(row[column]):
            assert chi_square(drawn[:, column], exact.conditional(row, column, values)) > 1e-7
        else:
            assert (drawn[:, column] == row[column]).all()
    if np.isnan(row[3]):
        density = exact.conditional(row, 3, X)
        reached = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(X)))
        assert stats.kstest(drawn[:, 3], lambda y: np.interp(y, X, reached / reached[-1])).pvalue > 1e-7


@pytest.mark.parametrize("row", [GIVEN, ROWS[16 + 8 + 1], np.full(4, np.nan), [np.nan, 0.0, np.nan, -9.0]])
def test_multiple_imputations_follow_the_exact_conditional_distribution(model, exact, row):
    drawn = table_model(model, 60_000).draw(rows_of(row), 2000, seed=1)[:, 0]
    follows(drawn, exact, np.asarray(row))


def test_equal_rows_have_draws_of_their_own(model, exact):
    """Else a completed table would repeat one draw wherever a row is repeated."""
    drawn = table_model(model, 1500).draw(rows_of(np.tile(GIVEN, (500, 1))), 1)[0]
    assert len(np.unique(drawn[:, 3])) == 500
    p = exact.pair(GIVEN, 0, 1, COLOURS, COLOURS[:2])
    observed = np.histogram2d(drawn[:, 0], drawn[:, 1], (3, 2))[0] / 500
    np.testing.assert_allclose(observed, p, atol=0.08)  # one set of 1500 z's and 500 draws: about 0.02 each


def test_draws_are_a_function_of_row_identifier_and_seed(model):
    rows = np.concatenate([ROWS, ROWS[:4]])
    there = table_model(model, 40)
    first, again, other = (there.draw(rows_of(rows), 3, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    gone = np.isnan(rows[:, 3])
    assert (first[:, gone, 3] != other[:, gone, 3]).all()
    order = np.random.default_rng(0).permutation(32)  # of rows that differ
    np.testing.assert_array_equal(there.draw(rows_of(ROWS[order]), 3, 5, order), first[:, order])
    np.testing.assert_array_equal(there.draw(rows_of(ROWS[9]), 3, 5, np.array([9]))[:, 0], first[:, 9])
    np.testing.assert_array_equal(there.draw(rows_of(ROWS[:5]), 3, 5), first[:, :5])  # positions identify rows


# --- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [GIVEN, [np.nan, 1.0, np.nan, 2.0], [0.0, 1.0, 0.0, np.nan], np.full(4, np.nan)])
def test_conditional_rows_follow_the_exact_conditional_distribution(model, exact, row):
    row = np.asarray(row)
    given = table_model(model, 1).propose(row, 3, 0)
    drawn, size = given.draw(np.arange(2000), 3), given.size
    follows(drawn, exact, row)
    # (Σw)²/Σw² of 20,000 proposals from half q, half prior, whose expectations are integrals over z
    with torch.no_grad():
        q = model.encoder(CELLS.forward(torch.from_numpy(row[None])))
    proposal = 0.5 * stats.norm.pdf(exact.z, float(q.mean), float(q.stddev)) + 0.5 * stats.norm.pdf(exact.z)
    joint, dz = np.exp(exact.log_joint(row)), exact.z[1] - exact.z[0]
    wanted = 20_000 * joint.sum() ** 2 / (joint**2 / (proposal * dz)).sum()
    assert size == pytest.approx(wanted, rel=0.05)


def test_where_the_encoder_is_the_prior_and_nothing_is_given_no_proposal_is_lost(model):
    class Standard(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.zero = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return DiagonalNormal(self.zero.expand(len(x), 1), 1 + self.zero.expand(len(x), 1))

    free = type(model)(Standard(), model.decoder, 1)
    given = table_model(free, 1).propose(np.full(4, np.nan), 0, 0)
    assert given.draw(np.arange(30), 0).shape == (30, 4)
    assert given.size == pytest.approx(20_000, rel=1e-4)


def test_conditional_rows_are_a_function_of_the_seed_and_their_number(model):
    there = table_model(model, 1)
    first, again, other = (there.propose(GIVEN, seed, 0).draw(np.arange(40), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(there.propose(GIVEN, 1, 0).draw(np.array([7, 30]), 1), first[[7, 30]])
    assert (there.propose(GIVEN, 1, 1).z != there.propose(GIVEN, 1, 0).z).any()  # other rows have other proposals
    torch.manual_seed(9)
    wanted = torch.rand(2)
    torch.manual_seed(9)
    there.propose(GIVEN, 0, 0).draw(np.arange(5), 0)
    assert torch.equal(torch.rand(2), wanted)  # the global generator is left alone


# --- strange cells ---------------------------------------------------------------------------------------------------


def test_strangeness_is_the_log_probability_less_what_is_usual(model, exact, monkeypatch):
    """E[log p(X_j|x_−j)] − log p(x_j|x_−j), both by quadrature; |z| < 6 for 12 cells."""
    monkeypatch.setattr(table_model_module, "VALUES_PER_DRAW", 20)
    found = repeated(lambda seed: table_model(model, 400).explain(rows_of(WHOLE, seed)), 16)
    expected = np.empty((3, 4))
    for i, row in enumerate(WHOLE):
        for column, values in enumerate((COLOURS, COLOURS[:2], COUNTS, X)):
            others = row.copy()
            others[column] = np.nan
            here, p = (exact.conditional(others, column, v) for v in (row[column : column + 1], values))
            entropy = -(p * np.log(np.maximum(p, 1e-300)) * (DX if column == 3 else 1.0)).sum()
            expected[i, column] = -math.log(here[0]) - entropy
    assert (np.abs(found.mean(0) - expected) < 6 * found.std(0, ddof=1) / math.sqrt(16) + 0.01).all()
    assert expected.max() > 2  # a strange cell is told from usual ones
    assert expected.min() < -0.2


def test_strangeness_of_rows_that_lack_cells(model):
    rows = ROWS[:16]
    found = table_model(model, 30).explain(rows_of(rows))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rows))
    alone = table_model(model, 30).explain(rows_of(rows[6]))
    np.testing.assert_allclose(alone[0], found[6], rtol=1e-3, atol=1e-3)


# --- values that share a place ---------------------------------------------------------------------------------------

RARE = Column(name="colour", kind="categorical", type="string", categories=("blue", "green"), rare=(("a", 6), ("b", 4)))
SHARED = Cells(
    columns=(Categories(n_categories=3, known=3, log_share=tuple(RARE.log_share().tolist())), *CELLS.columns[1:]),
)


@pytest.fixture(scope="module")
def shared():
    """Two categories of probability 0.3, and a shared place of 0.4 for two rare ones, whatever z is."""
    model = mixed_vae(SHARED.layout)
    with torch.no_grad():
        network = model.decoder.network.layers[1]
        network.weight[:3] = network.bias[:3] = 0.0  # colour comes first: its list is as long as truth's
        model.decoder.likelihood.offset[:3] = torch.tensor([0.3, 0.3, 0.4]).log()
        model.decoder.likelihood.offset[5] = -40.0
    return TableModel(model, SCHEMA.model_copy(update={"table": (RARE, *TABLE[1:])}), SHARED, 300)


def test_a_rare_value_is_not_taken_for_all_that_share_its_place(shared):
    filled, certain = shared.impute(rows_of(np.full(4, np.nan), cells=SHARED))
    assert filled[0, 0] in (0.0, 1.0)  # 0.3 is more than the 0.4 · 6/11 of the commonest rare one
    assert certain[0, 0] == pytest.approx(0.3, abs=1e-5)


def test_rare_values_are_drawn_by_their_counts_whatever_the_company(shared):
    n = 600
    rows = np.column_stack([np.full(n, np.nan), np.zeros(n), np.arange(n) % 17, 1 + np.arange(n) / 1000])
    drawn = shared.draw(rows_of(rows, cells=SHARED), 2)
    p = np.array([0.3, 0.3, 0.4 * 0.6, 0.4 * 0.4])
    for each in drawn[..., 0]:
        assert stats.chisquare(np.bincount(each.astype(int), minlength=4), n * p).pvalue > 1e-6  # false alarm 1e-6
    some = shared.draw(rows_of(rows[70:90], cells=SHARED), 2, ids=np.arange(70, 90))
    np.testing.assert_array_equal(some[..., 0], drawn[:, 70:90, 0])
    rows[:, 0] = 2.0
    some = shared.explain(rows_of(rows[:30], cells=SHARED))
    np.testing.assert_allclose(shared.explain(rows_of(rows[7:9], cells=SHARED)), some[7:9], rtol=1e-3, atol=1e-3)
    given = shared.propose(np.array([np.nan, 0.0, np.nan, np.nan]), 0, 0).draw(np.arange(2000), 0)
    assert stats.chisquare(np.bincount(given[:, 0].astype(int), minlength=4), 2000 * p).pvalue > 1e-6
