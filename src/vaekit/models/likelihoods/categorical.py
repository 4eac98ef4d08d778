"""The categorical likelihood of data with L levels, free of any shape."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions import OrderedCategorical
from vaekit.models.likelihoods.base import Likelihood


class Categorical(Likelihood):
    """p(x|z) = Π_i softmax(network(z)_i)_{x_i} over the levels 0 … L−1.

    Costs L outputs for each feature: meant for few levels.

    Examples:
        >>> p = Categorical((3,), levels=4)(torch.zeros(2, 3, 4))
        >>> round(float(p.log_prob(torch.ones(2, 3))[0].exp() * 4**3), 6)
        1.0
    """

    kinds = frozenset({"levels", "binary"})

    @property
    def parameters_per_feature(self) -> int:
        """A logit for each level."""
        return self.levels

    def start(self, x: Tensor) -> None:
        """Begin at the frequency of each level, smoothed by one example in all."""
        counts = torch.stack([(x == level).sum(0) for level in range(self.levels)], -1)
        self.offset.data.copy_(((counts + 1 / self.levels) / (len(x) + 1)).log())

    def distribution(self, parameters: Tensor) -> OrderedCategorical:
        """Categorical with these logits."""
        return OrderedCategorical(parameters)
