"""A mean over examples with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Estimate:
    """Hold a mean over examples and its standard error.

    Args:
        value: the mean.
        standard_error: std/√n over the examples; None for a single example.

    Examples:
        >>> print(Estimate.of(np.array([1.0, 3.0])))
        2.00 ± 1.00
    """

    value: float
    standard_error: float | None

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Estimate:
        """Compute the mean of n ≥ 1 values, one per example, shape (n,), with its standard error."""
        error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
        return cls(float(values.mean()), error)

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {'–' if self.standard_error is None else format(self.standard_error, '.2f')}"


@dataclass(frozen=True)
class LogLikelihood(Estimate):
    """Hold the importance-weighted bound on log p(x), averaged over examples, in nats.

    Args:
        value: the mean of IWAE_K.
        standard_error: standard error over the examples; None for a single example.
        samples: K, the draws of z for each example.
        examples: the number of examples measured.
    """

    samples: int
    examples: int

    __str__ = Estimate.__str__
