"""The autoregressive Bernoulli likelihood of binary data: each feature depends on z and on the features before it.

p(x|z) = Π_i p(x_i | x_1 … x_{i−1}, z)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import AutoregressiveBernoulli as Autoregressive
from vaekit.errors import RecipeError, VaekitError
from vaekit.models.likelihoods.bernoulli import Bernoulli
from vaekit.parts import Plan

MOST_FEATURES = 4096
"""Greatest number of features of an example, since W has a weight for each pair of features."""
TOO_MANY = f"an example must have at most {MOST_FEATURES:,} numbers for likelihood=autoregressive_bernoulli"


class AutoregressiveBernoulli(Bernoulli):
    """p(x|z) = Π_i Bernoulli(x_i; sigmoid(network_i(z) + Σ_{j<i} W_ij (x_j − m_j))), m_j the frequency of x_j = 1.

    Neighbouring features explain each other, and z keeps what they have in common. W starts at zero, so the likelihood starts
    as `Bernoulli`. A log-probability costs as much as one more layer. Draws are slower, since they are made feature by feature.
    The mean of p(x|z) is estimated from 32 draws and has no gradient. The decoder may learn to ignore z, so watch the rate.

    Args:
        event_shape: shape of one example, of at most 4,096 numbers.
        levels: not used.

    Raises:
        VaekitError: if an example has more than 4,096 numbers.

    References:
        Gregor, Danihelka, Mnih, Blundell and Wierstra, "Deep AutoRegressive Networks", 2014;
        Chen et al., "Variational Lossy Autoencoder", 2017.

    Examples:
        >>> likelihood = AutoregressiveBernoulli((2,))
        >>> _ = nn.init.constant_(likelihood.weight, 2.0)
        >>> p = likelihood(torch.zeros(2, 1))  # the second follows the first
        >>> [round(p.log_prob(torch.tensor(x)).exp().item(), 3) for x in ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0])]
        [0.25, 0.25, 0.06, 0.44]
    """

    centre: Tensor

    name = "autoregressive_bernoulli"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield an error if an example has too many numbers."""
        if (features := math.prod(plan.event_shape)) > MOST_FEATURES:
            yield RecipeError(
                TOO_MANY, f"{features:,}", "Choose likelihood=bernoulli, or shrink pictures with data.size"
            )

    def __init__(self, event_shape: Sequence[int], levels: int = 0) -> None:
        super().__init__(event_shape, levels)
        features = math.prod(self.event_shape)
        if features > MOST_FEATURES:
            raise VaekitError(TOO_MANY, f"{features:,}")
        self.weight = nn.Parameter(torch.zeros(features, features))
        self.register_buffer("centre", torch.zeros(features))

    def start(self, x: Tensor) -> None:
        """Start with independent features, each with its own frequency of ones."""
        super().start(x)
        self.centre.copy_(torch.sigmoid(self.offset.detach()).flatten())

    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the autoregressive Bernoulli distribution with these logits."""
        weight = self.weight.tril(-1)
        with torch.autocast(weight.device.type, enabled=False):
            pull = (weight @ self.centre).view(self.event_shape)
        centred = parameters.squeeze(-1) - pull
        return Autoregressive(centred, weight, self.event_dims)
