"""A likelihood of binary data whose features are not independent given z: each also sees those before it.

p(x|z) = Π_i p(x_i | x_1 … x_{i−1}, z)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, constraints

from vaekit.errors import RecipeError, VaekitError
from vaekit.models.likelihoods.bernoulli import Bernoulli, LogitBernoulli
from vaekit.parts import Plan

MOST_FEATURES = 4096
"""Features above which the matrix between them, of a weight for each pair, would be too large."""
TOO_MANY = f"the autoregressive_bernoulli likelihood must have examples of at most {MOST_FEATURES:,} numbers"
MEAN_DRAWS, MOST_NUMBERS = 32, 1 << 22
"""Draws from which the mean is told, and the numbers in memory that they are made by."""


class ChainedBernoulli(Distribution):
    """Bernoulli variables in a chain, x_i ~ Bernoulli(σ(a_i + Σ_{j<i} W_ij x_j)).

    Args:
        logits: a, shape (..., *event).
        weight: W, strictly lower triangular, shape (d, d), d the number of features.
        event_dims: number of the event's dimensions; features are numbered as they lie in memory.
    """

    arg_constraints: ClassVar = {}
    support = constraints.boolean

    def __init__(self, logits: Tensor, weight: Tensor, event_dims: int) -> None:
        super().__init__(logits.shape, Size(), validate_args=False)
        self.logits, self.weight, self.event = logits, weight, logits.shape[logits.dim() - event_dims :]

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x_i | x_1 … x_{i−1}, z) of each feature; the shape of the logits."""
        with torch.autocast(value.device.type, enabled=False):  # a sum over many features needs all digits
            before = (value.flatten(-len(self.event)) @ self.weight.mT).unflatten(-1, self.event)
        return LogitBernoulli(logits=self.logits + before, validate_args=False).log_prob(value)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw feature by feature; shape (*sample_shape, ..., *event)."""
        shape = Size((*sample_shape, *self.batch_shape))
        uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        return self._walk(uniform)[0]

    @property
    def mean(self) -> Tensor:
        """E[x|z], which has no closed form: the probabilities met in a few draws, averaged; the same on every call.

        The draws share fixed numbers, each feature's spread evenly over [0, 1].
        """
        generator = torch.Generator().manual_seed(0)
        ranks = torch.rand(MEAN_DRAWS, math.prod(self.event), generator=generator).argsort(0)
        even = ((ranks + 0.5) / MEAN_DRAWS).to(self.logits).unflatten(-1, self.event)
        rows = self.logits.dim() - len(self.event)
        uniform = even.view(MEAN_DRAWS, *(1,) * rows, *self.event).expand(MEAN_DRAWS, *self.batch_shape)
        some = uniform.split(max(1, MOST_NUMBERS // self.logits.numel()))
        return torch.stack([self._walk(part)[1].sum(0) for part in some]).sum(0) / MEAN_DRAWS

    @torch.no_grad()
    def _walk(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """From numbers in [0, 1) to values and to the probabilities of ones that were met; no gradient passes."""
        noise = uniform.flatten(-len(self.event))
        alone = self.logits.flatten(-len(self.event)).expand(noise.shape)
        drawn, met = torch.zeros_like(alone), torch.zeros_like(alone)
        for i in range(noise.shape[-1]):
            met[..., i] = torch.sigmoid(alone[..., i] + drawn[..., :i] @ self.weight[i, :i])
            drawn[..., i] = noise[..., i] < met[..., i]
        return drawn.unflatten(-1, self.event), met.unflatten(-1, self.event)


class AutoregressiveBernoulli(Bernoulli):
    """p(x|z) = Π_i Bernoulli(x_i; sigmoid(network_i(z) + Σ_{j<i} W_ij (x_j − m_j))), m the frequencies of ones.

    What lies close together explains itself, and z is left with the whole. The matrix starts at zero, where this is
    `Bernoulli`. Log-probabilities take no longer than one more layer; a draw goes feature by feature, and so do the 32
    draws that tell the mean of p(x|z), through which no gradient passes. A decoder that can do without z may: watch the rate.

    Args:
        event_shape: shape of one example, of at most 4,096 numbers.
        levels: does not apply.

    Raises:
        VaekitError: for larger examples, whose pairs are too many.

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
        """Yield a refusal for examples of too many numbers."""
        if (features := math.prod(plan.event_shape)) > MOST_FEATURES:
            yield RecipeError(
                TOO_MANY, f"{features:,}", "Choose likelihood=bernoulli, or smaller pictures by data.size"
            )

    def __init__(self, event_shape: Sequence[int], levels: int = 0) -> None:
        super().__init__(event_shape, levels)
        features = math.prod(self.event_shape)
        if features > MOST_FEATURES:
            raise VaekitError(TOO_MANY, f"{features:,}")
        self.weight = nn.Parameter(torch.zeros(features, features))
        self.register_buffer("centre", torch.zeros(features))

    def start(self, x: Tensor) -> None:
        """Begin at the frequency of ones, each feature on its own."""
        super().start(x)
        self.centre.copy_(torch.sigmoid(self.offset.detach()).flatten())

    def distribution(self, parameters: Tensor) -> Distribution:
        """The chain with these logits."""
        weight = self.weight.tril(-1)
        with torch.autocast(weight.device.type, enabled=False):
            pull = (weight @ self.centre).view(self.event_shape)
        centred = parameters.squeeze(-1) - pull
        return ChainedBernoulli(centred, weight, self.event_dims)
