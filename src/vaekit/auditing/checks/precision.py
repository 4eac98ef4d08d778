"""Whether log-probabilities are rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vaekit.auditing.check import Check
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject
from vaekit.data import SeedStream
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

DECIMALS = (1.0, 0.1, 0.01, 0.001)
"""Steps of rounded decimal numbers, in nats."""
BITS = {8: "bfloat16", 11: "float16"}
"""Significant bits of narrow types of numbers."""
ROWS, LEAST = 64, 3
"""Rows that are looked at, and least different values."""
CHANCE = 1e-5
"""Greatest probability that numbers which are not rounded look rounded."""


class Precision(Check):
    """Look for a step of which all log-probabilities are multiples."""

    name = "precision"
    question = "Are log-probabilities rounded?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if all values are multiples of a decimal step, or fit into half precision."""
        drawn = subject.space.draw(ROWS, SeedStream.AUDIT_ROWS.rng(subject.seed, 1))
        values = subject.values(np.concatenate([subject.few, drawn]))
        values = np.unique(values[np.isfinite(values)])
        if len(values) < LEAST:
            needs = "`vaekit.audit(…, rows=…)` takes rows of different probability."
            yield self.skipped(f"Fewer than {LEAST} different values were seen.", needs)
            return
        step = rounded_to(values)
        if step:
            text = f"All {len(values)} values are multiples of {step:g} nats: log p(x) is rounded."
            yield self.found(text, Estimate(step / 2, None))
        elif bits := narrow(values):
            largest = float(np.abs(values).max())
            text = f"All {len(values)} values fit into {BITS[bits]}, with {bits} significant bits: log p(x) is rounded."
            yield self.found(text, Estimate(2.0 ** (np.floor(np.log2(largest)) - bits), None))
        else:
            yield self.measured(f"{len(values)} different values, without a common step.")


def rounded_to(values: Array) -> float:
    """Return the largest decimal step of which all values are multiples, or 0.

    Two free numbers are enough to make all sums of equal terms multiples of a step, so only two values count as evidence.

    Examples:
        >>> rounded_to(np.array([-3.2, -4.1, -9.9])), rounded_to(np.array([-3.217, -4.1084, -9.9]))
        (0.1, 0.0)
    """
    largest = np.abs(values).max()
    for step in DECIMALS:
        apart = np.abs(values / step - np.round(values / step)).max()
        exact = np.finfo(np.float32).eps * max(largest / step, 1.0)  # of a number that passed through single precision
        if apart <= exact and (2 * max(apart, np.finfo(np.float64).eps * largest / step)) ** 2 < CHANCE:
            return step
    return 0.0


def narrow(values: Array) -> int:
    """Return how many significant bits all values need, if they fit into a narrow type of numbers, else 0.

    Examples:
        >>> narrow(np.array([-3.217, -4.1084, -9.9]).astype(np.float16).astype(float)), narrow(np.array([-3.217]))
        (11, 0)
    """
    mantissa, _ = np.frexp(values)
    return next((bits for bits in BITS if not (mantissa * 2.0**bits % 1).any()), 0)
