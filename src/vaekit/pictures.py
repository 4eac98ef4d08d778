"""Turn arrays into 8-bit pictures, put many pictures on one sheet, and embed sheets in pages."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """The range of pixel values that is shown from black to white.

    Args:
        low: the value shown as black.
        high: the value shown as white.
    """

    low: float
    high: float

    @classmethod
    def of(cls, pictures: Array, levels: int) -> Scale:
        """Return the scale of pictures: from 0 to `levels` − 1, or from lowest to highest value if `levels` is 0."""
        return cls(0.0, levels - 1.0) if levels else cls(float(pictures.min()), float(pictures.max()))

    def bytes(self, pictures: Array) -> npt.NDArray[np.uint8]:
        """Map pixel values in [`low`, `high`] to bytes in [0, 255], and clip values outside."""
        spread = max(self.high - self.low, 1e-12)
        shares = (np.nan_to_num(pictures.astype(np.float64), posinf=self.high, neginf=self.low) - self.low) / spread
        return (shares * 255).round().clip(0, 255).astype(np.uint8)


def tile(
    pictures: npt.NDArray[np.uint8], columns: int, zoom: int, gap: int, border: int = 0, background: int = 0
) -> npt.NDArray[np.uint8]:
    """Arrange pictures in rows on one sheet, with gaps between them.

    Args:
        pictures: shape (n, H, W, C).
        columns: number of pictures in a row.
        zoom: factor by which each pixel is repeated in both directions.
        gap: pixels between pictures.
        border: pixels around the sheet.
        background: the value of gaps, borders and empty cells in every channel, from 0 to 255.

    Returns:
        One picture (H', W', C).

    Examples:
        >>> tile(np.full((3, 2, 2, 1), 9, np.uint8), columns=2, zoom=1, gap=1)[..., 0].tolist()[2:]
        [[0, 0, 0, 0, 0], [9, 9, 0, 0, 0], [9, 9, 0, 0, 0]]
    """
    pictures = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    n, height, width, channels = pictures.shape
    columns, rows = min(columns, n), math.ceil(n / columns)
    size = (rows * (height + gap) - gap + 2 * border, columns * (width + gap) - gap + 2 * border, channels)
    sheet = np.full(size, background, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = border + i // columns * (height + gap), border + i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


SHEET = 900
"""Approximate width of a strip in pixels: the width of the page, and more for large pictures."""
GAP = 4
"""Pixels between pictures."""


@dataclass(frozen=True)
class Strip:
    """Hold a strip of pictures as an embedded PNG, with a label.

    Args:
        label: what the pictures are.
        source: the PNG as a data URI.
        width: in pixels.
        height: in pixels.
    """

    label: str
    source: str
    width: int
    height: int


def columns_for(width: int) -> int:
    """Return how many pictures fit side by side on the page, given their width in pixels."""
    return min(12, max(3, SHEET // max(width, 72)))


def make_strip(label: str, pictures: Array, scale: Scale, columns: int) -> Strip:
    """Make a strip from pictures of shape (n, H, W, C), with `columns` pictures in each row."""
    zoom = max(1, round(SHEET / (columns * pictures.shape[2])))
    sheet = tile(to_rgba(scale.bytes(pictures)), columns, zoom, GAP)
    return Strip(label, embed(sheet, optimize=True), sheet.shape[1], sheet.shape[0])


def embed(sheet: npt.NDArray[np.uint8], optimize: bool = False) -> str:
    """Return a picture (H, W, 4) as a PNG in a data URI.

    Args:
        sheet: the picture.
        optimize: whether to look longer for a smaller file.
    """
    from PIL import Image  # slow to import

    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=optimize)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def to_rgba(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert pictures with any number of channels to RGBA; channels other than RGB and RGBA are averaged to grey."""
    channels = pictures.shape[-1]
    if channels == 4:
        return pictures
    if channels != 3:
        pictures = pictures.mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    return np.concatenate([pictures, np.full_like(pictures[..., :1], 255)], -1)
