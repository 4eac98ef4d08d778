"""Mixtures of logistic distributions, with densities of points and probabilities of intervals.

F(y) = Σ_m w_m σ((y − μ_m)/s_m)        f(y) = F′(y)        P(a, b) = F(b) − F(a)

A mixture may have bounds a and b. Then its density is that of the numbers between them, and on a grid the intervals of
the least and the greatest number include the tails:

    density           p(y) = f(y)/P(a, b)
    at the ends       P(−∞, a + h/2) and P(b − h/2, ∞)

Both sum to 1. No number beyond the bounds is drawn, but its probability is ε times that without bounds, not 0. With
ε = 10⁻¹⁰ the sum stays 1 up to rounding in single precision.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

LOG_OUTSIDE = -10 * math.log(10)
"""log ε, for numbers beyond the bounds."""
FARTHEST = 1e30
"""Bounds beyond this are infinite."""


def choose(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Map uniform numbers (..., 1) to indices (..., 1), each chosen with its weight; `log_weights` has shape (..., M)."""
    cumulative = log_weights.exp().cumsum(-1)
    return (cumulative < uniform).sum(-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)


def log_mass(low: Tensor, high: Tensor) -> Tensor:
    """Return log(σ(high) − σ(low)) without cancellation: σ(b) − σ(a) = σ(b)·σ(−a)·(1 − e^{a−b})."""
    return F.logsigmoid(high) + F.logsigmoid(-low) + torch.log(-torch.expm1(low - high))


def quantile_between(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the u-quantile of the standard logistic distribution between two bounds, also where they have little mass.

    Its logarithms of odds come from p = σ(low) + u·mass and 1 − p = σ(−high) + (1 − u)·mass.
    """
    mass = log_mass(low, high)
    log_p = torch.logaddexp(F.logsigmoid(low), u.log() + mass)
    log_q = torch.logaddexp(F.logsigmoid(-high), torch.log1p(-u) + mass)
    return (log_p - log_q).clamp(low, high)


def mean_between(low: Tensor, high: Tensor) -> Tensor:
    """Return the mean of the standard logistic distribution between two bounds.

    With g(y) = y·σ(y) − log(1 + e^y), it is (g(high) − g(low))/(σ(high) − σ(low)). The interval is mirrored to the side
    on which this does not cancel. Where the mass underflows, the mean is the bound nearer to 0.
    """
    mirrored = low + high > 0
    a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    mass = b.sigmoid() - a.sigmoid()
    integral = b * b.sigmoid() + F.logsigmoid(-b) - a * a.sigmoid() - F.logsigmoid(-a)
    mean = torch.where(mass > 0, integral / mass, b).clamp(a, b)
    return torch.where(mirrored, -mean, mean)


class LogisticMixture(Distribution):
    """A mixture of M logistic distributions on the real line, or between bounds.

    Args:
        logits: unnormalised log w, shape (..., M).
        location: μ, shape (..., M).
        log_scale: log s, shape (..., M).
        limits: bounds a < b of densities and draws, ±∞ where there is no bound, shape (2, ...); no bounds by default.

    References:
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017.

    Examples:
        >>> p = LogisticMixture(torch.zeros(1), torch.zeros(1), torch.zeros(1))
        >>> round(float(p.log_density(torch.tensor(0.0)).exp()), 4)
        0.25
        >>> below, above = p.log_interval(torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 2.0])).exp()
        >>> bool(torch.isclose(below, above)), bool(below + above < 1)
        (True, True)
        >>> positive = LogisticMixture(*torch.zeros(3, 1), limits=torch.tensor([0.0, torch.inf]))
        >>> round(float(positive.log_density(torch.tensor(0.0)).exp()), 3), bool((positive.sample((100,)) > 0).all())
        (0.5, True)
    """

    arg_constraints = {"logits": constraints.real, "location": constraints.real}  # noqa: RUF012
    has_rsample = False

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor, limits: Tensor | None = None) -> None:
        self.log_weights = logits.log_softmax(-1)
        self.location, self.log_scale, self.limits = location, log_scale, limits
        super().__init__(location.shape[:-1], validate_args=False)

    def ends(self, location: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bounds in units of components, (a − μ)/s and (b − μ)/s, as finite numbers.

        Args:
            location: μ of one component or more for each number, shape (..., C).
            log_scale: log s, shape (..., C).

        Returns:
            Two tensors of shape (..., C).
        """
        if self.limits is None:
            farthest = torch.full_like(location, FARTHEST)
            return -farthest, farthest
        low, high = self.limits.to(location).clamp(-FARTHEST, FARTHEST).unsqueeze(-1)
        inverse = torch.exp(-log_scale)
        return (low - location) * inverse, (high - location) * inverse

    @property
    def bounded_weights(self) -> Tensor:
        """Return the log-weights of the components among the values between the bounds, shape (..., M)."""
        if self.limits is None:
            return self.log_weights
        return (self.log_weights + log_mass(*self.ends(self.location, self.log_scale))).log_softmax(-1)

    def log_density(self, y: Tensor) -> Tensor:
        """Return log p(y), shape (...)."""
        u = (y.unsqueeze(-1) - self.location) * torch.exp(-self.log_scale)
        each = F.logsigmoid(u) + F.logsigmoid(-u) - self.log_scale
        free = torch.logsumexp(each + self.log_weights, -1)
        if self.limits is None:
            return free
        mass = torch.logsumexp(self.log_weights + log_mass(*self.ends(self.location, self.log_scale)), -1)
        low, high = self.limits.to(y)
        inside = (y >= low) & (y <= high)
        return free + torch.where(inside, -mass, LOG_OUTSIDE)

    def log_interval(
        self, middle: Tensor, width: Tensor, lowest: Tensor | None = None, highest: Tensor | None = None
    ) -> Tensor:
        """Return the log-probability of the interval from middle − width/2 to middle + width/2.

        Args:
            middle: midpoints of the intervals, shape (...).
            width: widths of the intervals, > 0, shape (...).
            lowest: midpoint of the lowest interval within the bounds, which extends to −∞; no bound by default.
            highest: midpoint of the highest interval within the bounds, which extends to ∞; no bound by default.
        """
        inverse = torch.exp(-self.log_scale)
        half = 0.5 * width.unsqueeze(-1) * inverse
        u = (middle.unsqueeze(-1) - self.location) * inverse
        below, above = F.logsigmoid(u + half), F.logsigmoid(half - u)
        each = below + above + torch.log(-torch.expm1(-2 * half))  # as in `log_mass`, but exact for narrow intervals
        free = torch.logsumexp(each + self.log_weights, -1)
        if lowest is None or highest is None:
            return free
        lowest, highest = lowest.to(middle), highest.to(middle)
        first, last = (middle <= lowest).unsqueeze(-1), (middle >= highest).unsqueeze(-1)
        each = torch.where(first, below, torch.where(last, above, each)).masked_fill(first & last, 0.0)
        within = torch.logsumexp(each + self.log_weights, -1)
        return torch.where((middle < lowest) | (middle > highest), free + LOG_OUTSIDE, within)

    def cdf(self, y: Tensor) -> Tensor:
        """Return P(Y ≤ y) of draws, shape (...), in double precision."""
        return (self.bounded_weights.double().exp() * self.component_cdf(y)).sum(-1)

    def component_cdf(self, y: Tensor) -> Tensor:
        """Return P(Y ≤ y) of the draws of each component, shape (..., M), in double precision."""
        location, log_scale = self.location.double(), self.log_scale.double()
        u = (y.double().unsqueeze(-1) - location) * torch.exp(-log_scale)
        if self.limits is None:
            return u.sigmoid()
        low, high = self.ends(location, log_scale)
        u = torch.clamp(u, low, high)
        return torch.where(u > low, torch.exp(log_mass(low, u) - log_mass(low, high)), 0.0)

    def draw(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., 2) to draws (...): the first chooses a component, the second a quantile of it."""
        return self.quantile(choose(self.bounded_weights, uniform[..., :1]), uniform[..., 1])

    def quantile(self, component: Tensor, u: Tensor) -> Tensor:
        """Return the u-quantile of a component between the bounds, computed in double precision.

        Args:
            component: index m of the component, shape (..., 1).
            u: in [0, 1], shape (...); clamped away from 0 and 1, where the quantile may be infinite.
        """
        shape = (*u.shape, self.location.shape[-1])
        location, log_scale = (v.expand(shape).gather(-1, component).double() for v in (self.location, self.log_scale))
        low, high = self.ends(location, log_scale)
        made = quantile_between(u.double().clamp(1e-7, 1 - 1e-7).unsqueeze(-1), low, high)
        return (location + log_scale.exp() * made).squeeze(-1).to(u.dtype)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw a component, then a value by its quantile function."""
        with torch.no_grad():
            return self.draw(torch.rand([*sample_shape, *self.batch_shape, 2], device=self.location.device))

    @property
    def mean(self) -> Tensor:
        """Return the mean of draws, Σ_m w_m E_m[y]; without bounds Σ_m w_m μ_m."""
        if self.limits is None:
            return (self.log_weights.exp() * self.location).sum(-1)
        location, log_scale = self.location.double(), self.log_scale.double()
        each = location + log_scale.exp() * mean_between(*self.ends(location, log_scale))
        return (self.bounded_weights.exp() * each).sum(-1).to(self.location)
