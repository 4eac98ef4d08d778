"""Readers of arrays in memory, and of `.npy` and `.npz` files."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vaekit.data.damage import naming
from vaekit.data.limits import allocate, check_size
from vaekit.data.source import Source
from vaekit.errors import DataError

BLOCK = 1 << 22
"""Bytes that are unpacked at once."""

CHANNELS = (1, 3, 4)


def from_object(source: object) -> Source:
    """Open an array, a tensor or a nested list as a source."""
    if isinstance(source, Tensor):
        source = _of_tensor(source)
    try:
        return from_array(np.asarray(source))
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The data cannot be read as a rectangular array: {error!s:.200}") from error


def _of_tensor(tensor: Tensor) -> npt.NDArray[Any]:
    try:
        tensor = tensor.detach().to_dense().cpu()
        if tensor.is_floating_point() and tensor.dtype.itemsize < 4:  # numpy does not have all of these types
            tensor = tensor.float()
        return tensor.numpy()
    except (RuntimeError, TypeError) as error:
        said = str(error).partition("\n")[0][:200]
        raise DataError("a tensor must hold real numbers", f"a tensor of type {tensor.dtype} ({said})") from error


def from_array(
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None = None,
    columns: tuple[str, ...] = (),
    where: str = "the array",
) -> Source:
    """Open an array of rows (n, columns), of grey pictures (n, H, W), or of pictures (n, H, W, C) or (n, C, H, W).

    Args:
        values: numbers or booleans; three or four dimensions mean pictures. Channels come first if the last two dimensions
            are equal and the second is smaller, or if only the second is a usual number of channels.
        labels: class of each row.
        columns: names of the columns.
        where: name of the array in messages.

    Returns:
        The source, with pictures as (n, H, W, C), and a note if the order of their axes is ambiguous.

    Raises:
        DataError: for objects, text, complex numbers, fewer than two or more than four dimensions, or an array without rows.
    """
    if values.dtype.kind not in "buif":
        kind = f"objects such as a {type(values.flat[0]).__name__}" if values.dtype == object and values.size else ""
        told = kind or f"values of type {values.dtype!s:.100}"
        raise DataError(f"{where} must hold real numbers", told, _way(values))
    if values.ndim not in (2, 3, 4):
        must = f"{where} must have an example per row, in the shape (n, columns), (n, H, W) or (n, H, W, C)"
        raise DataError(must, f"shape {values.shape}")
    if 0 in values.shape:
        raise DataError(f"{where} must not be empty", f"shape {values.shape}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    elif values.dtype.kind == "f" and values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    if values.ndim == 2:
        return Source(values, labels, columns)
    if values.ndim == 3:
        return Source(values[..., None], labels, picture=True)
    values, notes = _channels_last(values)
    return Source(values, labels, picture=True, notes=notes)


def _way(values: npt.NDArray[Any]) -> str:
    """Return an instruction for passing an array that does not hold numbers."""
    return {
        "U": "numpy turns rows of several types into text. Pass a data frame, or an array of dtype=object",
        "V": "Pass the structured array itself, or save it as a .npy file",
        "c": "Pass real and imaginary parts, or magnitudes and angles",
    }.get(values.dtype.kind, "")


def _channels_last(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return pictures as (n, H, W, C), and a note for the user if the order of their axes is ambiguous."""
    first, height, width = values.shape[1:]
    square = height == width and first < height
    if square or (width not in CHANNELS and first in CHANNELS):
        told = f"The shape {values.shape} was read as channels first: {height}×{width} pixels, {first} channels."
        other = (
            " If channels come last, pass vaekit.data.Source(x, picture=True)." if square and width in CHANNELS else ""
        )
        return np.moveaxis(values, 1, -1), (told + other,)
    if width in CHANNELS and first not in CHANNELS:
        return values, ()
    told = f"The shape {values.shape} was read as channels last: {first}×{height} pixels, {width} channels."
    return values, (f"{told} If channels come first, pass numpy.moveaxis(x, 1, -1).",)


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Open a `.npy` file as a memory-mapped array.

    Raises:
        DataError: if the file is damaged, holds objects, or is sparse and would take too much memory.
    """
    with naming(path, "a .npy file must hold a plain numeric array"), np.errstate(over="ignore"):
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    check_size(values.nbytes, f"'{path.name}'", [path])
    return values


TRAIN_NAMES = ("x_train", "X_train", "train_images", "X", "x", "data", "images", "arr_0")
VALIDATION_NAMES = ("x_val", "X_val", "x_valid", "X_valid", "x_validation", "X_validation", "val_images")
TEST_NAMES = ("x_test", "X_test", "test_images")
LABEL_NAMES = ("y", "labels", "label", "target", "y_train", "train_labels")
VALIDATION_LABEL_NAMES = ("y_val", "y_valid", "y_validation", "val_labels")
TEST_LABEL_NAMES = ("y_test", "test_labels")


def open_npz(path: Path) -> Source:
    """Open a `.npz` file; the rows come from the array with a usual name (`X`, `x_train`, …), or from the only array.

    Raises:
        DataError: if the file is damaged, would take too much memory, or no array has a usual name.
    """
    must = "a .npz file must hold plain numeric arrays"
    with naming(path, must):
        if not zipfile.is_zipfile(path):
            raise DataError(must, f"'{path}' (not a zip archive, or damaged)")
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            return from_archive(names, lambda name: _member(archive, name, path), f"'{path.name}'")


def from_archive(names: Sequence[str], read: Callable[[str], npt.NDArray[Any]], where: str) -> Source:
    """Open a collection of named arrays as a source: training rows, held-out rows, and their labels.

    Args:
        names: names of the arrays.
        read: reads an array by its name.
        where: name of the collection in messages.

    Raises:
        DataError: if no array has a usual name, or an array cannot be read as rows.
    """
    first = next((n for n in TRAIN_NAMES if n in names), names[0] if len(names) == 1 else None)
    if first is None:
        told = ", ".join(names) or "no arrays"
        raise DataError(f"{where} must hold rows under one of the names {', '.join(TRAIN_NAMES)}", f"{told:.200}")

    def part(rows: str, beside: Sequence[str], called: str) -> Source:
        values, label = read(rows), next((n for n in beside if n in names), None)
        labels = None if label is None else labels_of(read(label), len(values) if values.ndim else 0)
        return from_array(values, labels, where=f"{called} {where}")

    def held_out(wanted: Sequence[str], beside: Sequence[str], called: str) -> Source | None:
        rows = next((n for n in wanted if n in names), None)
        return None if rows is None else part(rows, beside, f"the {called} part of")

    return replace(
        part(first, LABEL_NAMES, f"'{first}' in"),
        validation=held_out(VALIDATION_NAMES, VALIDATION_LABEL_NAMES, "validation"),
        test=held_out(TEST_NAMES, TEST_LABEL_NAMES, "test"),
    )


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> npt.NDArray[Any]:
    """Unpack an array from a `.npz` archive block by block, after checking the array's size in the header."""
    listed = archive.namelist()
    with archive.open(f"{name}.npy" if f"{name}.npy" in listed else name) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"'{name}' in version {version} of the format")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject or dtype.names is not None or not dtype.itemsize:
            raise ValueError(f"'{name}' of type {dtype}")
        count = math.prod(shape) * dtype.itemsize
        if count + file.tell() != archive.getinfo(file.name).file_size:
            raise EOFError(f"'{name}' does not have the {count} bytes of shape {shape}")
        check_size(count, f"'{name}' in '{path.name}'", [path])
        values = allocate(shape[::-1] if fortran else shape, dtype)
        fill(values, file)
    return values.T if fortran else values


def fill(values: npt.NDArray[Any], file: IO[bytes]) -> None:
    """Fill an array from a stream, block by block.

    Raises:
        EOFError: if the stream is shorter or longer than the array.
    """
    wanted = memoryview(values.reshape(-1).view(np.uint8).data)
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        while len(block):
            count = file.readinto(block)  # type: ignore[attr-defined]
            if not count:
                raise EOFError(f"fewer than the expected {len(wanted)} bytes of data")
            block = block[count:]
    if file.read(1):
        raise EOFError(f"more than the expected {len(wanted)} bytes of data")


def labels_of(labels: npt.NDArray[Any] | None, rows: int) -> npt.NDArray[Any] | None:
    """Return labels as a flat array with one label for each row, or None if the number of labels is wrong."""
    return labels.ravel() if labels is not None and labels.size == rows else None
