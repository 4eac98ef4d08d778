"""The importance-weighted bound, and what its kin share.

    IWAE_K = log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

A lower bound of log p(x) in expectation, IWAE_1 = ELBO, non-decreasing in K, tending to log p(x).

References:
    Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models import Joint, VariationalAutoEncoder
from vaekit.objectives.terms import Terms


def log_mean_exp(log_weights: Tensor, dim: int = 0) -> Tensor:
    """log (1/K) Σ_k exp(log w_k), without overflow; K is the length of the reduced dimension.

    Args:
        log_weights: log w, any shape.
        dim: dimension of the draws.

    Returns:
        The tensor with that dimension reduced.

    Examples:
        >>> log_mean_exp(torch.tensor([1000.0, 1000.0]))
        tensor(1000.)
    """
    return torch.logsumexp(log_weights, dim) - math.log(log_weights.shape[dim])


def matching_along_path(joint: Joint) -> Tensor:
    """log q(z|x) − log p(z), whose gradient reaches the encoder through z alone, shape (M, B).

    Args:
        joint: draws from a posterior that has `detached()`.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """
    q: DiagonalNormal | CholeskyNormal = joint.posterior  # type: ignore[assignment]
    return q.detached().log_prob(joint.z) - joint.prior.log_prob(joint.z)


class NegativeWeightedBound(nn.Module, ABC):
    """What all bounds by weighted draws share: minus a mean, of one kind or another, of the log-weights.

    Args:
        model: the model to be trained; its `samples` are K.
    """

    def __init__(self, model: VariationalAutoEncoder) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def bound(self, log_weights: Tensor) -> Tensor:
        """The bound of each example, shape (B,), from log w of shape (K, B)."""

    def weigh(self, joint: Joint, kl_weight: Tensor) -> tuple[Tensor, Tensor]:
        """log w = log p(x|z) − β·[log q(z|x) − log p(z)], and what is in the brackets, shape (K, B) each."""
        matching = joint.matching()
        return joint.log_likelihood - kl_weight * matching, matching

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            kl_weight: β, a scalar tensor: weight of log p(z) − log q(z|x) in the log-weights.
            context: c, where the model is conditional, shape (B, ...).

        Returns:
            loss, D and R of each example.
        """
        joint = self.model.given(context).joint(x)
        log_weights, matching = self.weigh(joint, kl_weight)
        return Terms(-self.bound(log_weights), joint.distortion(), matching.mean(0))
