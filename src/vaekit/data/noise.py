"""Noise as a function of the row that it is drawn for, which makes evaluation deterministic.

Each row's bytes give a 64-bit key, and the i-th number of a stream is a mix of key and i. So a row has the same noise
in every call, at every position and in every batch: `score(x)` is a function of x.

References:
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, for counter-based generators;
    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014, for the mixing function.

All streams of noise are listed here: `RowStream` has those of a row, `SeedStream` those of a seed alone. Each purpose has its
own number. The noise of training does not need one: it is a hash of seed, step and process.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum, unique

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

UInt = npt.NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@unique
class RowStream(IntEnum):
    """The purposes of `RowNoise`. A new purpose takes a new number; the number of a purpose never changes."""

    TRANSFORM = 0
    """Binarises and dequantises in evaluation."""
    POSTERIOR = 1
    """Draws ε of z ~ q(z|x)."""
    FILL = 2
    """Draws values of cells from p(x|z)."""
    CHOICE = 3
    """Chooses the z that a filled row follows."""
    RARE = 4
    """Chooses the rare value that the shared category of a column stands for."""
    AGGREGATE = 5
    """Draws ε of z ~ q(z), for the decomposition of the rate."""
    TUNE_MOVES = 10
    """Draws starts and momenta of the chains that tune annealing."""
    TUNE_ACCEPTANCE = 11
    """Accepts their moves."""
    FORWARD_MOVES = 13
    """Draws starts and momenta of the chains from q(z|x) to p(x, z)."""
    FORWARD_ACCEPTANCE = 14
    """Accepts their moves."""
    BACKWARD_MOVES = 16
    """Draws momenta of the chains from p(x, z) back to q(z|x)."""
    BACKWARD_ACCEPTANCE = 17
    """Accepts their moves."""
    GAP_FIT = 20
    """Draws ε that fits a posterior to each row."""
    GAP_MEASURE = 21
    """Draws ε that measures this posterior."""


@unique
class SeedStream(IntEnum):
    """The purposes of generators made from a seed alone, numbered as in `RowStream`."""

    SPLIT = 1
    """Divides the rows into training, validation and test."""
    BATCHES = 2
    """Shuffles the rows of an epoch."""
    SUBSET = 4
    """Chooses a subset of the rows."""
    BASELINE = 5
    """Dequantises training rows and held-out rows for the linear baselines."""
    SAMPLE_RARE = 6
    """Chooses rare categories of sampled rows."""
    HIDE = 7
    """Chooses the cells that the report hides and predicts."""
    FACTOR_ROWS = 8
    """Chooses rows whose codes are scored against known factors."""
    FACTOR_VOTES = 9
    """Draws the votes of the FactorVAE score."""
    CONDITION_RARE = 10
    """Chooses rare categories of rows that are sampled with some cells given."""

    def rng(self, seed: int, *more: int) -> np.random.Generator:
        """Return the generator of this stream.

        Args:
            seed: the same seed gives the same numbers.
            more: further numbers that select a generator, such as the epoch.

        Examples:
            >>> bool(SeedStream.SPLIT.rng(0).random() == SeedStream.BATCHES.rng(0).random())
            False
        """
        return np.random.default_rng([seed, self, *more])


def mix(value: UInt) -> UInt:
    """Apply the finalizer of splitmix64, a bijection of 64-bit integers that scatters neighbours."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


_GENERATOR = threading.RLock()
"""The lock of the thread that draws from torch's global generator."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator within a block, and restore it afterwards.

    All layers and distributions of torch draw from this generator. Other threads wait, so each draws the same as alone.

    Args:
        seed: the same seed gives the same draws.

    Examples:
        >>> def draw():
        ...     with seeded(3):
        ...         return float(torch.rand(()))
        >>> draw() == draw()
        True
    """
    cuda = torch.cuda.is_initialized()
    with _GENERATOR, torch.random.fork_rng([torch.cuda.current_device()] if cuda else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a third of a millisecond
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


class RowNoise:
    """Makes uniform and normal numbers for each row of a batch.

    Args:
        rows: data as given, shape (B, ...); only their bytes matter.
        seed: chooses the family of streams; the same seed gives the same noise.

    Examples:
        >>> X = np.arange(6.0).reshape(3, 2)
        >>> forwards, backwards = RowNoise(X, seed=0).normal((4,), RowStream.POSTERIOR), RowNoise(X[::-1], seed=0).normal((4,), RowStream.POSTERIOR)
        >>> bool((forwards == backwards.flip(0)).all())
        True
    """

    def __init__(self, rows: npt.NDArray[np.generic], seed: int = 0) -> None:
        rows = np.ascontiguousarray(rows)
        salt = int(seed).to_bytes(8, "little", signed=True)
        digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=salt).digest() for row in rows)
        self.keys: UInt = np.frombuffer(digests, dtype=np.uint64)

    def uniform(self, shape: Sequence[int], stream: RowStream, start: int = 0) -> Tensor:
        """Return uniform numbers in the open interval (0, 1), shape (B, *shape), float64.

        Args:
            shape: shape of the numbers of a row.
            stream: their purpose; different streams are independent.
            start: how many numbers of the stream are skipped.
        """
        count = int(np.prod(shape, dtype=np.int64))
        with np.errstate(over="ignore"):
            keys = mix(self.keys + mix(np.uint64(stream + 1) * GOLDEN + np.zeros(1, np.uint64)))
            counters = np.arange(start + 1, start + count + 1, dtype=np.uint64) * GOLDEN
            bits = mix(keys[:, None] + counters[None, :]) >> np.uint64(12)
        return torch.from_numpy((bits.astype(np.float64) + 0.5) * 2.0**-52).reshape(len(keys), *shape)

    def normal(self, shape: Sequence[int], stream: RowStream, start: int = 0) -> Tensor:
        """Return standard normal numbers, shape (B, *shape), float32, by the inverse distribution function."""
        return torch.special.ndtri(self.uniform(shape, stream, start)).float()
