"""The importance-weighted bound.

    IWAE_K = log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

A lower bound of log p(x) in expectation, IWAE_1 = ELBO, non-decreasing in K, tending to log p(x).

References:
    Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import DiagonalNormal
from vaekit.models import Joint


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


def log_posterior_along_path(joint: Joint) -> Tensor:
    """log q(z|x) whose gradient reaches the encoder through z alone, shape (M, B).

    Args:
        joint: draws from a diagonal Gaussian posterior.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """
    q = joint.posterior
    fixed: Distribution = DiagonalNormal(q.mean.detach(), q.stddev.detach())
    return fixed.log_prob(joint.z)
