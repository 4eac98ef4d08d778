"""Likelihoods of real values with a location and a scale: Gaussian, Laplace, Student-t.

All three are parameterised by the variance λ. It is a fixed number, one learned number, one learned number for each
feature, or predicted from z. For a fixed λ the Gaussian's distortion is ‖x − μ‖²/2λ + (d/2)·log 2πλ, constant included.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import Normal as TorchNormal
from torch.distributions import StudentT as TorchStudentT

from vaekit.models.likelihoods.base import Likelihood
from vaekit.networks.layers import soft_clamp
from vaekit.parts import PartOptions

Variance = Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["learned", "per_feature", "predicted"]
LOG_RATIO = (-9.0, 4.0)
"""Bounds of log √λ relative to the spread of the data, which prevent spikes on repeated values and flat densities."""


class LocationScale(Likelihood):
    """p(x|z) of real data with mean μ(z) and variance λ; the network's output is in units of the data's spread.

    Args:
        event_shape: shape of one example.
        levels: not used.
        variance: λ > 0, or "learned" (one number), "per_feature" (one learned number for each feature) or "predicted" (from z).
    """

    kinds = frozenset({"real"})
    density = True
    reference: Tensor

    class Options(PartOptions):
        """Options of a likelihood of real values."""

        variance: Variance = Field(
            "per_feature",
            description="Variance λ in the units of the model: a number, `learned` (one for all features), `per_feature` (one learned for each), or `predicted` from z.",
        )

    def __init__(self, event_shape: Sequence[int], levels: int = 0, variance: float | str = "per_feature") -> None:
        self.variance = variance
        super().__init__(event_shape, levels)
        self.register_buffer("reference", torch.tensor(1.0))
        if self.variance == "learned":
            self.log_ratio = nn.Parameter(torch.tensor(0.0))
        elif self.variance == "per_feature":
            self.log_ratio = nn.Parameter(torch.zeros(self.event_shape))

    @property
    def parameters_per_feature(self) -> int:
        """Return 1 for the location, or 2 if the log-scale is predicted too."""
        return 2 if self.variance == "predicted" else 1

    def start(self, x: Tensor) -> None:
        """Start at each feature's mean, and measure the spread that scales the network's output."""
        mean = x.mean(0)
        self.reference.copy_((x - mean).square().mean().sqrt().clamp(min=torch.finfo(x.dtype).tiny))
        self.offset.data[..., 0].copy_(mean / self.reference)

    @torch.no_grad()
    def start_noise(self, variance: float) -> None:
        """Set the initial noise variance if it is learned."""
        if self.variance in ("learned", "per_feature"):
            self.log_ratio.fill_(0.5 * math.log(variance) - math.log(float(self.reference)))

    def std(self, parameters: Tensor) -> Tensor:
        """Return the standard deviation √λ, broadcastable to the features."""
        if not isinstance(self.variance, str):
            return torch.full_like(self.reference, math.sqrt(self.variance))
        raw = parameters[..., 1] if self.variance == "predicted" else self.log_ratio
        return self.reference * soft_clamp(raw, *LOG_RATIO).exp()

    def distribution(self, parameters: Tensor) -> Distribution:
        """Return p(x|z) with these parameters."""
        location = self.reference * parameters[..., 0]
        return self.family(location, self.std(parameters).expand(location.shape))

    @abstractmethod
    def family(self, location: Tensor, std: Tensor) -> Distribution:
        """Return the distribution of this family with a given mean and standard deviation."""


class Gaussian(LocationScale):
    """p(x|z) = N(x; μ(z), λ), log p = −½ Σ_i [(x_i − μ_i)²/λ_i + log 2πλ_i].

    References:
        Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021, for learned λ.

    Examples:
        >>> p = Gaussian((2,), variance=0.5)(torch.zeros(1, 2, 1))
        >>> round(p.log_prob(torch.ones(1, 2)).item(), 4)  # −‖x‖²/2λ − (d/2) log 2πλ = −2 − log π
        -3.1447
    """

    name = "gaussian"

    def family(self, location: Tensor, std: Tensor) -> TorchNormal:
        """Return N(μ, λ)."""
        return TorchNormal(location, std, validate_args=False)


class Laplace(LocationScale):
    """p(x|z) = Π_i e^{−|x_i − μ_i|/b_i} / 2b_i, b = √(λ/2), with heavier tails than the Gaussian and a sharp centre.

    Examples:
        >>> p = Laplace((1,), variance=2.0)(torch.zeros(1, 1, 1))
        >>> round(p.log_prob(torch.zeros(1, 1)).exp().item(), 4)
        0.5
    """

    name = "laplace"

    def family(self, location: Tensor, std: Tensor) -> TorchLaplace:
        """Return the Laplace distribution with b = √(λ/2)."""
        return TorchLaplace(location, std / math.sqrt(2), validate_args=False)


class StudentT(LocationScale):
    """p(x|z) = Π_i t_ν(x_i; μ_i, s_i), s² = λ(ν − 2)/ν, with ν > 2 learned for each feature; outliers cost little.

    Examples:
        >>> p = StudentT((1,))(torch.zeros(1, 1, 1))
        >>> bool(p.log_prob(torch.full((1, 1), 100.0)) > Gaussian((1,))(torch.zeros(1, 1, 1)).log_prob(torch.full((1, 1), 100.0)))
        True
    """

    name = "student_t"

    def __init__(self, event_shape: Sequence[int], levels: int = 0, variance: float | str = "per_feature") -> None:
        super().__init__(event_shape, levels, variance)
        self.log_freedom = nn.Parameter(torch.full(self.event_shape, math.log(6.0)))

    def family(self, location: Tensor, std: Tensor) -> TorchStudentT:
        """Return the Student-t distribution with variance λ."""
        freedom = 2 + soft_clamp(self.log_freedom, -3.0, 5.0).exp()
        return TorchStudentT(freedom, location, std * ((freedom - 2) / freedom).sqrt(), validate_args=False)
