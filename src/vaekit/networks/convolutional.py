"""Residual convolutional networks for pictures of any height, width and number of channels.

Pictures are (..., H, W, C), as on disk. Each stage halves height and width, rounding up. The decoder goes through the same
sizes in reverse, so any size works. No layer runs at full size, because there it would cost four
times as much as after the first stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vaekit.errors import RecipeError
from vaekit.networks.base import Network
from vaekit.networks.layers import ACTIVATIONS, Activation
from vaekit.options import Width
from vaekit.parts import PartOptions, Plan


def stage_sizes(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Return the height and width before each stage and after the last.

    Examples:
        >>> stage_sizes(13, 30, 2)
        [(13, 30), (7, 15), (4, 8)]
    """
    sizes = [(height, width)]
    for _ in range(stages):
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        sizes.append((height, width))
    return sizes


def _norm(channels: int) -> nn.GroupNorm:
    """Return a group normalisation with several channels per group, so that pictures of one pixel do not become zero."""
    return nn.GroupNorm(math.gcd(channels, 8) if channels >= 32 else 1, channels)


class SqueezeExcite(nn.Module):
    """x ⊙ 2σ(V f(W m) + b), where each channel gets a weight that depends on the means m of all channels over the picture.

    Args:
        channels: number of channels, ≥ 1.
        activation: f, one of `ACTIVATIONS`.

    References:
        Hu, Shen and Sun, "Squeeze-and-Excitation Networks", 2018.
    """

    def __init__(self, channels: int, activation: str) -> None:
        super().__init__()
        few = max(4, channels // 8)
        self.gate = nn.Sequential(nn.Linear(channels, few), ACTIVATIONS[activation](), nn.Linear(few, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        # times 2, so that a gate of σ(0) leaves the channel unchanged
        return x * (2 * torch.sigmoid(self.gate(x.mean((-2, -1)))))[..., None, None]


class ResidualConvolution(nn.Module):
    """x + conv(f(norm(conv(f(norm(x)))))), where the last convolution starts at zero.

    Args:
        channels: number of channels, ≥ 1.
        activation: one of `ACTIVATIONS`.
        squeeze_excite: whether to weight the channels of each picture before they are added to x.
        dropout: probability in [0, 1) of dropping a value between the convolutions in training.
    """

    def __init__(self, channels: int, activation: str, squeeze_excite: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        f = ACTIVATIONS[activation]
        dropped = nn.Sequential(f(), nn.Dropout(dropout))
        self.body = nn.Sequential(
            _norm(channels), f(), nn.Conv2d(channels, channels, 3, padding=1), _norm(channels), dropped, last
        )
        if squeeze_excite:
            self.body.append(SqueezeExcite(channels, activation))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        return x + self.body(x)


class Doubling(nn.Module):
    """A convolution with four output pixels for each input pixel, cropped to a given size.

    Args:
        channels: number of input channels.
        outputs: number of output channels.
        size: output height and width, each twice the input's or one less.
        kernel: width of the convolution, odd.

    References:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolution", 2016.
    """

    def __init__(self, channels: int, outputs: int, size: tuple[int, int], kernel: int) -> None:
        super().__init__()
        self.spread, self.size = nn.Conv2d(channels, 4 * outputs, kernel, padding=kernel // 2), size

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, ⌈H/2⌉, ⌈W/2⌉) to (B, outputs, H, W)."""
        height, width = self.size
        return F.pixel_shuffle(self.spread(x), 2)[..., :height, :width]


class ConvolutionalEncoder(nn.Module):
    """A residual convolutional network from pictures (B, H, W, C) to features (B, n).

    Args:
        shape: (H, W, C).
        features: n ≥ 1.
        channels: number of channels of each stage; each stage halves the picture.
        activation: one of `ACTIVATIONS`.
        blocks: residual blocks in each stage, ≥ 1.
        squeeze_excite: whether the blocks weight their channels.
        dropout: probability in [0, 1) of dropping a value within a block in training.
    """

    def __init__(
        self,
        shape: Sequence[int],
        features: int,
        channels: Sequence[int],
        activation: str = "silu",
        blocks: int = 1,
        squeeze_excite: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        height, width, depth = shape
        sizes = stage_sizes(height, width, len(channels))
        layers: list[nn.Module] = []
        previous, kernel = depth, 5  # a wide first kernel costs little, as pictures have few channels
        for size in channels:
            layers.append(nn.Conv2d(previous, size, kernel, stride=2, padding=kernel // 2))
            layers += [ResidualConvolution(size, activation, squeeze_excite, dropout) for _ in range(blocks)]
            previous, kernel = size, 3
        height, width = sizes[-1]
        self.layers = nn.Sequential(*layers, _norm(previous), ACTIVATIONS[activation](), nn.Flatten())
        self.output = nn.Linear(previous * height * width, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, n)."""
        return self.output(self.layers(x.movedim(-1, 1)))


class ConvolutionalDecoder(nn.Module):
    """A residual convolutional network from latent vectors (..., d) to parameters (..., H, W, C, p).

    Args:
        latent_dim: d ≥ 1.
        shape: (H, W, C).
        parameters: p ≥ 1 for each pixel and channel.
        channels: number of channels of each stage, in the encoder's order; each stage doubles the picture.
        activation: one of `ACTIVATIONS`.
        blocks: residual blocks in each stage, ≥ 1.
        squeeze_excite: whether the blocks weight their channels.
        dropout: probability in [0, 1) of dropping a value within a block in training.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        parameters: int,
        channels: Sequence[int],
        activation: str = "silu",
        blocks: int = 1,
        squeeze_excite: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        height, width, depth = shape
        sizes = stage_sizes(height, width, len(channels))[::-1]
        inwards = list(channels[::-1])
        self.first, self.out_shape = (inwards[0], *sizes[0]), (depth, parameters)
        outputs = [*inwards[1:], depth * parameters]
        self.input = nn.Linear(latent_dim, math.prod(self.first))
        layers: list[nn.Module] = []
        for left, size, following, doubled in zip(range(len(channels))[::-1], inwards, outputs, sizes[1:], strict=True):
            layers += [ResidualConvolution(size, activation, squeeze_excite, dropout) for _ in range(blocks)]
            if not left:  # a block starts with these two, and no block follows the last one
                layers += [_norm(size), ACTIVATIONS[activation]()]
            layers.append(Doubling(size, following, doubled, kernel=1 if left else 3))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., d) to (..., H, W, C, p)."""
        x = self.layers(self.input(z.reshape(-1, z.shape[-1])).unflatten(-1, self.first))
        x = x.movedim(1, -1).unflatten(-1, self.out_shape)
        return x.reshape(*z.shape[:-1], *x.shape[1:])


class ConvolutionalNetwork(Network):
    """Residual convolutional networks as encoder and decoder of pictures."""

    name = "convolutional"
    gains_by_compiling = False  # nearly all of the time is in convolutions, which stay as they are

    class Options(PartOptions):
        """Options of a convolutional network."""

        channels: tuple[Width, ...] = Field(
            (32, 64),
            min_length=1,
            description="Number of channels in each stage of a convolutional network, from large to small pictures.",
        )
        blocks: int = Field(1, ge=1, le=100, description="Residual blocks in each stage of a convolutional network.")
        squeeze_excite: bool = Field(
            False, description="Whether a convolutional network reweights channels for each picture (squeeze-excite)."
        )
        activation: Activation = Field("silu", description="Nonlinearity of the hidden layers.")
        dropout: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Probability in training of dropping a hidden unit (mlp) or a value in a block (convolutional).",
        )

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the examples are not pictures."""
        if not plan.picture:
            yield RecipeError(f"{section}=convolutional takes pictures, not tables", mend=f"Choose {section}=mlp")

    @classmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> nn.Module:  # noqa: ARG003
        """Return a network from (B, H, W, C) to (B, features)."""
        return ConvolutionalEncoder(event_shape, features, **options.values())

    @classmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> nn.Module:
        """Return a network from (..., latent_dim) to (..., H, W, C, parameters)."""
        return ConvolutionalDecoder(latent_dim, event_shape, parameters, **options.values())
