"""The Bernoulli likelihood of binary data."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution

from vaekit.models.likelihoods.base import Likelihood


class LogitBernoulli(TorchBernoulli):
    """Torch's Bernoulli whose log-probability passes over the logits three times rather than six."""

    def log_prob(self, value: Tensor) -> Tensor:
        """x log π + (1 − x) log(1 − π) = log π + (x − 1)·logit, for values in [0, 1] of the batch shape or less."""
        return torch.addcmul(F.logsigmoid(self.logits), value - 1, self.logits)


class Bernoulli(Likelihood):
    """p(x|z) = Π_i π_i^{x_i} (1 − π_i)^{1 − x_i}, π = sigmoid(network(z)).

    It is a likelihood of zeros and ones only: grey values have to be binarised, or given another likelihood.

    Examples:
        >>> p = Bernoulli((3,))(torch.zeros(2, 3, 1))
        >>> round(float(p.log_prob(torch.ones(2, 3))[0].exp()), 6)
        0.125
    """

    name = "bernoulli"
    kinds = frozenset({"binary"})

    @property
    def parameters_per_feature(self) -> int:
        """The logit."""
        return 1

    def start(self, x: Tensor) -> None:
        """Begin at the frequency of ones, smoothed by one example of each kind."""
        frequency = (x.sum(0) + 1) / (len(x) + 2)
        self.offset.data.copy_(torch.logit(frequency).unsqueeze(-1))

    def distribution(self, parameters: Tensor) -> Distribution:
        """Bernoulli with these logits."""
        return LogitBernoulli(logits=parameters.squeeze(-1), validate_args=False)
