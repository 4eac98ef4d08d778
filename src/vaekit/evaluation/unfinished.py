"""Whether training ended before the validation bound stopped rising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LAST = 0.2
"""The share of the steps, the last ones, over which the rise of the bound is measured."""
PER_RISE = 10.0
"""Gain from twice the steps, as a multiple of the rise over the last fifth. The rise is small because the learning rate falls
to zero at the end. In 21 trainings that were cut short the multiple was 7 to 14 unless the model began to overfit."""
LEAST_GAIN = 0.003
"""Least expected gain that counts, in nats per dimension of the data."""
SURE = 3.0
"""How many times larger than its noise a rise must be."""


@dataclass(frozen=True)
class Unfinished:
    """Hold what more training is expected to gain.

    Args:
        rise: rise of the validation bound over the last 10 % of the steps, in nats per example.
        gain: expected gain of the bound from twice the steps, in nats per example; half or twice as much is possible.
        epochs: twice the epochs of the training.
    """

    rise: float
    gain: float
    epochs: int


def unfinished(
    steps: Sequence[float], bounds: Sequence[float], kept: int | None, epochs: int, dimensions: int
) -> Unfinished | None:
    """Return what more training is expected to gain, or None if the bound had stopped rising.

        gain ≈ 10 · (b(S) − b(0.8 S)),   b = validation bound, S = number of steps

    Args:
        steps: step of each validation, increasing.
        bounds: validation bound at these steps, in nats per example.
        kept: step of the best weights; if it lies before the last tenth, the bound has passed its maximum.
        epochs: number of epochs of the training.
        dimensions: number of values in an example.

    Examples:
        >>> steps = [10 * i for i in range(1, 11)]
        >>> unfinished(steps, [-20.0 / i for i in range(1, 11)], 100, 5, 2)
        Unfinished(rise=0.25, gain=5.0, epochs=10)
        >>> unfinished(steps, [-1.0 - 1.0 / 10**i for i in range(1, 11)], 100, 5, 2) is None
        True
    """
    if len(steps) < 5 or kept is None or kept < 0.9 * steps[-1] or not np.isfinite(bounds[len(bounds) // 2 :]).all():
        return None
    rise = bounds[-1] - float(np.interp((1 - LAST) * steps[-1], steps, bounds))
    bends = np.diff(np.asarray(bounds[len(bounds) // 2 :]), 2)
    noise = float(np.median(np.abs(bends))) / math.sqrt(6) * math.sqrt(2) if len(bends) else 0.0
    if rise <= SURE * noise or PER_RISE * rise < LEAST_GAIN * dimensions:
        return None
    return Unfinished(rise * 0.1 / LAST, PER_RISE * rise, 2 * epochs)
