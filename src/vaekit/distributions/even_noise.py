"""Fixed uniform numbers for expectations that are estimated from a few draws."""

from __future__ import annotations

import torch
from torch import Tensor


def even_noise(draws: int, numbers: int) -> Tensor:
    """Return fixed uniform numbers, shape (draws, numbers), of which each column is spread evenly over [0, 1].

    Args:
        draws: number of draws, ≥ 1.
        numbers: how many numbers a draw takes.

    Examples:
        >>> even_noise(4, 3).sort(0).values[:, 0]
        tensor([0.1250, 0.3750, 0.6250, 0.8750])
    """
    ranks = torch.rand(draws, numbers, generator=torch.Generator().manual_seed(0)).argsort(0)
    return (ranks + 0.5) / draws
