"""Convolutional networks: any size, every pixel seen and written, examples kept apart."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from vaekit.networks.convolutional import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    Doubling,
    ResidualConvolution,
    SqueezeExcite,
    stage_sizes,
)

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


@torch.no_grad()
def test_dropout_hides_numbers_within_a_block_in_training_and_keeps_their_mean():
    torch.manual_seed(0)
    block, x = ResidualConvolution(4, "silu", dropout=0.4), torch.randn(2000, 4, 1, 1)
    still = ResidualConvolution(4, "silu")
    torch.nn.init.zeros_(block.body[5].bias)
    torch.nn.init.dirac_(block.body[5].weight)  # its body is what stands before the last convolution
    still.load_state_dict(block.state_dict())  # the same weights by the same names, with dropout or without
    whole, added = still(x) - x, block(x) - x
    dropped = added == 0
    assert float(dropped.float().mean()) == pytest.approx(0.4, abs=0.03)
    torch.testing.assert_close(added[~dropped], whole[~dropped] / 0.6)
    torch.testing.assert_close(block.eval()(x) - x, whole)


def test_channels_are_weighed_by_what_is_in_the_picture():
    torch.manual_seed(0)
    gate, x = SqueezeExcite(6, "tanh").double(), torch.randn(2, 6, 3, 5).double()
    (w, b), (v, c) = ((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in gate.gate[::2])
    weight = 2 / (1 + np.exp(-(np.tanh(x.numpy().mean((2, 3)) @ w.T + b) @ v.T + c)))
    np.testing.assert_allclose(gate(x).detach().numpy(), x.numpy() * weight[:, :, None, None])
    for parameter in gate.gate[-1].parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_allclose(gate(x).detach().numpy(), x.numpy())  # no opinion: as it was


@pytest.mark.parametrize("squeeze_excite", [False, True])
def test_stages_hold_as_many_blocks_as_asked_for_and_each_starts_without_effect(squeeze_excite):
    def output(blocks):
        torch.manual_seed(0)
        encoder = ConvolutionalEncoder((6, 6, 1), 3, [4, 8], blocks=blocks, squeeze_excite=squeeze_excite).double()
        decoder = ConvolutionalDecoder(3, (6, 6, 1), 1, [4, 8], blocks=blocks, squeeze_excite=squeeze_excite).double()
        network, found = torch.nn.Sequential(encoder, decoder), 0
        torch.manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, ResidualConvolution):
                assert isinstance(layer.body[-1], SqueezeExcite) == squeeze_excite
                torch.nn.init.zeros_(layer.body[5].bias)
                found += 1
            elif isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) and layer.weight.any():
                torch.nn.init.constant_(layer.weight, 0.1)
                torch.nn.init.zeros_(layer.bias)
        assert found == 4 * blocks
        return network(torch.arange(36.0).reshape(1, 6, 6, 1).double()).detach().numpy()

    np.testing.assert_allclose(output(3), output(1))


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


def test_doubling_lays_four_numbers_of_an_output_side_by_side():
    torch.manual_seed(0)
    layer, x = Doubling(2, 3, (3, 4), kernel=1).double(), torch.randn(5, 2, 2, 2).double()
    weight, bias = layer.spread.weight.detach().numpy()[..., 0, 0], layer.spread.bias.detach().numpy()
    spread = np.einsum("oc,bchw->bohw", weight, x.numpy()) + bias[:, None, None]
    expected = np.empty((5, 3, 4, 4))
    for output, down, right in product(range(3), range(2), range(2)):
        expected[:, output, down::2, right::2] = spread[:, 4 * output + 2 * down + right]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected[:, :, :3])


def test_channels_come_last():
    torch.manual_seed(0)
    encoder, x = ConvolutionalEncoder((4, 6, 3), 2, [4]).double(), torch.randn(1, 4, 6, 3).double()
    expected = encoder.output(encoder.layers(x.permute(0, 3, 1, 2)))
    np.testing.assert_allclose(encoder(x).detach().numpy(), expected.detach().numpy())
