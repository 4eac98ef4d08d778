"""The posterior of a direction, for codes on a sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import VonMisesFisher
from vaekit.errors import VaekitError
from vaekit.models.posteriors.base import Posterior
from vaekit.networks.layers import Direction, soft_clamp
from vaekit.parts import Plan

LOG_CONCENTRATION = (-4.0, 5.0)
"""Bounds of log κ/d, kept smoothly."""
NUDGE = 1e-4
"""Added to the first coordinate, lest features that are all zero have no direction."""


class Directional(Posterior):
    """q(z|x): z/‖z‖ ~ vMF(μ(x), κ(x)), ‖z‖ as of N(0, I); from the features v and a, μ = v/‖v‖ and κ = d·eᵃ.

    A decoder is to see the direction alone (`vaekit.networks.Direction`): then the length is noise that neither bound
    nor likelihood depends on, and N(0, I) is the uniform prior on the sphere.

    Args:
        latent_dim: d ≥ 2, for directions on the sphere of d − 1 dimensions.

    Raises:
        VaekitError: for one latent dimension.

    References:
        Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018.

    Examples:
        >>> Directional(3)(torch.zeros(5, 4)).rsample((7,)).shape
        torch.Size([7, 5, 3])
    """

    name = "von_mises_fisher"
    two_dimensions = True
    detachable = True

    @classmethod
    def decoder_input(cls, plan: Plan) -> tuple[nn.Module | None, int]:
        """Return the direction alone: the decoder does not see the length."""
        return Direction(), plan.latent_dim

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 2:
            raise VaekitError(
                "a direction must have at least 2 latent dimensions", str(latent_dim), "Choose a Gaussian"
            )
        self.latent_dim, self.features = latent_dim, latent_dim + 1

    def forward(self, features: Tensor) -> VonMisesFisher:
        """The posterior from the network's output, shape (..., d + 1): v and a side by side."""
        v, raw = features.split((self.latent_dim, 1), -1)
        nudge = NUDGE * torch.eye(1, self.latent_dim, dtype=v.dtype, device=v.device).squeeze(0)
        kappa = self.latent_dim * soft_clamp(raw.squeeze(-1), *LOG_CONCENTRATION).exp()
        return VonMisesFisher(nn.functional.normalize(v + nudge, dim=-1), kappa)
