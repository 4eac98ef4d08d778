"""Levels in disguise: bytes that were divided, centred or standardised before they came here.

A density of such values is no likelihood: they lie on a few points, on which a density can rise without end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data.part import CHUNK, Part
from vaekit.errors import DataError

FEW, MANY = 256, 1 << 16
"""Levels of a byte, and of two bytes, which are looked for on the usual scales alone."""
REPEATS = 8
"""So many numbers for each different value are no coincidence, be the values on a lattice or not."""
ENOUGH = 1024
"""Numbers in one channel of a picture that are looked at by themselves, as each picture may have been scaled by its own."""
ROWS = 1000
"""Rows that are looked at."""


@dataclass(frozen=True)
class Scale:
    """Values k·step + lowest for k = 0 … levels − 1; a step of 0 where they lie at no equal distances."""

    lowest: float
    step: float
    levels: int

    def __str__(self) -> str:
        top = self.lowest + self.step * (self.levels - 1)
        divisor = 1 / self.step if self.step else 0
        if not self.step:
            return f"values of which only {self.levels} differ"
        if _near(self.lowest, 0, divisor) and _usual(divisor):
            return f"{_called(divisor)} divided by {divisor:.6g}"
        if _near(self.lowest, -1, divisor) and _usual(2 * divisor):
            return f"{_called(2 * divisor)} brought to [-1, 1]"
        if abs(divisor - 1) < 1e-6:
            return f"whole numbers from {self.lowest:g}"
        return f"{self.levels} levels in steps of {self.step:.4g} from {self.lowest:.4g} to {top:.4g}"

    @property
    def usual(self) -> bool:
        """Whether bytes of one or two, or what a camera measures, were brought to [0, 1] or [-1, 1]."""
        divisor = 1 / self.step if self.step else 0
        starts = {0.0: divisor, -1.0: 2 * divisor}
        return any(_near(self.lowest, start, divisor) and _usual(size) for start, size in starts.items())

    @property
    def mend(self) -> str:
        """How to have the levels back."""
        way = "Give the levels themselves, as they were before they were scaled"
        if not self.step:
            return f"{way}, or declare data.kind=real if a density is really meant"
        divisor = 1 / self.step
        origin = next((start for start in (0, -1) if _near(self.lowest, start, divisor)), self.lowest)
        shifted = f"x - {origin:.6g}" if origin > 0 else f"x + {-origin:.6g}" if origin < 0 else "x"
        levels = f"(({shifted}) * {divisor:.6g}).round()" if shifted != "x" else f"(x * {divisor:.6g}).round()"
        kind = "uint8" if self.levels <= FEW else "uint16"
        return f"Give {levels} as {kind}, or declare data.kind=real if a density is really meant"


def _near(value: float, start: float, divisor: float) -> bool:
    """Whether a lowest value is a whole number of steps above a start."""
    steps = (value - start) * divisor
    return steps > -0.1 and abs(steps - round(steps)) < 0.1


def _usual(divisor: float) -> bool:
    """Whether a divisor is 2^b or 2^b − 1 for 8 to 16 bits."""
    return any(abs(divisor / (2**bits - less) - 1) < 2e-4 for bits in range(8, 17) for less in (0, 1))


def _called(divisor: float) -> str:
    return "bytes" if divisor < 257 else f"levels of {round(math.log2(divisor))} bits"


def refuse_disguise(part: Part, picture: bool) -> None:
    """Refuse levels under another scale.

    Args:
        part: rows that look like reals, (n, H, W, C) of pictures, else (n, columns).
        picture: whether they are pictures; of other rows only the usual scales, common to all columns, are refused.

    Raises:
        DataError: saying which scale was found, and how to have the levels back.
    """
    found = find_disguise(part, picture)
    if found is not None:
        raise DataError("pixels must be given as the bytes they were", str(found), found.mend)


def find_disguise(part: Part, picture: bool) -> Scale | None:
    """The scale under which rows hide levels, as `refuse_disguise` has it; None where they are reals."""
    rows = max(2, min(ROWS, CHUNK // max(1, math.prod(part.event_shape))))
    sample = part.take(0, rows)
    for values in np.moveaxis(sample, -1, 0) if picture else [sample]:
        found = find_scale(values)
        if found is None and picture and values[0].size >= ENOUGH:  # each picture by a scale of its own
            each = [find_scale(one) for one in values[:16]]
            found = each[0] if all(each) else None
        if found is not None and (picture or found.usual):
            return found
    return None


def find_scale(values: npt.NDArray[np.generic]) -> Scale | None:
    """Find the levels on which all numbers lie.

    Args:
        values: numbers of any shape.

    Returns:
        At most 256 levels, or up to 65,536 on one of the usual scales; None where there are none, or only one value.

    Examples:
        >>> print(find_scale(np.arange(256) / 127.5 - 1))
        bytes brought to [-1, 1]
        >>> find_scale(np.random.default_rng(0).normal(size=500)) is None
        True
    """
    different = np.unique(values).astype(np.float64)
    if not 2 <= len(different) <= MANY:
        return None
    scale = _lattice(different, _precision(different))
    if scale is not None and (scale.levels <= FEW or scale.usual):
        return scale
    return Scale(0, 0, len(different)) if len(different) <= FEW and values.size >= REPEATS * len(different) else None


def _precision(different: npt.NDArray[np.float64]) -> float:
    """The relative error of the numbers: that of half precision where none needs more, which may since have been widened."""
    with np.errstate(over="ignore"):
        for kind, error in ((np.float16, 2.0**-11), (np.float32, 2.0**-24)):
            if (different.astype(kind) == different).all():
                return error
    return 2.0**-53


def _lattice(different: npt.NDArray[np.float64], error: float) -> Scale | None:
    """The lattice of increasing numbers, each within its rounding error."""
    slack = 4 * error * float(np.abs(different).max())
    gaps = np.diff(different)
    gaps = gaps[gaps > slack]  # equal but for rounding
    if not len(gaps):
        return None
    step = float(gaps.min())
    for _ in range(3):  # the least gap has an error of its own, which the mean of those like it has less
        step = float(gaps[gaps < 1.5 * step].mean())
    span = float(different[-1] - different[0])
    whole = round(float(np.round(gaps / step).sum()))
    if not 0 < whole < MANY:
        return None
    step = span / whole
    places = (different - different[0]) / step
    tolerance = max(1e-4, 2 * slack / step)
    if tolerance > 0.3 or np.abs(places - np.round(places)).max() > tolerance:
        return None
    return Scale(float(different[0]), step, whole + 1)
