"""Strips of pictures: the right pixels, in the right places."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vaekit.pictures import GAP, Scale, columns_for, make_strip


def decode(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))))


def test_each_pixel_is_a_square_at_its_place():
    pictures = np.array([[[0, 1], [2, 3]], [[3, 2], [1, 0]], [[3, 3], [3, 3]]])[..., None]
    strip = make_strip("x", pictures, Scale.of(pictures, levels=4), columns=2)
    sheet = decode(strip.source)
    zoom = 225
    assert sheet.shape == (4 * zoom + GAP, 4 * zoom + GAP, 4)
    assert (strip.height, strip.width) == sheet.shape[:2]
    for i, picture in enumerate(pictures[..., 0]):
        top, left = i // 2 * (2 * zoom + GAP), i % 2 * (2 * zoom + GAP)
        tile = sheet[top : top + 2 * zoom, left : left + 2 * zoom]
        expected = (picture * 85).repeat(zoom, 0).repeat(zoom, 1)
        assert (tile[..., :3] == expected[..., None]).all()
        assert (tile[..., 3] == 255).all()
    assert (sheet[2 * zoom : 2 * zoom + GAP, :, 3] == 0).all()  # gaps and places without a picture are clear
    assert (sheet[2 * zoom + GAP :, 2 * zoom :, 3] == 0).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_any_number_of_channels(channels):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 5, channels))
    sheet = decode(make_strip("x", pictures, Scale(0.0, 255.0), 2).source)
    corner = pictures[0, 0, 0]
    assert sheet[0, 0].tolist() == {
        3: [*corner, 255],
        4: corner.tolist(),
    }.get(channels, [np.round(corner.mean())] * 3 + [255])


def test_scale_of_reals_is_their_range_and_clips_others():
    scale = Scale.of(np.array([-1.0, 3.0]), levels=0)
    assert scale.bytes(np.array([-5.0, -1.0, 1.0, 3.0, 9.0])).tolist() == [0, 0, 128, 255, 255]
    assert Scale.of(np.zeros(3), levels=0).bytes(np.zeros(3)).tolist() == [0, 0, 0]


def test_columns_fill_the_page():
    assert [columns_for(width) for width in (1, 28, 128, 1000)] == [12, 12, 7, 3]
