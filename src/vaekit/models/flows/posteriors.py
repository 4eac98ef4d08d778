"""Posteriors that bend: a Gaussian carried through maps that the encoder steers."""

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
    """q(z|x): z = f(u; h(x)), u ~ N(μ(x), diag σ(x)²), f a chain of affine couplings: one half of z moves the other.

    The chain starts as the identity, and is as fast one way as the other.

    Args:
        latent_dim: d ≥ 2.
        transforms: number of maps, ≥ 1.
        context: length of h, ≥ 1.
        hidden: widths of the hidden layers of each map's network.

    Raises:
        VaekitError: for one latent dimension.

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
    """Passes of a map's network against its direction; None for one for each dimension."""

    class Options(Posterior.Options):
        """What can be set of a flow."""

        transforms: int = Field(2, ge=1, le=100, description="Number of the flow's transforms.")
        context: int = Field(
            64, ge=1, le=10_000, description="Numbers by which the encoder steers the flow's transforms."
        )
        hidden: tuple[Width, ...] = Field(
            (256,), min_length=1, description="Widths of the hidden layers in each transform."
        )

    def __init__(self, latent_dim: int, transforms: int = 2, context: int = 64, hidden: Sequence[int] = (256,)) -> None:
        super().__init__()
        if latent_dim < 2:
            raise VaekitError("a flow must have at least 2 latent dimensions", str(latent_dim), "Choose a Gaussian")
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
        """Return the posterior from the network's output, shape (..., 2d + context): μ, log σ and h side by side."""
        own = self.gaussian.features
        gaussian, context = features.split((own, features.shape[-1] - own), -1)
        return FlowNormal(self.gaussian(gaussian), self.maps(context))


class InverseAutoregressivePosterior(FlowPosterior):
    """q(z|x) as of `FlowPosterior`, with maps in which each dimension depends on all that come before it.

    A draw costs one pass of the maps' networks. The density of other points than its own draws costs as many passes as there
    are dimensions.

    Args:
        latent_dim: d ≥ 2.
        transforms: number of maps, ≥ 1.
        context: length of h, ≥ 1.
        hidden: widths of the hidden layers of each map's network.

    Raises:
        VaekitError: for one latent dimension.

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016.

    Examples:
        >>> InverseAutoregressivePosterior(3, 2, 4, (8,))(torch.zeros(5, 10)).rsample((7,)).shape
        torch.Size([7, 5, 3])
    """

    name = "inverse_autoregressive_flow"
    passes = None
