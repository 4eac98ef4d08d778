"""A standard normal distribution carried through an invertible map.

zuko's `NormalizingFlow` takes a chain of transform objects. This class takes any pair of functions, so the prior's
couplings can keep the halves of z apart and compute log |det| as the sum of the log-scales.

log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


class Flow(Distribution):
    """The distribution of z = f⁻¹(u), u ~ N(0, I), over vectors of length d.

    Args:
        to_base: maps z of shape (..., d) to u = f(z) of the same shape and log |det ∂f/∂z| of shape (...).
        from_base: maps u to z = f⁻¹(u).
        like: any vector of length d with the distribution's dtype and device.

    Examples:
        >>> double = Flow(lambda z: (z / 2, z.new_full(z.shape[:-1], -math.log(2.0))), lambda u: 2 * u, torch.zeros(1))
        >>> double.log_prob(torch.zeros(1, 1)).round(decimals=4)
        tensor([-1.6121])
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(
        self, to_base: Callable[[Tensor], tuple[Tensor, Tensor]], from_base: Callable[[Tensor], Tensor], like: Tensor
    ) -> None:
        super().__init__(event_shape=like.shape, validate_args=False)
        self.to_base, self.from_base, self.like = to_base, from_base, like

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(z), shape (...), of vectors of shape (..., d)."""
        u, log_det = self.to_base(value)
        return -0.5 * (u.square().sum(-1) + u.shape[-1] * math.log(2 * math.pi)) + log_det

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw z = f⁻¹(u); gradients reach the parameters of f."""
        shape = (*sample_shape, *self.event_shape)
        return self.from_base(torch.randn(shape, dtype=self.like.dtype, device=self.like.device))
