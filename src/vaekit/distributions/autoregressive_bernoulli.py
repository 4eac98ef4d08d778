"""Bernoulli variables that depend on the variables before them.

p(x) = Π_i Bernoulli(x_i; σ(a_i + Σ_{j<i} W_ij x_j))
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions.even_noise import even_noise
from vaekit.distributions.logit_bernoulli import LogitBernoulli

MEAN_DRAWS, MOST_NUMBERS = 32, 1 << 22
"""Number of draws that estimate the mean, and number of values held in memory at a time."""


class AutoregressiveBernoulli(Distribution):
    """A chain of Bernoulli variables, x_i ~ Bernoulli(σ(a_i + Σ_{j<i} W_ij x_j)).

    Args:
        logits: a, shape (..., *event).
        weight: W, strictly lower triangular, shape (d, d) for d features.
        event_dims: number of dimensions of the event, whose features are numbered in row-major order.
    """

    arg_constraints: ClassVar = {}
    support = constraints.boolean

    def __init__(self, logits: Tensor, weight: Tensor, event_dims: int) -> None:
        super().__init__(logits.shape, Size(), validate_args=False)
        self.logits, self.weight, self.event = logits, weight, logits.shape[logits.dim() - event_dims :]

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_i | x_1 … x_{i−1}) of each feature, in the shape of the logits."""
        with torch.autocast(value.device.type, enabled=False):  # a sum over many features needs full precision
            before = (value.flatten(-len(self.event)) @ self.weight.mT).unflatten(-1, self.event)
        return LogitBernoulli(logits=self.logits + before, validate_args=False).log_prob(value)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw feature by feature; the draws have shape (*sample_shape, ..., *event)."""
        shape = Size((*sample_shape, *self.batch_shape))
        uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        return self._draw_in_order(uniform)[0]

    @property
    def mean(self) -> Tensor:
        """Return an estimate of E[x]: the conditional probabilities of ones, averaged over a few draws.

        E[x] has no closed form. The draws use fixed uniform numbers, spread evenly over [0, 1] for each feature, so the
        estimate is the same on every call.
        """
        even = even_noise(MEAN_DRAWS, math.prod(self.event)).to(self.logits).unflatten(-1, self.event)
        rows = self.logits.dim() - len(self.event)
        uniform = even.view(MEAN_DRAWS, *(1,) * rows, *self.event).expand(MEAN_DRAWS, *self.batch_shape)
        chunks = uniform.split(max(1, MOST_NUMBERS // self.logits.numel()))
        return torch.stack([self._draw_in_order(chunk)[1].sum(0) for chunk in chunks]).sum(0) / MEAN_DRAWS

    @torch.no_grad()
    def _draw_in_order(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the variables in order from uniform noise; return the draws and the conditional P(x_i = 1)."""
        noise = uniform.flatten(-len(self.event))
        logits = self.logits.flatten(-len(self.event)).expand(noise.shape)
        drawn, probabilities = torch.zeros_like(logits), torch.zeros_like(logits)
        for i in range(noise.shape[-1]):
            probabilities[..., i] = torch.sigmoid(logits[..., i] + drawn[..., :i] @ self.weight[i, :i])
            drawn[..., i] = noise[..., i] < probabilities[..., i]
        return drawn.unflatten(-1, self.event), probabilities.unflatten(-1, self.event)
