"""Levels under another scale: found whatever the scale and the precision, and reals let through."""

import numpy as np
import pytest
import torch

from vaekit.data import Part, infer_schema
from vaekit.data.disguise import find_scale, refuse_disguise
from vaekit.errors import DataError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (50, 8, 8, 1)).astype(np.uint8)
COARSE = BYTES // 16 * 15
WORDS = RNG.integers(0, 65536, (50, 8, 8, 1))


def half(values):
    return values.astype(np.float16).astype(np.float32)


def infer(values, **options):
    return infer_schema(Part(values, np.arange(len(values))), **{"picture": values.ndim == 4, **options})


@pytest.mark.parametrize(
    ("values", "told", "way"),
    [
        (BYTES / 255, "bytes divided by 255", r"\(x \* 255\)\.round\(\) as uint8"),
        ((BYTES / 255).astype(np.float32), "bytes divided by 255", r"\(x \* 255\)"),
        (half(BYTES / 255), "bytes divided by 255", r"\(x \* 255\)"),
        (COARSE / 255, "bytes divided by 255", r"\(x \* 255\)"),
        (half(COARSE / 255), "bytes divided by 255", r"\(x \* 255\)"),
        ((BYTES / 256).astype(np.float32), "bytes divided by 256", r"\(x \* 256\)"),
        (half(BYTES / 256), "bytes divided by 256", r"\(x \* 256\)"),
        (
            torch.tensor(BYTES / 255, dtype=torch.bfloat16).float().numpy(),
            r"rescaled levels \(256 different values\)",
            "the original levels",
        ),
        ((BYTES / 127.5 - 1).astype(np.float32), r"bytes rescaled to \[-1, 1\]", r"\(\(x \+ 1\) \* 127\.5\)"),
        (half(BYTES / 127.5 - 1), r"bytes rescaled to \[-1, 1\]", r"\(\(x \+ 1\) \* 127\.5\)"),
        ((BYTES / 128 - 1).astype(np.float32), r"bytes rescaled to \[-1, 1\]", r"\(\(x \+ 1\) \* 128\)"),
        (
            ((BYTES / 255 - 0.485) / 0.229).astype(np.float32),
            "256 levels in steps of 0.01712 from -2.118",
            r"\+ 2\.1179",
        ),
        (half((BYTES / 255 - 0.485) / 0.229), "256 levels in steps of 0.01712", r"\* 58\.4"),
        ((BYTES - BYTES.mean()) / BYTES.std(), "256 levels in steps", "as uint8"),
        (BYTES / 255 * 100, "256 levels in steps of 0.3922 from 0 to 100", r"\(x \* 2\.55\)"),
        ((BYTES / 255) ** 2.2, r"rescaled levels \(256 different values\)", "the original levels"),
        (BYTES.astype(int) - 128, "whole numbers from -128", r"Pass \(x \+ 128\) as uint8"),
        (WORDS - 32768.0, "whole numbers from -327", "as uint16"),
        (WORDS / 65535, "levels of 16 bits divided by 65535", "as uint16"),
        ((WORDS // 16 / 4095).astype(np.float32), "levels of 12 bits divided by 4095", r"\(x \* 4095\)"),
        ((WORDS / 32767.5 - 1).astype(np.float32), r"levels of 16 bits rescaled to \[-1, 1\]", r"32767\.5"),
        ((BYTES / 255).reshape(50, 64), "bytes divided by 255", r"\(x \* 255\)"),  # flattened
    ],
)
def test_levels_are_refused_by_the_scale_they_are_under(values, told, way):
    with pytest.raises(DataError, match=rf"passed as the original bytes\. Got {told}.*{way}.*data\.kind=real"):
        infer(values)
    assert infer(values, kind="real").kind == "real"


def test_every_channel_may_have_a_scale_of_its_own():
    colours = RNG.integers(0, 256, (30, 6, 6, 3)) / 255
    scaled = ((colours - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)
    with pytest.raises(DataError, match=r"levels in steps of 0\.01712"):
        infer(scaled)
    mixed = RNG.normal(size=scaled.shape).astype(np.float32)
    mixed[..., 2] = colours[..., 2]
    with pytest.raises(DataError, match="bytes divided by 255"):
        infer(mixed)


def test_every_picture_may_have_a_scale_of_its_own():
    pictures = RNG.integers(0, 256, (20, 40, 40, 1)).astype(float)
    scaled = (pictures - pictures.mean((1, 2, 3), keepdims=True)) / pictures.std((1, 2, 3), keepdims=True)
    with pytest.raises(DataError, match="256 levels in steps"):
        infer(scaled.astype(np.float32))


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=(50, 8, 8, 1)),
        RNG.normal(size=(50, 8, 8, 1)).astype(np.float32),
        half(RNG.normal(size=(50, 8, 8, 1))),
        RNG.random((50, 8, 8, 1)).astype(np.float32),
        half(RNG.random((50, 8, 8, 1))),
        torch.rand(50, 8, 8, 1, generator=torch.Generator().manual_seed(0)).numpy(),
        RNG.normal(size=(50, 8, 8, 1)).clip(-1, 1),
        RNG.normal(size=(50, 8, 8, 1)).round(2),  # a lattice of so many levels that a density is near enough
        RNG.normal(size=(2, 2, 1, 1)),
        RNG.integers(0, 100, (50, 6)) / 100,  # cents of a table, on no scale of pictures
    ],
)
def test_reals_are_reals(values):
    assert infer(values).kind == "real"


def test_one_value_has_no_scale():
    assert find_scale(np.full((4, 4), 0.3)) is None


def test_small_pictures_scaled_each_by_its_own_and_pixels_each_by_their_own_are_named():
    x = np.random.default_rng(0).integers(0, 256, (800, 8, 8, 1))
    scaled = (
        (x - x.min((1, 2, 3), keepdims=True)) / np.ptp(x, (1, 2, 3), keepdims=True),
        ((x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)).astype(np.float32),
        (x - x.mean(0)) / x.std(0),
    )
    for values in scaled:
        with pytest.raises(DataError, match="must be passed as the original bytes"):
            refuse_disguise(Part(values, np.arange(len(values))), picture=True)
    refuse_disguise(Part(np.random.default_rng(0).normal(size=(800, 8, 8, 1)), np.arange(800)), picture=True)
