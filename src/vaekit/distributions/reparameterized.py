"""Distributions whose draws are an invertible map of standard normal noise, as every posterior needs it.

z = g(ε),  ε ~ N(0, I),      log q(z) = log N(g⁻¹(z); 0, I) − log |det ∂g/∂ε|
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

MOMENT_DRAWS = 64
"""Draws that estimate moments without a closed form, in pairs of opposite noise."""


class Reparameterized(Distribution):
    """A distribution over vectors of length d, as an invertible map of d standard normal numbers."""

    like: Tensor
    """Any tensor of the distribution's dtype and device."""

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Return z = g(ε) for noise of shape (..., *batch, d); gradients reach the map."""
        raise NotImplementedError

    def standardize(self, z: Tensor) -> Tensor:
        """Return ε = g⁻¹(z) for vectors of shape (..., *batch, d)."""
        raise NotImplementedError

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q(z) of vectors of shape (..., *batch, d)."""
        return super().log_prob(value)  # torch's class, next in line, has no type annotations

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw z = g(ε) with fresh ε; gradients reach the map."""
        shape = Size(sample_shape) + self.batch_shape + self.event_shape
        return self.reparameterize(torch.randn(shape, dtype=self.like.dtype, device=self.like.device))


class DrawnMoments(Reparameterized):
    """A reparameterized distribution whose mean and variance are estimated from 64 draws, the same at every call."""

    @property
    def mean(self) -> Tensor:
        """Return an estimate of E[z], shape (*batch, d)."""
        return self._draws.mean(0)

    @property
    def variance(self) -> Tensor:
        """Return an estimate of Var[z_j], shape (*batch, d)."""
        return self._draws.var(0)

    @cached_property
    def _draws(self) -> Tensor:
        half = torch.randn((MOMENT_DRAWS // 2, *self.event_shape), generator=torch.Generator().manual_seed(0))
        noise = torch.cat([half, -half]).to(self.like)
        noise = noise.unflatten(0, (MOMENT_DRAWS, *[1] * len(self.batch_shape)))
        return self.reparameterize(noise.expand(MOMENT_DRAWS, *self.batch_shape, *self.event_shape))
