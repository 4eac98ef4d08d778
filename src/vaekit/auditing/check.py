"""The base class of checks, and the rule by which sampling may accuse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vaekit.auditing.record import Finding, Measurement, Skipped, Verdict
from vaekit.auditing.subject import SEEDS, Subject, differences, rounding
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

ERRORS = 4.0
"""An estimate accuses if it is beyond its tolerance by this many standard errors, in two independent tries."""
AGAIN = 10 * SEEDS
"""The first seed of the second try."""


class Check(ABC):
    """Ask one question about the audited function.

    A subclass states its name and its question, and answers with what it found, what it measured and what it could not
    judge.
    """

    name: ClassVar[str]
    """The name of the check."""
    question: ClassVar[str]
    """What the check asks, as a question."""

    @abstractmethod
    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield findings, measurements and what could not be judged."""

    def found(self, text: str, size: Estimate) -> Finding:
        """Return a finding, with its size in nats."""
        error = float(size.standard_error) if size.standard_error else None
        return Finding(self.name, text, float(size.value), error)

    def measured(self, text: str) -> Measurement:
        """Return a measurement without a fault."""
        return Measurement(self.name, text)

    def skipped(self, text: str, needs: str) -> Skipped:
        """Return what could not be judged, and what it would need."""
        return Skipped(self.name, text, needs)


def accuses(estimate: Estimate, tolerance: float = 0.0) -> bool:
    """Return whether an estimate is above its tolerance by more than four standard errors.

    Examples:
        >>> accuses(Estimate(1.0, 0.2)), accuses(Estimate(1.0, 0.3)), accuses(Estimate(1.0, None), 1.0)
        (True, False, False)
    """
    return estimate.value - ERRORS * (estimate.standard_error or 0.0) > tolerance


def confirmed(measure: Callable[[int], Estimate], tolerance: float = 0.0) -> tuple[Estimate, bool]:
    """Measure something that must not be positive, and measure it again with fresh noise before accusing.

    Args:
        measure: returns the estimate from the noise of several seeds, given the first of them.
        tolerance: what rounding can explain.

    Returns:
        The estimate, the second one if there were two, and whether it accuses.
    """
    first = measure(0)
    if not accuses(first, tolerance):
        return first, False
    if not first.standard_error:  # nothing was random
        return first, True
    second = measure(AGAIN)
    return second, accuses(second, tolerance)


def compare(one: Callable[[int], Array], two: Callable[[int], Array]) -> tuple[Estimate, bool]:
    """Compare log p(x) of the same rows under two circumstances that must not matter.

    Without noise the rows are compared one by one. With noise the row that changed most is compared again with fresh
    noise, so that having looked at many rows does not count against the function.

    Args:
        one: the first seed ↦ log p(x) for each seed of the noise, shape (S, n).
        two: the same under other circumstances.

    Returns:
        How much the row that changed most has changed, and whether this accuses.
    """

    a, b = one(0), two(0)
    apart, slack = np.abs(differences(b.mean(0), a.mean(0))), rounding(a.mean(0))
    if len(a) == 1:
        return Estimate(float(apart.max()), None), bool((apart > slack).any())
    row = int((apart / (_error(a, b) + slack)).argmax())

    def change(first: int) -> Estimate:
        again, other = (a, b) if first == 0 else (one(first), two(first))
        value = abs(float(other[:, row].mean() - again[:, row].mean()))
        return Estimate(value, float(_error(again, other)[row]))

    return confirmed(change, float(slack[row]))


def _error(a: Array, b: Array) -> Array:
    """Return the standard error of the difference of two means over seeds, shape (n,)."""
    return np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / len(a))
