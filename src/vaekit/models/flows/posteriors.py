"""Flow posteriors: a Gaussian transformed by invertible maps that depend on x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vaekit.distributions import FlowNormal
from vaekit.errors import VaekitError
from vaekit.models.flows.priors import start_as_identity
from vaekit.models.posteriors.base import Posterior
from vaekit.models.posteriors.gaussians import Diagonal
from vaekit.options import Width


class FlowPosterior(Posterior):
    """A flow posterior: z = f(u; h(x)), u ~ N(μ(x), diag σ(x)²), where f is a chain of affine couplings.

    The chain starts as the identity, and it is equally fast in both directions.

    Args:
        latent_dim: d ≥ 2.
        transforms: number of couplings, ≥ 1.
        context: length of h, ≥ 1.
        hidden: widths of the hidden layers of each coupling's network.

    Raises:
        VaekitError: if `latent_dim` is below 2.

    References:
        Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015;
        Dinh, Sohl-Dickstein and Bengio, "Density Estimation using Real NVP", 2017.

    Examples:
        >>> FlowPosterior(3, 2, 4, (8,))(torch.zeros(5, 10)).rsample((7,)).shape
        torch.Size([7, 5, 3])
    """

    name = "flow"
    two_dimensions = True
    passes: ClassVar[int | None] = 2
    """Number of passes through a transform's network to invert it; None for one pass for each dimension."""

    class Options(Posterior.Options):
        """Options of a flow posterior."""

        transforms: int = Field(2, ge=1, le=100, description="Number of the flow's transforms.")
        context: int = Field(
            64, ge=1, le=10_000, description="Number of encoder outputs that the flow's transforms depend on."
        )
        hidden: tuple[Width, ...] = Field(
            (256,), min_length=1, description="Widths of the hidden layers in each transform."
        )

    def __init__(self, latent_dim: int, transforms: int = 2, context: int = 64, hidden: Sequence[int] = (256,)) -> None:
        super().__init__()
        if latent_dim < 2:
            raise VaekitError(
                "latent_dim must be at least 2 for a flow", str(latent_dim), "Choose a Gaussian posterior"
            )
        from zuko.flows import MaskedAutoregressiveTransform
        from zuko.lazy import LazyComposedTransform

        self.gaussian = Diagonal(latent_dim)
        self.features = self.gaussian.features + context
        order = torch.arange(latent_dim)
        maps = [
            MaskedAutoregressiveTransform(
                latent_dim,
                context,
                self.passes,
                order if turn % 2 == 0 else order.flip(0),
                hidden_features=tuple(hidden),
            )
            for turn in range(transforms)
        ]
        for one in maps:
            start_as_identity(one)
        self.maps = LazyComposedTransform(*maps)

    def forward(self, features: Tensor) -> FlowNormal:
        """Return the posterior from the network's output (μ, log σ, h), shape (..., 2d + context)."""
        own = self.gaussian.features
        gaussian, context = features.split((own, features.shape[-1] - own), -1)
        return FlowNormal(self.gaussian(gaussian), self.maps(context))


class InverseAutoregressivePosterior(FlowPosterior):
    """A flow posterior: z = f(u; h(x)), u ~ N(μ(x), diag σ(x)²), where f is a chain of autoregressive maps.

    A draw and its density take one pass of each network. The density of any other point takes one pass for each dimension.

    Args:
        latent_dim: d ≥ 2.
        transforms: number of maps, ≥ 1.
        context: length of h, ≥ 1.
        hidden: widths of the hidden layers of each map's network.

    Raises:
        VaekitError: if `latent_dim` is below 2.

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016.

    Examples:
        >>> InverseAutoregressivePosterior(3, 2, 4, (8,))(torch.zeros(5, 10)).rsample((7,)).shape
        torch.Size([7, 5, 3])
    """

    name = "inverse_autoregressive_flow"
    passes = None
