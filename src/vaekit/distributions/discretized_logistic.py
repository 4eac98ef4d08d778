"""The logistic distribution rounded to the levels 0 … L−1, for pixels and other ordered levels.

    P(x = k) = σ((k + ½ − μ)/s) − σ((k − ½ − μ)/s);   the tails belong to the lowest and the highest level

Σ_k P(x = k) is exactly 1. This is a probability, not a density, so bits per dimension are comparable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

NARROW, REACH = 1.0, 18
"""Below the scale NARROW, P(x ≥ k) is 0 or 1 to within 1e-7 except for the REACH levels on each side of μ."""
FEW = 2 * REACH + 1
"""Greatest number of levels that the mean sums one by one."""
FAR = 20.0
"""Scales after which σ is 0 or 1 to within 1e-8."""
MIDPOINT = (1 / 24, -7 / 5760, 31 / 967_680, -127 / 154_828_800)
"""Coefficients of the Euler–Maclaurin formula for midpoints, for the derivatives 1, 3, 5 and 7 of a function of slope < 0."""


class DiscretizedLogistic(Distribution):
    """A logistic distribution rounded to the levels 0 … L−1.

    Args:
        location: μ in levels, any real number, shape (...).
        scale: s > 0 in levels, shape (...).
        levels: L ≥ 2.

    References:
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017.

    Examples:
        >>> p = DiscretizedLogistic(torch.tensor(1.2), torch.tensor(0.7), levels=4)
        >>> round(float(sum(p.log_prob(torch.tensor(float(k))).exp() for k in range(4))), 6)
        1.0
    """

    arg_constraints = {"location": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    has_rsample = False

    def __init__(self, location: Tensor, scale: Tensor, levels: int) -> None:
        self.location, self.scale = torch.broadcast_tensors(location, scale)
        self.levels = levels
        super().__init__(self.location.shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """Return the constraint that a value is one of the levels 0 … L−1."""
        return constraints.integer_interval(0, self.levels - 1)

    def expand(self, batch_shape: Size, _instance: Distribution | None = None) -> DiscretizedLogistic:  # type: ignore[override]
        """Return this distribution with a larger batch shape."""
        return DiscretizedLogistic(self.location.expand(batch_shape), self.scale.expand(batch_shape), self.levels)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P(x = value) for values in 0 … L−1, without cancellation.

        With a > b, σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^{b−a}); here a − b = 1/s for every inner level.
        """
        a = (value + 0.5 - self.location) / self.scale
        b = (value - 0.5 - self.location) / self.scale
        below, above = F.logsigmoid(a), F.logsigmoid(-b)
        inner = below + above + torch.log(-torch.expm1(-1 / self.scale))
        return torch.where(value <= 0, below, torch.where(value >= self.levels - 1, above, inner))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw logistic values by the quantile function, and round them to the levels 0 … L−1."""
        with torch.no_grad():
            shape = Size(sample_shape) + self.location.shape
            u = torch.rand(shape, dtype=self.location.dtype, device=self.location.device).clamp(1e-7, 1 - 1e-7)
            return (self.location + self.scale * torch.logit(u)).round().clamp(0, self.levels - 1)

    @property
    def mean(self) -> Tensor:
        """Return E[x] = Σ_{k=1}^{L−1} P(x ≥ k).

        Up to 37 levels are summed one by one. More levels are summed near μ if the scale is below 1, and otherwise the sum is
        an integral with corrections; the error is below 10⁻⁶ levels.
        """
        if self.levels > FEW:
            return torch.where(self.scale < NARROW, self._mean_of_narrow(), self._mean_of_wide())
        return self._sum(torch.zeros_like(self.location), self.levels - 1)

    def _sum(self, first: Tensor, count: int) -> Tensor:
        """Return first + Σ P(x ≥ k) over `count` levels k after `first`, one by one, so that memory does not grow with them."""
        total, distance = first, self.location + 0.5 - first
        for i in range(1, count + 1):
            total = total + torch.sigmoid((distance - i) / self.scale)
        return total

    def _mean_of_narrow(self) -> Tensor:
        """Return E[x] for a small scale: P(x ≥ k) is 0 or 1 far from μ, so only the levels near μ are summed."""
        first = (self.location.detach().round() - REACH).clamp(0, self.levels - 1 - 2 * REACH)
        return self._sum(first, 2 * REACH)

    def _mean_of_wide(self) -> Tensor:
        """Return E[x] for a large scale: the integral of P(x ≥ k) over k, with corrections of Euler and Maclaurin."""
        scale = self.scale.clamp(min=NARROW)
        outside = FAR * scale  # further away nothing changes, but the integral would cancel
        location = torch.clamp(self.location, -outside, self.levels - 1 + outside)
        low, high = location / scale, (location - self.levels + 1) / scale
        total = scale * (F.softplus(low) - F.softplus(high))
        pairs = zip(_odd_derivatives(high), _odd_derivatives(low), strict=True)
        for i, (coefficient, (last, first)) in enumerate(zip(MIDPOINT, pairs, strict=True)):
            total = total + coefficient * (last - first) / scale ** (2 * i + 1)
        return total

    @property
    def variance(self) -> Tensor:
        """Return Var[x] = Σ_k (2k − 1)·P(x ≥ k) − E[x]²."""
        second = torch.zeros_like(self.location)
        for k in range(1, self.levels):
            second = second + (2 * k - 1) * torch.sigmoid((self.location - (k - 0.5)) / self.scale)
        return second - self.mean.square()


def _odd_derivatives(u: Tensor) -> tuple[Tensor, ...]:
    """Return the derivatives 1, 3, 5 and 7 of σ at u, polynomials in w = σ′(u)."""
    w = torch.sigmoid(u) * torch.sigmoid(-u)
    third, fifth = 1 - 6 * w, 1 + w * (-30 + 120 * w)
    return w, w * third, w * fifth, w * (1 + w * (-126 + w * (1680 - 5040 * w)))
