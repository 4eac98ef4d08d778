"""Make strips of pictures as embedded PNG: each pixel is a sharp square, and the background is transparent."""

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
"""Approximate width of a strip in pixels: that of the page, and more for large pictures."""
GAP = 4
"""Pixels between pictures."""


@dataclass(frozen=True)
class Scale:
    """Hold the range of values that are shown from black to white.

    Args:
        low: the value shown as black.
        high: the value shown as white.
    """

    low: float
    high: float

    @classmethod
    def of(cls, pictures: Array, levels: int) -> Scale:
        """Return the range of all levels, or that of these pictures if they have no levels (`levels` is 0)."""
        return cls(0.0, levels - 1.0) if levels else cls(float(pictures.min()), float(pictures.max()))

    def bytes(self, pictures: Array) -> npt.NDArray[np.uint8]:
        """Turn values from `low` to `high` into 0 to 255; values outside become 0 or 255."""
        spread = max(self.high - self.low, 1e-12)
        shares = (np.nan_to_num(pictures.astype(np.float64), posinf=self.high, neginf=self.low) - self.low) / spread
        return (shares * 255).round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Strip:
    """Hold pictures side by side, with a label.

    Args:
        label: what the pictures are.
        source: a data URI.
        width: in pixels.
        height: in pixels.
    """

    label: str
    source: str
    width: int
    height: int


def columns_for(width: int) -> int:
    """Return how many pictures of this width fit side by side."""
    return min(12, max(3, SHEET // max(width, 72)))


def make_strip(label: str, pictures: Array, scale: Scale, columns: int) -> Strip:
    """Make a strip of pictures (n, H, W, C), `columns` of them in each row."""
    zoom = max(1, round(SHEET / (columns * pictures.shape[2])))
    sheet = tile(to_rgba(scale.bytes(pictures)), columns, zoom)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Strip(label, f"data:image/png;base64,{encoded}", sheet.shape[1], sheet.shape[0])


def to_rgba(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn pictures of any number of channels into RGBA; channels that are not colours are shown as their mean, in grey."""
    channels = pictures.shape[-1]
    if channels == 4:
        return pictures
    if channels != 3:
        pictures = pictures.mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    return np.concatenate([pictures, np.full_like(pictures[..., :1], 255)], -1)


def tile(pictures: npt.NDArray[np.uint8], columns: int, zoom: int) -> npt.NDArray[np.uint8]:
    """Put RGBA pictures (n, H, W, 4) into rows, enlarged by `zoom`, with transparent gaps between them."""
    pictures = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    n, height, width, _ = pictures.shape
    columns, rows = min(columns, n), math.ceil(n / columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet
