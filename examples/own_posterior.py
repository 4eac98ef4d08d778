"""A custom posterior: a Gaussian with the same standard deviation in all latent dimensions.

python examples/own_posterior.py
vaekit train digits --import examples/own_posterior.py --set posterior=isotropic
"""

from __future__ import annotations

import sys

from torch import Tensor

import vaekit
from vaekit.distributions import DiagonalNormal
from vaekit.models import Posterior


class Isotropic(Posterior):
    """q(z|x) = N(μ(x), σ(x)²·I), from the encoder's output (μ, log σ)."""

    name = "isotropic"
    detachable = True  # a DiagonalNormal has `detached()`, which path gradients need

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim, self.features = latent_dim, latent_dim + 1

    def forward(self, features: Tensor) -> DiagonalNormal:
        """Return the posterior from the network's output, shape (..., latent_dim + 1)."""
        mean, log_std = features.split((self.latent_dim, 1), -1)
        return DiagonalNormal(mean, log_std.clamp(-9, 5).exp().expand_as(mean))


def main(folder: str = "runs/own-posterior", epochs: int = 20) -> None:
    """Train with the posterior as a name and as an object, also by the doubly reparameterized gradient."""
    settings = {"latent_dim": 8, "training.epochs": epochs}
    vaekit.train("digits", posterior=Isotropic(8), settings=settings, out=f"{folder}/object")
    run = vaekit.train("digits", posterior="isotropic", objective="dreg", settings=settings, out=f"{folder}/name")
    again = vaekit.load(f"{folder}/name")
    assert (again.score_samples("digits", samples=10) == run.score_samples("digits", samples=10)).all()
    print(run.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
