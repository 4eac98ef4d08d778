"""Gaussian posteriors with a diagonal, a full or a low-rank covariance."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models.posteriors.base import Posterior
from vaekit.networks.layers import soft_clamp

LOG_STD = (-9.0, 5.0)
"""Smooth bounds of log σ."""


class Diagonal(Posterior):
    """q(z|x) = N(μ, diag σ²), where the network outputs μ and log σ.

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
        """Return the posterior from the network's output, shape (..., 2d)."""
        mean, raw = features.chunk(2, -1)
        return DiagonalNormal(mean, soft_clamp(raw, *LOG_STD).exp())


class FullCovariance(Posterior):
    """q(z|x) = N(μ, LLᵀ), L = diag(σ)·(I + T), with T strictly lower triangular.

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
    below: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("below", torch.tril_indices(latent_dim, latent_dim, -1), persistent=False)
        self.latent_dim, self.features = latent_dim, 2 * latent_dim + self.below.shape[1]

    def forward(self, features: Tensor) -> CholeskyNormal:
        """Return the posterior from the network's output, shape (..., 2d + d(d − 1)/2)."""
        d = self.latent_dim
        mean, raw, triangle = features.split((d, d, features.shape[-1] - 2 * d), -1)
        lower = torch.diag_embed(torch.ones_like(mean))
        lower[..., self.below[0], self.below[1]] = triangle
        return CholeskyNormal(mean, soft_clamp(raw, *LOG_STD).exp().unsqueeze(-1) * lower)


class LowRank(Posterior):
    """q(z|x) = N(μ, diag σ² + VVᵀ), where V has r columns.

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
        """Options of a low-rank posterior."""

        rank: int = Field(
            4, ge=1, le=1000, description="Rank of the matrix that low_rank adds to a diagonal covariance."
        )

    def __init__(self, latent_dim: int, rank: int) -> None:
        super().__init__()
        self.latent_dim, self.features = latent_dim, (2 + rank) * latent_dim

    def forward(self, features: Tensor) -> CholeskyNormal:
        """Return the posterior from the network's output, shape (..., (2 + r)·d)."""
        d = self.latent_dim
        mean, raw, columns = features.split((d, d, features.shape[-1] - 2 * d), -1)
        std = soft_clamp(raw, *LOG_STD).exp().unsqueeze(-1)
        # diag σ² + VVᵀ = diag σ (I + WWᵀ) diag σ, W = V/σ: all eigenvalues are at least 1; float64 covers their range
        wide = columns.unflatten(-1, (d, -1)).double() / std
        factor = torch.linalg.cholesky(torch.eye(d, dtype=wide.dtype, device=wide.device) + wide @ wide.mT)
        return CholeskyNormal(mean, std * factor.to(std.dtype))
