"""Small modules that networks and likelihoods share."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "gelu", "relu", "tanh", "elu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}


def soft_clamp(raw: Tensor, low: float, high: float) -> Tensor:
    """Limit a value smoothly to a range, and leave values well inside the range almost unchanged.

        low + softplus(raw − low) − softplus(raw − high)

    The gradient is positive until it underflows, so a parameter at a bound can move back.

    Args:
        raw: any real tensor.
        low: lower bound.
        high: upper bound, above `low`.

    Returns:
        A tensor of the same shape with values in [low, high], up to rounding.

    Examples:
        >>> soft_clamp(torch.tensor([-100.0, 1.0, 100.0]), -8, 8).round(decimals=2)
        tensor([-8.,  1.,  8.])
    """
    above_low = torch.logaddexp(raw, raw.new_full((), low))
    # the same function without differences: with A = eˡᵒʷ + eʳᵃʷ it is −log((1 − eˡᵒʷ⁻ʰⁱᵍʰ)/A + e⁻ʰⁱᵍʰ)
    return -torch.logaddexp(math.log1p(-math.exp(low - high)) - above_low, raw.new_full((), -high))


class Slice(nn.Module):
    """A module that returns the first entries of a vector.

    Args:
        size: how many numbers, ≥ 1.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., n) to (..., size)."""
        return x[..., : self.size]


class Direction(nn.Module):
    """z ↦ √d·z/‖z‖, a module that scales a vector to the typical length of standard normal noise."""

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., d) to (..., d)."""
        return math.sqrt(z.shape[-1]) * nn.functional.normalize(z, dim=-1)


class Rescale(nn.Module):
    """x ↦ (f(x) − shift)/scale, a module that standardises a network's input; f(x) = log(1 + x) for counts, else x.

    Only the network's input changes. The likelihood is that of x itself, so a log-determinant is not needed.

    Args:
        shift: the number to subtract.
        scale: the number to divide by, > 0.
        logarithm: whether to take log(1 + x) first; values must then be ≥ 0.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: float = 0.0, scale: float = 1.0, logarithm: bool = False) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(float(shift)))
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.logarithm = logarithm

    @torch.no_grad()
    def start(self, x: Tensor) -> Tensor:
        """Set shift and scale to the mean and the spread of f(x), and return the rescaled x."""
        seen = self(x)  # still without shift and scale
        self.shift.copy_(seen.mean())
        self.scale.copy_(seen.std().clamp(min=torch.finfo(torch.float32).tiny))
        return self(x)

    def forward(self, x: Tensor) -> Tensor:
        """Rescale x, any shape."""
        return ((torch.log1p(x.clamp_min(0)) if self.logarithm else x) - self.shift) / self.scale
