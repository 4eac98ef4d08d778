"""The Gaussian with a full covariance, parameterised by its Cholesky factor.

N(z; μ, LLᵀ),        z = μ + Lε,  ε ~ N(0, I)

KL[N(μ, LLᵀ) ‖ N(m, diag s²)] = ½ [ Σ_ij L_ij²/s_i² + Σ_i (μ_i − m_i)²/s_i² − d ] − Σ_i log(L_ii/s_i)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, register_kl

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.reparameterized import Reparameterized


class CholeskyNormal(Reparameterized, MultivariateNormal):
    """A reparameterized Gaussian with a full covariance.

    Args:
        mean: μ, shape (..., d).
        factor: L, lower triangular with a positive diagonal, shape (..., d, d).

    Examples:
        >>> q = CholeskyNormal(torch.zeros(2), torch.tensor([[1.0, 0.0], [3.0, 1.0]]))
        >>> q.reparameterize(torch.tensor([1.0, 0.0]))
        tensor([1., 3.])
    """

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        MultivariateNormal.__init__(self, mean, scale_tril=factor, validate_args=False)
        self.like = mean

    def detached(self) -> CholeskyNormal:
        """Return this distribution with detached parameters."""
        return CholeskyNormal(self.loc.detach(), self.scale_tril.detach())

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Return z = μ + Lε."""
        return self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def standardize(self, z: Tensor) -> Tensor:
        """Return ε = L⁻¹(z − μ)."""
        factor = self.scale_tril.expand(*z.shape, z.shape[-1])
        return torch.linalg.solve_triangular(factor, (z - self.loc).unsqueeze(-1), upper=False).squeeze(-1)


@register_kl(CholeskyNormal, DiagonalNormal)
def _kl_triangular_diagonal(q: CholeskyNormal, p: DiagonalNormal) -> Tensor:
    diagonal = q.scale_tril.diagonal(dim1=-2, dim2=-1)
    spread = (q.scale_tril / p.stddev.unsqueeze(-1)).square().sum((-2, -1))
    distance = ((q.loc - p.mean) / p.stddev).square().sum(-1)
    return 0.5 * (spread + distance - diagonal.shape[-1]) - (diagonal / p.stddev).log().sum(-1)
