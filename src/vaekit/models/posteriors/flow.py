"""Posteriors that bend: a Gaussian carried through maps that the encoder steers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.distributions import FlowingNormal
from vaekit.errors import VaekitError
from vaekit.models.gaussians import Diagonal
from vaekit.models.priors.flow import start_as_identity


class FlowPosterior(nn.Module):
    """q(z|x): z = f(u; h(x)), u ~ N(μ(x), diag σ(x)²), f a chain of affine maps of each dimension given others.

    They start as the identity. Of `autoregressive` maps each dimension is given all before it: drawing costs one pass
    of their networks, the density of other points than its own draws as many passes as there are dimensions. Of
    couplings one half is given the other, at the same speed both ways.

    Args:
        latent_dim: d ≥ 2.
        autoregressive: whether all dimensions before are given, else half of them.
        transforms: number of maps, ≥ 1.
        context: length of h, ≥ 1.
        hidden: widths of the hidden layers of each map's network.

    Raises:
        VaekitError: for one latent dimension.

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016;
        Rezende and Mohamed, "Variational Inference with Normalizing Flows", 2015.

    Examples:
        >>> FlowPosterior(3, False, 2, 4, (8,))(torch.zeros(5, 10)).rsample((7,)).shape
        torch.Size([7, 5, 3])
    """

    def __init__(
        self, latent_dim: int, autoregressive: bool, transforms: int, context: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        if latent_dim < 2:
            raise VaekitError("a flow must have at least 2 latent dimensions", str(latent_dim), "Choose a Gaussian")
        from zuko.flows import MaskedAutoregressiveTransform
        from zuko.lazy import LazyComposedTransform

        self.gaussian = Diagonal(latent_dim)
        self.features = self.gaussian.features + context
        passes = None if autoregressive else 2
        order = torch.arange(latent_dim)
        maps = [
            MaskedAutoregressiveTransform(
                latent_dim, context, passes, order if turn % 2 == 0 else order.flip(0), hidden_features=tuple(hidden)
            )
            for turn in range(transforms)
        ]
        for one in maps:
            start_as_identity(one)
        self.maps = LazyComposedTransform(*maps)

    def forward(self, features: Tensor) -> FlowingNormal:
        """The posterior from the network's output, shape (..., 2d + context): μ, log σ and h side by side."""
        own = self.gaussian.features
        gaussian, context = features.split((own, features.shape[-1] - own), -1)
        return FlowingNormal(self.gaussian(gaussian), self.maps(context))
