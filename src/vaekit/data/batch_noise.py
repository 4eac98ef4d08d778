"""Noise of training as a function of seed, epoch, position in the epoch, stream and element.

A position has the same noise whatever the batch size is, and however a batch is divided among processes. The numbers are
hashes of counters in operations of 32-bit integers, which every device has.

References:
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, for counter-based generators;
    Wellons, "Prospecting for Hash Functions", 2018, for the constants of the 32-bit hash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum, unique

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.row_noise import GOLDEN, mix

STRIDE = -1640531527
"""An odd number (2³² divided by the golden ratio, as a signed integer) between the counters of neighbouring elements."""


@unique
class BatchStream(IntEnum):
    """Lists the uses of noise in training, each with a fixed number that no other use may have."""

    TRANSFORM = 0
    """Binarises and dequantises."""
    HIDE = 1
    """Hides cells of a mixed table."""
    POSTERIOR = 2
    """Draws ε of z ~ q(z|x)."""
    BLUR = 3
    """Draws the noise that is added to numbers of a mixed table."""
    REPLACE = 4
    """Replaces categories of a mixed table."""


def batch_keys(seed: int, epoch: int, positions: npt.NDArray[np.int64]) -> Tensor:
    """Return a 64-bit key for each row of a batch and each stream, as two 32-bit integers, shape (B, streams, 2).

    Args:
        seed: seed of the run.
        epoch: number of the pass over the rows.
        positions: positions of the rows in the order of the epoch, shape (B,).
    """
    with np.errstate(over="ignore"):
        place = mix(np.array([seed % 2**64], np.uint64) + GOLDEN)
        place = mix(place + np.uint64(epoch + 1) * GOLDEN)
        rows = mix(place + (positions.astype(np.uint64) + np.uint64(1)) * GOLDEN)
        keys = mix(rows[:, None] + (np.arange(len(BatchStream), dtype=np.uint64) + np.uint64(1)) * GOLDEN)
    return torch.from_numpy(keys.view(np.int32).reshape(*keys.shape, 2))


class BatchNoise:
    """Makes uniform and normal noise for each row of a batch.

    Args:
        keys: result of `batch_keys`, on the device of the noise, shape (B, streams, 2).

    Examples:
        >>> whole = BatchNoise(batch_keys(0, 3, np.arange(6))).normal((4,), BatchStream.POSTERIOR)
        >>> part = BatchNoise(batch_keys(0, 3, np.array([4, 1]))).normal((4,), BatchStream.POSTERIOR)
        >>> bool((part == whole[[4, 1]]).all())
        True
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys

    def uniform(self, shape: Sequence[int], stream: BatchStream) -> Tensor:
        """Return uniform noise in the open interval (0, 1), odd multiples of 2⁻¹⁷, float32, shape (B, *shape).

        Two numbers share a hash. Their steps of 2⁻¹⁶ are those of float32 at 128 to 255, the upper half of a byte's range.

        Args:
            shape: shape of the noise for one row.
            stream: purpose of the noise; different streams are independent.
        """
        count = math.prod(shape)
        halves = self._hashes((count + 1) // 2, stream).view(torch.int16)[:, :count]
        return halves.float().add_(2**15 + 0.5).mul_(2.0**-16).reshape(len(halves), *shape)

    def normal(self, shape: Sequence[int], stream: BatchStream) -> Tensor:
        """Return standard normal noise, float32, shape (B, *shape), by the method of Box and Muller.

        ε = √(−2 log u) cos 2πv,  u and v uniform, odd multiples of 2⁻²⁴
        """
        words = self._hashes(2 * math.prod(shape), stream).bitwise_right_shift_(9).bitwise_and_(0x7FFFFF)
        first, second = words.float().add_(0.5).mul_(2.0**-23).reshape(len(words), 2, *shape).unbind(1)
        return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()

    def _hashes(self, count: int, stream: BatchStream) -> Tensor:
        """Return hashes as 32-bit integers, shape (B, count): two rounds, each with a half of the key.

        A fresh array costs more than an operation, so there are only two, and `>>` is slower than the function.
        """
        low, high = self.keys[:, stream, :1], self.keys[:, stream, 1:]
        x = low + torch.arange(count, dtype=torch.int32, device=low.device).mul_(STRIDE)
        shifted = torch.bitwise_right_shift(x, 16).bitwise_and_(0xFFFF)
        x.bitwise_xor_(shifted).mul_(0x21F0AAAD).bitwise_xor_(high)
        torch.bitwise_right_shift(x, 15, out=shifted).bitwise_and_(0x1FFFF)
        x.bitwise_xor_(shifted).mul_(0x735A2D97)
        torch.bitwise_right_shift(x, 15, out=shifted).bitwise_and_(0x1FFFF)
        return x.bitwise_xor_(shifted)
