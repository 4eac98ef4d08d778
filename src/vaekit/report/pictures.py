"""Strips of pictures as embedded PNG: each pixel a sharp square, on no ground of their own."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

SHEET = 900
"""Pixels that a strip is wide, about: as many as the page has, and more for large pictures."""
GAP = 4


@dataclass(frozen=True)
class Scale:
    """From values of pictures to bytes.

    Args:
        low: shown as black.
        high: shown as white.
    """

    low: float
    high: float

    @classmethod
    def of(cls, pictures: Array, levels: int) -> Scale:
        """All levels where there are levels, else the range of these pictures."""
        return cls(0.0, levels - 1.0) if levels else cls(float(pictures.min()), float(pictures.max()))

    def bytes(self, pictures: Array) -> npt.NDArray[np.uint8]:
        """Values in `low` … `high` to 0 … 255, others to the nearer end."""
        spread = max(self.high - self.low, 1e-12)
        shares = (np.nan_to_num(pictures.astype(np.float64), posinf=self.high, neginf=self.low) - self.low) / spread
        return (shares * 255).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Strip:
    """Pictures side by side, with what they are.

    Args:
        label: what they are.
        source: a data URI.
        width: in pixels.
        height: in pixels.
    """

    label: str
    source: str
    width: int
    height: int


def columns_for(width: int) -> int:
    """How many pictures of this width stand side by side."""
    return min(12, max(3, SHEET // max(width, 72)))


def make_strip(label: str, pictures: Array, scale: Scale, columns: int) -> Strip:
    """Put pictures (n, H, W, C) into rows of `columns`."""
    zoom = max(1, round(SHEET / (columns * pictures.shape[2])))
    sheet = tile(colours(scale.bytes(pictures)), columns, zoom)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Strip(label, f"data:image/png;base64,{encoded}", sheet.shape[1], sheet.shape[0])


def colours(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures of any number of channels as RGBA; a number that is no colour is shown by its mean, in grey."""
    channels = pictures.shape[-1]
    if channels == 4:
        return pictures
    if channels != 3:
        pictures = pictures.mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    return np.concatenate([pictures, np.full_like(pictures[..., :1], 255)], -1)


def tile(pictures: npt.NDArray[np.uint8], columns: int, zoom: int) -> npt.NDArray[np.uint8]:
    """RGBA pictures (n, H, W, 4) in rows, `zoom` times as large, with clear gaps between them."""
    pictures = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    n, height, width, _ = pictures.shape
    columns, rows = min(columns, n), math.ceil(n / columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet
