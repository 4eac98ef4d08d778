"""A learned mixture of Gaussians as a prior.

p(z) = Σ_c π_c N(z; m_c, diag s_c²)
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

from vaekit.distributions import NormalMixture
from vaekit.errors import VaekitError
from vaekit.models.priors.base import Prior
from vaekit.parts import PartOptions


class GaussianMixture(Prior):
    """p(z) = Σ_c π_c N(z; m_c, diag s_c²), with learned weights, means and variances.

    The components start with equal weights, and the mixture with mean 0 and variance 1. A single component starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions, ≥ 1.
        components: number of components, ≥ 1.

    Raises:
        VaekitError: if an argument is below 1.

    References:
        Dilokthanakul et al., "Deep Unsupervised Clustering with Gaussian Mixture Variational Autoencoders", 2016.

    Examples:
        >>> GaussianMixture(2, 10)().log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    name = "mixture"

    class Options(PartOptions):
        """Options of a mixture."""

        components: int = Field(100, ge=1, le=100_000, description="Number of components of the mixture.")

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__()
        if latent_dim < 1 or components < 1:
            raise VaekitError("latent_dim and components must be at least 1", f"{latent_dim} and {components}")
        spread = 0.25 if components > 1 else 0.0  # variance of the means, out of a total variance of 1
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(math.sqrt(spread) * torch.randn(components, latent_dim))
        self.log_std = nn.Parameter(torch.full((components, latent_dim), 0.5 * math.log(1 - spread)))

    def forward(self) -> NormalMixture:
        """Return the prior, with event shape (latent_dim,)."""
        return NormalMixture(self.logits.log_softmax(0), self.mean, self.log_std.exp())
