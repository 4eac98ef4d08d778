"""The `encoder` and `decoder` sections of a recipe, and the networks they describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import nn

from vaekit.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from vaekit.networks.linear import LinearDecoder, LinearEncoder
from vaekit.networks.mlp import MLP
from vaekit.options import Options, Width


class NetworkOptions(Options):
    """A network and its size."""

    network: Literal["auto", "linear", "mlp", "convolutional"] = Field("auto", description="Kind of network.")
    hidden: tuple[Width, ...] = Field(
        (512, 512), description="Widths of the hidden layers of an mlp, in its own order."
    )
    block: Literal["plain", "gated", "residual"] = Field(
        "residual", description="What a hidden layer of an mlp is made of."
    )
    channels: tuple[Width, ...] = Field(
        (32, 64), min_length=1, description="Channels of the stages of a convolutional network, outermost first."
    )
    blocks: int = Field(1, ge=1, le=100, description="Residual blocks in each stage of a convolutional network.")
    squeeze_excite: bool = Field(
        False, description="Whether a convolutional network weighs its channels, picture by picture."
    )
    activation: Literal["silu", "gelu", "relu", "tanh", "elu"] = Field("silu", description="Nonlinearity.")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability of dropping a hidden unit of an mlp, or a number within a block of convolutions, in training.",
    )

    @property
    def _convolutions(self) -> tuple[tuple[int, ...], str, int, bool, float]:
        return self.channels, self.activation, self.blocks, self.squeeze_excite, self.dropout

    def encoder(self, event_shape: Sequence[int], features: int) -> nn.Module:
        """A network from (B, *event) to (B, features)."""
        if self.network == "convolutional":
            return ConvolutionalEncoder(event_shape, features, *self._convolutions)
        if self.network == "linear":
            return LinearEncoder(event_shape, features)
        return MLP(event_shape, (features,), self.hidden, self.block, self.activation, self.dropout)

    def decoder(self, latent_dim: int, event_shape: Sequence[int], parameters: int) -> nn.Module:
        """A network from (..., latent_dim) to (..., *event, parameters)."""
        if self.network == "convolutional":
            return ConvolutionalDecoder(latent_dim, event_shape, parameters, *self._convolutions)
        if self.network == "linear":
            return LinearDecoder(latent_dim, event_shape, parameters)
        out_shape = (*event_shape, parameters)
        return MLP((latent_dim,), out_shape, self.hidden, self.block, self.activation, self.dropout)
