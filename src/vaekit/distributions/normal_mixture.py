"""A mixture of many Gaussians over vectors.

p(z) = Σ_c π_c N(z; m_c, diag s_c²)

The exponents of all vectors under all components are matrix products:

    −½ Σ_j (z_j − m_cj)²/s_cj² = −½ z² · s⁻² + z · (m/s²) − ½ Σ_j m²/s².

They are computed in double precision, because the three terms nearly cancel for narrow components.
"""

from __future__ import annotations

import math

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


class NormalMixture(Distribution):
    """The mixture Σ_c π_c N(m_c, diag s_c²) over vectors of length d.

    Args:
        log_weights: log π, normalised, shape (C,).
        mean: m, shape (C, d).
        std: s > 0, shape (C, d).

    Examples:
        >>> two = NormalMixture(torch.tensor([0.5, 0.5]).log(), torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1))
        >>> two.log_prob(torch.zeros(3, 1)).round(decimals=4)
        tensor([-1.4189, -1.4189, -1.4189])
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(self, log_weights: Tensor, mean: Tensor, std: Tensor) -> None:
        super().__init__(event_shape=mean.shape[-1:], validate_args=False)
        self.log_weights, self.component_mean, self.component_std = log_weights, mean, std

    @property
    def mean(self) -> Tensor:
        """Return E[z] = Σ_c π_c m_c, shape (d,)."""
        return self.log_weights.exp() @ self.component_mean

    @property
    def variance(self) -> Tensor:
        """Return Var[z_j] = Σ_c π_c (s_cj² + m_cj²) − E[z_j]², shape (d,)."""
        second = self.component_std.square() + self.component_mean.square()
        return self.log_weights.exp() @ second - self.mean.square()

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(z), shape (...), of vectors of shape (..., d)."""
        z, mean, std = value.double(), self.component_mean.double(), self.component_std.double()
        precision = std.square().reciprocal()
        constant = -0.5 * (mean.square() * precision).sum(-1) - std.log().sum(-1)
        exponent = z @ (mean * precision).mT - 0.5 * (z.square() @ precision.mT) + (constant + self.log_weights)
        return (exponent.logsumexp(-1) - 0.5 * mean.shape[-1] * math.log(2 * math.pi)).to(value.dtype)

    def draw(self, uniform: Tensor, noise: Tensor) -> Tensor:
        """Map noise to draws: a component by the quantile function of c, and then a vector from it.

        Args:
            uniform: a number in (0, 1) for each draw, shape (...).
            noise: standard normal noise, shape (..., d).

        Returns:
            Vectors, shape (..., d).
        """
        reached = self.log_weights.double().exp().cumsum(0)
        chosen = (reached <= uniform.double().unsqueeze(-1) * reached[-1]).sum(-1).clamp(max=len(reached) - 1)
        return self.component_mean[chosen] + self.component_std[chosen] * noise

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw a component and then a vector from it, shape (*sample_shape, d), without gradients."""
        with torch.no_grad():
            count = math.prod(sample_shape)
            chosen = torch.multinomial(self.log_weights.exp(), count, replacement=True)
            mean, std = self.component_mean[chosen], self.component_std[chosen]
            return (mean + std * torch.randn_like(mean)).reshape(*sample_shape, *self.event_shape)
