"""The cache of decoded pictures: an array of pixels that is memory-mapped, and what else is known of the rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data.damage import RAISED
from vaekit.data.limits import take_space
from vaekit.data.source import Source
from vaekit.errors import DataError
from vaekit.files import atomic_path, remove_leftovers


def cache_folder() -> Path:
    """Return the folder for decoded pictures: `$VAEKIT_CACHE`, or `vaekit` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VAEKIT_CACHE") or Path(base) / "vaekit")


def key_of(values: Iterable[tuple[object, ...]]) -> str:
    """Return the name of the cache of given files, from everything that changes whenever a picture changes."""
    found = hashlib.sha256()
    for value in values:
        found.update(repr(value).encode())
    return found.hexdigest()[:24]


def read_cached(key: str) -> Source | None:
    """Return decoded pictures, or None if they are absent or damaged."""
    target = cache_folder() / f"{key}.npy"
    with contextlib.suppress(*RAISED):
        with target.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as index:
            known = json.loads(str(index["known"]))
            labels = index["labels"] if known["labelled"] else None
        values = np.load(target, mmap_mode="r", allow_pickle=False)
        if _identity(values, target) == known["array"] and (labels is None or len(labels) == len(values)):
            return Source(values, labels, picture=True, levels=known["levels"], notes=tuple(known["notes"]))
    return None


def write_cached(key: str, shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Callable[[Any], Source]) -> Source:
    """Let pictures be decoded into a new array of the cache, and keep what else is known of them.

    Args:
        key: the name of the cache.
        shape: shape of the array.
        dtype: type of its numbers.
        fill: writes the pixels into the array, and returns it as a source.

    Returns:
        The source, with its values memory-mapped.

    Raises:
        DataError: if the cache cannot be written.
    """
    target = cache_folder() / f"{key}.npy"
    try:
        remove_leftovers(target.parent)
        with atomic_path(target) as part:
            found = fill(_new_array(part, shape, np.dtype(dtype)))
        array = _identity(np.load(target, mmap_mode="r", allow_pickle=False), target)
        known = {"array": array, "levels": found.levels, "notes": found.notes, "labelled": found.labels is not None}
        # This file is written last, and says that all is there.
        with atomic_path(target.with_suffix(".npz")) as part, part.open("wb") as file:
            np.savez(file, known=json.dumps(known), labels=found.labels if found.labels is not None else ())
        written = read_cached(key)
    except OSError as error:  # a RunError, too
        must = "the cache of decoded pictures must be writable"
        raise DataError(must, f"'{target.parent}' ({error})", "Choose another folder with VAEKIT_CACHE") from error
    if written is None:
        must = "the cache of decoded pictures must stay while it is used"
        raise DataError(must, f"'{target}' changed", "Try again, or choose another folder with VAEKIT_CACHE")
    return written


def _identity(values: npt.NDArray[Any], path: Path) -> list[object]:
    """Return the shape, type, beginning and size of a mapped array, which a damaged header would change."""
    return [list(values.shape), values.dtype.str, int(getattr(values, "offset", 0)), path.stat().st_size]


def _new_array(target: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Make a file of an array, whose space on disk is reserved, and map it."""
    with target.open("r+b") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        take_space(file.fileno(), file.tell() + math.prod(shape) * dtype.itemsize, target.parent)
    return np.lib.format.open_memmap(target, mode="r+")
