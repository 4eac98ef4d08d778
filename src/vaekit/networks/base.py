"""The base class of all networks: their options, and how they are built as encoder and as decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from vaekit.parts import Part


class Network(Part):
    """A family of networks between data and latent variables, for encoders and for decoders.

    To add a network, define a class with a `name`, `Options` and the two methods below. The modules that these return may have
    a method `start(x)`, which is called with some training rows before training. An encoder gets the rows as its network sees
    them. A decoder gets the rows themselves, and its `start` may return the variance of the noise around its output.
    """

    section = "network"
    gains_by_compiling: ClassVar[bool] = True
    """Whether a compiled step is faster, so that `training.compile=auto` may compile it."""

    @classmethod
    @abstractmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> nn.Module:
        """Return a network from (B, *event) to (B, features).

        Args:
            options: its options.
            event_shape: shape of one input.
            features: number of outputs.
            latent_dim: number of latent dimensions; with a diagonal posterior, the first `latent_dim` outputs are means.
        """

    @classmethod
    @abstractmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> nn.Module:
        """Return a network from (..., latent_dim) to (..., *event, parameters).

        Args:
            options: its options.
            latent_dim: length of an input.
            event_shape: shape of one example.
            parameters: number of outputs for each feature.
        """
