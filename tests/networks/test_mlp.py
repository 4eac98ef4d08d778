"""Multilayer perceptrons against matrix products in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import oracles
from vaekit.networks import BLOCKS, MLP


def parameters(module):
    return [p.detach().numpy() for p in module.parameters()]


def made(*arguments, **options):
    torch.manual_seed(0)
    return MLP(*arguments, **options).double()


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(5, 2, 3))


def normalised(h):
    return (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)


def test_without_hidden_layers_it_is_the_linear_map(x):
    network = made((2, 3), (4, 1))
    W, b = parameters(network)
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy()[..., 0], x.reshape(5, 6) @ W.T + b)


def test_plain_blocks_are_matrix_products_and_activations(x):
    network = made((2, 3), (4,), hidden=[7, 5], block="plain", activation="tanh")
    W1, b1, W2, b2, W3, b3 = parameters(network)
    hidden = np.tanh(np.tanh(x.reshape(5, 6) @ W1.T + b1) @ W2.T + b2)
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), hidden @ W3.T + b3)


def test_gated_blocks_multiply_by_a_sigmoid(x):
    network = made((2, 3), (4,), hidden=[7], block="gated")
    W, b, W2, b2 = parameters(network)
    raw = x.reshape(5, 6) @ W.T + b
    hidden = raw[:, :7] * oracles.sigmoid(raw[:, 7:])
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), hidden @ W2.T + b2)


def test_residual_blocks_start_as_the_identity(x):
    network = made((2, 3), (4,), hidden=[7, 7, 7], block="residual", activation="tanh")
    W, b = parameters(network.layers[0])
    W2, b2 = parameters(network.layers[-1])
    hidden = np.tanh(normalised(x.reshape(5, 6) @ W.T + b))
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), hidden @ W2.T + b2, rtol=1e-9)


def test_residual_blocks_add_their_body(x):
    torch.manual_seed(0)
    block = BLOCKS["residual"](3, 4, "tanh", 0.0).double()
    with torch.no_grad():
        for p in block.parameters():
            p.normal_()
    (S, s), (g, c, W, b), (V, v) = parameters(block.skip), parameters(block.body), parameters(block.last)
    body = np.tanh((normalised(x) * g + c) @ W.T + b)
    np.testing.assert_allclose(block(torch.from_numpy(x)).detach().numpy(), x @ S.T + s + body @ V.T + v, rtol=1e-9)


@pytest.mark.parametrize("block", sorted(BLOCKS))
def test_dropout_acts_in_training_only(block, x):
    network = made((2, 3), (4,), hidden=[16], block=block, dropout=0.5)
    with torch.no_grad():
        for p in network.parameters():
            p.normal_()
    rows = torch.from_numpy(x)
    assert torch.equal(network.eval()(rows), network(rows))
    assert not torch.equal(network.train()(rows), network(rows))
