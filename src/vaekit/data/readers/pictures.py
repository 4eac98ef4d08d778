"""A reader of pictures in folders and tars. They are decoded once, in parallel, into a memory-mapped cache."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaekit.data.limits import MOST_IN_MEMORY, check_size, largest
from vaekit.data.readers.containers import Container, Folder, Listing, PictureFile
from vaekit.data.readers.decoding import NUMBERS, Form, Page, Size, common_form, decode, depth, pages_of
from vaekit.data.readers.picture_cache import key_of, read_cached, write_cached
from vaekit.data.source import Source
from vaekit.errors import DataError
from vaekit.reporters import track

COPIES = 16
"""Bytes of memory for each pixel while it is decoded, converted and resampled."""
MOST_FILES, BLOCKS = 256, 16
"""Most files that a thread reads one after the other, and how many such blocks each thread gets if there are few files."""
MOST_KINDS = 5
"""Most endings of other files that a note names."""
KIND = re.compile(r"\.\w{1,10}", re.ASCII)
"""Endings that a note names."""


class Block(NamedTuple):
    """Files of a container that are read one after the other, and the pages of each once they are known."""

    container: Container
    files: Sequence[PictureFile]
    pages: Sequence[tuple[Page, ...]] = ()


def open_pictures(containers: Sequence[Container], size: Size | None = None) -> Source:
    """Open all pictures in folders or tars as an array (n, H, W, C), with their classes as labels.

    Each page of a file is a picture. Classes are what the containers say.

    Args:
        containers: the folders or tars, in the order of their rows.
        size: (H, W) that pictures are resampled to; by default all must have the same size.

    Returns:
        The source: bytes, with C = 3 unless all pictures are grey; uint16 for 16 bits; zeros and ones for one bit.

    Raises:
        DataError: if there are no pictures, one cannot be read, sizes differ, or they would take too much memory.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     for i in range(3):
        ...         Image.new("L", (4, 2), 80 * i).save(Path(place, f"{i}.png"))
        ...     source = open_pictures([Folder(Path(place))])
        ...     source.values.shape, source.values[:, 0, 0, 0].tolist()
        ((3, 2, 4, 1), [0, 80, 160])
    """
    identity = chain([("pictures", 1, size)], *(container.identity() for container in containers))
    key = key_of(identity)
    with warnings.catch_warnings():  # Pillow warns of large pictures, whose sizes are checked here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return read_cached(key) or _decoded(key, containers, size)


def open_folder(path: Path, size: Size | None = None, without: Sequence[Path] = ()) -> Source:
    """Open the pictures in a file, or below a folder.

    Args:
        path: the folder or file.
        size: as in `open_pictures`.
        without: folders to skip.

    Raises:
        DataError: as in `open_pictures`.
    """
    return open_pictures([Folder(path, without) if path.is_dir() else Folder(path.parent, only=path.name)], size)


def _decoded(key: str, containers: Sequence[Container], size: Size | None) -> Source:
    """Find and decode all pictures, and keep them in the cache."""
    with ThreadPoolExecutor() as pool, track(len(containers), "folders and tars") as advance:
        listings = []
        for listing in pool.map(lambda container: container.listing(), containers):
            listings.append(listing)
            advance(1)
    files = [file for listing in listings for file in listing.files]
    if not files:
        skipped = _skipped(listings)
        told = f", but {skipped.total()} other files ({_kinds(skipped)})" if skipped else ""
        raise DataError(f"{_named(containers)} holds no pictures{told}")
    blocks = _with_pages(list(_blocks(containers, listings)))
    named = [
        (file, page) for block in blocks for file, own in zip(block.files, block.pages, strict=True) for page in own
    ]
    size = size or _one_size(named)
    form = common_form({page.form: file.short for file, page in reversed(named)})
    if form == "bit" and any(page.size != size for _, page in named):  # resampling gives greys
        form = "grey"
    _check_row(named[0][0].short, size, form)
    shape = (len(named), *size, 3 if form == "colour" else 1)
    dtype = np.dtype(np.uint16 if form == "deep" else np.uint8)
    stored = (source for container in containers for source in container.sources())
    check_size(math.prod(shape) * dtype.itemsize, f"the {len(named)} pictures of {_named(containers)}", stored)
    most = max(math.prod(page.size) for _, page in named) * COPIES

    def fill(values: npt.NDArray[Any]) -> Source:
        _decode_all(values, blocks, size, form, max(1, min(os.cpu_count() or 1, MOST_IN_MEMORY // most)))
        labels, notes = _labels([file for file, _ in named]), tuple(_notes(blocks, listings))
        return Source(values, labels, picture=True, levels=depth(form, values), notes=notes)

    return write_cached(key, shape, dtype, fill)


def _named(containers: Sequence[Container]) -> str:
    first = f"'{containers[0].place}'"
    return first if len(containers) == 1 else f"none of the {len(containers)} files such as {first}"


def _blocks(containers: Sequence[Container], listings: Sequence[Listing]) -> Iterator[Block]:
    """Divide the files into blocks, so that all threads have work."""
    count = sum(len(listing.files) for listing in listings)
    step = min(MOST_FILES, max(1, count // (BLOCKS * (os.cpu_count() or 1))))
    for container, listing in zip(containers, listings, strict=True):
        for start in range(0, len(listing.files), step):
            yield Block(container, listing.files[start : start + step])


def _with_pages(blocks: Sequence[Block]) -> list[Block]:
    """Find the pages of all files, without decoding them."""
    known: dict[tuple[Page, ...], tuple[Page, ...]] = {}  # equal pages are kept once: there may be millions of files

    def look(block: Block) -> Block:
        opened = block.container.open_files(block.files)
        found = (
            pages_of(stream, block.container.full_name(file), block.container.on_disk(file))
            for file, stream in zip(block.files, opened, strict=True)
        )
        return block._replace(pages=[known.setdefault(pages, pages) for pages in found])

    with ThreadPoolExecutor() as pool, track(sum(len(block.files) for block in blocks), "files") as advance:
        done = []
        for block in pool.map(look, blocks):
            done.append(block)
            advance(len(block.files))
    return done


def _decode_all(values: npt.NDArray[Any], blocks: Sequence[Block], size: Size, form: Form, workers: int) -> None:
    """Decode all pages into the rows of an array."""

    def fill(first: int, block: Block) -> int:
        row, opened = first, block.container.open_files(block.files)
        for file, stream, pages in zip(block.files, opened, block.pages, strict=True):
            for pixels in decode(stream, block.container.full_name(file), pages, size, form):
                values[row] = pixels
                row += 1
        return row - first

    starts = np.cumsum([0, *(sum(map(len, block.pages)) for block in blocks)]).tolist()
    with ThreadPoolExecutor(workers) as pool, track(starts[-1], "pictures") as advance:
        for done in pool.map(fill, starts, blocks):
            advance(done)


def _labels(files: Sequence[PictureFile]) -> npt.NDArray[Any] | None:
    """Return the class of each picture, numbers if all are, or None if no picture has a class."""
    given = [file.label for file in files]
    if all(isinstance(label, int) and abs(label) < 1 << 63 for label in given):
        return np.array(given, np.int64)
    return np.array(["" if label is None else str(label) for label in given]) if set(given) != {None} else None


def _notes(blocks: Sequence[Block], listings: Sequence[Listing]) -> Iterator[str]:
    """Return notes on files of several pictures, pictures without a class, other files, and tars without pictures."""
    counts = [len(pages) for block in blocks for pages in block.pages if len(pages) > 1]
    if counts:
        told = f"{len(counts)} files hold" if len(counts) > 1 else "One file holds"
        yield f"{told} several pictures, {sum(counts)} in all. Each picture is a row."
    files = sum(len(listing.files) for listing in listings)
    without = sum(file.label is None for listing in listings for file in listing.files)
    if 0 < without < files:
        yield f"{without} of {files} files of pictures have no class."
    skipped = _skipped(listings)
    if skipped:
        yield f"Skipped {skipped.total()} files that are no pictures ({_kinds(skipped)})."
    empty = sum(not listing.files for listing in listings)
    if empty:
        yield f"{empty} of {len(listings)} tars have no pictures."
    yield from dict.fromkeys(note for listing in listings for note in listing.notes)


def _skipped(listings: Sequence[Listing]) -> Counter[str]:
    found: Counter[str] = Counter()
    for listing in listings:
        found.update(listing.skipped)
    return found


def _kinds(skipped: Counter[str]) -> str:
    """Return the most frequent endings, as far as they look like one."""
    named = (kind for kind, _ in skipped.most_common(MOST_KINDS))
    return ", ".join(dict.fromkeys(kind if KIND.fullmatch(kind) else "others" for kind in named))


def _one_size(named: Sequence[tuple[PictureFile, Page]]) -> Size:
    first, page = named[0]
    size = page.size
    other = next(((file, page.size) for file, page in named if page.size != size), None)
    if other is not None:
        (height, width), file = other[1], other[0]
        raise DataError(
            "all pictures must have the same size",
            f"{size[0]}x{size[1]} ('{first.short}') and {height}x{width} ('{file.short}')",
            f"Resample them to one size (height x width) with data.size={size[0]}x{size[1]}",
        )
    return size


def _check_row(name: str, size: Size, form: Form) -> None:
    """Refuse pictures that are too large for a model."""
    most, numbers = largest() // NUMBERS, math.prod(size) * (3 if form == "colour" else 1)
    if numbers > most:
        must = f"a row must have at most {most:,} numbers"
        mend = "Resample them to a smaller size (height x width), as with data.size=256x256"
        raise DataError(must, f"pictures of {size[0]}x{size[1]} such as '{name}'", mend)
