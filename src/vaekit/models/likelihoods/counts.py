"""Likelihoods of counts 0, 1, 2, …: Poisson and negative binomial."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import NegativeBinomial as TorchNegativeBinomial
from torch.distributions import Poisson as TorchPoisson

from vaekit.models.likelihoods.base import Likelihood
from vaekit.networks import soft_clamp


class ExactPoisson(TorchPoisson):
    """A Poisson distribution with its log-probability in float64, because in float32 the terms of a large count cancel."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P(x = value) in float64."""
        return TorchPoisson(self.rate.double(), validate_args=False).log_prob(value.double())


class ExactNegativeBinomial(TorchNegativeBinomial):
    """A negative binomial distribution with its log-probability in float64."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P(x = value) in float64."""
        wide = TorchNegativeBinomial(self.total_count.double(), logits=self.logits.double(), validate_args=False)
        return wide.log_prob(value.double())


LOG_MEAN = (-15.0, 20.0)
LOG_DISPERSION = (-6.0, 8.0)


class Poisson(Likelihood):
    """p(x|z) = Π_i μ_i^{x_i} e^{−μ_i} / x_i!, μ = exp(network(z)).

    Examples:
        >>> import torch
        >>> round(Poisson((1,))(torch.zeros(1, 1, 1)).log_prob(torch.zeros(1, 1)).item(), 4)
        -1.0
    """

    name = "poisson"
    kinds = frozenset({"counts", "binary", "levels"})

    @property
    def parameters_per_feature(self) -> int:
        """Return 1, for the logarithm of the mean."""
        return 1

    def start(self, x: Tensor) -> None:
        """Start at the mean count, smoothed by half a count."""
        self.offset.data.copy_(((x.sum(0) + 0.5) / (len(x) + 1)).log().unsqueeze(-1))

    def distribution(self, parameters: Tensor) -> ExactPoisson:
        """Return the Poisson distribution with these log-means."""
        return ExactPoisson(soft_clamp(parameters.squeeze(-1), *LOG_MEAN).exp(), validate_args=False)


class NegativeBinomial(Likelihood):
    """p(x|z) = Π_i Γ(x_i + r_i)/(Γ(r_i) x_i!) · (r_i/(r_i + μ_i))^{r_i} (μ_i/(r_i + μ_i))^{x_i}.

    The mean is μ. The variance is μ + μ²/r, larger than Poisson's. As r grows, the distribution tends to Poisson.

    References:
        Lopez et al., "Deep generative modeling for single-cell transcriptomics", 2018.

    Examples:
        >>> import torch
        >>> p = NegativeBinomial((1,))(torch.zeros(1, 1, 2))
        >>> round(p.log_prob(torch.zeros(1, 1)).exp().item(), 3)
        0.5
    """

    name = "negative_binomial"
    kinds = frozenset({"counts", "binary", "levels"})

    @property
    def parameters_per_feature(self) -> int:
        """Return 2, for the logarithms of the mean and of r."""
        return 2

    def start(self, x: Tensor) -> None:
        """Start at the mean count and at the method-of-moments estimate of r."""
        mean = (x.sum(0) + 0.5) / (len(x) + 1)
        excess = (x.var(0, correction=0) - mean).clamp(min=0.01 * mean)
        r = (mean.square() / excess).clamp(0.01, 1000.0)
        self.offset.data[..., 0].copy_(mean.log())
        self.offset.data[..., 1].copy_(r.log())

    def distribution(self, parameters: Tensor) -> ExactNegativeBinomial:
        """Return the negative binomial distribution with these log-means and log-dispersions."""
        log_mean = soft_clamp(parameters[..., 0], *LOG_MEAN)
        log_r = soft_clamp(parameters[..., 1], *LOG_DISPERSION)
        return ExactNegativeBinomial(log_r.exp(), logits=log_mean - log_r, validate_args=False)
