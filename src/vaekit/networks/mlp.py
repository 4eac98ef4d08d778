"""Multilayer perceptrons with plain, gated or residual blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.networks.base import Network
from vaekit.networks.layers import ACTIVATIONS, Activation
from vaekit.options import Width
from vaekit.parts import PartOptions


class Plain(nn.Sequential):
    """f(Wx + b), a plain block."""

    def __init__(self, inputs: int, outputs: int, activation: str, dropout: float) -> None:
        super().__init__(nn.Linear(inputs, outputs), ACTIVATIONS[activation](), nn.Dropout(dropout))


class Gated(nn.Module):
    """(Vx + c) ⊙ σ(Wx + b), a gated block.

    References:
        Dauphin, Fan, Auli and Grangier, "Language Modeling with Gated Convolutional Networks", 2017.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, dropout: float) -> None:  # noqa: ARG002
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        value, gate = self.linear(x).chunk(2, -1)
        return self.dropout(value * torch.sigmoid(gate))


class Residual(nn.Module):
    """x + V f(W norm(x)), a residual block; V starts at zero, so the block starts as the identity.

    References:
        He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", 2016.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)
        self.body = nn.Sequential(
            nn.LayerNorm(inputs), nn.Linear(inputs, outputs), ACTIVATIONS[activation](), nn.Dropout(dropout)
        )
        self.last = nn.Linear(outputs, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return self.skip(x) + self.last(self.body(x))


BLOCKS: dict[str, type[nn.Module]] = {"plain": Plain, "gated": Gated, "residual": Residual}


class MLP(nn.Module):
    """A multilayer perceptron between tensors of any shape.

    Residual blocks are preceded by a linear map to the first width, and followed by a norm and an activation, so each width
    is one block. Without hidden layers the network is linear.

    Args:
        in_shape: shape of one input; it is flattened.
        out_shape: shape of one output.
        hidden: widths of the hidden layers, each ≥ 1; empty for a linear map.
        block: one of `BLOCKS`.
        activation: one of `ACTIVATIONS`; gated blocks do not use it.
        dropout: probability in [0, 1) of dropping a hidden unit in training.

    Examples:
        >>> MLP((8, 8, 1), (4,), hidden=[32, 32])(torch.zeros(5, 8, 8, 1)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        hidden: Sequence[int] = (),
        block: str = "plain",
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_dims, self.out_shape = len(in_shape), tuple(out_shape)
        width = math.prod(in_shape)
        layers: list[nn.Module] = []
        if block == "residual" and hidden:
            layers.append(nn.Linear(width, hidden[0]))
            width = hidden[0]
        for size in hidden:
            layers.append(BLOCKS[block](width, size, activation, dropout))
            width = size
        if block == "residual" and hidden:
            layers += [nn.LayerNorm(width), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, math.prod(out_shape)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., *in_shape) to (..., *out_shape)."""
        return self.layers(x.flatten(-self.in_dims)).unflatten(-1, self.out_shape)


class MLPNetwork(Network):
    """Multilayer perceptrons as encoder and decoder."""

    name = "mlp"

    class Options(PartOptions):
        """Options of a multilayer perceptron."""

        hidden: tuple[Width, ...] = Field(
            (512, 512), description="Widths of the hidden layers of an mlp, from its input to its output."
        )
        block: Literal["plain", "gated", "residual"] = Field("residual", description="Kind of hidden layer of an mlp.")
        activation: Activation = Field("silu", description="Nonlinearity of the hidden layers.")
        dropout: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Probability in training of dropping a hidden unit.",
        )

    @classmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> MLP:  # noqa: ARG003
        """Return a perceptron from (B, *event) to (B, features)."""
        return MLP(event_shape, (features,), **options.values())

    @classmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> MLP:
        """Return a perceptron from (..., latent_dim) to (..., *event, parameters)."""
        return MLP((latent_dim,), (*event_shape, parameters), **options.values())
