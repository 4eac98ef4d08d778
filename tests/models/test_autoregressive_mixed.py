"""Rows whose cells depend on each other, against enumeration and a network written with numpy."""

from __future__ import annotations

import sys
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
import vaekit
from vaekit.data import Layout
from vaekit.data.tables.marginals import Marginal
from vaekit.models.likelihoods import AutoregressiveMixed
from vaekit.models.likelihoods.autoregressive_mixed import ALONE, FEWEST, ORDERED

LEVELS = (0, 1, 2)
MARGINAL = Marginal(bounds=(0, 2), knots=(-0.5, 2.5), scores=(-1.5, 1.5), tails=(1.0, 1.0), spacing=1.0)
LAYOUT = Layout(sizes=(2, 3), on_grid=(True,), edges=(MARGINAL.edge_scores,), lists=(-1,), marginals=(MARGINAL,))
SCORES, LOG_WIDTHS = MARGINAL.score_cells(np.array(LEVELS, float))
ROWS = np.array(list(product(range(2), range(3), SCORES)))


def made(seed=0, layout=LAYOUT):
    """A likelihood with random weights in evaluation mode, and the decoder's output for two z."""
    torch.manual_seed(seed)
    likelihood = AutoregressiveMixed(layout, components=2, width=6).double().eval()
    with torch.no_grad():
        for weight in likelihood.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
    return likelihood, torch.randn(2, 12).double()


def measured(rows):
    """Rows (n, 3) with the logarithms of their measures, shape (n, 6)."""
    return torch.from_numpy(np.concatenate([rows, np.tile([0, 0, LOG_WIDTHS[0]], (len(rows), 1))], 1))


def vectors(w, row):
    """The vector of each cell of a row, by hand; 0 where it is missing."""
    y = np.clip(row[2], -6, 6)
    features = [y, np.sign(y) * np.sqrt(abs(y)), *np.exp(-0.5 * ((y - np.linspace(-2.5, 2.5, 12)) / 0.45) ** 2), 1]
    found = np.zeros((3, 6))
    for cell, first in ((0, 0), (1, 2)):
        if not np.isnan(row[cell]):
            found[cell] = w["seen.values"][first + int(row[cell])]
    if not np.isnan(y):
        found[2] = np.array(features) @ w["seen.scores"][0]
    return found


def cell_probabilities(likelihood, z, cell, context):
    """p(cell | context) over the values of a cell, by hand."""
    w = {name: value.detach().numpy() for name, value in likelihood.state_dict().items()}
    seen = silu(context + w["own"][cell])
    inner = seen + silu(w["inner.weight"] @ seen + w["inner.bias"])
    features, added = silu(w["last.weight"] @ inner + w["last.bias"]), w["offset"] + z.numpy()
    if cell < 2:
        first, size = ((0, 2), (3, 3))[cell]  # both lists have as many logits as the longer one
        logits = features @ w["heads.0"][cell][:, :size] + added[first : first + size]
        return np.exp(logits) / np.exp(logits).sum()
    logits, location, raw = (features @ w["heads.1"][0] + added[6:]).reshape(3, 2)
    weights, scale = np.exp(logits) / np.exp(logits).sum(), np.exp(-7 + softplus(raw + 7) - softplus(raw - 3))
    edges = np.append(SCORES - np.exp(LOG_WIDTHS) / 2, np.inf)
    edges[0] = -np.inf
    reached = [(weights * oracles.sigmoid((edge - location) / scale)).sum() for edge in edges]
    return np.diff(reached)


def silu(x):
    return x * oracles.sigmoid(x)


def softplus(x):
    return np.logaddexp(0, x)


def value_index(cell, value):
    return int(value) if cell < 2 else int(np.abs(SCORES - value).argmin())


BEFORE = np.tril(np.ones((3, 3)), -1)
"""Each cell sees those before it."""


def by_hand(likelihood, z, row, sees=BEFORE):
    """log p of each observed cell, given z and the observed cells that it sees."""
    w = {name: value.detach().numpy() for name, value in likelihood.state_dict().items()}
    own, found = vectors(w, row), np.zeros(3)
    for cell in range(3):
        if not np.isnan(row[cell]):
            probabilities = cell_probabilities(likelihood, z, cell, sees[cell] @ own)
            found[cell] = np.log(probabilities[value_index(cell, row[cell])])
    return found


@pytest.mark.parametrize("missing", list(product([False, True], repeat=3))[:-1])
def test_each_pattern_of_missing_cells_has_the_product_of_its_own_cells_and_sums_to_one(missing):
    likelihood, z = made()
    rows = np.where(missing, np.nan, ROWS)
    p = likelihood(z)
    each = p.base_dist.log_prob(measured(rows).unsqueeze(1)).detach().numpy()
    for row, example in product(range(0, 18, 5), range(2)):
        np.testing.assert_allclose(each[row, example], by_hand(likelihood, z[example], rows[row]), rtol=1e-9)
    _, different = np.unique(np.nan_to_num(rows, nan=9), axis=0, return_index=True)
    np.testing.assert_allclose(np.exp(each.sum(-1))[different].sum(0), 1, rtol=1e-10)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_draws_follow_the_joint_distribution_and_keep_given_cells(order):
    # five tests of goodness of fit at 1e-6
    likelihood, z = made(1, LAYOUT.model_copy(update={"order": order}))
    p = likelihood(z).base_dist
    whole = p.log_prob(measured(ROWS).unsqueeze(1)).sum(-1).exp().detach().numpy()
    torch.manual_seed(0)
    drawn = p.sample((20_000,)).numpy()
    for example in range(2):
        check_counts(drawn[:, example], whole[:, example])
    for given in ([np.nan, 2, np.nan], [np.nan, np.nan, SCORES[1]], [1, np.nan, np.nan]):
        row = torch.tensor(given, dtype=torch.float64)
        found = p.draw(torch.rand(20_000, 2, 3, 2).double(), row)[:, 0].numpy()
        np.testing.assert_array_equal(
            found[:, ~np.isnan(given)], np.tile(np.array(given)[~np.isnan(given)], (20_000, 1))
        )
        expected = np.array([one_by_one(likelihood, z[0], given, r, order) for r in ROWS])
        check_counts(found, expected)
        proposed = p.with_first(row).log_prob(measured(ROWS).unsqueeze(1))[:, 0].detach().numpy()
        proposed = np.exp(proposed[:, np.isnan(given)].sum(-1))
        np.testing.assert_allclose(proposed[expected > 0], expected[expected > 0], rtol=1e-9)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1)])
def test_the_figure_of_a_row_that_lacks_the_last_cells_of_the_order_is_the_marginal(order):
    # one test of goodness of fit at 1e-6
    likelihood, z = made(2, LAYOUT.model_copy(update={"order": order}))
    p = likelihood(z).base_dist

    def probability(rows):
        return p.log_prob(measured(rows).unsqueeze(1)).sum(-1).exp().detach().numpy()

    whole = probability(ROWS)
    for lacking in (order[2:], order[1:]):
        rows = ROWS.copy()
        rows[:, list(lacking)] = np.nan
        same = [(np.nan_to_num(rows, nan=9) == row).all(1) for row in np.nan_to_num(rows, nan=9)]
        np.testing.assert_allclose(probability(rows), np.array([whole[at].sum(0) for at in same]), rtol=1e-9)
    rows = np.where(np.arange(3) == order[0], np.nan, ROWS)  # not so for the first cell
    total = np.array([whole[(rows[:, order[1:]] == row).all(1)].sum(0) for row in rows[:, order[1:]]])
    assert np.abs(probability(rows) / total - 1).max() > 0.01
    torch.manual_seed(0)
    check_counts(p.sample((20_000,)).numpy()[:, 0], whole[:, 0])


def one_by_one(likelihood, z, given, row, order):
    """The probability with which cells are drawn in an order, each given z, the given cells and those drawn before."""
    if any(not np.isnan(g) and g != r for g, r in zip(given, row, strict=True)):
        return 0.0
    w = {name: value.detach().numpy() for name, value in likelihood.state_dict().items()}
    context, own, total = vectors(w, np.array(given)).sum(0), vectors(w, row), 1.0
    for cell in order:
        if np.isnan(given[cell]):
            total *= cell_probabilities(likelihood, z, cell, context)[value_index(cell, row[cell])]
            context = context + own[cell]
    return total


def check_counts(drawn, expected):
    index = [value_index(0, r[0]) * 9 + value_index(1, r[1]) * 3 + value_index(2, r[2]) for r in drawn]
    seen, expected = np.bincount(index, minlength=18), 20_000 * expected
    assert seen[expected == 0].sum() == 0
    assert expected.sum() == pytest.approx(20_000)
    assert stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 1e-6


def test_a_cell_given_all_others_does_not_see_itself():
    likelihood, z = made(2)
    w = {name: value.detach().numpy() for name, value in likelihood.state_dict().items()}
    row = np.array([1.0, np.nan, SCORES[2]])
    given = likelihood(z).base_dist.given(torch.from_numpy(row))
    own = vectors(w, row)
    for cell in range(3):
        context = own.sum(0) - own[cell]
        size = (2, 3, 3)[cell]
        rows = np.tile(row, (size, 1))
        rows[:, cell] = SCORES if cell == 2 else np.arange(size)
        found = given.log_prob(measured(rows).unsqueeze(1))[:, 0, cell].exp().detach().numpy()
        np.testing.assert_allclose(found, cell_probabilities(likelihood, z[0], cell, context), rtol=1e-9)


def test_in_training_cells_see_those_before_them_or_a_subset(monkeypatch):
    monkeypatch.setattr(sys.modules[AutoregressiveMixed.__module__], "DROPOUT", 0.0)
    likelihood, z = made(3)
    torch.manual_seed(0)
    p = likelihood.train()(z.expand(40, 2, 12).reshape(80, 12)).base_dist
    rows = ROWS[np.arange(80) % 18]
    found = p.log_prob(measured(rows)).detach().numpy()
    ordered, subsets = p.subsets.ordered.flatten().numpy(), p.subsets.cells.numpy()
    for i, (row, kept) in enumerate(zip(rows, subsets, strict=True)):
        sees = BEFORE if ordered[i] else kept * (1 - np.eye(3))
        np.testing.assert_allclose(found[i], by_hand(likelihood, z[i % 2], row, sees), rtol=1e-9)
    assert len({tuple(kept) for kept in subsets[~ordered]}) > 4


def test_shares_of_ordered_rows_and_of_subsets():
    likelihood, _ = made(3)
    torch.manual_seed(0)
    rows = 20_000
    ordered, kept = likelihood._subsets(rows)
    found, sizes = ordered.flatten().numpy(), np.bincount(kept.sum(-1).numpy()[~ordered.flatten().numpy()], minlength=4)
    assert stats.binomtest(int(found.sum()), rows, ORDERED).pvalue > 1e-6
    share = (np.arange(20_000) + 0.5) / 20_000 * (1 - FEWEST) + FEWEST  # of the columns, uniform from FEWEST to 1
    subset = stats.binom.pmf(np.arange(4)[:, None], 3, share).mean(1) * (1 - ORDERED - ALONE) / (1 - ORDERED)
    assert stats.chisquare(sizes, sizes.sum() * (subset + np.eye(4)[0] * ALONE / (1 - ORDERED))).pvalue > 1e-6


def test_a_column_that_repeats_another_is_drawn_and_filled_as_such(tmp_path):
    rng = np.random.default_rng(0)
    a = rng.integers(0, 8, 1500)
    X = {"a": a.tolist(), "b": rng.choice(list("uvw"), 1500).tolist(), "c": (a * 3).tolist()}
    settings = {"training.epochs": 25, "likelihood.width": 64, "training.learning_rate": 0.005}
    run = vaekit.train(X, recipe="autoregressive-table", settings=settings, out=tmp_path / "run")
    drawn = run.sample(500)
    assert np.mean(np.array(drawn["c"]) == 3 * np.array(drawn["a"])) > 0.95
    for column, other, factor in (("a", "c", 1 / 3), ("c", "a", 3)):
        holes = {name: list(values)[:100] for name, values in X.items()} | {column: [None] * 100}
        filled = run.impute(holes)
        assert np.mean(np.isclose(np.array(filled[column], float), factor * np.array(X[other][:100]), atol=0.5)) > 0.95
    given = run.sample(200, given={"c": 12})
    assert np.mean(np.array(given["a"]) == 4) > 0.95


def test_complete_columns_are_drawn_as_they_are_and_not_as_where_another_one_is_known(tmp_path):
    """Gusts are recorded in strong wind alone, and come before it in the order of categories."""
    wind = np.random.default_rng(0).integers(0, 4, 1500)
    X = {"gust": ["yes" if w == 3 else None for w in wind], "wind": [f"force {w}" for w in wind]}
    X["gust"][np.flatnonzero(wind == 3)[0]] = "no"
    settings = {"training.epochs": 25, "likelihood.width": 64, "training.learning_rate": 0.005}
    run = vaekit.train(X, recipe="autoregressive-table", settings=settings, out=tmp_path / "run")
    assert run.transform.cells.layout.order == (1, 0)
    for complete in (True, False):
        drawn = run.sample(1000, complete=complete)
        assert np.mean(np.array(drawn["wind"]) == "force 3") == pytest.approx(0.25, abs=0.07)
    assert np.mean(~np.array(drawn["gust"].is_valid())) == pytest.approx(0.75, abs=0.07)


def test_a_number_in_place_of_which_a_point_mass_was_drawn_is_not_seen():
    # one test of goodness of fit at 1e-6
    torch.manual_seed(5)
    edges = (MARGINAL.edge_scores,) * 2
    layout = Layout(sizes=(2,), on_grid=(True, True), edges=edges, lists=(0, -1), marginals=(MARGINAL,) * 2)
    likelihood = AutoregressiveMixed(layout, width=6).double().eval()
    with torch.no_grad():
        for weight in likelihood.parameters():
            weight.add_(torch.randn_like(weight))
    p = likelihood(torch.zeros(likelihood.parameters_per_feature).double()).base_dist
    drawn = p.sample((20_000,))
    masses = drawn[drawn[:, 0] == 0]
    rows = torch.tensor([[0.0, torch.nan, score, 0.0, torch.nan, 0.0] for score in SCORES]).double()
    expected = p.log_prob(rows)[:, 2].exp().detach().numpy()
    seen = [int((masses[:, 2] == score).sum()) for score in SCORES]
    assert stats.chisquare(seen, len(masses) * expected / expected.sum()).pvalue > 1e-6
