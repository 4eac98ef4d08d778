"""A reader of folders of IDX files, which may be gzipped; MNIST and similar data sets use this format."""

from __future__ import annotations

import gzip
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vaekit.data.damage import naming
from vaekit.data.limits import allocate, check_size
from vaekit.data.readers.arrays import fill, from_array, labels_of
from vaekit.data.readers.decoding import is_picture_name
from vaekit.data.source import Source
from vaekit.errors import DataError

NAME = re.compile(r"[-._]idx\d(-|\.|$)|ubyte(\.gz)?$")
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


VALIDATION = re.compile(r"(^|[-_.])(val|valid|validation)[-_.]")
MOST_DIMENSIONS = 4
MOST_RATIO = 1040
"""Largest possible ratio of the unpacked to the gzipped size of a file."""


def _files(folder: Path) -> list[Path]:
    """Return the IDX files in a folder, without gzipped files that also exist unpacked."""
    found = sorted(
        p
        for p in folder.iterdir()
        if NAME.search(p.name) and not is_picture_name(p.name) and os.path.isfile(p)  # False without permission
    )
    return [p for p in found if p.suffix != ".gz" or p.with_suffix("") not in found]


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder contains files named like IDX files."""
    return bool(_files(folder))


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Open the array of an IDX file, memory-mapped unless the file is gzipped.

    Raises:
        DataError: if its header or its length is wrong, or it would take too much memory.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with naming(path, "an IDX file must be undamaged"), opened(path, "rb") as file:
        shape, dtype = _header(file, path)
        count, body = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
        if count > MOST_RATIO * path.stat().st_size or (path.suffix != ".gz" and count != body):
            raise DataError("an IDX file must be undamaged", f"'{path}' ({body} bytes of data for shape {shape})")
        check_size(count, f"'{path.name}'", [path])
        if path.suffix == ".gz":
            values = allocate(shape, dtype)
            fill(values, file)
        else:
            values = np.memmap(file, dtype, "r", file.tell(), shape) if count else np.empty(shape, dtype)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the shape of the array and the type of its numbers from the header of an IDX file."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        must = "an IDX file must begin with its magic number"
        raise DataError(must, f"'{path}' beginning {magic.hex() or 'with nothing'}")
    dimensions = magic[3]
    if not 0 < dimensions <= MOST_DIMENSIONS:
        must = f"an IDX file must have 1 to {MOST_DIMENSIONS} dimensions"
        raise DataError(must, f"'{path}' with {dimensions} dimensions")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError("an IDX file must be undamaged", f"'{path}' (it ends within its header)")
    return tuple(int(size) for size in np.frombuffer(sizes, ">u4")), np.dtype(TYPES[magic[2]])


def open_idx(folder: Path) -> Source:
    """Open the pictures and labels in a folder of IDX files.

    Files with `t10k` or `test` in their names are test data, those with `val`, `valid` or `validation` validation data.

    Raises:
        DataError: if there are no training pictures, two files hold the same part, or a file is damaged.
    """
    parts: dict[str, dict[str, Path]] = {"train": {}, "validation": {}, "test": {}}
    for path in _files(folder):
        kind = "labels" if "label" in path.name else "images"
        held_out = "t10k" in path.name or "test" in path.name
        part = parts["test" if held_out else "validation" if VALIDATION.search(path.name) else "train"]
        if kind in part:
            must = "a folder must hold at most one IDX file of each part"
            raise DataError(must, f"'{part[kind].name}' and '{path.name}'", "Move one of them to another folder")
        part[kind] = path
    if "images" not in parts["train"]:
        mend = "Name the file of training images train-images-idx3-ubyte"
        raise DataError(f"The folder '{folder}' holds IDX files, but no training images", mend=mend)
    sources = {name: _open_part(part, folder) for name, part in parts.items() if "images" in part}
    return replace(sources["train"], validation=sources.get("validation"), test=sources.get("test"))


def _open_part(part: dict[str, Path], folder: Path) -> Source:
    images = read_idx(part["images"])
    labels = labels_of(read_idx(part["labels"]), len(images)) if "labels" in part else None
    return from_array(images, labels, where=f"the IDX file in '{folder}'")
