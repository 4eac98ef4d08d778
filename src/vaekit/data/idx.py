"""Folders of IDX files, gzipped or not: the form in which MNIST and its kin are given."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data.arrays import from_array, labels_of
from vaekit.data.pictures import ENDINGS
from vaekit.data.source import Source
from vaekit.errors import DataError

NAME = re.compile(r"[-._]idx\d(-|\.|$)|ubyte(\.gz)?$")
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _files(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.is_file() and NAME.search(p.name) and p.suffix.lower() not in ENDINGS
    )


def is_idx_folder(folder: Path) -> bool:
    """Whether files in the folder are named as IDX files are."""
    return bool(_files(folder))


def read_idx(path: Path) -> npt.NDArray[Any]:
    """The array of one IDX file.

    Raises:
        DataError: if its header or its length is wrong.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("an IDX file must be whole", f"'{path}': {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise DataError("an IDX file must begin with its magic number", f"'{path}' beginning {content[:4].hex()}")
    dtype, dims = np.dtype(TYPES[content[2]]), content[3]
    shape = tuple(int(s) for s in np.frombuffer(content, ">u4", dims, 4)) if len(content) >= 4 + 4 * dims else ()
    body = len(content) - 4 - 4 * dims
    if not shape or body != math.prod(shape) * dtype.itemsize:
        raise DataError("an IDX file must be whole", f"'{path}' with {body} bytes of data for shape {shape}")
    return np.frombuffer(content, dtype, offset=4 + 4 * dims).reshape(shape).astype(dtype.newbyteorder("="))


def open_idx(folder: Path) -> Source:
    """Pictures and labels of a folder; files with `t10k` or `test` in their names are its test part."""
    parts: dict[bool, dict[str, npt.NDArray[Any]]] = {False: {}, True: {}}
    for path in _files(folder):
        kind = "labels" if "label" in path.name else "images"
        parts["t10k" in path.name or "test" in path.name][kind] = read_idx(path)
    if "images" not in parts[False]:
        raise DataError(
            "a folder of IDX files must hold training images", f"none in '{folder}'", "Name it train-images-idx3-ubyte"
        )
    sources = [
        from_array(
            part["images"], labels_of(part.get("labels"), len(part["images"])), where=f"the IDX file in '{folder}'"
        )
        for part in (parts[False], parts[True])
        if "images" in part
    ]
    train = sources[0]
    return Source(train.values, train.labels, picture=train.picture, test=sources[1] if len(sources) > 1 else None)
