"""Recognition of rescaled levels: bytes that the user has divided, centred or standardised.

Such values lie on a few points. A density can grow without bound at these points, so it is not a likelihood.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data.part import CHUNK, Part
from vaekit.errors import DataError

FEW, MANY = 256, 1 << 16
"""Levels of one byte and of two bytes. More than `FEW` levels are only recognised on the usual scales."""
REPEATS = 8
"""Repeated values are not a coincidence if there are this many numbers for each different value."""
ENOUGH, SOME = 60, 16
"""A picture or a pixel with at least `ENOUGH` numbers may have its own scale; `SOME` of each are examined."""
ROWS = 1000
"""Most rows that are examined."""


@dataclass(frozen=True)
class Scale:
    """Describes rescaled levels: the values k·spacing + lowest for k = 0, …, levels − 1.

    Args:
        lowest: the least value.
        spacing: distance between neighbouring values; 0 if the distances differ.
        levels: number of values.
        usual: whether the values are the levels of a picture file, rescaled to [0, 1] or [-1, 1].
    """

    lowest: float
    spacing: float
    levels: int
    usual: bool = False

    def __str__(self) -> str:
        """Describe in words how levels were rescaled."""
        if not self.spacing:
            return f"rescaled levels ({self.levels} different values)"
        if self.usual:
            called = "bytes" if self.levels == FEW else f"levels of {self.levels.bit_length() - 1} bits"
            return f"{called} rescaled to [-1, 1]" if self.lowest else f"{called} divided by {1 / self.spacing:.6g}"
        if abs(self.spacing - 1) < 1e-6:
            return f"whole numbers from {self.lowest:g}"
        top = self.lowest + self.spacing * (self.levels - 1)
        return f"{self.levels} levels in steps of {self.spacing:.4g} from {self.lowest:.4g} to {top:.4g}"

    @property
    def mend(self) -> str:
        """Return an instruction for restoring the original levels."""
        shifted = f"(x - {self.lowest:.6g})" if self.lowest > 0 else f"(x + {-self.lowest:.6g})" if self.lowest else "x"
        kind = "uint8" if self.levels <= FEW else "uint16"
        if not self.spacing:
            way = "the original levels"
        elif abs(self.spacing - 1) < 1e-6:
            way = f"{shifted} as {kind}"
        else:
            way = f"({shifted} * {1 / self.spacing:.6g}).round() as {kind}"
        return f"Pass {way}, or set data.kind=real to fit a density anyway"


def refuse_disguise(part: Part, picture: bool) -> None:
    """Refuse data that are rescaled levels, such as pixels divided by 255.

    Args:
        part: rows that look like reals, shape (n, H, W, C) for pictures, else (n, columns).
        picture: whether the rows are pictures; other rows are refused only if all columns share a usual scale.

    Raises:
        DataError: names the scale and says how to restore the levels.
    """
    found = find_disguise(part, picture)
    if found is not None:
        raise DataError("pixels must be passed as the original bytes", str(found), found.mend)


def find_disguise(part: Part, picture: bool) -> Scale | None:
    """Find the scale of rows that are rescaled levels (see `refuse_disguise`); return None for real numbers."""
    rows = max(2, min(ROWS, CHUNK // max(1, math.prod(part.event_shape))))
    sample = part.take(0, rows)
    if (
        picture and (sample == np.floor(sample)).all()
    ):  # some values are negative; otherwise they would be levels or counts
        low, high = float(sample.min()), float(sample.max())
        return Scale(low, 1, int(high - low) + 1)
    for values in np.moveaxis(sample, -1, 0) if picture else [sample]:
        found = find_scale(values)
        if found is None and picture and values[0].size >= ENOUGH:  # each picture may have its own scale
            found = _scale_of_each(values[:SOME])
        if (
            found is None and picture and len(values) >= ENOUGH
        ):  # each pixel may have its own scale, after standardising
            pixels = values.reshape(len(values), -1).T
            found = _scale_of_each(pixels[np.ptp(pixels, axis=1) > 0][:SOME])
        if found is not None and (picture or found.usual):
            return found
    return None


def _scale_of_each(parts: npt.NDArray[np.generic]) -> Scale | None:
    """Return the scale of the first array if every array has a scale, else None."""
    each = [find_scale(part) for part in parts]
    return each[0] if each and all(each) else None


def find_scale(values: npt.NDArray[np.generic]) -> Scale | None:
    """Find the scale of numbers that lie on equally spaced levels or repeat a few values.

    Args:
        values: numbers of any shape.

    Returns:
        A scale of at most 256 levels, or of up to 65,536 if it is a usual one; None if there is no such scale.

    Examples:
        >>> print(find_scale(np.arange(256) / 127.5 - 1))
        bytes rescaled to [-1, 1]
        >>> find_scale(np.random.default_rng(0).normal(size=500)) is None
        True
    """
    different = np.unique(values).astype(np.float64)
    if not 2 <= len(different) <= MANY:
        return None
    error = _precision(different)
    scale = _usual_scale(different, error) or _grid(different, error)
    if scale is not None:
        return scale
    return Scale(0, 0, len(different)) if len(different) <= FEW and values.size >= REPEATS * len(different) else None


def _precision(different: npt.NDArray[np.float64]) -> float:
    """Return the relative rounding error of the narrowest floating type that holds all numbers."""
    with np.errstate(over="ignore"):
        for kind, error in ((np.float16, 2.0**-11), (np.float32, 2.0**-24)):
            if (different.astype(kind) == different).all():
                return error
    return 2.0**-53


def _grid(different: npt.NDArray[np.float64], error: float) -> Scale | None:
    """Find equally spaced levels that include all given numbers, up to rounding errors."""
    slack = error * float(np.abs(different).max())
    gaps = np.diff(different)
    gaps = gaps[gaps > slack]  # smaller gaps are rounding errors
    if not len(gaps):
        return None
    spacing = float(gaps.min())
    for _ in range(3):  # the mean of similar gaps has a smaller error than the least gap
        spacing = float(gaps[gaps < 1.5 * spacing].mean())
    span = float(different[-1] - different[0])
    count = round(float(np.round(gaps / spacing).sum()))
    if not 0 < count < FEW:
        return None
    spacing = span / count
    levels = (different - different[0]) / spacing
    tolerance = max(1e-4, 3 * slack / spacing)
    if tolerance > 0.3 or np.abs(levels - np.round(levels)).max() > tolerance:
        return None
    return Scale(float(different[0]), spacing, count + 1)


def _usual_scale(different: npt.NDArray[np.float64], error: float) -> Scale | None:
    """Find the bit depth of numbers that are levels of a picture file, rescaled to [0, 1] or [-1, 1]."""
    found: list[tuple[float, int, Scale]] = []
    for bits, less, start in itertools.product(range(8, 17), (1, 0), (0.0, -1.0)):
        divisor = (2**bits - less) / (1 - start)
        levels = (different - start) * divisor
        off, slack = np.abs(levels - np.round(levels)), 1.1 * error * np.maximum(np.abs(different), -start) * divisor
        if slack.max() < 0.25 and (off <= slack + 1e-9).all() and levels[0] > -0.1 and levels[-1] < 2**bits - 0.9:
            found.append((round(float(off.max()), 6), bits, Scale(start, 1 / divisor, 2**bits, usual=True)))
    return min(found, key=lambda fit: fit[:2])[2] if found else None
