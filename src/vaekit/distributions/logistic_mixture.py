"""Mixtures of logistic distributions, with densities of points and probabilities of intervals.

F(y) = Σ_m w_m σ((y − μ_m)/s_m)        f(y) = F′(y)        P(a, b) = F(b) − F(a)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


def choose(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Map uniform numbers (..., 1) to indices (..., 1), each chosen with its weight; `log_weights` has shape (..., M)."""
    cumulative = log_weights.exp().cumsum(-1)
    return (cumulative < uniform).sum(-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)


class LogisticMixture(Distribution):
    """A mixture of M logistic distributions on the real line.

    Args:
        logits: unnormalised log w, shape (..., M).
        location: μ, shape (..., M).
        log_scale: log s, shape (..., M).

    References:
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017.

    Examples:
        >>> p = LogisticMixture(torch.zeros(1), torch.zeros(1), torch.zeros(1))
        >>> round(float(p.log_density(torch.tensor(0.0)).exp()), 4)
        0.25
        >>> below, above = p.log_interval(torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 2.0])).exp()
        >>> bool(torch.isclose(below, above)), bool(below + above < 1)
        (True, True)
    """

    arg_constraints = {"logits": constraints.real, "location": constraints.real}  # noqa: RUF012
    has_rsample = False

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor) -> None:
        self.log_weights = logits.log_softmax(-1)
        self.location, self.log_scale = location, log_scale
        super().__init__(location.shape[:-1], validate_args=False)

    def log_density(self, y: Tensor) -> Tensor:
        """Return log f(y), shape (...)."""
        u = (y.unsqueeze(-1) - self.location) * torch.exp(-self.log_scale)
        each = F.logsigmoid(u) + F.logsigmoid(-u) - self.log_scale
        return torch.logsumexp(each + self.log_weights, -1)

    def log_interval(
        self, middle: Tensor, width: Tensor, lowest: Tensor | None = None, highest: Tensor | None = None
    ) -> Tensor:
        """Return log P(middle − width/2, middle + width/2), without cancellation for narrow intervals.

        With b − a = width/s, σ(b) − σ(a) = σ(b)·σ(−a)·(1 − e^{a−b}).

        Args:
            middle: midpoints of the intervals, shape (...).
            width: widths of the intervals, > 0, shape (...).
            lowest: an interval whose midpoint is at most this extends to −∞.
            highest: an interval whose midpoint is at least this extends to ∞.
        """
        inverse = torch.exp(-self.log_scale)
        half = 0.5 * width.unsqueeze(-1) * inverse
        u = (middle.unsqueeze(-1) - self.location) * inverse
        below, above = F.logsigmoid(u + half), F.logsigmoid(half - u)
        each = below + above + torch.log(-torch.expm1(-2 * half))
        if lowest is not None:
            each = torch.where((middle <= lowest).unsqueeze(-1), below, each)
        if highest is not None:
            each = torch.where((middle >= highest).unsqueeze(-1), above, each)
        return torch.logsumexp(each + self.log_weights, -1)

    def draw(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., 2) to draws (...): the first chooses a component, the second a quantile of it."""
        return self.quantile(choose(self.log_weights, uniform[..., :1]), uniform[..., 1])

    def quantile(self, component: Tensor, u: Tensor) -> Tensor:
        """Return the u-quantile of a component, μ_m + s_m logit u.

        Args:
            component: index m of the component, shape (..., 1).
            u: in [0, 1], shape (...); clamped away from 0 and 1, where the quantile is infinite.
        """
        shape = (*u.shape, self.location.shape[-1])
        location = self.location.expand(shape).gather(-1, component).squeeze(-1)
        scale = self.log_scale.expand(shape).gather(-1, component).squeeze(-1).exp()
        return location + scale * torch.logit(u.clamp(1e-7, 1 - 1e-7))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw a component, then a value by its quantile function."""
        with torch.no_grad():
            return self.draw(torch.rand([*sample_shape, *self.batch_shape, 2], device=self.location.device))

    @property
    def mean(self) -> Tensor:
        """Return E[y] = Σ_m w_m μ_m."""
        return (self.log_weights.exp() * self.location).sum(-1)
