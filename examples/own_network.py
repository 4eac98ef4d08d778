"""A custom network with sine activations (Sitzmann et al., 2020), and a torch module that is passed as an encoder.

python examples/own_network.py
vaekit train digits --import examples/own_network.py --set encoder=siren --set decoder=siren --set decoder.width=64
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

import vaekit
from vaekit.networks import Network
from vaekit.parts import PartOptions


class Sine(nn.Module):
    """x ↦ sin(ωx)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: Tensor) -> Tensor:
        """Apply the sine to every element of a tensor."""
        return torch.sin(self.omega * x)


class Siren(Network):
    """A perceptron of two hidden layers with sine activations."""

    name = "siren"

    class Options(PartOptions):
        """The options of the network."""

        width: int = Field(128, ge=1, description="Units of each hidden layer.")
        omega: float = Field(3.0, gt=0, description="Frequency ω of the sines.")

    @classmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> nn.Module:
        """Return a network from (B, *event) to (B, features)."""
        return nn.Sequential(nn.Flatten(), *cls.layers(options, math.prod(event_shape), features))

    @classmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> nn.Module:
        """Return a network from (..., latent_dim) to (..., *event, parameters)."""
        shape = (*event_shape, parameters)
        return nn.Sequential(*cls.layers(options, latent_dim, math.prod(shape)), nn.Unflatten(-1, shape))

    @staticmethod
    def layers(options: Any, inputs: int, outputs: int) -> list[nn.Module]:
        """Return the layers of a perceptron."""
        width, sine = options.width, Sine(options.omega)
        return [nn.Linear(inputs, width), sine, nn.Linear(width, width), sine, nn.Linear(width, outputs)]


def main(folder: str = "runs/own-network", epochs: int = 20) -> None:
    """Train with the network by its options, and with a module as an object."""
    settings = {"latent_dim": 8, "training.epochs": epochs}
    siren = Siren.Options(width=64)
    run = vaekit.train("digits", encoder=siren, decoder=siren, settings=settings, out=f"{folder}/name")
    again = vaekit.load(f"{folder}/name")
    assert (again.score_samples("digits", samples=10) == run.score_samples("digits", samples=10)).all()

    module = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2 * 8)
    )  # μ and log σ of 8 dimensions
    vaekit.train("digits", encoder=module, settings=settings, out=f"{folder}/object")
    print(run.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
