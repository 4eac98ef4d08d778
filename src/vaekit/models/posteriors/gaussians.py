"""Gaussians over latent vectors: what a network's output says of mean and covariance."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models.posteriors.base import Posterior
from vaekit.networks.layers import soft_clamp

LOG_STD = (-9.0, 5.0)
"""Bounds of log σ, kept smoothly."""


class Diagonal(Posterior):
    """q(z|x) = N(μ, diag σ²), from μ and log σ side by side.

    Args:
        latent_dim: d ≥ 1.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.

    Examples:
        >>> Diagonal(2)(torch.zeros(5, 4)).event_shape
        torch.Size([2])
    """

    name = "diagonal"
    detachable = True

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.features = 2 * latent_dim

    def forward(self, features: Tensor) -> DiagonalNormal:
        """The posterior from the network's output, shape (..., 2d)."""
        mean, raw = features.chunk(2, -1)
        return DiagonalNormal(mean, soft_clamp(raw, *LOG_STD).exp())


class FullCovariance(Posterior):
    """q(z|x) = N(μ, LLᵀ), L = diag(σ)·(I + strictly lower triangle).

    Args:
        latent_dim: d ≥ 1.

    References:
        Kingma and Welling, "An Introduction to Variational Autoencoders", 2019, section 2.5.1.

    Examples:
        >>> FullCovariance(3)(torch.zeros(5, 9)).event_shape
        torch.Size([3])
    """

    name = "full_covariance"
    detachable = True
    place: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("place", torch.tril_indices(latent_dim, latent_dim, -1), persistent=False)
        self.latent_dim, self.features = latent_dim, 2 * latent_dim + self.place.shape[1]

    def forward(self, features: Tensor) -> CholeskyNormal:
        """The posterior from the network's output, shape (..., 2d + d(d − 1)/2)."""
        d = self.latent_dim
        mean, raw, below = features.split((d, d, features.shape[-1] - 2 * d), -1)
        lower = torch.diag_embed(torch.ones_like(mean))
        lower[..., self.place[0], self.place[1]] = below
        return CholeskyNormal(mean, soft_clamp(raw, *LOG_STD).exp().unsqueeze(-1) * lower)


class LowRank(Posterior):
    """q(z|x) = N(μ, diag σ² + VVᵀ), V of r columns.

    Args:
        latent_dim: d ≥ 1.
        rank: r ≥ 1.

    References:
        Rezende, Mohamed and Wierstra, "Stochastic Backpropagation", 2014, section 4.3.

    Examples:
        >>> LowRank(3, rank=1)(torch.zeros(5, 9)).event_shape
        torch.Size([3])
    """

    name = "low_rank"
    detachable = True

    class Options(Posterior.Options):
        """What can be set of a posterior of low rank."""

        rank: int = Field(4, ge=1, le=1000, description="Rank of what low_rank adds to independent dimensions.")

    def __init__(self, latent_dim: int, rank: int) -> None:
        super().__init__()
        self.latent_dim, self.features = latent_dim, (2 + rank) * latent_dim

    def forward(self, features: Tensor) -> CholeskyNormal:
        """The posterior from the network's output, shape (..., (2 + r)·d)."""
        d = self.latent_dim
        mean, raw, columns = features.split((d, d, features.shape[-1] - 2 * d), -1)
        std = soft_clamp(raw, *LOG_STD).exp().unsqueeze(-1)
        # diag σ² + VVᵀ = diag σ (I + WWᵀ) diag σ, W = V/σ: no eigenvalue is below 1, and float64 tells the greatest from it
        wide = columns.unflatten(-1, (d, -1)).double() / std
        factor = torch.linalg.cholesky(torch.eye(d, dtype=wide.dtype, device=wide.device) + wide @ wide.mT)
        return CholeskyNormal(mean, std * factor.to(std.dtype))
