"""Noise that is a function of the row it is drawn for: what makes evaluation deterministic.

Each row's bytes give a 64-bit key, and the i-th number of a stream is a mix of key and i. A row therefore meets the same
noise on every call, wherever it stands and however rows are cut into batches: `score(x)` is a function of x.

References:
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, for counter-based generators;
    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014, for the mixing function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

UInt = npt.NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(value: UInt) -> UInt:
    """The finalizer of splitmix64: a bijection of the 64-bit integers that scatters neighbours."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class RowNoise:
    """Uniform and normal streams for each row of a batch.

    Args:
        rows: data as given, shape (B, ...); only their bytes matter.
        seed: chooses the family of streams; the same seed gives the same noise.

    Examples:
        >>> X = np.arange(6.0).reshape(3, 2)
        >>> forwards, backwards = RowNoise(X, seed=0).normal((4,)), RowNoise(X[::-1], seed=0).normal((4,))
        >>> bool((forwards == backwards.flip(0)).all())
        True
    """

    def __init__(self, rows: npt.NDArray[np.generic], seed: int = 0) -> None:
        rows = np.ascontiguousarray(rows)
        salt = int(seed).to_bytes(8, "little", signed=True)
        digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=salt).digest() for row in rows)
        self.keys: UInt = np.frombuffer(digests, dtype=np.uint64)

    def uniform(self, shape: Sequence[int], stream: int = 0, start: int = 0) -> Tensor:
        """Numbers in the open interval (0, 1), shape (B, *shape), float64.

        Args:
            shape: how many numbers for each row.
            stream: number of the stream; different streams are independent.
            start: how many numbers of the stream to pass over.
        """
        count = int(np.prod(shape, dtype=np.int64))
        with np.errstate(over="ignore"):
            keys = mix(self.keys + mix(np.uint64(stream + 1) * GOLDEN + np.zeros(1, np.uint64)))
            counters = np.arange(start + 1, start + count + 1, dtype=np.uint64) * GOLDEN
            bits = mix(keys[:, None] + counters[None, :]) >> np.uint64(12)
        return torch.from_numpy((bits.astype(np.float64) + 0.5) * 2.0**-52).reshape(len(keys), *shape)

    def normal(self, shape: Sequence[int], stream: int = 0, start: int = 0) -> Tensor:
        """Standard normal numbers, shape (B, *shape), float32, by the inverse of the distribution function."""
        return torch.special.ndtri(self.uniform(shape, stream, start)).float()
