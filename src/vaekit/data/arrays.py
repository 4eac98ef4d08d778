"""Arrays in memory, `.npy` and `.npz` files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data.source import Source
from vaekit.errors import DataError

CHANNELS = (1, 3, 4)


def from_object(source: object) -> Source:
    """An array, tensor or nested list."""
    if isinstance(source, Tensor):
        source = source.detach().cpu()
        source = source.float().numpy() if source.dtype == torch.bfloat16 else source.numpy()
    try:
        return from_array(np.asarray(source))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError("the array must be rectangular", str(error)) from error


def from_array(
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None = None,
    columns: tuple[str, ...] = (),
    where: str = "the array",
) -> Source:
    """Rows (n, columns), grey pictures (n, H, W), or pictures (n, H, W, C) or (n, C, H, W).

    Args:
        values: numbers or booleans; three dimensions or more are taken as pictures, channels first or last.
        labels: class of each row.
        columns: names of the columns.
        where: how an error speaks of the array.

    Returns:
        The source, with pictures as (n, H, W, C).

    Raises:
        DataError: for objects, text, complex numbers, fewer than two dimensions or more than four, or no rows.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"{where} must hold real numbers", f"values of type {values.dtype}")
    if values.ndim not in (2, 3, 4):
        raise DataError(
            f"{where} must have an example per row: (n, columns), (n, H, W) or (n, H, W, C)", f"shape {values.shape}"
        )
    if 0 in values.shape:
        raise DataError(f"{where} must hold examples", f"shape {values.shape}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    elif values.dtype.kind == "f" and values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    if values.ndim == 2:
        return Source(values, labels, columns)
    if values.ndim == 3:
        values = values[..., None]
    elif values.shape[-1] not in CHANNELS and values.shape[1] in CHANNELS:
        values = np.moveaxis(values, 1, -1)
    return Source(values, labels, picture=True)


def open_npy(path: Path) -> Source:
    """A `.npy` file, memory-mapped."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError("a .npy file must hold a plain numeric array", f"'{path}': {error}") from error
    return from_array(values, where=f"'{path.name}'")


TRAIN_NAMES = ("x_train", "X_train", "train_images", "X", "x", "data", "images", "arr_0")
TEST_NAMES = ("x_test", "X_test", "test_images")
LABEL_NAMES = ("y", "labels", "label", "target", "y_train", "train_labels")
TEST_LABEL_NAMES = ("y_test", "test_labels")


def open_npz(path: Path) -> Source:
    """A `.npz` file: the rows under a customary name (`X`, `x_train`, …) or the only array, labels beside them."""
    if not zipfile.is_zipfile(path):
        raise DataError(
            "a .npz file must hold plain numeric arrays", f"'{path}', which is no zip archive or a damaged one"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            first = next((n for n in TRAIN_NAMES if n in names), names[0] if len(names) == 1 else None)
            if first is None:
                raise DataError(
                    f"a .npz file must name its rows one of {', '.join(TRAIN_NAMES)}", ", ".join(names) or "none"
                )

            def pick(wanted: tuple[str, ...]) -> npt.NDArray[Any] | None:
                return next((archive[n] for n in wanted if n in names), None)

            source = from_array(
                archive[first], labels_of(pick(LABEL_NAMES), len(archive[first])), where=f"'{first}' in '{path.name}'"
            )
            held_out = pick(TEST_NAMES)
            if held_out is None:
                return source
            test = from_array(
                held_out, labels_of(pick(TEST_LABEL_NAMES), len(held_out)), where=f"the test part of '{path.name}'"
            )
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("a .npz file must hold plain numeric arrays", f"'{path}': {error}") from error
    return Source(source.values, source.labels, picture=source.picture, test=test)


def labels_of(labels: npt.NDArray[Any] | None, rows: int) -> npt.NDArray[Any] | None:
    """Labels as one for each row, or none if their number does not fit."""
    return labels.ravel() if labels is not None and labels.size == rows else None
