"""The discretised logistic likelihood of pixels and other ordered levels, alone and as a mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import MixtureSameFamily

from vaekit.distributions import DiscretizedLogistic as Discretized
from vaekit.models.likelihoods.base import Likelihood
from vaekit.networks.layers import soft_clamp
from vaekit.parts import PartOptions

LOG_SCALE = (-7.0, 3.0)
"""Bounds of log s, in units of half the range of the levels."""
BYTE = 127.5
"""Half the range of a byte."""


def scale_bounds(half_range: float) -> tuple[float, float]:
    """Return the bounds of log s for levels of this half range; the smallest scale in levels is at most that of bytes."""
    low, high = LOG_SCALE
    return low - max(0.0, math.log(half_range / BYTE)), high


class DiscretizedLogistic(Likelihood):
    """P(x_i = k|z) = σ((k + ½ − μ_i)/s_i) − σ((k − ½ − μ_i)/s_i) over the levels 0 … L−1.

    References:
        Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016.

    Examples:
        >>> p = DiscretizedLogistic((2,), levels=16)(torch.zeros(1, 2, 2))
        >>> p.log_prob(torch.full((1, 2), 7.0)).shape
        torch.Size([1])
    """

    name = "discretized_logistic"
    kinds = frozenset({"levels", "binary"})

    @property
    def parameters_per_feature(self) -> int:
        """Return 2, for location and log-scale."""
        return 2

    @property
    def half_range(self) -> float:
        """Return (L − 1)/2, the unit of the network's output."""
        return (self.levels - 1) / 2

    def start(self, x: Tensor) -> None:
        """Start at the mean and the standard deviation πs/√3 of each feature."""
        scaled = x / self.half_range - 1
        spread = scaled.std(0, correction=0).clamp(min=0.5 / self.half_range) * math.sqrt(3) / math.pi
        self.offset.data[..., 0].copy_(scaled.mean(0))
        self.offset.data[..., 1].copy_(spread.log())

    def component(self, location: Tensor, log_scale: Tensor) -> Discretized:
        """Return a discretised logistic from a log-scale and a location; locations in [−1, 1] span the levels."""
        scale = self.half_range * soft_clamp(log_scale, *scale_bounds(self.half_range)).exp()
        return Discretized(self.half_range * (location + 1), scale, self.levels)

    def distribution(self, parameters: Tensor) -> Discretized | MixtureSameFamily:
        """Return the discretised logistic with these locations and log-scales."""
        return self.component(parameters[..., 0], parameters[..., 1])


class DiscretizedLogisticMixture(DiscretizedLogistic):
    """P(x_i = k|z) = Σ_c π_ic P_c(x_i = k), a mixture of discretised logistics, which can have several modes.

    References:
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017 (here without the coupling of colour channels).

    Examples:
        >>> p = DiscretizedLogisticMixture((2,), levels=16)(torch.zeros(1, 2, 15))
        >>> p.log_prob(torch.full((1, 2), 7.0)).shape
        torch.Size([1])
    """

    name = "discretized_logistic_mixture"

    class Options(PartOptions):
        """Options of the mixture."""

        components: int = Field(5, ge=1, le=100, description="Number of mixture components for each value.")

    def __init__(self, event_shape: Sequence[int], levels: int = 0, components: int = 5) -> None:
        self.components = components
        super().__init__(event_shape, levels)

    @property
    def parameters_per_feature(self) -> int:
        """Return 3C, for the weight, location and log-scale of each component."""
        return 3 * self.components

    def start(self, x: Tensor) -> None:
        """Start at equal weights and at locations spread over the quantiles of each feature."""
        scaled, count = x / self.half_range - 1, self.components
        middles = torch.linspace(0, 1, 2 * count + 1)[1::2] * (len(scaled[:1000]) - 1)
        quantiles = scaled[:1000].sort(0).values[middles.round().long()]
        spread = scaled.std(0, correction=0).clamp(min=0.5 / self.half_range) / count**0.5
        self.offset.data[..., count : 2 * count].copy_(quantiles.movedim(0, -1))
        self.offset.data[..., 2 * count :].copy_(spread.log().unsqueeze(-1))

    def distribution(self, parameters: Tensor) -> MixtureSameFamily:
        """Return the mixture with these weights, locations and log-scales."""
        logits, location, log_scale = parameters.chunk(3, -1)
        return MixtureSameFamily(
            TorchCategorical(logits=logits, validate_args=False),
            self.component(location, log_scale),
            validate_args=False,
        )
