"""Limits on the size of unpacked data, so that a small hostile file cannot fill memory or disk."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.errors import DataError

USUAL = 1 << 32
"""Default limit on the bytes of unpacked rows."""
RATIO = 50
"""Files may always unpack to this many times their size on disk."""
MOST_IN_MEMORY = 1 << 28
"""Bytes of unpacked rows that are kept in memory. Larger arrays go to a temporary file, which is memory-mapped."""


def largest() -> int:
    """Return the largest allowed size of unpacked rows in bytes: `$VAEKIT_LARGEST`, or 4 GiB by default.

    Raises:
        DataError: if the variable is not a positive number.

    Examples:
        >>> largest() == USUAL
        True
    """
    given = os.environ.get("VAEKIT_LARGEST", str(USUAL))
    try:
        return math.floor(float(given)) or int("a size of 0 bytes")
    except (ValueError, OverflowError):
        raise DataError("VAEKIT_LARGEST must be a number of bytes, such as 16e9", f"'{given:.100}'") from None


def check_size(needed: int, what: str, files: Iterable[Path | int] = ()) -> None:
    """Refuse rows that need too much memory.

    Args:
        needed: bytes of the unpacked rows (in a stream, so far).
        what: name of the rows in the refusal, such as that of their file.
        files: the files that the rows come from, or their sizes if they are elsewhere; `RATIO` times their size on disk is
            always allowed.

    Raises:
        DataError: if the rows need more bytes than are allowed.

    Examples:
        >>> check_size(1000, "the array")
    """
    allowed = largest()
    if needed <= allowed or needed <= RATIO * sum(map(_on_disk, files)):
        return
    must = f"data must take at most {write_size(allowed)} after unpacking"
    raise DataError(must, f"{write_size(needed)} in {what}", how_to_allow(needed))


def how_to_allow(needed: int) -> str:
    """Return an instruction for raising the limit on unpacked rows to at least a given number of bytes."""
    return f"To allow this, set the environment variable VAEKIT_LARGEST={1 << needed.bit_length()} (bytes)"


def _on_disk(file: Path | int) -> int:
    """Return the number of bytes that a file occupies on disk, not counting the holes of a sparse file."""
    if isinstance(file, int):
        return file
    stat = file.stat()
    return min(stat.st_size, stat.st_blocks * 512) if hasattr(stat, "st_blocks") else stat.st_size


def write_size(count: int) -> str:
    """Format a number of bytes in a readable unit, such as MiB.

    Examples:
        >>> write_size(512), write_size(5 << 20), write_size(20 * 10**9)
        ('512 bytes', '5.0 MiB', '18.6 GiB')
    """
    if count < 1024:
        return f"{count} bytes"
    power = min(int(math.log2(count)) // 10, 4)
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Allocate an array of zeros, in memory if it is small, else in a memory-mapped temporary file.

    Args:
        shape: shape of the array.
        dtype: type of its numbers.

    Raises:
        DataError: if the disk is full. Space is reserved now, because a full disk would later crash the process.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if needed <= MOST_IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix=".vaekit-") as file:  # deleted when it is no longer mapped
        take_space(file.fileno(), needed, tempfile.gettempdir())
        return np.memmap(file, dtype, "r+", shape=shape)


def take_space(descriptor: int, count: int, where: str | Path) -> None:
    """Reserve bytes on disk for an open file.

    Raises:
        DataError: if the disk does not have them.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, count)
        else:
            os.truncate(descriptor, count)
    except OSError as error:
        fault = f"Cannot reserve {write_size(count)} on disk for the unpacked data in '{where}': {error.strerror}"
        raise DataError(fault) from error
