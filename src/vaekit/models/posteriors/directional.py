"""The von Mises–Fisher posterior, for codes on a sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import VonMisesFisher
from vaekit.errors import VaekitError
from vaekit.models.posteriors.base import Posterior
from vaekit.networks.layers import Direction, soft_clamp
from vaekit.parts import Plan

LOG_CONCENTRATION = (-4.0, 5.0)
"""Smooth bounds of log κ/d."""
NUDGE = 1e-4
"""Added to the first coordinate, so that features that are all zero have a direction."""


class Directional(Posterior):
    """q(z|x) with z/‖z‖ ~ vMF(μ, κ), a von Mises–Fisher distribution of directions.

    The length ‖z‖ is distributed as under N(0, I). The network outputs v and a, which give μ = v/‖v‖ and κ = d·eᵃ. The decoder
    sees only the direction (`vaekit.networks.Direction`). Neither the bound nor the likelihood depends on the length, and the
    prior N(0, I) is uniform on the sphere.

    Args:
        latent_dim: d ≥ 2; the sphere has d − 1 dimensions.

    Raises:
        VaekitError: if `latent_dim` is below 2.

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
        """Return a module that scales z to a fixed norm, and the number d of its outputs."""
        return Direction(), plan.latent_dim

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 2:
            raise VaekitError(
                "latent_dim must be at least 2 for a directional posterior",
                str(latent_dim),
                "Choose a Gaussian posterior",
            )
        self.latent_dim, self.features = latent_dim, latent_dim + 1

    def forward(self, features: Tensor) -> VonMisesFisher:
        """Return the posterior from the network's output (v, a), shape (..., d + 1)."""
        v, raw = features.split((self.latent_dim, 1), -1)
        nudge = NUDGE * torch.eye(1, self.latent_dim, dtype=v.dtype, device=v.device).squeeze(0)
        kappa = self.latent_dim * soft_clamp(raw.squeeze(-1), *LOG_CONCENTRATION).exp()
        return VonMisesFisher(nn.functional.normalize(v + nudge, dim=-1), kappa)
