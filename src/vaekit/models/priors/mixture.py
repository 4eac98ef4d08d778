"""A learned mixture of Gaussians as prior.

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
    """p(z) = Σ_c π_c N(z; m_c, diag s_c²), all learned.

    It starts as components of equal weight whose sum has mean 0 and variance 1; a single one starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions, ≥ 1.
        components: number of components, ≥ 1.

    Raises:
        VaekitError: if either is below 1.

    References:
        Dilokthanakul et al., "Deep Unsupervised Clustering with Gaussian Mixture Variational Autoencoders", 2016.

    Examples:
        >>> GaussianMixture(2, 10)().log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    name = "mixture"

    class Options(PartOptions):
        """What can be set of a mixture."""

        components: int = Field(100, ge=1, le=100_000, description="Components of the mixture.")

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__()
        if latent_dim < 1 or components < 1:
            raise VaekitError("latent_dim and components must be at least 1", f"{latent_dim} and {components}")
        spread = 0.25 if components > 1 else 0.0  # of the variance 1, what the means have
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(math.sqrt(spread) * torch.randn(components, latent_dim))
        self.log_std = nn.Parameter(torch.full((components, latent_dim), 0.5 * math.log(1 - spread)))

    def forward(self) -> NormalMixture:
        """The prior, with event shape (latent_dim,)."""
        return NormalMixture(self.logits.log_softmax(0), self.mean, self.log_std.exp())
