"""The Bernoulli likelihood of binary data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import LogitBernoulli
from vaekit.models.likelihoods.base import Likelihood


class Bernoulli(Likelihood):
    """p(x|z) = Π_i π_i^{x_i} (1 − π_i)^{1 − x_i}, π = sigmoid(network(z)).

    It is for zeros and ones only. Binarise grey values, or use another likelihood for them.

    Examples:
        >>> p = Bernoulli((3,))(torch.zeros(2, 3, 1))
        >>> round(p.log_prob(torch.ones(2, 3))[0].exp().item(), 6)
        0.125
    """

    name = "bernoulli"
    kinds = frozenset({"binary"})

    @property
    def parameters_per_feature(self) -> int:
        """Return 1, for the logit."""
        return 1

    def start(self, x: Tensor) -> None:
        """Start at the frequency of ones, smoothed as if there were one more example of each value."""
        frequency = (x.sum(0) + 1) / (len(x) + 2)
        self.offset.data.copy_(torch.logit(frequency).unsqueeze(-1))

    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the Bernoulli distribution with these logits."""
        return LogitBernoulli(logits=parameters.squeeze(-1), validate_args=False)
