"""The Gaussian with a diagonal covariance, the posterior and the prior of the standard variational autoencoder.

N(z; μ, diag σ²),        z = μ + σ ⊙ ε,  ε ~ N(0, I)

KL[N(μ, diag σ²) ‖ N(m, diag s²)] = ½ Σ_j [ σ_j²/s_j² + (μ_j − m_j)²/s_j² − 1 − log(σ_j²/s_j²) ]
"""

from __future__ import annotations

from torch import Size, Tensor
from torch.distributions import Distribution, Independent, Normal, register_kl

from vaekit.distributions.reparameterized import Reparameterized


class DiagonalNormal(Reparameterized, Independent):  # type: ignore[type-arg]  # torch's class has no subscript at run time
    """A reparameterized Gaussian with a diagonal covariance.

    Args:
        mean: μ, shape (..., d).
        std: σ > 0, shape (..., d).

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.

    Examples:
        >>> import torch
        >>> q = DiagonalNormal(torch.zeros(3, 2), torch.ones(3, 2))
        >>> q.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        Independent.__init__(self, Normal(mean, std, validate_args=False), 1, validate_args=False)
        self.like = mean

    def expand(self, batch_shape: Size | list[int], _instance: Distribution | None = None) -> DiagonalNormal:  # type: ignore[override]
        """Return this distribution with a larger batch shape."""
        shape = (*batch_shape, self.event_shape[0])
        return DiagonalNormal(self.base_dist.loc.expand(shape), self.base_dist.scale.expand(shape))

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Map standard normal noise to draws, z = μ + σ ⊙ ε.

        Args:
            noise: ε, shape (samples, ..., d).

        Returns:
            z, of the same shape as the noise; gradients reach μ and σ.
        """
        return self.base_dist.loc + self.base_dist.scale * noise

    def standardize(self, z: Tensor) -> Tensor:
        """Return ε = (z − μ)/σ."""
        return (z - self.base_dist.loc) / self.base_dist.scale

    def detached(self) -> DiagonalNormal:
        """Return this distribution with detached parameters."""
        return DiagonalNormal(self.base_dist.loc.detach(), self.base_dist.scale.detach())

    def kl_per_dimension(self, other: DiagonalNormal) -> Tensor:
        """Return the terms of KL[self ‖ other], one for each coordinate, shape (..., d)."""
        mean, std, m, s = self.base_dist.loc, self.base_dist.scale, other.base_dist.loc, other.base_dist.scale
        ratio = std / s
        return 0.5 * (ratio.square() + ((mean - m) / s).square() - 1) - ratio.log()


@register_kl(DiagonalNormal, DiagonalNormal)
def _kl_diagonal_normal(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    return q.kl_per_dimension(p).sum(-1)
