"""A reader of pictures in folders and tars. They are decoded once, in parallel, into a memory-mapped cache."""

from __future__ import annotations

import math
import os
import posixpath
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaekit.data.limits import MOST_IN_MEMORY, check_size, largest
from vaekit.data.readers.containers import Container, Listing, PictureFile
from vaekit.data.readers.decoding import NUMBERS, Form, Page, Size, common_form, decode, depth, pages_of
from vaekit.data.readers.picture_cache import key_of, read_cached, write_cached
from vaekit.data.source import Source
from vaekit.errors import DataError
from vaekit.reporters import track

COPIES = 16
"""Bytes of memory for each pixel while it is decoded, converted and resampled."""
MOST_FILES = 256
"""Files in a block, at most."""
BLOCKS = 16
"""Blocks for each thread, at least, so that no thread waits."""
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
        >>> from pathlib import Path
        >>> from vaekit.data.readers.containers import Folder
        >>> with tempfile.TemporaryDirectory() as place:
        ...     for i in range(3):
        ...         Image.new("L", (4, 2), 80 * i).save(Path(place, f"{i}.png"))
        ...     source = open_pictures([Folder(Path(place))])
        ...     source.values.shape, source.values[:, 0, 0, 0].tolist()
        ((3, 2, 4, 1), [0, 80, 160])
    """
    key = _key(containers, size)
    with warnings.catch_warnings():  # Pillow warns of large pictures, whose sizes are checked here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return read_cached(key) or _decoded(key, containers, size)


def _key(containers: Sequence[Container], size: Size | None) -> str:
    return key_of(chain([("pictures", 1, size)], *(container.identity() for container in containers)))


def _decoded(key: str, containers: Sequence[Container], size: Size | None) -> Source:
    """Find and decode all pictures, and keep them in the cache."""
    listings = _listings(containers)
    blocks = _with_pages(list(_blocks(containers, listings)))
    named = [
        (file, page) for block in blocks for file, own in zip(block.files, block.pages, strict=True) for page in own
    ]
    given, size = size, size or _one_size(named)
    form = common_form({page.form: file.short for file, page in reversed(named)})
    if form == "bit" and any(page.size != size for _, page in named):  # resampling gives greys
        form = "grey"
    _check_row(named[0][0].short, size, form)
    shape = (len(named), *size, 3 if form == "colour" else 1)
    dtype = np.dtype(np.uint16 if form == "deep" else np.uint8)
    stored = (place for c, own in zip(containers, listings, strict=True) for place in c.sources(own.files))
    check_size(math.prod(shape) * dtype.itemsize, f"the {len(named)} pictures of {_named(containers)}", stored)
    most = max(file.size + math.prod(page.size) * COPIES for file, page in named)
    labels, notes = _labels([file for file, _ in named]), tuple(_notes(blocks, listings))

    def fill(values: npt.NDArray[Any]) -> Source:
        _decode_all(values, blocks, size, form, _workers(most))
        if _key(containers, given) != key:
            raise DataError(f"Pictures in {_named(containers)} changed while they were read", mend="Try again")
        return Source(values, labels, picture=True, levels=depth(form, values), notes=notes)

    return write_cached(key, shape, dtype, fill)


def _listings(containers: Sequence[Container]) -> list[Listing]:
    """List the files of all containers, of which at least one must be a picture."""
    listings = []
    with ThreadPoolExecutor() as pool, track(len(containers), "folders and tars") as advance:
        for listing in pool.map(lambda container: container.listing(), containers):
            listings.append(listing)
            advance(1)
    if not any(listing.files for listing in listings):
        skipped = _skipped(listings)
        told = f", but {_counted(skipped.total(), 'other file')} ({_kinds(skipped)})" if skipped else ""
        raise DataError(f"There are no pictures in {_named(containers)}{told}")
    return listings


def _named(containers: Sequence[Container]) -> str:
    others = f" and {_counted(len(containers) - 1, 'other file')}" if len(containers) > 1 else ""
    return f"'{containers[0].place}'{others}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _workers(most: int) -> int:
    """Return how many threads may work at once if each needs up to the given bytes of memory."""
    return max(1, min(os.cpu_count() or 1, MOST_IN_MEMORY // most))


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
        with closing(block.container.open_files(block.files)) as opened:
            found = (
                pages_of(stream, block.container.full_name(file), block.container.space_of(file))
                for file, stream in zip(block.files, opened, strict=True)
            )
            return block._replace(pages=[known.setdefault(pages, pages) for pages in found])

    most = max(file.size for block in blocks for file in block.files)
    with (
        ThreadPoolExecutor(_workers(max(1, most))) as pool,
        track(sum(len(block.files) for block in blocks), "files") as advance,
    ):
        done = []
        for block in pool.map(look, blocks):
            done.append(block)
            advance(len(block.files))
    return done


def _decode_all(values: npt.NDArray[Any], blocks: Sequence[Block], size: Size, form: Form, workers: int) -> None:
    """Decode all pages into the rows of an array."""

    def fill(first: int, block: Block) -> int:
        row = first
        with closing(block.container.open_files(block.files)) as opened:
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
    """Return the class of each picture, numbers if all are, or None if no picture has a class.

    In tars without classes, a class is the folder that holds the picture.

    Raises:
        DataError: if only some pictures of tars have a class.
    """
    given = [file.label for file in files]
    if set(given) == {None}:
        given = [posixpath.basename(posixpath.dirname(file.name)) for file in files]
    if None in given:
        must, without = "all pictures of tars must have a class, or none", given.count(None)
        first = files[given.index(None)].short
        raise DataError(must, f"{without} of {len(files)} pictures without one, such as '{first}'")
    if all(isinstance(label, int) and abs(label) < 1 << 63 for label in given):
        return np.array(given, np.int64)
    return np.array([str(label) for label in given]) if set(given) != {""} else None


def _notes(blocks: Sequence[Block], listings: Sequence[Listing]) -> Iterator[str]:
    """Return notes on files of several pictures, other files, classes without a picture, and tars."""
    counts = [len(pages) for block in blocks for pages in block.pages if len(pages) > 1]
    if counts:
        told = f"{len(counts)} files hold" if len(counts) > 1 else "One file holds"
        yield f"{told} several pictures, {sum(counts)} in all. Each picture is a row."
    skipped, lost = _skipped(listings), sum(listing.lost for listing in listings)
    if skipped:
        yield f"Skipped {_counted(skipped.total(), 'file')} of no picture or class ({_kinds(skipped)})."
    if lost:
        yield f"Skipped {_counted(lost, 'file')} with a class that belongs to no picture."
    empty = sum(not listing.files for listing in listings)
    if empty:
        yield f"Skipped {_counted(empty, 'tar')} without pictures."
    tars = sum(listing.tars for listing in listings)
    if tars:
        yield f"Skipped {_counted(tars, 'tar')}. To read tars, pass a pattern such as 'folder/*.tar'."


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
