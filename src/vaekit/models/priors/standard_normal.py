"""The standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions import DiagonalNormal
from vaekit.errors import VaekitError
from vaekit.models.priors.base import Prior


class StandardNormal(Prior):
    """p(z) = N(0, I), the prior of the standard model.

    Args:
        latent_dim: number of latent dimensions, ≥ 1.

    Raises:
        VaekitError: if `latent_dim` is below 1.

    Examples:
        >>> StandardNormal(3)().log_prob(torch.zeros(3)).exp().pow(2 / 3).mul(2 * torch.pi).round(decimals=4)
        tensor(1.)
    """

    name = "standard_normal"
    mean: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise VaekitError("latent_dim must be at least 1", str(latent_dim))
        self.register_buffer("mean", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> DiagonalNormal:
        """Return the prior, with event shape (latent_dim,)."""
        return DiagonalNormal(self.mean, torch.ones_like(self.mean))
