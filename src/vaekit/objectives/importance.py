"""The importance-weighted bound, and the base of the objectives derived from it.

    IWAE_K = log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

IWAE_K is a lower bound on log p(x) in expectation. IWAE_1 is the ELBO, and IWAE_K rises with K towards log p(x).

References:
    Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms


def log_mean_exp(log_weights: Tensor, dim: int = 0) -> Tensor:
    """Return log (1/K) Σ_k exp(log w_k) without overflow, where K is the length of the reduced dimension.

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


def log_ratio_along_path(draws: Draws) -> Tensor:
    """Return log q(z|x) − log p(z), shape (M, B), with path gradients, which reach the encoder only through z.

    Args:
        draws: draws from a posterior that has `detached()`.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """
    q: DiagonalNormal | CholeskyNormal = draws.posterior  # type: ignore[assignment]
    return q.detached().log_prob(draws.z) - draws.prior.log_prob(draws.z)


class NegativeWeightedBound(Objective):
    """The negative of a bound that is computed from the log-weights of K draws."""

    draws = 8
    importance_weighted = True

    @abstractmethod
    def bound(self, log_weights: Tensor) -> Tensor:
        """Return the bound of each example, shape (B,), from the log-weights, shape (K, B)."""

    def weigh(self, draws: Draws, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return log w = log p(x|z) − β·[log q(z|x) − log p(z)] and the term in brackets, both of shape (K, B)."""
        log_ratio = draws.log_ratio()
        return draws.log_likelihood - beta * log_ratio, log_ratio

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: −bound, D and R. The log-weights are those of `weigh`."""
        log_weights, log_ratio = self.weigh(draws, beta)
        return Terms(-self.bound(log_weights), draws.distortion(), log_ratio.mean(0))
