"""Schedules over the planned steps. Each depends on the step alone, and ends at its final value for any number of steps."""

from __future__ import annotations

import math

from vaekit.training.options import TrainingOptions


def learning_rate(step: int, steps: int, options: TrainingOptions) -> float:
    """Return the learning rate of a step: a linear warm-up, then half a cosine down to `final_rate`.

    References:
        Loshchilov and Hutter, "SGDR", 2017.

    Examples:
        >>> o = TrainingOptions(learning_rate=1.0, warmup=0.1, final_rate=0.0)
        >>> [round(learning_rate(s, 100, o), 3) for s in (0, 9, 10, 55, 100)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    rising = round(options.warmup * steps)
    if step < rising:
        return options.learning_rate * (step + 1) / rising
    fraction = (step - rising) / max(1, steps - rising)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
    return options.learning_rate * (options.final_rate + (1 - options.final_rate) * cosine)


def kl_weight(step: int, steps: int, final: float, warmup: float, cycles: int = 1) -> float:
    """Return β of a step: it rises linearly from 0 to `final` over the fraction `warmup` of each cycle, then stays there.

    References:
        Bowman et al., "Generating Sentences from a Continuous Space", 2016; Fu et al., "Cyclical Annealing Schedule", 2019.

    Examples:
        >>> [kl_weight(s, 10, 2.0, 0.5) for s in (0, 4, 5, 9)]
        [0.0, 1.6, 2.0, 2.0]
        >>> [kl_weight(s, 20, 1.0, 0.5, cycles=2) for s in (0, 4, 5, 9, 10, 12, 15)]
        [0.0, 0.8, 1.0, 1.0, 0.0, 0.4, 1.0]
    """
    cycle = steps / cycles
    rising = warmup * cycle
    within = step - cycle * min(step // cycle, cycles - 1)  # the last step ends the last cycle
    return final * min(1.0, within / rising) if rising else final


def draws(step: int, steps: int, final: int, warmup: float) -> int:
    """Return the number of draws of a step: 1, 4, 16, … over equal parts of the warm-up, then `final`.

    A bound of few draws costs little. The bound of many draws then starts from good weights.

    Examples:
        >>> [draws(s, 10, 50, 0.6) for s in range(10)]
        [1, 1, 4, 4, 16, 16, 50, 50, 50, 50]
    """
    if step >= warmup * steps:
        return final
    levels = [4**i for i in range(final.bit_length()) if 4**i < final] or [final]
    return levels[int(len(levels) * step / (warmup * steps))]


def validation_steps(steps: int, validations: int) -> set[int]:
    """Return the steps after which the validation bound is measured; the last step is one of them.

    Examples:
        >>> sorted(validation_steps(10, 4))
        [3, 5, 8, 10]
    """
    return {math.floor(steps * i / validations + 0.5) for i in range(1, validations + 1)} - {0}
