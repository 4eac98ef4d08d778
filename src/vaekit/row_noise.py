"""Noise that is a function of the bytes of a row, with NumPy alone.

Each row's bytes give a 64-bit key, and the i-th number of a stream is a hash of the key and i. `vaekit.data.RowNoise` draws
from these functions. They need neither torch nor the rest of the package, so that an exported model gets the noise that the
run itself would use: copy this file beside the model, or import it.

References:
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, for counter-based generators;
    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014, for the mixing function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

UInt = npt.NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(value: UInt) -> UInt:
    """Hash 64-bit integers with the finalizer of splitmix64, which is a bijection."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def row_keys(rows: npt.NDArray[np.generic], seed: int = 0) -> UInt:
    """Return a 64-bit key for each row: a keyed hash of its bytes.

    Args:
        rows: data as given, shape (B, ...); only their bytes matter.
        seed: chooses the family of keys.

    Returns:
        Shape (B,).
    """
    salt = int(seed).to_bytes(8, "little", signed=True)
    rows = np.ascontiguousarray(rows)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=salt).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)


def row_uniform(keys: UInt, shape: Sequence[int], stream: int, start: int = 0) -> npt.NDArray[np.float64]:
    """Return uniform noise in the open interval (0, 1) for each row.

    Args:
        keys: result of `row_keys`, shape (B,).
        shape: shape of the noise for one row.
        stream: purpose of the noise; different streams are independent.
        start: how many numbers of the stream to skip.

    Returns:
        Shape (B, *shape).

    Examples:
        >>> X = np.arange(6.0).reshape(3, 2)
        >>> forwards, backwards = row_uniform(row_keys(X), (4,), 1), row_uniform(row_keys(X[::-1]), (4,), 1)
        >>> bool((forwards == backwards[::-1]).all())
        True
    """
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        own = mix(keys + mix(np.uint64(stream + 1) * GOLDEN + np.zeros(1, np.uint64)))
        counters = np.arange(start + 1, start + count + 1, dtype=np.uint64) * GOLDEN
        bits = mix(own[:, None] + counters[None, :]) >> np.uint64(12)
    return ((bits.astype(np.float64) + 0.5) * 2.0**-52).reshape(len(keys), *shape)


def noise_inputs(description: Mapping[str, Any], rows: npt.NDArray[np.generic]) -> dict[str, npt.NDArray[Any]]:
    """Return the noise that an exported model takes beside its rows: the noise that the run itself uses for them.

    Args:
        description: the content of the model's metadata entry `vaekit`, parsed from JSON.
        rows: the rows, as the input `x` of the model.

    Returns:
        An array for each input of noise, by its name.
    """
    row = description["row"]
    units = np.array(row["units"]) if row["units"] else None
    if units is not None:  # dates in microseconds, and one NaN, since only the bytes of a row matter
        rows = np.where(np.isnan(rows), np.nan, np.where(units == 1, rows, np.round(rows * units)))
    keys, found = row_keys(rows.astype(row["dtype"]), row["seed"]), {}
    for each in description["inputs"]:
        if each["noise"]:
            made = row_uniform(keys, each["shape"][1:], each["noise"]["stream"])
            if each["noise"]["distribution"] == "normal":
                made = np.vectorize(NormalDist().inv_cdf, otypes=[float])(made)
            found[each["name"]] = made.astype(each["dtype"])
    return found
