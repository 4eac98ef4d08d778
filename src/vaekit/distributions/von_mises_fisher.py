"""Vectors with a von Mises–Fisher direction and the length of standard normal noise.

q(z) = N(z; 0, I) · e^{κ t} Z(0)/Z(κ),   t = μᵀz/‖z‖,   Z(κ) = ∫_{−1}^{1} e^{κ t} (1 − t²)^{(d−3)/2} dt

The direction z/‖z‖ has the von Mises–Fisher distribution with mean direction μ and concentration κ. The length is
independent of the direction and distributed as under N(0, I). Under the prior N(0, I) the direction is uniform, so
q(z)/p(z) is the ratio of the densities of the direction. With a decoder that sees only the direction, this is the
hyperspherical model, and a draw is still an invertible map of noise. The map keeps the length and the direction orthogonal
to μ. It changes the cosine from t₀ to t so that F_κ(t) = F_0(t₀), where F_κ is the distribution function of the cosine.

Integrals are over x = artanh t. The integrand exp(κ tanh x) sech(x)^{d−1} is analytic and falls exponentially, so the
trapezoidal rule is exact up to rounding. All integrals are computed in double precision.

KL[q ‖ N(m, diag s²)] = κ (E t − 1) − log e^{−κ} Z(κ)/Z(0) − ½ d + ½ Σ_i (E z_i² − 2 m_i E z_i + m_i²)/s_i² + Σ_i log s_i

where E z = E‖z‖ E t μ and E z_i² = d [E t² μ_i² + (1 − E t²)(1 − μ_i²)/(d − 1)].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Size, Tensor
from torch.distributions import constraints, register_kl

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.reparameterized import Reparameterized

NODES = 256
"""Nodes of the trapezoidal rule."""
TAIL = 30.0
"""The nodes reach to where the integrand has fallen to e^{−30} of its maximum."""
NEWTON = 8
"""Newton steps for a quantile; within an interval the distribution function is nearly linear."""


@dataclass(frozen=True)
class _Cosine:
    """The distribution of x = artanh t, with t the cosine to the mean direction, tabulated at evenly spaced nodes.

    Args:
        kappa: κ, shape (*batch,).
        dims: d.
        nodes: x_i, evenly spaced, shape (*batch, n).
        log_total: log Z(κ), shape (*batch,).
        density: density at the nodes, shape (*batch, n).
        slope: derivative of the density at the nodes, shape (*batch, n).
        cumulative: distribution function at the nodes, shape (*batch, n).
    """

    kappa: Tensor
    dims: int
    nodes: Tensor
    log_total: Tensor
    density: Tensor
    slope: Tensor
    cumulative: Tensor

    @classmethod
    def of(cls, kappa: Tensor, dims: int) -> _Cosine:
        """Return the distribution with concentration κ in d dimensions."""
        with torch.no_grad():  # the value of the integral does not depend on the positions of the nodes
            centre = 0.5 * torch.asinh(2 * kappa / (dims - 1))  # the mode
            width = 8 / torch.sqrt((dims - 1) * (1 + torch.tanh(centre).square())) + TAIL / (dims - 1)
            nodes = centre.unsqueeze(-1) + width.unsqueeze(-1) * torch.linspace(
                -1, 1, NODES, dtype=kappa.dtype, device=kappa.device
            )
            step = nodes[..., 1:2] - nodes[..., :1]
        log = _log_density(nodes, kappa.unsqueeze(-1), dims)
        log_total = torch.logsumexp(log, -1) + step.squeeze(-1).log()
        density = (log - log_total.unsqueeze(-1)).exp()
        first, second = _derivatives(nodes, kappa.unsqueeze(-1), dims)
        slope, bend = density * first, density * (first.square() + second)
        # the integral of the quintic with these values, slopes and curvatures at both ends of an interval
        areas = (
            step / 2 * (density[..., 1:] + density[..., :-1])
            + step**2 / 10 * (slope[..., :-1] - slope[..., 1:])
            + step**3 / 120 * (bend[..., :-1] + bend[..., 1:])
        )
        cumulative = torch.cat([torch.zeros_like(areas[..., :1]), areas.cumsum(-1)], -1)
        return cls(kappa, dims, nodes, log_total, density, slope, cumulative)

    def expectation(self, values: Tensor) -> Tensor:
        """Return E f(X) from the values of f at the nodes, shape (*batch,)."""
        step = self.nodes[..., 1] - self.nodes[..., 0]
        return (self.density * values).sum(-1) * step

    def at(self, x: Tensor) -> Tensor:
        """Return the density of x, shape (*batch, m)."""
        log = _log_density(x, self.kappa.unsqueeze(-1), self.dims) - self.log_total.unsqueeze(-1)
        return log.exp()

    def interpolate(self, x: Tensor, cell: Tensor) -> Tensor:
        """Interpolate P(X ≤ x) between two nodes by the quintic that matches values, slopes and curvatures at both."""
        left, right = self.nodes.gather(-1, cell), self.nodes.gather(-1, cell + 1)
        step = right - left
        s = (x - left) / step
        low = self.cumulative.gather(-1, cell)
        jump = self.cumulative.gather(-1, cell + 1) - low
        a, c = self.density.gather(-1, cell) * step, self.density.gather(-1, cell + 1) * step
        b, e = self.slope.gather(-1, cell) * step**2, self.slope.gather(-1, cell + 1) * step**2
        third = 10 * jump - 6 * a - 4 * c - (3 * b - e) / 2
        fourth = -15 * jump + 8 * a + 7 * c + (3 * b - 2 * e) / 2
        fifth = 6 * jump - 3 * a - 3 * c - (b - e) / 2
        return low + s * (a + s * (b / 2 + s * (third + s * (fourth + s * fifth))))

    def probability(self, x: Tensor) -> Tensor:
        """Return P(X ≤ x), shape (*batch, m); gradients reach x and κ."""
        with torch.no_grad():
            known = x.clamp(self.nodes[..., :1], self.nodes[..., -1:])
            cell = (torch.searchsorted(self.nodes, known.contiguous()) - 1).clamp(0, NODES - 2)
            rate = self.at(known)
        return self.interpolate(known, cell) + rate * (x - x.detach())

    def quantile(self, u: Tensor) -> Tensor:
        """Return the x with P(X ≤ x) = u, shape (*batch, m); implicit gradients reach u and κ."""
        with torch.no_grad():
            cell = (torch.searchsorted(self.cumulative, u.contiguous()) - 1).clamp(0, NODES - 2)
            low, high = self.cumulative.gather(-1, cell), self.cumulative.gather(-1, cell + 1)
            left, right = self.nodes.gather(-1, cell), self.nodes.gather(-1, cell + 1)
            x = left + (right - left) * ((u - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
            for _ in range(NEWTON):
                x = (x - (self.interpolate(x, cell) - u) / self.at(x).clamp_min(1e-300)).clamp(left, right)
            rate = self.at(x).clamp_min(1e-300)
        missed = self.interpolate(x, cell) - u
        return x - (missed - missed.detach()) / rate


def _log_density(x: Tensor, kappa: Tensor, dims: int) -> Tensor:
    """Return κ (tanh x − 1) + (d − 1) log sech x."""
    sech = math.log(2) - x.abs() - torch.log1p(torch.exp(-2 * x.abs()))
    return (dims - 1) * sech - kappa * 2 / (torch.exp(2 * x) + 1)


def _derivatives(x: Tensor, kappa: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Return the first and the second derivative of `_log_density` with respect to x."""
    t = torch.tanh(x)
    return kappa * (1 - t.square()) - (dims - 1) * t, -(1 - t.square()) * (2 * kappa * t + dims - 1)


class VonMisesFisher(Reparameterized):
    """A vector with a von Mises–Fisher direction and the length of standard normal noise.

    Args:
        direction: μ, of length 1, shape (*batch, d), d ≥ 2.
        concentration: κ ≥ 0, shape (*batch,).

    References:
        Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018; Trefethen and Weideman, "The Exponentially
        Convergent Trapezoidal Rule", 2014.

    Examples:
        >>> q = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.0))  # with concentration 0 it is N(0, I)
        >>> q.log_prob(torch.zeros(3) + 1.0), q.rsample((4,)).shape
        (tensor(-4.2568), torch.Size([4, 3]))
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(self, direction: Tensor, concentration: Tensor) -> None:
        super().__init__(concentration.shape, direction.shape[-1:], validate_args=False)
        self.direction, self.concentration, self.like = direction, concentration, direction
        self.law = _Cosine.of(concentration.double(), direction.shape[-1])
        self.even = _Cosine.of(concentration.new_zeros((), dtype=torch.float64), direction.shape[-1])

    @property
    def mean(self) -> Tensor:
        """Return E z = E‖z‖ E t μ, shape (*batch, d)."""
        d = self.event_shape[0]
        length = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
        return length * self.cosine.unsqueeze(-1).to(self.like) * self.direction

    @property
    def variance(self) -> Tensor:
        """Return E z_i² − (E z_i)², shape (*batch, d)."""
        return self.square - self.mean.square()

    @property
    def square(self) -> Tensor:
        """Return E z_i², shape (*batch, d)."""
        d, along = self.event_shape[0], self.direction.square()
        across = self.law.expectation(torch.cosh(self.law.nodes) ** -2).unsqueeze(-1).to(along)  # 1 − E t²
        return d * ((1 - across) * along + across / (d - 1) * (1 - along))

    @property
    def cosine(self) -> Tensor:
        """Return E t, shape (*batch,)."""
        return self.law.expectation(torch.tanh(self.law.nodes))

    @property
    def normalizer(self) -> Tensor:
        """Return log e^{−κ} Z(κ)/Z(0), shape (*batch,)."""
        return self.law.log_total - self.even.log_total

    def detached(self) -> VonMisesFisher:
        """Return this distribution with detached parameters."""
        return VonMisesFisher(self.direction.detach(), self.concentration.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log N(z; 0, I) + κ (t − 1) − log e^{−κ} Z(κ)/Z(0) for vectors of shape (..., *batch, d)."""
        z = value.double()
        gap = 0.5 * (torch.nn.functional.normalize(z, dim=-1) - self.direction.double()).square().sum(-1)  # 1 − t
        normal = -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))
        return (normal - self.concentration.double() * gap - self.normalizer).to(value.dtype)

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Return the vector of length ‖ε‖ whose cosine with μ is t, where F_κ(t) = F_0(ε₁/‖ε‖)."""
        moved = self._move(noise.double(), self.even, self.law)
        return self._turn(moved, 1.0).to(noise.dtype)

    def standardize(self, z: Tensor) -> Tensor:
        """Return the noise ε = g⁻¹(z) of vectors z."""
        return self._move(self._turn(z.double(), -1.0), self.law, self.even).to(z.dtype)

    def _move(self, y: Tensor, old: _Cosine, new: _Cosine) -> Tensor:
        """Rotate vectors so that their cosine with the first axis follows `new` instead of `old`."""
        along, across = y[..., 0], y[..., 1:]
        width = across.norm(dim=-1)
        x = torch.asinh(along / width)  # artanh of the cosine, also exact near the poles
        moved = _by_row(new.quantile, _by_row(old.probability, x, old.kappa.shape), new.kappa.shape)
        length = y.norm(dim=-1)
        scale = length / torch.cosh(moved) / width
        return torch.cat([(length * torch.tanh(moved)).unsqueeze(-1), across * scale.unsqueeze(-1)], -1)

    def _turn(self, y: Tensor, sense: float) -> Tensor:
        """Rotate vectors in the plane of μ and the first axis e, from e to μ if `sense` is positive, else back."""
        mu = self.direction.double()
        e = torch.zeros_like(mu)
        e[..., 0] = 1
        source, target = (e, mu) if sense > 0 else (mu, e)
        both = e + mu
        inner = (both * y).sum(-1, keepdim=True) / (1 + mu[..., :1]).clamp_min(1e-12)
        return y - inner * both + 2 * (source * y).sum(-1, keepdim=True) * target


def _by_row(function: Callable[[Tensor], Tensor], x: Tensor, batch: Size) -> Tensor:
    """Apply `function`, which takes shape (*batch, m), to a tensor of shape (..., *batch)."""
    lead = x.shape[: x.dim() - len(batch)]
    rows = x.reshape(-1, *batch).movedim(0, -1)
    return function(rows).movedim(-1, 0).reshape((*lead, *batch))


@register_kl(VonMisesFisher, DiagonalNormal)
def _kl_von_mises_fisher_diagonal(q: VonMisesFisher, p: DiagonalNormal) -> Tensor:
    gap = q.law.expectation(1 - torch.tanh(q.law.nodes))  # 1 − E t, computed so that a small value is exact
    own = -q.concentration.double() * gap - q.normalizer - 0.5 * q.event_shape[0]
    distance = (q.square - 2 * p.mean * q.mean + p.mean.square()) / p.stddev.square()
    return own.to(q.like) + (0.5 * distance + p.stddev.log()).sum(-1)
