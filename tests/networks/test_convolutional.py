"""Convolutional networks: any size, every pixel seen and written, examples kept apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vaekit.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, ResidualConvolution, stage_sizes

SIZES = [(1, 1, 1), (2, 3, 1), (5, 4, 2), (13, 9, 3)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 7), (28, 28), (13, 30), (64, 5)])
def test_each_stage_halves_rounding_up(height, width):
    expected = [(math.ceil(height / 2**s), math.ceil(width / 2**s)) for s in range(4)]
    assert stage_sizes(height, width, 3) == expected


def test_a_residual_block_starts_as_the_identity_and_adds_its_body():
    torch.manual_seed(0)
    block, x = ResidualConvolution(4, "silu").double(), torch.randn(2, 4, 3, 5).double()
    bias = block.body[-1].bias.detach()
    np.testing.assert_allclose(block(x).detach().numpy(), (x + bias[:, None, None]).numpy())
    with torch.no_grad():
        block.body[-1].weight.normal_()
    np.testing.assert_allclose(block(x).detach().numpy(), (x + block.body(x)).detach().numpy())


@pytest.mark.parametrize("shape", SIZES)
def test_the_encoder_sees_every_pixel_of_its_own_example_only(shape):
    torch.manual_seed(0)
    network = ConvolutionalEncoder(shape, 3, [4, 8]).double()
    x = torch.randn(3, *shape).double().requires_grad_()
    features = network(x)
    assert features.shape == (3, 3)
    features[1].square().sum().backward()
    assert (x.grad[1] != 0).all()
    assert (x.grad[[0, 2]] == 0).all()


@pytest.mark.parametrize("shape", SIZES)
def test_the_decoder_writes_every_pixel_from_its_own_example_only(shape):
    torch.manual_seed(0)
    network = ConvolutionalDecoder(2, shape, 3, [4, 8]).double()
    z = torch.randn(4, 5, 2).double()
    found = network(z)
    assert found.shape == (4, 5, *shape, 3)
    np.testing.assert_allclose(found[2, 3].detach().numpy(), network(z[2, 3]).detach().numpy(), rtol=1e-9)
    assert (found.std((0, 1)) > 0).all()


def test_channels_come_last():
    torch.manual_seed(0)
    encoder, x = ConvolutionalEncoder((4, 6, 3), 2, [4]).double(), torch.randn(1, 4, 6, 3).double()
    expected = encoder.output(encoder.layers(x.permute(0, 3, 1, 2)))
    np.testing.assert_allclose(encoder(x).detach().numpy(), expected.detach().numpy())
