"""Alarms whose rate is known: p-values from rows held out for them alone, and the running rate of a stream.

If the m calibration rows and a new row are exchangeable, its rank among them is uniform, whatever the score is:

    p(x) = (1 + #{i: s_i ≤ s(x)})/(m + 1),  P(p ≤ α) ≤ α

Given the calibration rows, the rate of alarms at level α follows a Beta law, with k = ⌊α(m + 1)⌋:

    P(p ≤ α | s_1, …, s_m) ~ Beta(k, m + 1 − k)

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005;
    Vovk, "Conditional Validity of Inductive Conformal Predictors", 2012, for the Beta law;
    Bates, Candès, Lei, Romano and Sesia, "Testing for Outliers with Conformal p-values", 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy
from scipy.stats import beta

from vaekit.errors import DataError, VaekitError

Array = npt.NDArray[np.float64]
ROUNDING = 1e-9
"""Share of α(m + 1) that is due to rounding, so that 0.01 · 100 counts as 1."""


def p_values(scores: Array, calibration: Array) -> Array:
    """Return the conformal p-value of each score; low scores are unusual.

        p = (1 + #{i: s_i ≤ s})/(m + 1)

    Args:
        scores: scores of new rows, shape (n,).
        calibration: scores of held-out rows, shape (m,).

    Returns:
        Shape (n,), from 1/(m + 1) to 1.

    Examples:
        >>> p_values(np.array([-9.0, 0.5]), np.array([0.0, 1.0, 2.0])).tolist()
        [0.25, 0.5]
    """
    below = np.searchsorted(np.sort(calibration), scores, side="right")
    return (1 + below) / (len(calibration) + 1)


def rows_needed(rate: float) -> int:
    """Return the least number of calibration rows with which a p-value can be as small as a rate, ⌈1/rate⌉ − 1.

    Examples:
        >>> rows_needed(0.01), rows_needed(0.05)
        (99, 19)
    """
    return math.ceil((1 - ROUNDING) / rate) - 1


def alarm_threshold(calibration: Array, rate: float) -> float:
    """Return the score below which p ≤ rate: the k-th lowest calibration score, with k = ⌊rate · (m + 1)⌋.

    Args:
        calibration: scores of held-out rows, shape (m,).
        rate: wanted rate of false alarms, in (0, 1).

    Raises:
        DataError: if there are too few calibration rows for this rate.
    """
    return float(np.sort(calibration)[_alarms(len(calibration), rate) - 1])


def alarm_interval(rows: int, rate: float, level: float = 0.95) -> tuple[float, float]:
    """Return the central interval of the rate of false alarms that calibration with some rows gives.

    Args:
        rows: number m of calibration rows.
        rate: the nominal rate of false alarms, in (0, 1).
        level: probability of the interval.

    Returns:
        The ends of the interval.

    Raises:
        DataError: if there are too few calibration rows for this rate.

    Examples:
        >>> low, high = alarm_interval(1000, 0.01)
        >>> round(low, 4), round(high, 4)
        (0.0048, 0.017)
    """
    k = _alarms(rows, rate)
    low, high = beta(k, rows + 1 - k).interval(level)
    return float(low), float(high)


def _alarms(rows: int, rate: float) -> int:
    if not 0 < rate < 1:
        raise VaekitError("the rate of false alarms must be between 0 and 1", str(rate))
    k = math.floor(rate * (rows + 1) * (1 + ROUNDING))
    if k < 1:
        told = f"A rate of false alarms of {rate:g} cannot be reached with {rows} calibration rows"
        mend = f"Hold out {rows_needed(rate)} or more, or choose a rate of at least {1 / (rows + 1):.2g}"
        raise DataError(told, mend=mend)
    return k


@dataclass
class AlarmRate:
    """Counts the alarms of a stream of rows, and bounds their rate at every time at once.

    The bounds are those rates p at which the evidence against p is below 1/(1 − level):

        B(½ + k, ½ + n − k)/B(½, ½) / (p^k (1 − p)^(n − k)) < 1/(1 − level)

    The left side is a martingale at the true rate, so with probability `level` the bounds hold after every row, however
    often one looks and whenever one stops.

    Args:
        rows: number n of rows so far.
        alarms: number k of alarms among them.

    References:
        Ville, "Étude critique de la notion de collectif", 1939;
        Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", 1970.

    Examples:
        >>> stream = AlarmRate()
        >>> stream.update(np.arange(1000) % 50 == 0)
        >>> stream.rate, [round(end, 3) for end in stream.bounds()]
        (0.02, [0.008, 0.041])
    """

    rows: int = 0
    alarms: int = 0

    def update(self, alarms: npt.ArrayLike) -> None:
        """Count further rows.

        Args:
            alarms: whether each row gave an alarm, shape (n,).
        """
        found = np.asarray(alarms, dtype=bool)
        self.rows, self.alarms = self.rows + found.size, self.alarms + int(found.sum())

    @property
    def rate(self) -> float:
        """Return the share of rows with an alarm; NaN before the first row."""
        return self.alarms / self.rows if self.rows else math.nan

    def bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Return bounds of the rate that hold at all times at once.

        Args:
            level: probability that they always hold.
        """
        k, n = self.alarms, self.rows
        mixed = betaln(0.5 + k, 0.5 + n - k) - betaln(0.5, 0.5)

        def evidence(p: float) -> float:
            return float(mixed - xlogy(k, p) - xlog1py(n - k, -p) + math.log1p(-level))

        likeliest = k / n if n else 0.5
        low = brentq(evidence, 1e-300, likeliest) if k else 0.0
        high = brentq(evidence, likeliest, 1 - 1e-16) if k < n else 1.0
        return low, high
