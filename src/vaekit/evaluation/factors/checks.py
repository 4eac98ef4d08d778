"""Common steps of all disentanglement scores: check arguments, split rows, and compare the two best codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import SeedStream
from vaekit.errors import DataError

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.floating[Any]]
Factors = npt.NDArray[np.integer[Any]]

MOST_ROWS = 10_000
"""Most rows for classifiers: one half trains them, the other tests them. MIG and the FactorVAE score use all rows."""


def check(codes: Codes, factors: Factors, least_factors: int = 1) -> tuple[Array, Integers]:
    """Check codes and factors, scale the codes to the range [0, 1], and number each factor's values from 0.

    Args:
        codes: shape (n, d), finite.
        factors: shape (n, f), integers.
        least_factors: the smallest number of factors that a score needs.

    Returns:
        Scaled codes (0 for a constant code), and factors with their values numbered from 0.

    Raises:
        DataError: if the shapes do not match, a code is not finite, a factor is not an integer or is constant, or there
            are too few factors.
    """
    codes, factors = np.asarray(codes), np.asarray(factors)
    fits = codes.ndim == factors.ndim == 2 and len(codes) == len(factors)
    if not fits or 0 in codes.shape or 0 in factors.shape:
        raise DataError(
            "Codes and factors must be tables with the same number of rows, of shapes (n, d) and (n, f)",
            f"shapes {codes.shape} and {factors.shape}",
            "Pass a single factor as `factors[:, None]`",
        )
    numeric = codes.dtype.kind in "fiu"
    if not numeric or not np.isfinite(codes).all():
        wrong = f"{(~np.isfinite(codes)).sum()} NaN or infinite values" if numeric else f"an array of {codes.dtype}"
        raise DataError(
            "Codes must be finite numbers", wrong, "Pass an array of numbers, and leave out rows with NaN or infinity"
        )
    if factors.dtype.kind not in "iub":
        mend = "Number the values of each column with `np.unique(column, return_inverse=True)`"
        raise DataError("Factors must be integers", f"an array of {factors.dtype}", mend)
    if factors.shape[1] < least_factors:
        mend = "Pass another factor, or use `mig` or `sap`, which work with one"
        raise DataError("This score needs at least two factors, but there is one", mend=mend)
    constant = np.flatnonzero((factors == factors[0]).all(axis=0))
    if len(constant):
        raise DataError(
            "Each factor must take at least two values",
            f"only the value {factors[0, constant[0]]} in factors[:, {constant[0]}]",
            "Leave that column out",
        )
    half = codes.astype(np.float64) / 2  # the range of codes near the greatest float stays finite
    low, width = half.min(axis=0), np.ptp(half, axis=0)
    scaled = np.divide(half - low, width, out=np.zeros_like(half), where=width > 0)
    return scaled, np.stack([np.unique(v, return_inverse=True)[1] for v in factors.T], axis=1)


def halves(rows: int, seed: int) -> tuple[Integers, Integers]:
    """Split row numbers at random into a training half and a test half, since rows are often sorted by their factors.

    Args:
        rows: the number of rows; at most 10,000 of them are used.
        seed: the same seed gives the same rows.
    """
    order = SeedStream.FACTOR_ROWS.rng(seed).permutation(rows)[:MOST_ROWS]
    return order[: len(order) // 2], order[len(order) // 2 :]


def best_gap(scores: Array, floor: Array) -> Array:
    """Return how far the best code's score exceeds the second best code's score, for each factor.

    Args:
        scores: the score of each code for each factor, shape (d, f).
        floor: the scores of a constant code, shape (f,); a single code is compared with it.

    Returns:
        Gaps, shape (f,), 0 or more.
    """
    ranked = np.sort(scores, axis=0)
    return np.maximum(ranked[-1] - (ranked[-2] if len(ranked) > 1 else floor), 0.0)
