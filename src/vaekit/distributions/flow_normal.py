"""A Gaussian carried through an invertible map, for posteriors that are not Gaussian.

z = f(u),  u ~ N(μ, diag σ²),      log q(z) = log N(u; μ, diag σ²) − log |det ∂f/∂u|

The map f is a zuko transform. zuko's `NormalizingFlow` has neither the maps between noise and z nor a cached density of the
last draw. The cache avoids the inverse of f: an autoregressive map takes one pass per dimension to invert.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributions import constraints

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.reparameterized import DrawnMoments


class FlowNormal(DrawnMoments):
    """The distribution of z = f(u) for a Gaussian u.

    Args:
        base: distribution of u, batch shape (...), event shape (d,).
        transform: f, a zuko transform of vectors of length d.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(self, base: DiagonalNormal, transform: Any) -> None:
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)
        self.base, self.transform, self.like = base, transform, base.like
        self._drawn: tuple[Tensor, Tensor] | None = None

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Return z = f(μ + σ ⊙ ε) and cache log q(z), so that `log_prob` need not invert f."""
        u = self.base.reparameterize(noise)
        z, log_det = self.transform.call_and_ladj(u)
        self._drawn = z, self.base.log_prob(u) - log_det
        return z

    def standardize(self, z: Tensor) -> Tensor:
        """Return ε = (f⁻¹(z) − μ)/σ."""
        return self.base.standardize(self.transform.inv(z))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q(z) of vectors of shape (..., *batch, d)."""
        if self._drawn is not None and value is self._drawn[0]:
            return self._drawn[1]
        u = self.transform.inv(value)
        return self.base.log_prob(u) - self.transform.log_abs_det_jacobian(u, value)
