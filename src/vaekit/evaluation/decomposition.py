"""Split the rate into mutual information and marginal KL.

    E_x[KL(q(z|x) ‖ p(z))] = I_q(x; z) + KL(q(z) ‖ p(z)),     q(z) = (1/N) Σ_n q(z|x_n)

The first part is information about x. The second is the distance of the aggregate posterior from the prior; a large one
spoils samples. q(z) is a mixture over the N rows, so I_q ≤ log N. Near that ceiling, the split shows only that the codes
distinguish all rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data.noise import RowNoise, RowStream
from vaekit.distributions import NormalMixture

Array = npt.NDArray[np.float64]
MOST_ROWS = 10_000
"""Most rows in the mixture; the work grows with their square."""
ACTIVE = 0.01
"""A latent dimension is active if the variance of its posterior mean exceeds this (Burda et al. 2016)."""


@dataclass(frozen=True)
class RateParts:
    """Hold the two parts of the rate, mutual information and marginal KL, averaged over rows, in nats.

    Args:
        mutual_information: I_q(x; z).
        marginal_kl: KL(q(z) ‖ p(z)).
        standard_error: standard error of the mutual information over the rows.
        ceiling: log N, which the mutual information cannot exceed.
        draws: draws of z for each row.
    """

    mutual_information: float
    marginal_kl: float
    standard_error: float
    ceiling: float
    draws: int


def active_units(mean: Array) -> npt.NDArray[np.bool_]:
    """Tell which latent dimensions are active: Var_x(E_q[z_j]) > 0.01.

    Args:
        mean: posterior means, shape (n, latent_dim).

    Returns:
        Whether each dimension is active, shape (latent_dim,).

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.

    Examples:
        >>> active_units(np.array([[0.0, 1.0], [0.0, -1.0]])).tolist()
        [False, True]
    """
    return mean.var(axis=0) > ACTIVE


def log_aggregate(z: Array, mean: Array, std: Array) -> Array:
    """Return the log-density of the aggregate posterior at each z, log (1/N) Σ_n N(z; μ_n, diag σ_n²), shape (m,)."""
    shares = torch.full((len(mean),), -math.log(len(mean)), dtype=torch.float64)
    mixture = NormalMixture(shares, torch.from_numpy(mean), torch.from_numpy(std))
    return mixture.log_prob(torch.from_numpy(z)).numpy()


def decompose_rate(mean: Array, std: Array, rate: Array, draws: int = 1, block: int = 500) -> RateParts:
    """Split the average rate into mutual information and marginal KL.

    Args:
        mean: posterior means, shape (n, latent_dim).
        std: posterior standard deviations, shape (n, latent_dim).
        rate: KL[q(z|x) ‖ p(z)] of each row, shape (n,).
        draws: draws of z for each row.
        block: rows that are processed at a time.

    Returns:
        The two parts, which sum to the average rate. The mixture has at most 10,000 rows.

    References:
        Hoffman and Johnson, "ELBO surgery", 2016.
    """
    average = float(rate.mean())
    some = np.sort(np.random.default_rng(0).permutation(len(mean))[:MOST_ROWS])  # sources are often sorted
    mean, std = mean[some], std[some]
    noise = RowNoise(mean, seed=1).normal((draws, mean.shape[1]), RowStream.AGGREGATE).double().numpy()
    information = np.zeros(len(mean))
    for start in range(0, len(mean), block):
        here = slice(start, start + block)
        for epsilon in np.moveaxis(noise[here], 1, 0):
            z = mean[here] + std[here] * epsilon
            log_q = -0.5 * (epsilon**2 + math.log(2 * math.pi)).sum(1) - np.log(std[here]).sum(1)
            information[here] += (log_q - log_aggregate(z, mean, std)) / draws
    mutual = float(information.mean())
    error = float(information.std(ddof=1) / math.sqrt(len(information))) if len(information) > 1 else math.nan
    return RateParts(mutual, average - mutual, error, math.log(len(mean)), draws)
