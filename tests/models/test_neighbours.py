"""Numbers that are near a cell of another column or equal to it, against scipy and enumeration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax, softmax

from vaekit.data import Layout
from vaekit.data.tables.marginals import Marginal
from vaekit.data.tables.score_maps import ScoreMaps
from vaekit.distributions import LogisticMixture
from vaekit.models.likelihoods import AutoregressiveMixed
from vaekit.models.likelihoods.neighbours import Neighbours

WHOLE = Marginal(bounds=(0, 3), knots=(-0.5, 3.5), scores=(-1.5, 1.5), tails=(1.0, 1.0), spacing=1.0)
SHIFTED = Marginal(
    bounds=(1, 4), knots=(0.5, 2.0, 4.5), scores=(-2, -0.5, 1), tails=(1, 1), spacing=1.0, point_masses=(2.0,)
)
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
    part = Neighbours(LAYOUT, ScoreMaps(MARGINALS), 4).double()
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
    p.orders = None if order is None else torch.tensor(order).expand(1, 3)
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
        likelihood.neighbours.offset[:, 3] += 3.0  # copies become frequent
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
    p.orders = torch.tensor([[0, 2, 1]])
    first = p.log_prob(rows)[:, 1]
    assert first[0].item() != pytest.approx(first[1].item(), rel=1e-6)
