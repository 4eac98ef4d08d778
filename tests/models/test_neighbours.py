"""Numbers that are near a cell of another column or equal to it, against scipy and enumeration."""

from __future__ import annotations

from copy import copy
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax, softmax

from vaekit.data import Layout
from vaekit.data.tables.marginals import Marginal
from vaekit.data.tables.score_maps import ScoreMaps
from vaekit.distributions import LogisticMixture, Subsets
from vaekit.models.likelihoods import AutoregressiveMixed
from vaekit.models.likelihoods.neighbours import (
    COPY,
    Neighbours,
    NumberValues,
    PairVectors,
    find_pairs,
    nearness_features,
)

WHOLE = Marginal(bounds=(0, 3), knots=(-0.5, 3.5), scores=(-1.5, 1.5), tails=(1.0, 1.0), spacing=1.0)
SHIFTED = Marginal(
    bounds=(1, 4), knots=(0.5, 2.0, 4.5), scores=(-2, -0.5, 1), tails=(1, 1), spacing=1.0, point_masses=(2.0,)
)
TWICE = SHIFTED.model_copy(update={"point_masses": (2.0, 3.0)})
LINE = Marginal(knots=(0.0, 4.0), scores=(-1.0, 1.0), tails=(0.5, 0.5))
MARGINALS = (WHOLE, SHIFTED, LINE)
LAYOUT = Layout(
    sizes=(2,),  # the point mass of the second number, or another value
    on_grid=(True, True, False),
    edges=(WHOLE.edge_scores, SHIFTED.edge_scores, LINE.edge_scores),
    lists=(-1, 0, -1),
    marginals=MARGINALS,
    neighbours=((1, 2), (0,), (0, 1)),
    exact=(True, True, False),
)


def moved(seed, layout=LAYOUT):
    """A likelihood with random weights in evaluation mode."""
    torch.manual_seed(seed)
    likelihood = AutoregressiveMixed(layout, components=2, width=5).double().eval()
    with torch.no_grad():
        for weight in likelihood.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
    return likelihood


def test_the_values_of_neighbours_are_scores_in_the_column_itself():
    likelihood = moved(0)
    values = [3.0, 2.0, 1.3]  # the second column has its point mass
    cells = torch.tensor([0, WHOLE.score_cells(np.array([3.0]))[0][0], torch.nan, LINE.forward(np.array([1.3]))[0]])
    found = likelihood.nearby(cells.double()).numpy()
    own = [
        [WHOLE.score_cells(np.array([2.0]))[0][0], WHOLE.score_cells(np.array([np.round(values[2])]))[0][0]],
        [SHIFTED.score_cells(np.array([values[0]]))[0][0], np.nan],
        LINE.forward(np.array([values[0], 2.0])),
    ]
    np.testing.assert_allclose(found, own, rtol=1e-6)
    for number in range(3):
        alone = likelihood.nearby(cells.double(), number).numpy()
        np.testing.assert_allclose(alone, own[number : number + 1], rtol=1e-6)


@pytest.mark.parametrize("real", [False, True])
def test_the_mixture_has_components_near_neighbours_and_copies_of_them(real):
    torch.manual_seed(1)
    part = Neighbours(LAYOUT, NumberValues(LAYOUT, ScoreMaps(MARGINALS)), 4).double()
    features, own = torch.randn(2, 4).double()[:1], slice(2, 3) if real else slice(0, 1)
    mixture = LogisticMixture(*torch.randn(3, 1, 2).double())
    nearby = torch.tensor([[0.3, -1.2]]).double()
    with torch.no_grad():
        part.head.add_(0.5 * torch.randn_like(part.head))
        found = part(mixture, features, nearby, own)
    given = ((features[0] @ part.head[own][0]).reshape(7, 2) + part.offset[own][0]).detach().numpy()
    logit, shift, scale, copy = given[:2].ravel(), given[2:4].ravel(), given[4:6].ravel(), given[6]
    plain = mixture.log_weights[0].numpy(), mixture.location[0].numpy(), mixture.log_scale[0].numpy()
    weights = softmax(np.append(plain[0], logit))
    location = np.append(plain[1], np.tile(nearby[0].numpy(), 2) + 0.3 * shift)
    scales = np.exp(np.append(plain[2], -9 + np.logaddexp(0, scale + 9) - np.logaddexp(0, scale - 1)))

    def reached(y):
        return (weights * stats.logistic.cdf((np.asarray(y)[:, None] - location) / scales)).sum(-1)

    y = np.array([0.29, -1.3, 2.0])
    if real:
        slope = (reached(y + 1e-6) - reached(y - 1e-6)) / 2e-6
        np.testing.assert_allclose(found.log_density(torch.from_numpy(y)).exp(), slope, rtol=1e-6, atol=1e-9)
        return
    shares = np.exp(log_softmax(np.append(copy, 0.0)))
    expected = shares[2] * (reached(y + 0.05) - reached(y - 0.05)) + [shares[0], 0.0, 0.0]
    width = torch.full((3,), 0.1, dtype=torch.float64)
    np.testing.assert_allclose(found.log_interval(torch.from_numpy(y), width).exp(), expected, rtol=1e-9)
    mean = shares[2] * (weights * location).sum() + (shares[:2] * nearby[0].numpy()).sum()
    assert found.mean.item() == pytest.approx(mean)


def test_a_pair_shows_how_near_its_numbers_are():
    torch.manual_seed(5)
    pairs = PairVectors(LAYOUT, NumberValues(LAYOUT, ScoreMaps(MARGINALS)), 4).double()
    # the second column has its point mass, 2; the others have 3 and 1.3
    cells = torch.tensor([0, WHOLE.score_cells(np.array([3.0]))[0][0], torch.nan, LINE.forward(np.array([1.3]))[0]])
    two, three = (SHIFTED.score_cells(np.array([value]))[0][0] for value in (2.0, 3.0))
    on_line = LINE.forward(np.array([1.3, 3.0]))
    d = np.array([two - three, on_line[0] - on_line[1], on_line[0] - LINE.forward(np.array([2.0]))[0]])
    features = np.stack([*(np.exp(-0.5 * (d / w) ** 2) for w in (0.01, 0.1, 0.5)), np.tanh(d / 0.05), np.tanh(d / 0.5)])
    features = np.vstack([features, d == 0])
    expected = np.einsum("fp,pfh->ph", features, pairs.values.detach().numpy())
    np.testing.assert_allclose(pairs(cells.double()).detach(), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(pairs(cells.double(), [1]).detach(), expected[1:2], rtol=1e-6, atol=1e-9)
    assert pairs.members.tolist() == [[1, 0], [2, 0], [2, 1]]
    assert pairs.pairs_with == [[0, 1], [0, 2], [1, 2]]
    for equal in (1.0, 2.0, 3.0):
        mass = torch.tensor([float(equal != 2.0)])
        values = [WHOLE.score_cells(np.array([equal]))[0][0], SHIFTED.score_cells(np.array([equal]))[0][0], torch.nan]
        found = pairs(torch.cat([mass, torch.tensor(values)]).double()).detach()[0]
        same = pairs.values[0, [0, 1, 2, 5]].sum(0).detach()
        np.testing.assert_allclose(found, same, rtol=1e-6)
    unknown = pairs(torch.tensor([torch.nan, cells[1], torch.nan, torch.nan]).double())
    assert unknown.abs().max().item() == 0


HALVES = Marginal(bounds=(0, 4), knots=(-0.25, 4.25), scores=(-1.0, 1.0), tails=(1.0, 1.0), spacing=0.5)
FOUR = Layout(
    sizes=(3,),
    on_grid=(True, True, True, False),
    edges=(HALVES.edge_scores, WHOLE.edge_scores, TWICE.edge_scores, LINE.edge_scores),
    lists=(-1, -1, 0, -1),
    marginals=(HALVES, WHOLE, TWICE, LINE),
    neighbours=((1, 2, 3), (0, 2), (0, 1, 3), (0, 2)),
    exact=(True, True, True, False),
)
"""Four numbers; the third may be at one of two point masses, and this is chosen before the first number is drawn."""
SLOTS = FOUR.slots


def four_numbers(seed):
    """Rows of a category and four numbers with their log-measures, and the distribution of each."""
    rng, likelihood = np.random.default_rng(seed), moved(seed, FOUR)
    rows = np.full((8, 2 * SLOTS), np.nan)
    for at, row in enumerate(rows):
        whole = rng.integers(0, 4)
        values = rng.choice([0.0, 0.5, 1.0, 2.5, 3.0]), whole, (2.0, 4.0, 3.0, 1.0)[at % 4], whole + rng.uniform(0, 0.2)
        row[0], row[SLOTS] = {2.0: 0, 3.0: 1}.get(values[2], 2), 0
        for place, (value, marginal) in enumerate(zip(values, FOUR.marginals, strict=True), 1):
            if place != 3 or value not in TWICE.point_masses:
                (row[place],), (row[SLOTS + place],) = marginal.score_cells(np.array([float(value)]))
    p = likelihood(torch.randn(8, likelihood.parameters_per_feature).double()).base_dist
    return p, torch.from_numpy(rows)


def test_pairs_that_are_high_in_a_list_come_first_and_are_few():
    assert find_pairs([(3, 1), (0, 2), (3,), (0, 2)]) == [(3, 0), (1, 0), (3, 2), (2, 1)]
    everyone = [tuple((i + 1 + j) % 40 for j in range(39)) for i in range(40)]
    found = find_pairs(everyone)
    assert len(set(found)) == len(found) == 128
    assert {n for pair in found for n in pair} == set(range(40))
    assert len(find_pairs([((i + 1) % 300, (i + 2) % 300) for i in range(300)])) == 300  # the first of each number


def test_a_pair_is_compared_on_the_grid_of_the_first():
    pairs = PairVectors(FOUR, NumberValues(FOUR, ScoreMaps(FOUR.marginals)), 4).double()
    half, (two, three) = HALVES.score_cells(np.array([2.5]))[0][0], WHOLE.score_cells(np.array([2.0, 3.0]))[0]
    assert pairs.members[0].tolist() == [1, 0]
    found = pairs(torch.tensor([torch.nan, half, three, torch.nan, torch.nan]).double())[0]
    features = nearness_features(torch.tensor(three - two).double())  # 2.5 rounds to 2
    np.testing.assert_allclose(found.detach(), (features @ pairs.values[0]).detach(), rtol=1e-6)


def test_cells_that_see_no_others_see_no_pairs():
    p, rows = four_numbers(8)
    changed, usual = rows.clone(), p.log_prob(rows).detach()
    changed[:, 1:3] = rows.roll(1, 0)[:, 1:3]
    some = torch.arange(8).reshape(8, 1, 1) % 2 == 1
    p.subsets = Subsets(some, torch.zeros(8, SLOTS, dtype=torch.bool))
    found, other = p.log_prob(rows).detach(), p.log_prob(changed).detach()
    np.testing.assert_allclose(found[1::2], usual[1::2], rtol=1e-9)
    np.testing.assert_allclose(found[::2, 4], other[::2, 4], rtol=1e-9)
    assert not np.isclose(found[1::2, 4], other[1::2, 4]).any()


def test_a_cell_sees_the_pairs_and_neighbours_within_a_subset_of_other_columns():
    p, rows = four_numbers(9)
    columns = [3, 1, 2, 3, 4]  # the first cell chooses the point mass of the third number
    for kept in ([1, 2], [2, 4], [0, 1, 3], [0, 3, 4], range(SLOTS)):
        subset = torch.zeros(8, SLOTS, dtype=torch.bool)
        subset[:, list(kept)] = True
        p.subsets = Subsets(torch.zeros(8, 1, 1, dtype=torch.bool), subset)
        found = p.log_prob(rows).detach()
        for cell in range(SLOTS):
            alone = torch.full_like(rows, torch.nan)
            seen = [k for k in kept if columns[k] != columns[cell]]
            alone[:, seen] = rows[:, seen]
            alone[:, SLOTS:] = rows[:, SLOTS:]
            last, there = copy(p), ~torch.isnan(rows[:, cell])
            last.subsets, last.places = None, torch.tensor([*seen, cell, *set(range(SLOTS)) - {*seen, cell}]).argsort()
            alone[:, cell] = rows[:, cell]
            expected = last.log_prob(alone).detach()[:, cell]
            np.testing.assert_allclose(found[there, cell], expected[there], rtol=1e-6)


def test_subsets_have_all_cells_of_a_column_or_none():
    torch.manual_seed(0)
    kept = moved(0, FOUR)._subsets(200).cells
    assert torch.equal(kept[:, 0], kept[:, 3])
    assert not torch.equal(kept[:, 1], kept[:, 3])


def test_a_layout_without_point_masses_needs_no_lists():
    plain = FOUR.model_copy(
        update={"sizes": (), "lists": (), "neighbours": (), "marginals": (HALVES, WHOLE, WHOLE, LINE)}
    )
    with_lists = plain.model_copy(update={"lists": (-1,) * 4})
    rows = torch.randn(3, 8).double()
    a, b = (
        moved(1, layout)(torch.zeros(moved(1, layout).parameters_per_feature).double())
        for layout in (plain, with_lists)
    )
    torch.testing.assert_close(a.log_prob(rows), b.log_prob(rows), rtol=0, atol=0)
    torch.manual_seed(0)
    drawn = a.base_dist.sample((2,))
    torch.manual_seed(0)
    torch.testing.assert_close(drawn, b.base_dist.sample((2,)), rtol=0, atol=0)


def test_a_cell_drawn_in_order_has_the_distribution_of_log_prob():
    p, rows = four_numbers(6)
    measured = []

    def choose(one, cell):
        measured.append(one.log_prob(rows[:, [cell, SLOTS + cell]])[:, 0])
        return torch.nan_to_num(rows[:, cell : cell + 1])

    p._in_order((8,), None, choose)
    np.testing.assert_allclose(torch.stack(measured, -1), p.log_prob(rows).detach(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_missing_cells_are_drawn_in_order_after_the_given_ones(seed):
    p, rows = four_numbers(seed)
    columns = np.array([3, 1, 2, 3, 4])  # the first cell chooses the point mass of the third number
    missing = torch.from_numpy((np.random.default_rng(seed).random((8, 5)) < 0.5)[:, columns])
    missing[:, 1] |= ~missing.any(-1)
    given, measured = rows[:, :SLOTS].masked_fill(missing, torch.nan), {}

    def choose(one, cell):
        measured[cell] = one.log_prob(rows[:, [cell, SLOTS + cell]])[:, 0]
        return torch.nan_to_num(rows[:, cell : cell + 1])

    p._in_order((8,), given, choose)
    expected = p.with_first(given).log_prob(rows).detach()
    for cell in range(SLOTS):
        own = missing[:, cell] & ~torch.isnan(rows[:, cell])
        if own.any():
            np.testing.assert_allclose(measured[cell][own], expected[own, cell], rtol=1e-6)


def test_a_cell_given_the_others_sees_the_pairs_of_the_others():
    p, rows = four_numbers(7)
    for cell in range(1, SLOTS):
        order = [*(c for c in range(SLOTS) if c != cell), cell]
        p.places = torch.tensor(order).argsort().expand(8, SLOTS)
        there = ~torch.isnan(rows[:, cell])
        found = p.given(rows[:, :SLOTS]).log_prob(rows)[:, cell]
        np.testing.assert_allclose(found.detach()[there], p.log_prob(rows).detach()[there, cell], rtol=1e-6)


GRID = Layout(
    sizes=(2,),
    on_grid=(True, True),
    edges=LAYOUT.edges[:2],
    lists=(-1, 0),
    marginals=MARGINALS[:2],
    neighbours=((1,), (0,)),
    exact=(True, True),
)
"""Two whole numbers that may be equal; the second has a point mass, so its number can be 1, 3 or 4."""
VALUES = [(a, mass, b) for a in range(4) for mass in (0, 1) for b in ((np.nan,) if mass == 0 else (1, 3, 4))]


def rows_of(values):
    """Cells and log-measures (n, 6) of a category and two whole numbers."""
    found = np.full((len(values), 6), np.nan)
    for row, (a, mass, b) in zip(found, values, strict=True):
        row[0], row[3] = mass, 0 if mass == mass else np.nan
        for place, value, marginal in ((1, a, WHOLE), (2, b, SHIFTED)):
            if value == value:
                (row[place],), (row[3 + place],) = marginal.score_cells(np.array([float(value)]))
    return torch.from_numpy(found)


@pytest.mark.parametrize("order", [None, (0, 2, 1)])
def test_probabilities_of_the_numbers_that_are_there_sum_to_one(order):
    likelihood = moved(2, GRID)
    p = likelihood(torch.randn(likelihood.parameters_per_feature).double()).base_dist
    p.places = p.places if order is None else torch.tensor(order).expand(1, 3)
    there = [v for v in VALUES if v[1] == 1] + [(a, 1, 2) for a in range(4)]  # 2 is on the grid of the number, too
    rows = rows_of(there)
    rows[:, [0, 3]] = torch.nan
    each = p.log_prob(rows).detach()
    np.testing.assert_allclose(each.sum(-1).exp().sum(), 1, rtol=1e-9)
    rows[:, 1] = rows[:, 4] = torch.nan
    different = p.log_prob(rows).detach().sum(-1).exp().numpy()[[there.index((0, 1, b)) for b in (1, 2, 3, 4)]]
    np.testing.assert_allclose(different.sum(), 1, rtol=1e-9)


def test_a_number_is_equal_to_its_neighbour_as_often_as_the_copy_and_the_mixture_say():
    # two tests of goodness of fit at 1e-6
    likelihood = moved(3, GRID)
    with torch.no_grad():
        likelihood.neighbours.offset[:, COPY] += 5.0  # copies become frequent
    p = likelihood(torch.randn(likelihood.parameters_per_feature).double()).base_dist
    torch.manual_seed(0)
    drawn = p.sample((20_000,))
    values = np.stack([WHOLE.inverse(drawn[:, 1].numpy()), SHIFTED.inverse(drawn[:, 2].numpy())], 1)
    there = (drawn[:, 0] == 1).numpy()
    combined = list(product(range(4), (1, 2, 3, 4)))
    rows = rows_of([(a, 1, b) for a, b in combined])
    each = p.log_prob(rows).detach()[:, 1:].sum(-1).exp().numpy()
    seen = [((values == pair).all(1) & there).sum() for pair in combined]
    assert stats.chisquare(seen, there.sum() * each / each.sum()).pvalue > 1e-6
    assert each.sum() == pytest.approx(1)
    equal = [a == b for a, b in combined]
    assert each[equal].sum() > 0.3
    given = rows_of([(3, 1, np.nan)])[0, :3]
    filled = p.draw(torch.rand(20_000, 3, 2).double(), given)[:, 2].numpy()
    of_three = each.reshape(4, 4)[3] / each.reshape(4, 4)[3].sum()
    seen = [(SHIFTED.inverse(filled) == b).sum() for b in (1, 2, 3, 4)]
    assert stats.chisquare(seen, 20_000 * of_three).pvalue > 1e-6


def test_cells_do_not_see_neighbours_that_come_later_in_the_order():
    likelihood = moved(4, GRID)
    p = likelihood(torch.randn(likelihood.parameters_per_feature).double()).base_dist
    rows = rows_of([(3, 1, 3), (3, 1, 4)])
    first = p.log_prob(rows)[:, 1]
    assert first[0].item() == pytest.approx(first[1].item(), rel=1e-12)  # kernels differ by the place of a row
    p.places = torch.tensor([[0, 2, 1]])
    first = p.log_prob(rows)[:, 1]
    assert first[0].item() != pytest.approx(first[1].item(), rel=1e-6)
