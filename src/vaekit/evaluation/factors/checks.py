"""Check arguments, choose held-out rows and compare the two best codes, for all scores against known factors."""

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
"""Rows of which classifiers see one half and are tested on the other; MIG and the FactorVAE score take all rows."""


def check(codes: Codes, factors: Factors, least_factors: int = 1) -> tuple[Array, Integers]:
    """Check codes and factors, and bring them to one form.

    Args:
        codes: shape (n, d), finite.
        factors: shape (n, f), integers.
        least_factors: the number of factors that a score needs.

    Returns:
        Codes scaled to the range from 0 to 1 (constant codes to 0), and factors with their values numbered from 0.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, a factor is not an integer or is constant, or there are
            too few factors.
    """
    codes, factors = np.asarray(codes), np.asarray(factors)
    fits = codes.ndim == factors.ndim == 2 and len(codes) == len(factors)
    if not fits or 0 in codes.shape or 0 in factors.shape:
        raise DataError(
            "Codes and factors must be tables with as many rows, (n, d) and (n, f)",
            f"shapes {codes.shape} and {factors.shape}",
            "Pass a single factor as `factors[:, None]`",
        )
    if codes.dtype.kind not in "fiu" or not np.isfinite(codes).all():
        wrong = codes.dtype if codes.dtype.kind not in "fiu" else f"{(~np.isfinite(codes)).sum()} that are not"
        raise DataError("Codes must be finite numbers", str(wrong), "Leave out the rows without a code")
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
            f"{factors[0, constant[0]]} in all {len(factors)} rows of factors[:, {constant[0]}]",
            "Leave that column out",
        )
    half = codes.astype(np.float64) / 2  # the range of codes near the greatest float stays finite
    low, width = half.min(axis=0), np.ptp(half, axis=0)
    scaled = np.divide(half - low, width, out=np.zeros_like(half), where=width > 0)
    return scaled, np.stack([np.unique(v, return_inverse=True)[1] for v in factors.T], axis=1)


def halves(rows: int, seed: int) -> tuple[Integers, Integers]:
    """Choose rows to learn from and rows to test on at random, since rows are often sorted by their factors.

    Args:
        rows: the number of rows; at most 10,000 of them are chosen.
        seed: the same seed gives the same rows.
    """
    order = SeedStream.FACTOR_ROWS.rng(seed).permutation(rows)[:MOST_ROWS]
    return order[: len(order) // 2], order[len(order) // 2 :]


def best_gap(scores: Array, floor: Array) -> Array:
    """Subtract the second best score of each factor from its best.

    Args:
        scores: the score of each code for each factor, shape (d, f).
        floor: the scores of a constant code, to which a single code is compared, shape (f,).

    Returns:
        Gaps, shape (f,), 0 or more.
    """
    ranked = np.sort(scores, axis=0)
    return np.maximum(ranked[-1] - (ranked[-2] if len(ranked) > 1 else floor), 0.0)
