"""Approximate posteriors q(z|x): modules that make a distribution of an encoder's output.

The next posterior is one file here and one line in the table. Each says in `features` how many numbers it asks of the
encoder's network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vaekit.models.gaussians import Diagonal, FullCovariance, LowRank
from vaekit.models.posteriors.directional import Directional
from vaekit.models.posteriors.flow import FlowPosterior
from vaekit.models.posteriors.layered import BottomUp, TopDown
from vaekit.models.posteriors.options import PosteriorOptions
from vaekit.models.priors.layered import LayeredPrior


@dataclass(frozen=True)
class PosteriorParts:
    """What a posterior may be made of.

    Args:
        options: the `posterior` section of the recipe.
        latent_dim: number of latent dimensions, of all layers together.
        layers: the prior of several layers; None for one.
    """

    options: PosteriorOptions
    latent_dim: int
    layers: LayeredPrior | None

    def flow(self, autoregressive: bool) -> FlowPosterior:
        """The flow that the options describe."""
        o = self.options
        return FlowPosterior(self.latent_dim, autoregressive, o.transforms, o.context, o.hidden)


@dataclass(frozen=True)
class Posterior:
    """A line of the table.

    Args:
        make: from its parts to the module.
        detachable: whether its density can be had with parameters that gradients do not reach, as path gradients need it.
        layered: whether it is one of several layers.
    """

    make: Callable[[PosteriorParts], Any]
    detachable: bool = False
    layered: bool = False


POSTERIORS: dict[str, Posterior] = {
    "diagonal": Posterior(lambda of: Diagonal(of.latent_dim), detachable=True),
    "full_covariance": Posterior(lambda of: FullCovariance(of.latent_dim), detachable=True),
    "low_rank": Posterior(lambda of: LowRank(of.latent_dim, of.options.rank), detachable=True),
    "flow": Posterior(lambda of: of.flow(autoregressive=False)),
    "inverse_autoregressive_flow": Posterior(lambda of: of.flow(autoregressive=True)),
    "von_mises_fisher": Posterior(lambda of: Directional(of.latent_dim), detachable=True),
    "bottom_up": Posterior(lambda of: BottomUp(of.layers.layers, of.options.hidden), detachable=True, layered=True),  # type: ignore[union-attr]
    "top_down": Posterior(lambda of: TopDown(of.layers), detachable=True, layered=True),  # type: ignore[arg-type]
}

__all__ = [
    "POSTERIORS",
    "BottomUp",
    "Diagonal",
    "Directional",
    "FlowPosterior",
    "FullCovariance",
    "LowRank",
    "Posterior",
    "PosteriorOptions",
    "PosteriorParts",
    "TopDown",
]
