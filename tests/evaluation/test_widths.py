"""How wide a model is, by which evaluation cuts rows and draws: every tensor counts that grows with the rows."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from builders import bernoulli_vae, conditional_vae, mixed_vae
from oracles import LinearGaussian
from vaekit.data import Layout
from vaekit.evaluation import bounds, widest
from vaekit.models import (
    Autoencoder,
    Decoder,
    Diagonal,
    Encoder,
    FullCovariance,
    GaussianMixture,
    VampPrior,
    VariationalAutoEncoder,
)
from vaekit.models.likelihoods import Bernoulli
from vaekit.networks import MLP
from vaekit.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder

X = torch.zeros(3, 4)


def perceptron(posterior=None, prior=None, hidden=(5,)):
    """A small model of four numbers."""
    d = 2 if posterior is None else posterior.latent_dim
    posterior = posterior or Diagonal(d)
    encoder = Encoder(MLP((4,), (posterior.features,), hidden), posterior)
    return VariationalAutoEncoder(encoder, Decoder(MLP((d,), (4, 1), hidden), Bernoulli((4,))), prior or d)


def test_the_widest_layer_of_any_network():
    assert widest(perceptron(), X) == 5
    assert widest(perceptron(hidden=(3, 70, 9)), X) == 70
    assert widest(Autoencoder(MLP((4,), (2,), (11,)), MLP((2,), (4, 1)), 2), X) == 11


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 4, 2), (13, 9, 3)])
def test_the_widest_layer_of_a_convolutional_model(shape):
    encoder, decoder = ConvolutionalEncoder(shape, 4, [4, 8]), ConvolutionalDecoder(2, shape, 1, [4, 8])
    x, found = torch.zeros(1, *shape), [int(np.prod(shape))]
    for network, given in ((encoder, x), (decoder, torch.zeros(1, 2))):
        hooks = [
            layer.register_forward_hook(lambda layer, given, made: found.append(made.numel()))
            for layer in network.modules()
            if not list(layer.children())
        ]
        network(given)
        for hook in hooks:
            hook.remove()
    model = VariationalAutoEncoder(Encoder(encoder, Diagonal(2)), Decoder(decoder, Bernoulli(shape)), 2)
    assert widest(model, x) == max(found)


def test_densities_and_covariances_count_and_what_all_rows_share_does_not():
    assert widest(perceptron(prior=GaussianMixture(2, 300)), X) == 300  # a density for each component
    assert widest(perceptron(FullCovariance(12)), X) == 144
    model = perceptron(hidden=(90,))
    model.prior = VampPrior(model.encoder, (4,), 700)  # 700 × 90 numbers, whatever the rows
    assert widest(model, X) == 700


def test_a_conditional_model_and_one_of_a_mixed_table():
    oracle = LinearGaussian(np.eye(4)[:, :2] * [2.0, 1.0], np.zeros(4), 0.5)
    V, c, covariance = oracle.affine_posterior()
    U = np.ones((4, 3))
    model = conditional_vae(oracle, U, V, c, np.sqrt(np.diag(covariance)))
    assert widest(model, X.double(), torch.zeros(3, 3).double()) == 4 + 3
    layout = Layout(sizes=(3,), on_grid=(False,), edges=((0, 0),))
    assert widest(mixed_vae(layout), torch.zeros(1, 4)) > 8


def test_the_model_and_the_random_state_are_left_alone():
    model = bernoulli_vae(features=4, dropout=0.5).train()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    widest(model, X)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_a_model_is_measured_once_and_forgotten_with_it():
    model, seen = perceptron(), []
    model.decoder.register_forward_hook(lambda *_: seen.append(1))
    gc.collect()  # models of other tests
    count = len(bounds._WIDTHS)
    assert widest(model, X) == widest(model, X[:1]) == 5
    assert len(seen) == 2  # for one row, and for two
    assert len(bounds._WIDTHS) == count + 1
    del model
    gc.collect()
    assert len(bounds._WIDTHS) == count
