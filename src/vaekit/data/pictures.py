"""Folders of pictures, decoded once and in parallel into a memory-mapped cache of bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from vaekit.data.source import Progress, Source
from vaekit.errors import DataError, VaekitError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
ORIENTATION = 0x0112
"""The EXIF tag by which cameras say how a picture is to be turned."""
GREY_MODES = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}


def cache_folder() -> Path:
    """Where decoded pictures are kept: `$VAEKIT_CACHE`, or `vaekit` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VAEKIT_CACHE") or Path(base) / "vaekit")


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("every picture must be readable", f"'{path}': {error}", "Repair or remove it") from error


def _header(path: Path) -> tuple[tuple[int, int], bool]:
    with _named(path), Image.open(path) as picture:
        if picture.mode in ("F", "I"):
            raise DataError(
                "a picture must have 8 or 16 bits for each channel",
                f"'{path}' of mode {picture.mode}",
                "Save its values as .npy instead",
            )
        turned = picture.getexif().get(ORIENTATION, 1) >= 5  # a quarter turn
        size = (picture.width, picture.height) if turned else (picture.height, picture.width)
        return size, picture.mode in GREY_MODES


def _decode(path: Path, size: tuple[int, int], grey: bool) -> npt.NDArray[np.uint8]:
    with _named(path), Image.open(path) as picture:
        loaded: Image.Image = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16"):
            loaded = Image.fromarray((np.asarray(loaded) >> 8).astype(np.uint8))
        if loaded.has_transparency_data:
            white = Image.new("RGBA", loaded.size, "white")
            loaded = Image.alpha_composite(white, loaded.convert("RGBA"))
        loaded = loaded.convert("L" if grey else "RGB")
        if (loaded.height, loaded.width) != size:
            loaded = loaded.resize((size[1], size[0]), Image.Resampling.LANCZOS)
        pixels = np.asarray(loaded)
        return pixels[..., None] if grey else pixels


def _one_size(files: list[Path], sizes: list[tuple[int, int]]) -> tuple[int, int]:
    if len(set(sizes)) > 1:
        other = next(i for i, s in enumerate(sizes) if s != sizes[0])
        raise DataError(
            "pictures must all be of one size",
            f"{sizes[0][0]}x{sizes[0][1]} ('{files[0].name}') and {sizes[other][0]}x{sizes[other][1]} ('{files[other].name}')",
            f"Bring them to one size (height x width) with --set data.size={sizes[0][0]}x{sizes[0][1]}",
        )
    return sizes[0]


def open_pictures(folder: Path, size: tuple[int, int] | None = None, progress: Progress | None = None) -> Source:
    """All pictures below a folder, as bytes (n, H, W, C); names of class sub-folders become labels.

    Args:
        folder: searched with its sub-folders.
        size: (H, W) to which each is resampled; by default all must be of one size.
        progress: told how many are decoded.

    Returns:
        The source; C is 1 if every picture is grey, else 3.

    Raises:
        DataError: if there are none, one cannot be read (it is named), or sizes differ.
    """
    files = sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in ENDINGS
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
        and p.is_file()
    )
    if not files:
        raise DataError("the folder must hold pictures or IDX files", f"neither in '{folder}'")
    with ThreadPoolExecutor() as pool:
        headers = list(pool.map(_header, files))
    size = size or _one_size(files, [s for s, _ in headers])
    grey = all(g for _, g in headers)
    values = _cached(folder, files, size, grey, progress)
    classes = np.array([p.relative_to(folder).parts[0] if p.parent != folder else "" for p in files])
    labels = classes if len(set(classes.tolist())) > 1 else None
    return Source(values, labels, picture=True, levels=256)


def _cached(
    folder: Path, files: list[Path], size: tuple[int, int], grey: bool, progress: Progress | None
) -> npt.NDArray[Any]:
    stats = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    key = hashlib.sha256(repr((str(folder), stats, size, grey)).encode()).hexdigest()[:24]
    target = cache_folder() / f"{key}.npy"
    try:
        with contextlib.suppress(FileNotFoundError, ValueError, EOFError):  # absent or damaged: decode (again)
            return np.load(target, mmap_mode="r", allow_pickle=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
        os.close(handle)
        try:
            _decode_all(Path(name), files, size, grey, progress)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
        return np.load(target, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        if isinstance(error, VaekitError):
            raise
        raise DataError(
            "the cache of decoded pictures must be writable",
            f"'{target.parent}': {error}",
            "Name another folder with VAEKIT_CACHE",
        ) from error


def _decode_all(target: Path, files: list[Path], size: tuple[int, int], grey: bool, progress: Progress | None) -> None:
    shape = (len(files), *size, 1 if grey else 3)
    cache = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    with ThreadPoolExecutor() as pool:
        for i, pixels in enumerate(pool.map(lambda p: _decode(p, size, grey), files)):
            cache[i] = pixels
            if progress is not None:
                progress(i + 1, len(files))
    cache.flush()
