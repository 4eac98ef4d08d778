"""The search for the grid on which the numbers of a column lie, such as integers, cents, halves or days."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FINEST = 9
"""Most decimals that are tried."""
COARSE = 1e6
"""A grid with this many points between the quartiles counts as continuous."""
FEW = 10
"""Fewer different values have the spacing of their decimals."""
TOLERANCE, DENSITY = 1e-5, 50
"""Tolerance of multiples, and most grid points for each different value, for a spacing that is not decimal."""
MOSTLY = 0.5
"""Least share of numbers that are exact enough to show whether they lie on a grid."""
UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""A day, an hour, a minute, a second, a millisecond and a microsecond, in microseconds."""


class GridFinder:
    """Finds the grid of the numbers of a column, block by block, from their decimals and common divisor.

    Args:
        kind: Arrow type of the numbers, which determines their precision.
    """

    def __init__(self, kind: Any) -> None:
        single, half = kind in (pa.float32(), pa.float16()), kind == pa.float16()
        self.decimals: int | None = 0
        """Number of decimals that all numbers need; None if they are not decimal."""
        self._date = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        self._integer = pa.types.is_integer(kind) or self._date
        self._error = 2.0 ** (-11 if half else -24 if single else -53)
        self._divisor = 0

    def add(self, x: npt.NDArray[np.float64]) -> None:
        """Add a block of numbers of the column, shape (n,)."""
        while self.decimals is not None:
            scaled = np.abs(x) * 10.0**self.decimals
            near, slack = np.round(scaled), 4 * self._error * scaled
            exact = np.ones(len(x), bool) if self._integer else slack <= 4 if not self.decimals else slack <= 1e-2
            informative = x != 0  # 0 is on any grid
            if (
                exact[informative].sum() < MOSTLY * informative.sum() or self.decimals == FINEST
            ):  # a grid this fine holds any number
                self.decimals = None
                return
            off = np.abs(scaled - near)
            if (off <= slack).all() and (self.decimals or not off[exact].any()):
                near = near[exact]
                break
            self.decimals += 1
            self._divisor *= 10
        else:
            return
        integers = near[near < 2.0**62].astype(np.int64)
        self._divisor = int(np.gcd(self._divisor, np.gcd.reduce(integers)) if len(integers) else 1)

    def spacing(self, values: npt.NDArray[np.float64], distinct: int) -> float:
        """Return the spacing of the grid on which all numbers lie; 0 if there is no grid.

        Args:
            values: all different values, increasing; empty if there are too many.
            distinct: number of different values.
        """
        if self.decimals is None:
            return _common_spacing(values)
        if self._date:
            return _unit(self._divisor)
        return (_round_divisor(self._divisor) if distinct >= FEW else 1) / 10**self.decimals


def drop_if_fine(spacing: float, spread: float) -> float:
    """Return the spacing of a grid, or 0 if the grid is so fine that the column counts as continuous.

    Args:
        spacing: distance of neighbouring values; 0 if there is no grid.
        spread: distance between the quartiles.
    """
    return spacing if spacing and spread / spacing < COARSE else 0.0


def spacing_of_dates(microseconds: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the spacing of dates (a day, an hour, …) and the distance between their quartiles, in microseconds."""
    low, high = np.quantile(microseconds, (0.25, 0.75))
    return _unit(int(np.gcd.reduce(microseconds))), float(high - low)


def _unit(divisor: int) -> float:
    return float(next(unit for unit in UNITS if divisor % unit == 0))


def _round_divisor(divisor: int) -> int:
    """Return the greatest round number (1, 2, 5, 25 or 125 times a power of ten) that divides an integer.

    Examples:
        >>> _round_divisor(80), _round_divisor(50), _round_divisor(7)
        (20, 50, 1)
    """
    powers = [10**k for k in range(19)]
    round_numbers = [digits * power for digits in (1, 2, 5, 25, 125) for power in powers]
    return max((n for n in round_numbers if n <= divisor and divisor % n == 0), default=1)


def _common_spacing(values: npt.NDArray[np.float64]) -> float:
    """Return a spacing of which all values are multiples, such as 1/3 or 1/255; 0 if there is none."""
    if len(values) < FEW:
        return 0.0
    spacing = float(np.diff(values).min())
    if (values[-1] - values[0]) / spacing > DENSITY * len(values):
        return 0.0
    largest = float(np.abs(values).max())
    for parts in (1, 2):  # bytes rescaled to [-1, 1] are odd multiples of half the distance
        unit = largest / round(parts * largest / spacing)  # the spacing, with a smaller error
        multiples = values / unit
        if (np.abs(multiples - np.round(multiples)) < TOLERANCE).all():
            return unit
    return 0.0
