"""The logistic distribution rounded to the levels 0 … L−1, for pixels and other ordered levels.

    P(x = k) = σ((k + ½ − μ)/s) − σ((k − ½ − μ)/s);   the tails belong to the lowest and the highest level

Σ_k P(x = k) is exactly 1. This is a probability, not a density, so bits per dimension are comparable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

FEW = 256
"""Greatest number of levels that the mean sums one by one."""
NARROW, REACH = 4.0, 64
"""Below the scale NARROW, P(x ≥ k) is 0 or 1 to within 1e-7 except for the REACH levels on each side of μ."""


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

        The levels are summed one by one, so memory does not grow with L. Above 256 levels, the sum is cut or approximated.
        """
        if self.levels > FEW:
            return torch.where(self.scale < NARROW, self._mean_of_narrow(), self._mean_of_wide())
        total = torch.zeros_like(self.location)
        for k in range(1, self.levels):
            total = total + torch.sigmoid((self.location - (k - 0.5)) / self.scale)
        return total

    def _mean_of_narrow(self) -> Tensor:
        """Return E[x] for a small scale: P(x ≥ k) is 0 or 1 far from μ, so only the levels near μ are summed."""
        middle, most = self.location.round().clamp(-REACH, self.levels + REACH), self.levels - 1
        total = (middle - REACH).clamp(0, most)
        for offset in range(1 - REACH, REACH + 1):
            k = middle + offset
            total = total + torch.sigmoid((self.location + 0.5 - k) / self.scale) * ((k >= 1) & (k <= most))
        return total

    def _mean_of_wide(self) -> Tensor:
        """Return E[x] for a large scale: the integral of P(x ≥ k) over k, with the first Euler–Maclaurin correction."""
        low, high = self.location / self.scale, (self.location - self.levels + 1) / self.scale
        slope = torch.sigmoid(high) * torch.sigmoid(-high) - torch.sigmoid(low) * torch.sigmoid(-low)
        return self.scale * (F.softplus(low) - F.softplus(high)) + slope / (24 * self.scale)

    @property
    def variance(self) -> Tensor:
        """Return Var[x] = Σ_k (2k − 1)·P(x ≥ k) − E[x]²."""
        second = torch.zeros_like(self.location)
        for k in range(1, self.levels):
            second = second + (2 * k - 1) * torch.sigmoid((self.location - (k - 0.5)) / self.scale)
        return second - self.mean.square()
