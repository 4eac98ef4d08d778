"""Mixtures of logistic distributions, with densities on the line and probabilities of intervals.

F(y) = Σ_m w_m σ((y − μ_m)/s_m)        f(y) = F′(y)        P(a, b) = F(b) − F(a)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


class LogisticMixture(Distribution):
    """Mixture of logistics whose cells are points with a slope, or intervals with a width.

    Args:
        logits: of the weights w, shape (..., M).
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
        """log f(y), shape (...)."""
        u = (y.unsqueeze(-1) - self.location) * torch.exp(-self.log_scale)
        each = F.logsigmoid(u) + F.logsigmoid(-u) - self.log_scale
        return torch.logsumexp(each + self.log_weights, -1)

    def log_interval(
        self, middle: Tensor, width: Tensor, lowest: Tensor | None = None, highest: Tensor | None = None
    ) -> Tensor:
        """log P(middle − width/2, middle + width/2), without cancellation for narrow intervals.

        With b − a = width/s, σ(b) − σ(a) = σ(b)·σ(−a)·(1 − e^{a−b}).

        Args:
            middle: of the intervals, shape (...).
            width: > 0, shape (...).
            lowest: intervals with this middle or a lower one reach down to −∞.
            highest: intervals with this middle or a higher one reach up to ∞.
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
        """Turn uniform numbers (..., 2) into draws (...): the first chooses the component, the second the place in it."""
        reached = self.log_weights.exp().cumsum(-1)
        last = reached.shape[-1] - 1
        chosen = (reached < uniform[..., :1]).sum(-1, keepdim=True).clamp(max=last)
        return self.quantile(chosen, uniform[..., 1])

    def quantile(self, component: Tensor, u: Tensor) -> Tensor:
        """The u-quantile of one component each, μ_m + s_m logit u.

        Args:
            component: which, shape (..., 1).
            u: in [0, 1], shape (...); kept off the ends, which are infinite.
        """
        shape = (*u.shape, self.location.shape[-1])
        location = self.location.expand(shape).gather(-1, component).squeeze(-1)
        scale = self.log_scale.expand(shape).gather(-1, component).squeeze(-1).exp()
        return location + scale * torch.logit(u.clamp(1e-7, 1 - 1e-7))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw a component, then a logistic value by its quantile function."""
        with torch.no_grad():
            return self.draw(torch.rand([*sample_shape, *self.batch_shape, 2], device=self.location.device))

    @property
    def mean(self) -> Tensor:
        """E[y] = Σ_m w_m μ_m."""
        return (self.log_weights.exp() * self.location).sum(-1)
