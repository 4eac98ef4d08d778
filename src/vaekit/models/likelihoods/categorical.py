"""The categorical likelihood of data with L levels, which can fit a distribution of any shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vaekit.distributions import OrderedCategorical
from vaekit.errors import RecipeError
from vaekit.models.likelihoods.base import Likelihood
from vaekit.parts import Plan

MOST_CATEGORIES = 256
"""Greatest number of levels, since the network has an output for each level."""


class Categorical(Likelihood):
    """p(x|z) = Π_i softmax(network(z)_i)_{x_i} over the levels 0 … L−1.

    The network has L outputs for each feature, so the likelihood is meant for few levels.

    Examples:
        >>> p = Categorical((3,), levels=4)(torch.zeros(2, 3, 4))
        >>> round(p.log_prob(torch.ones(2, 3))[0].exp().item() * 4**3, 6)
        1.0
    """

    name = "categorical"
    kinds = frozenset({"levels", "binary"})

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield an error if there are too many levels."""
        if plan.kind == "levels" and plan.levels > MOST_CATEGORIES:
            outputs = plan.levels * math.prod(plan.event_shape)
            yield RecipeError(
                f"likelihood=categorical takes at most {MOST_CATEGORIES} levels, but the data have {plan.levels}: "
                f"the decoder would have {outputs:,} outputs for each row",
                mend="Choose likelihood=discretized_logistic or discretized_logistic_mixture",
            )

    @property
    def parameters_per_feature(self) -> int:
        """Return L, one logit for each level."""
        return self.levels

    def start(self, x: Tensor) -> None:
        """Start at the frequency of each level, smoothed as if one more example were spread evenly over the levels."""
        counts = torch.stack([(x == level).sum(0) for level in range(self.levels)], -1)
        self.offset.data.copy_(((counts + 1 / self.levels) / (len(x) + 1)).log())

    def distribution(self, parameters: Tensor) -> OrderedCategorical:
        """Return the categorical distribution with these logits."""
        return OrderedCategorical(parameters)
