"""The first layer of a network that reads rows of a mixed table, against sums of its own vectors."""

import math

import numpy as np
import pytest
import torch

from vaekit.data import Layout
from vaekit.networks import TableInput
from vaekit.networks.table import REACH

LAYOUT = Layout(sizes=(2, 3), on_grid=(True, False), edges=((0.0, 1.0), (-math.inf, math.inf)))
X = np.array([[1.0, 2.0, 0.5, -3.0], [0.0, math.nan, math.nan, 1.0], [math.nan] * 4])


def measured(x):
    """Slots with measures that no network should read."""
    return torch.from_numpy(np.concatenate([x, np.full_like(x, 99.0)], 1)).float()


def test_features_are_a_vector_for_each_place_and_a_linear_map_of_the_scores():
    torch.manual_seed(0)
    reader = TableInput(LAYOUT, 7)
    vectors, (weight, bias) = (
        reader.vectors.weight.detach().numpy(),
        (p.detach().numpy() for p in reader.scores.parameters()),
    )
    assert vectors.shape == (2 + 1 + 3 + 1, 7)  # one more for each list: missing
    places = [[1, 3 + 2], [0, 3 + 3], [2, 3 + 3]]
    scores = [[0.5, -3.0, 1, 1], [0.0, 1.0, 0, 1], [0, 0, 0, 0]]
    expected = [vectors[p].sum(0) + weight @ s + bias for p, s in zip(places, scores, strict=True)]
    np.testing.assert_allclose(reader(measured(X)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("places", "numbers"), [(2, 0), (0, 2)])
def test_tables_of_one_sort_alone(places, numbers):
    layout = Layout(sizes=LAYOUT.sizes[:places], on_grid=LAYOUT.on_grid[:numbers], edges=LAYOUT.edges[:numbers])
    found = TableInput(layout, 5)(measured(X[:, :2] if places else X[:, 2:]))
    assert found.shape == (3, 5)
    assert torch.isfinite(found).all()


def test_numbers_far_out_are_read_as_far_out():
    reader = TableInput(LAYOUT, 7)
    far, edge = (measured(np.array([[0.0, 0.0, value, -value]])) for value in (1e30, REACH))
    assert torch.equal(reader(far), reader(edge))


def test_gradients_do_not_come_from_missing_cells():
    reader = TableInput(LAYOUT, 7)
    x = measured(X).requires_grad_()
    reader(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in reader.parameters())
