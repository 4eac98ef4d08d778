"""The logistic distribution rounded to the levels 0 … L−1, a likelihood for pixels and other graded values.

    P(x = k) = σ((k + ½ − μ)/s) − σ((k − ½ − μ)/s),   the lowest and highest levels taking the tails

so that Σ_k P(x = k) = 1 exactly: it is a probability, and its logarithm gives honest bits per dimension.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

FEW = 256
"""Levels that are summed one by one."""
NARROW, REACH = 4.0, 64
"""Below this scale only so many levels on each side of μ are neither certain nor impossible, to 1e-7."""


class DiscretizedLogistic(Distribution):
    """Logistic distribution over the levels 0 … L−1.

    Args:
        location: μ in levels, any real, shape (...).
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
        """The levels 0 … L−1."""
        return constraints.integer_interval(0, self.levels - 1)

    def expand(self, batch_shape: Size, _instance: Distribution | None = None) -> DiscretizedLogistic:  # type: ignore[override]
        """The same distribution over a larger batch."""
        return DiscretizedLogistic(self.location.expand(batch_shape), self.scale.expand(batch_shape), self.levels)

    def log_prob(self, value: Tensor) -> Tensor:
        """log P(x = value) for values in 0 … L−1, without cancellation.

        With a > b, σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^{b−a}); here a − b = 1/s for every inner level.
        """
        a = (value + 0.5 - self.location) / self.scale
        b = (value - 0.5 - self.location) / self.scale
        below, above = F.logsigmoid(a), F.logsigmoid(-b)
        inner = below + above + torch.log(-torch.expm1(-1 / self.scale))
        return torch.where(value <= 0, below, torch.where(value >= self.levels - 1, above, inner))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw a logistic value by its quantile function and round it into 0 … L−1."""
        with torch.no_grad():
            shape = Size(sample_shape) + self.location.shape
            u = torch.rand(shape, dtype=self.location.dtype, device=self.location.device).clamp(1e-7, 1 - 1e-7)
            return (self.location + self.scale * torch.logit(u)).round().clamp(0, self.levels - 1)

    @property
    def mean(self) -> Tensor:
        """E[x] = Σ_{k=1}^{L−1} P(x ≥ k), summed level by level so that memory does not grow with L; of more than 256 levels in parts."""
        if self.levels > FEW:
            return torch.where(self.scale < NARROW, self._mean_of_narrow(), self._mean_of_wide())
        total = torch.zeros_like(self.location)
        for k in range(1, self.levels):
            total = total + torch.sigmoid((self.location - (k - 0.5)) / self.scale)
        return total

    def _mean_of_narrow(self) -> Tensor:
        """E[x] where P(x ≥ k) is 1 or 0 but for the levels around μ, which alone are summed."""
        middle, most = self.location.round().clamp(-REACH, self.levels + REACH), self.levels - 1
        total = (middle - REACH).clamp(0, most)
        for offset in range(1 - REACH, REACH + 1):
            k = middle + offset
            total = total + torch.sigmoid((self.location + 0.5 - k) / self.scale) * ((k >= 1) & (k <= most))
        return total

    def _mean_of_wide(self) -> Tensor:
        """E[x] by the integral of P(x ≥ k) over k and the first correction of Euler and Maclaurin for the midpoint rule."""
        low, high = self.location / self.scale, (self.location - self.levels + 1) / self.scale
        slope = torch.sigmoid(high) * torch.sigmoid(-high) - torch.sigmoid(low) * torch.sigmoid(-low)
        return self.scale * (F.softplus(low) - F.softplus(high)) + slope / (24 * self.scale)

    @property
    def variance(self) -> Tensor:
        """Var[x] = Σ_k (2k − 1)·P(x ≥ k) − E[x]²."""
        second = torch.zeros_like(self.location)
        for k in range(1, self.levels):
            second = second + (2 * k - 1) * torch.sigmoid((self.location - (k - 0.5)) / self.scale)
        return second - self.mean.square()
