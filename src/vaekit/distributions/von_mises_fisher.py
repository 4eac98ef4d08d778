"""The von Mises-Fisher distribution of a direction, of a vector whose length is that of standard normal noise.

q(z) = N(z; 0, I) · e^{κ t} Z(0)/Z(κ),   t = μᵀz/‖z‖,   Z(κ) = ∫_{−1}^{1} e^{κ t} (1 − t²)^{(d−3)/2} dt

The direction z/‖z‖ follows von Mises and Fisher's law with mean direction μ and concentration κ, the length that of
N(0, I), independent of it. So N(0, I) is the uniform prior of the direction, and the ratio of the two densities is that
on the sphere: a decoder that sees the direction alone makes of both the hyperspherical model, in coordinates in which a
draw is an invertible map of noise. The map keeps length and the direction across μ, and moves the cosine t to where the
distribution function has the value that it has at κ = 0.

Integrals are over x = artanh t, where the integrand exp(κ tanh x) sech(x)^{d−1} is analytic and falls exponentially, so
that the trapezoidal rule is exact up to rounding; all in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Size, Tensor
from torch.distributions import constraints

from vaekit.distributions.reparameterized import DrawnMoments

NODES = 256
TAIL = 30.0
"""Where the integrand has fallen to e^{−30} of its height."""
NEWTON = 8
"""Steps, each within its cell, that find a quantile; the cubic is nearly straight there."""


@dataclass(frozen=True)
class _Cosine:
    """The distribution of x = artanh t, by its values on nodes.

    Args:
        kappa: κ, shape (*batch,).
        dims: d.
        nodes: x_i, evenly spaced, shape (*batch, n).
        log_total: log Z(κ), shape (*batch,).
        density: at the nodes, shape (*batch, n).
        cumulative: distribution function at the nodes, shape (*batch, n).
    """

    kappa: Tensor
    dims: int
    nodes: Tensor
    log_total: Tensor
    density: Tensor
    cumulative: Tensor

    @classmethod
    def of(cls, kappa: Tensor, dims: int) -> _Cosine:
        """The distribution of concentration κ in d dimensions."""
        with torch.no_grad():  # where the nodes lie is no part of the integral
            centre = 0.5 * torch.asinh(2 * kappa / (dims - 1))  # the mode
            width = 8 / torch.sqrt((dims - 1) * (1 + torch.tanh(centre).square())) + TAIL / (dims - 1)
            nodes = centre.unsqueeze(-1) + width.unsqueeze(-1) * torch.linspace(-1, 1, NODES, dtype=kappa.dtype, device=kappa.device)
            step = nodes[..., 1:2] - nodes[..., :1]
        log = _log_density(nodes, kappa.unsqueeze(-1), dims)
        log_total = torch.logsumexp(log, -1) + step.squeeze(-1).log()
        density = (log - log_total.unsqueeze(-1)).exp()
        slope = density * _slope(nodes, kappa.unsqueeze(-1), dims)
        cells = step / 2 * (density[..., 1:] + density[..., :-1]) + step**2 / 12 * (slope[..., :-1] - slope[..., 1:])
        cumulative = torch.cat([torch.zeros_like(cells[..., :1]), cells.cumsum(-1)], -1)
        return cls(kappa, dims, nodes, log_total, density, cumulative)

    def at(self, x: Tensor) -> Tensor:
        """Density of x, shape (*batch, m)."""
        log = _log_density(x, self.kappa.unsqueeze(-1), self.dims) - self.log_total.unsqueeze(-1)
        return log.exp()

    def function(self, x: Tensor, cell: Tensor) -> Tensor:
        """Distribution function within cells: the cubic with its values and slopes at both ends."""
        left, right = self.nodes.gather(-1, cell), self.nodes.gather(-1, cell + 1)
        step = right - left
        s = (x - left) / step
        low, high = self.cumulative.gather(-1, cell), self.cumulative.gather(-1, cell + 1)
        rise, end = self.density.gather(-1, cell) * step, self.density.gather(-1, cell + 1) * step
        jump = high - low
        return low + s * (rise + s * (3 * jump - 2 * rise - end + s * (rise + end - 2 * jump)))

    def probability(self, x: Tensor) -> Tensor:
        """P(X ≤ x), shape (*batch, m); gradients reach x and κ."""
        with torch.no_grad():
            known = x.clamp(self.nodes[..., :1], self.nodes[..., -1:])
            cell = (torch.searchsorted(self.nodes, known.contiguous()) - 1).clamp(0, NODES - 2)
            rate = self.at(known)
        return self.function(known, cell) + rate * (x - x.detach())

    def quantile(self, u: Tensor) -> Tensor:
        """x with P(X ≤ x) = u, shape (*batch, m); gradients reach u and κ, by the implicit function."""
        with torch.no_grad():
            cell = (torch.searchsorted(self.cumulative, u.contiguous()) - 1).clamp(0, NODES - 2)
            low, high = self.cumulative.gather(-1, cell), self.cumulative.gather(-1, cell + 1)
            left, right = self.nodes.gather(-1, cell), self.nodes.gather(-1, cell + 1)
            x = left + (right - left) * ((u - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
            for _ in range(NEWTON):
                x = (x - (self.function(x, cell) - u) / self.at(x).clamp_min(1e-300)).clamp(left, right)
            rate = self.at(x).clamp_min(1e-300)
        missed = self.function(x, cell) - u
        return x - (missed - missed.detach()) / rate


def _log_density(x: Tensor, kappa: Tensor, dims: int) -> Tensor:
    """κ (tanh x − 1) + (d − 1) log sech x."""
    sech = math.log(2) - x.abs() - torch.log1p(torch.exp(-2 * x.abs()))
    return (dims - 1) * sech - kappa * 2 / (torch.exp(2 * x) + 1)


def _slope(x: Tensor, kappa: Tensor, dims: int) -> Tensor:
    """The derivative of the same."""
    return kappa * (1 - torch.tanh(x).square()) - (dims - 1) * torch.tanh(x)


class VonMisesFisher(DrawnMoments):
    """A direction by von Mises and Fisher's law, with the length of standard normal noise.

    Args:
        direction: μ, of length 1, shape (*batch, d), d ≥ 2.
        concentration: κ ≥ 0, shape (*batch,).

    References:
        Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018; Trefethen and Weideman, "The Exponentially
        Convergent Trapezoidal Rule", 2014.

    Examples:
        >>> q = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.0))  # of concentration 0: N(0, I)
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

    def log_prob(self, value: Tensor) -> Tensor:
        """log N(z; 0, I) + κ (t − 1) − log e^{−κ} Z(κ)/Z(0) of vectors of shape (..., *batch, d)."""
        z = value.double()
        gap = 0.5 * (torch.nn.functional.normalize(z, dim=-1) - self.direction.double()).square().sum(-1)  # 1 − t
        normal = -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))
        log_prob = normal - self.concentration.double() * gap - self.law.log_total + self.even.log_total
        return log_prob.to(value.dtype)

    def reparameterize(self, noise: Tensor) -> Tensor:
        """z = ‖ε‖·(direction at cosine t from μ, across as ε lies), F_κ(t) = F_0(ε₁/‖ε‖)."""
        moved = self._move(noise.double(), self.even, self.law)
        return self._turn(moved, 1.0).to(noise.dtype)

    def standardize(self, z: Tensor) -> Tensor:
        """ε = g⁻¹(z)."""
        return self._move(self._turn(z.double(), -1.0), self.law, self.even).to(z.dtype)

    def _move(self, y: Tensor, old: _Cosine, new: _Cosine) -> Tensor:
        """Vectors of the same length and side, their cosine with the first axis changed from one law to another."""
        along, across = y[..., 0], y[..., 1:]
        width = across.norm(dim=-1)
        x = torch.asinh(along / width)  # artanh of the cosine, exact near the poles, too
        moved = _by_row(new.quantile, _by_row(old.probability, x, self.batch_shape), self.batch_shape)
        length = y.norm(dim=-1)
        scale = length / torch.cosh(moved) / width
        return torch.cat([(length * torch.tanh(moved)).unsqueeze(-1), across * scale.unsqueeze(-1)], -1)

    def _turn(self, y: Tensor, sense: float) -> Tensor:
        """The rotation in the plane of the first axis e and μ that brings e to μ, or its inverse."""
        mu = self.direction.double()
        e = torch.zeros_like(mu)
        e[..., 0] = 1
        source, target = (e, mu) if sense > 0 else (mu, e)
        both = e + mu
        inner = (both * y).sum(-1, keepdim=True) / (1 + mu[..., :1]).clamp_min(1e-12)
        return y - inner * both + 2 * (source * y).sum(-1, keepdim=True) * target


def _by_row(function: Callable[[Tensor], Tensor], x: Tensor, batch: Size) -> Tensor:
    """A function of (*batch, m) applied to (..., *batch)."""
    lead = x.shape[: x.dim() - len(batch)]
    rows = x.reshape(-1, *batch).movedim(0, -1)
    return function(rows).movedim(-1, 0).reshape((*lead, *batch))
