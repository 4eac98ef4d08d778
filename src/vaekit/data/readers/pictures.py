"""A reader of folders of pictures. The pictures are decoded once, in parallel, into a memory-mapped cache."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaekit.data.limits import MOST_IN_MEMORY, check_size, largest, take_space
from vaekit.data.readers.decoding import ENDINGS, NUMBERS, Form, Page, Size, common_form, decode, depth, pages_of
from vaekit.data.source import Source
from vaekit.errors import DataError
from vaekit.files import atomic_path, remove_leftovers
from vaekit.reporters import track

COPIES = 16
"""Bytes of memory for each pixel while it is decoded, converted and resampled."""


def cache_folder() -> Path:
    """Return the folder for decoded pictures: `$VAEKIT_CACHE`, or `vaekit` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VAEKIT_CACHE") or Path(base) / "vaekit")


def list_pictures(folder: Path, without: Sequence[Path] = ()) -> Iterator[Path]:
    """Iterate over the picture files below a folder, except hidden files and the folders in `without`."""
    for path in folder.rglob("*"):
        if (
            path.suffix.lower() in ENDINGS
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and not any(left_out in path.parents for left_out in without)
            and path.is_file()
        ):
            yield path


def open_pictures(source: Path, size: Size | None = None, without: Sequence[Path] = ()) -> Source:
    """Open all pictures in a file or below a folder as an array (n, H, W, C), with the names of sub-folders as labels.

    Args:
        source: a folder, which is searched with its sub-folders, or a file. Each page of a file is a picture.
        size: (H, W) that pictures are resampled to; by default all must have the same size.
        without: folders to skip.

    Returns:
        The source: bytes, with C = 3 unless all pictures are grey; uint16 for 16 bits; zeros and ones for one bit.

    Raises:
        DataError: if there are no pictures, one cannot be read, sizes differ, or they would take too much memory.
    """
    folder = source if source.is_dir() else source.parent
    files = sorted(list_pictures(folder, without)) if source.is_dir() else [source]
    if not files:
        raise DataError(f"The folder '{folder}' holds no pictures")
    with warnings.catch_warnings():  # Pillow warns of large pictures, whose sizes are checked here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _open_files(folder, files, size)


def _open_files(folder: Path, files: list[Path], size: Size | None) -> Source:
    with ThreadPoolExecutor() as pool:
        pages = [page for found in pool.map(pages_of, files) for page in found]
    size = size or _one_size(pages)
    form = common_form(pages)
    if form == "bit" and any(page.size != size for page in pages):  # resampling gives greys
        form = "grey"
    _check_row(pages[0].path, size, form)
    values = _cached(folder, files, pages, size, form)
    classes = np.array([_class(page.path, folder) for page in pages])
    labels = classes if len(set(classes.tolist())) > 1 else None
    return Source(values, labels, picture=True, levels=depth(form, values), notes=_notes(pages))


def _class(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0] if path.parent != folder else ""


def _notes(pages: list[Page]) -> tuple[str, ...]:
    counts = [count for count in Counter(page.path for page in pages).values() if count > 1]
    if not counts:
        return ()
    told = f"{len(counts)} files hold" if len(counts) > 1 else "One file holds"
    return (f"{told} several pictures, {sum(counts)} in all. Each picture is a row.",)


def _one_size(pages: list[Page]) -> Size:
    first = pages[0]
    other = next((page for page in pages if page.size != first.size), None)
    if other is not None:
        raise DataError(
            "all pictures must have the same size",
            f"{first.size[0]}x{first.size[1]} ('{first.path.name}') and {other.size[0]}x{other.size[1]} ('{other.path.name}')",
            f"Resample them to one size (height x width) with data.size={first.size[0]}x{first.size[1]}",
        )
    return first.size


def _check_row(path: Path, size: Size, form: Form) -> None:
    """Refuse pictures that are too large for a model."""
    most, numbers = largest() // NUMBERS, math.prod(size) * (3 if form == "colour" else 1)
    if numbers > most:
        must = f"a row must have at most {most:,} numbers"
        mend = "Resample them to a smaller size (height x width), as with data.size=256x256"
        raise DataError(must, f"pictures of {size[0]}x{size[1]} such as '{path.name}'", mend)


def _cached(folder: Path, files: list[Path], pages: list[Page], size: Size, form: Form) -> npt.NDArray[Any]:
    shape = (len(pages), *size, 3 if form == "colour" else 1)
    dtype = np.dtype(np.uint16 if form == "deep" else np.uint8)
    check_size(math.prod(shape) * dtype.itemsize, f"the {len(pages)} pictures of '{folder}'", files)
    stats = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    key = hashlib.sha256(repr((str(folder), stats, size, form)).encode()).hexdigest()[:24]
    target = cache_folder() / f"{key}.npy"
    try:
        with contextlib.suppress(FileNotFoundError, ValueError, EOFError):  # absent or damaged: decode (again)
            found = np.load(target, mmap_mode="r", allow_pickle=False)
            if (found.shape, found.dtype) == (shape, dtype):
                return found
        remove_leftovers(target.parent)
        with atomic_path(target) as part:
            _decode_all(part, pages, size, form, shape, dtype)
        return np.load(target, mmap_mode="r", allow_pickle=False)
    except OSError as error:  # a RunError, too
        must = "the cache of decoded pictures must be writable"
        raise DataError(must, f"'{target.parent}' ({error})", "Choose another folder with VAEKIT_CACHE") from error


def _decode_all(
    target: Path,
    pages: list[Page],
    size: Size,
    form: Form,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> None:
    with target.open("r+b") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        take_space(file.fileno(), file.tell() + math.prod(shape) * dtype.itemsize, target.parent)
    cache = np.lib.format.open_memmap(target, mode="r+")

    def fill(work: tuple[int, list[Page]]) -> int:
        for i, pixels in enumerate(decode(work[1], size, form)):
            cache[work[0] + i] = pixels
        return len(work[1])

    most = max(math.prod(page.size) for page in pages) * COPIES
    workers = max(1, min(os.cpu_count() or 1, MOST_IN_MEMORY // most))
    grouped = [list(group) for _, group in groupby(pages, key=lambda page: page.path)]
    starts = np.cumsum([0, *map(len, grouped)]).tolist()
    with ThreadPoolExecutor(workers) as pool, track(len(pages), "pictures") as advance:
        for done in pool.map(fill, zip(starts, grouped, strict=False)):
            advance(done)
    cache.flush()
