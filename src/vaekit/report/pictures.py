"""Make strips of pictures as embedded PNG: each pixel is a sharp square, and the background is transparent."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaekit.pictures import Scale, tile

Array = npt.NDArray[Any]

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
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Strip(label, f"data:image/png;base64,{encoded}", sheet.shape[1], sheet.shape[0])


def to_rgba(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert pictures with any number of channels to RGBA; channels other than RGB and RGBA are averaged to grey."""
    channels = pictures.shape[-1]
    if channels == 4:
        return pictures
    if channels != 3:
        pictures = pictures.mean(-1, keepdims=True).round().astype(np.uint8).repeat(3, -1)
    return np.concatenate([pictures, np.full_like(pictures[..., :1], 255)], -1)
