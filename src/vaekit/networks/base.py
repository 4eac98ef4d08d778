"""What a network says of itself: what can be set, and how it is built as encoder and as decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import nn

from vaekit.parts import Part


class Network(Part):
    """A family of networks between data and latent variables, which can serve as encoder and as decoder.

    The next network is a class with a `name`, with `Options` of its own and these two methods. What they return may have a
    method `start(x)`, which is called with some training rows before training: an encoder's with the rows as the network sees
    them, a decoder's with the rows themselves; the latter may return the variance that it leaves to the noise.
    """

    section = "network"

    @classmethod
    @abstractmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> nn.Module:
        """Return a network from (B, *event) to (B, features).

        Args:
            options: its options.
            event_shape: shape of one input.
            features: number of outputs.
            latent_dim: how many of them are means, the first ones, where the posterior is a diagonal Gaussian.
        """

    @classmethod
    @abstractmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> nn.Module:
        """Return a network from (..., latent_dim) to (..., *event, parameters).

        Args:
            options: its options.
            latent_dim: length of an input.
            event_shape: shape of one example.
            parameters: numbers for each feature.
        """
