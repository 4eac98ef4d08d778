"""Priors p(z): modules whose forward, without arguments, returns a distribution over latent vectors.

The next prior is one file here and one line in the table. One that starts from data has a method `start(x)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from vaekit.models.priors.flow import CouplingPrior, FlowPrior
from vaekit.models.priors.layered import LayeredPrior
from vaekit.models.priors.mixture import GaussianMixture
from vaekit.models.priors.options import PriorOptions
from vaekit.models.priors.standard_normal import StandardNormal
from vaekit.models.priors.vamp import VampPrior


@dataclass(frozen=True)
class PriorParts:
    """What a prior may be made of.

    Args:
        options: the `prior` section of the recipe.
        latent_dim: number of latent dimensions, of the top layer if there are several.
        encoder: x ↦ q(z|x); None for the top one of several layers.
        event_shape: shape of x.
    """

    options: PriorOptions
    latent_dim: int
    encoder: nn.Module | None
    event_shape: tuple[int, ...]


PRIORS: dict[str, Callable[[PriorParts], nn.Module]] = {
    "standard_normal": lambda of: StandardNormal(of.latent_dim),
    "mixture": lambda of: GaussianMixture(of.latent_dim, of.options.components),
    "vamp": lambda of: VampPrior(of.encoder, of.event_shape, of.options.components),  # type: ignore[arg-type]  # one layer only
    "flow": lambda of: CouplingPrior(of.latent_dim, of.options.transforms, of.options.hidden),
    "spline_flow": lambda of: FlowPrior(of.latent_dim, "spline", of.options.transforms, of.options.hidden),
    "autoregressive_flow": lambda of: FlowPrior(
        of.latent_dim, "autoregressive", of.options.transforms, of.options.hidden
    ),
}

__all__ = [
    "PRIORS",
    "CouplingPrior",
    "FlowPrior",
    "GaussianMixture",
    "LayeredPrior",
    "PriorOptions",
    "PriorParts",
    "StandardNormal",
    "VampPrior",
]
