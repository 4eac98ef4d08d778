"""The categorical distribution over ordered levels 0 … L−1, with the mean and variance that torch's class does not define."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical


class OrderedCategorical(Categorical):
    """A categorical distribution over the levels 0 … L−1, P(x = k) = softmax(logits)_k.

    Args:
        logits: unnormalised log-probabilities, shape (..., L).

    Examples:
        >>> OrderedCategorical(torch.zeros(2, 5)).mean
        tensor([2., 2.])
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Return E[x] = Σ_k k·P(x = k), shape (...)."""
        levels = torch.arange(self.logits.shape[-1], dtype=self.logits.dtype, device=self.logits.device)
        return (self.probs * levels).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Return Var[x] = Σ_k (k − E[x])²·P(x = k), shape (...)."""
        levels = torch.arange(self.logits.shape[-1], dtype=self.logits.dtype, device=self.logits.device)
        return (self.probs * (levels - self.mean.unsqueeze(-1)).square()).sum(-1)
