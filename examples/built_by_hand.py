"""A model built by hand in plain torch: train it, measure it and load it again, as an object and under a name.

python examples/built_by_hand.py
vaekit train digits --import examples/built_by_hand.py --set model=binomial --set model.width=64
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Binomial, Independent, Normal

import vaekit
from vaekit.models import LatentModel, ModelFamily
from vaekit.models.by_hand import as_latent_model
from vaekit.parts import PartOptions, Plan


class Inference(nn.Module):
    """q(z|x) = N(μ(x), diag σ(x)²)."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 2 * latent_dim))

    def forward(self, x: Tensor) -> Independent:
        """Return the posterior of pictures of 8 × 8 pixels."""
        mean, log_std = self.network(x / 16).chunk(2, -1)
        return Independent(Normal(mean, log_std.clamp(-5, 5).exp()), 1)


class Generative(nn.Module):
    """p(x|z) = Π_i Binomial(x_i; 16, π_i(z))."""

    def __init__(self, latent_dim: int, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, 64))

    def forward(self, z: Tensor) -> Independent:
        """Return the distribution of pictures of 8 × 8 pixels, for z of shape (..., latent_dim)."""
        return Independent(Binomial(16, logits=self.network(z).unflatten(-1, (8, 8, 1))), 3)


class Prior(nn.Module):
    """p(z) = N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> Independent:
        """Return the prior."""
        return Independent(Normal(self.mean, torch.ones_like(self.mean)), 1)


class Digits(nn.Module):
    """A model with only an encoder, a decoder and a prior."""

    def __init__(self, latent_dim: int = 8, width: int = 128) -> None:
        super().__init__()
        self.encoder, self.decoder = Inference(latent_dim, width), Generative(latent_dim, width)
        self.prior = Prior(latent_dim)


class BinomialFamily(ModelFamily):
    """The same model under a name, so that a recipe can choose it."""

    name = "binomial"

    class Options(PartOptions):
        """The options of the model."""

        width: int = Field(128, ge=1, description="Units of the hidden layer.")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> LatentModel:
        """Build the model for pictures of the plan's shape."""
        return as_latent_model(Digits(plan.latent_dim, options.width), torch.zeros(1, *plan.event_shape))


def main(folder: str = "runs/built-by-hand", epochs: int = 20) -> None:
    """Train the model as an object and by its name, and load both runs."""
    settings = {"training.epochs": epochs}
    run = vaekit.fit(Digits(), "digits", objective="iwae", settings=settings, out=f"{folder}/object")
    again = vaekit.load(f"{folder}/object", model=Digits())  # build the model again to load the run
    assert (again.score_samples("digits", samples=10) == run.score_samples("digits", samples=10)).all()

    named = vaekit.train("digits", model=BinomialFamily.Options(width=64), settings=settings, out=f"{folder}/name")
    assert (vaekit.load(f"{folder}/name").sample(5) == named.sample(5)).all()
    print(vaekit.evaluate(Digits(), "digits"))  # before training
    print(run.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
