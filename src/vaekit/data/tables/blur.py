"""The blur of rows: noise on numbers, and replaced categories, by a scale that held-out rows choose.

    y ← y + σ·ε for a score,  P(replaced) = σ²/(1 + σ²) for a category, the share of the noise in the variance of a score

The density of blurred rows gives meaning to distances, and point masses do not stand out. Among n rows it is that of
the kernel estimator p_σ(x) = (1/n) Σ_i k_σ(x, x_i), whose scale is chosen by the likelihood of rows left out.

References:
    Parzen, "On Estimation of a Probability Density Function and Mode", 1962;
    Habbema, Hermans and van den Broek, "A Stepwise Discriminant Analysis Program Using Density Estimation", 1974, for
    the choice by rows left out;
    Aitchison and Aitken, "Multivariate Binary Discrimination by the Kernel Method", 1976, for categories.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaekit.data.tables.cells import Layout

SCALES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""The scales among which held-out rows choose."""
MOST_ROWS = 1000
"""Most rows that choose a scale."""


def replaced_share(scale: float) -> float:
    """Return σ²/(1 + σ²), the probability that a category is replaced.

    Examples:
        >>> replaced_share(0.5)
        0.2
    """
    return scale**2 / (1 + scale**2)


def blur(x: Tensor, layout: Layout, scale: float, normal: Tensor, uniform: Tensor) -> Tensor:
    """Blur the cells of rows; missing cells stay missing.

    Args:
        x: slots and measures, shape (B, 2S).
        layout: the K categories and R scores of a row.
        scale: σ, the standard deviation of the noise.
        normal: standard normal noise, shape (B, R).
        uniform: noise in (0, 1), shape (B, 2K): whether a category is replaced, and by which.
    """
    sizes = torch.tensor(layout.sizes, dtype=x.dtype, device=x.device)
    count = len(sizes)
    categories, scores, measures = x.split([count, layout.slots - count, layout.slots], 1)
    drawn = (uniform[:, count:] * sizes).floor().minimum(sizes - 1)
    replaced = (uniform[:, :count] < replaced_share(scale)) & ~categories.isnan()
    return torch.cat([torch.where(replaced, drawn, categories), scores + scale * normal, measures], 1)


def choose_scale(x: Tensor, layout: Layout) -> float:
    """Return the scale under which each row is likeliest among the blurred others.

        argmax_σ Σ_i log (1/(n − 1)) Σ_{j≠i} k_σ(x_i, x_j)

    Args:
        x: slots and measures of complete or incomplete rows, shape (n, 2S); the first rows are used.
        layout: the K categories and R scores of a row.

    Returns:
        One of `SCALES`.
    """
    x = x[:MOST_ROWS].double()
    return max(SCALES, key=lambda scale: float(left_out(x, layout, scale).sum()))


def left_out(x: Tensor, layout: Layout, scale: float) -> Tensor:
    """Return log p_σ(x_i) of each row among the blurred others, shape (n,).

    A cell that only the other row lacks is drawn from N(0, 1 + σ²), or evenly from all categories.

    Args:
        x: slots and measures, shape (n, 2S).
        layout: the K categories and R scores of a row.
        scale: σ.
    """
    share, kernel = replaced_share(scale), x.new_zeros(len(x), len(x))
    for slot in range(layout.slots):
        own, other = x[:, None, slot], x[None, :, slot]
        if slot < len(layout.sizes):
            even = share / layout.sizes[slot]
            found = x.new_tensor([even, 1 - share + even]).log()[(own == other).long()]
            lacking = torch.full_like(own, -math.log(layout.sizes[slot]))
        else:
            found, lacking = _log_normal(own - other, scale**2), _log_normal(own, 1 + scale**2)
        found = torch.where(other.isnan(), lacking, found)
        kernel += torch.where(own.isnan(), 0.0, found)
    kernel.fill_diagonal_(-math.inf)
    return kernel.logsumexp(1) - math.log(len(x) - 1)


def _log_normal(y: Tensor, variance: float) -> Tensor:
    return -0.5 * (y**2 / variance + math.log(2 * math.pi * variance))
