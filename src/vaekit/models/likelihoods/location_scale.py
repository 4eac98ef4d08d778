"""Likelihoods of real values with a location and a spread: Gaussian, Laplace, Student-t.

All three are parameterised by the variance λ: given as a number, one learned, one learned per feature, or predicted
from z. With λ given, the Gaussian's distortion is the squared error, ‖x − μ‖²/2λ, plus (d/2)·log 2πλ, kept.
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
"""Bounds of log √λ relative to the spread of the data: neither a spike on a repeated value nor a flat line."""


class LocationScale(Likelihood):
    """p(x|z) of real data, with mean μ(z) and variance λ; the network's outputs are in units of the data's own spread.

    Args:
        event_shape: shape of one example.
        levels: does not apply.
        variance: λ > 0, or `learned` as one number, learned `per_feature`, or `predicted` from z for each feature.
    """

    kinds = frozenset({"real"})
    density = True
    reference: Tensor

    class Options(PartOptions):
        """What can be set of a likelihood of reals."""

        variance: Variance = Field(
            "per_feature",
            description="Variance λ in the units the model sees: a number, one `learned`, one learned `per_feature`, or `predicted` from z for each feature.",
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
        """The location, and the log-scale if it is predicted."""
        return 2 if self.variance == "predicted" else 1

    def start(self, x: Tensor) -> None:
        """Begin at the mean of each feature; the unit is the root mean square deviation over all features."""
        mean = x.mean(0)
        self.reference.copy_((x - mean).square().mean().sqrt().clamp(min=torch.finfo(x.dtype).tiny))
        self.offset.data[..., 0].copy_(mean / self.reference)

    @torch.no_grad()
    def start_noise(self, variance: float) -> None:
        """Begin at this variance instead, where one or one per feature is learned."""
        if self.variance in ("learned", "per_feature"):
            self.log_ratio.fill_(0.5 * math.log(variance) - math.log(float(self.reference)))

    def std(self, parameters: Tensor) -> Tensor:
        """√λ, broadcastable to the features."""
        if not isinstance(self.variance, str):
            return torch.full_like(self.reference, math.sqrt(self.variance))
        raw = parameters[..., 1] if self.variance == "predicted" else self.log_ratio
        return self.reference * soft_clamp(raw, *LOG_RATIO).exp()

    def distribution(self, parameters: Tensor) -> Distribution:
        """The family's member with these parameters."""
        location = self.reference * parameters[..., 0]
        return self.family(location, self.std(parameters).expand(location.shape))

    @abstractmethod
    def family(self, location: Tensor, std: Tensor) -> Distribution:
        """The member with this mean and standard deviation."""


class Gaussian(LocationScale):
    """p(x|z) = N(x; μ(z), λ), log p = −½ Σ_i [(x_i − μ_i)²/λ_i + log 2πλ_i].

    References:
        Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with Calibrated Decoders", 2021, for learned λ.

    Examples:
        >>> p = Gaussian((2,), variance=0.5)(torch.zeros(1, 2, 1))
        >>> round(float(p.log_prob(torch.ones(1, 2))), 4)  # −‖x‖²/2λ − (d/2) log 2πλ = −2 − log π
        -3.1447
    """

    name = "gaussian"

    def family(self, location: Tensor, std: Tensor) -> TorchNormal:
        """N(μ, λ)."""
        return TorchNormal(location, std, validate_args=False)


class Laplace(LocationScale):
    """p(x|z) = Π_i e^{−|x_i − μ_i|/b_i} / 2b_i with b = √(λ/2): heavier tails, a sharp centre.

    Examples:
        >>> p = Laplace((1,), variance=2.0)(torch.zeros(1, 1, 1))
        >>> round(float(p.log_prob(torch.zeros(1, 1)).exp()), 4)
        0.5
    """

    name = "laplace"

    def family(self, location: Tensor, std: Tensor) -> TorchLaplace:
        """Laplace with b = √(λ/2)."""
        return TorchLaplace(location, std / math.sqrt(2), validate_args=False)


class StudentT(LocationScale):
    """p(x|z) = Π_i t_ν(x_i; μ_i, s_i), s² = λ(ν − 2)/ν, ν > 2 learned for each feature: outliers cost little.

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
        """Student-t of variance λ."""
        freedom = 2 + soft_clamp(self.log_freedom, -3.0, 5.0).exp()
        return TorchStudentT(freedom, location, std * ((freedom - 2) / freedom).sqrt(), validate_args=False)
