"""Damaged and hostile pictures, alone and in folders: they are read and described, or refused, and nothing else."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from common import damaged, fuzz
from PIL import Image

from vaekit.data import make_notes, make_schema, open_both, split_source
from vaekit.recipe import load_recipe

os.environ["VAEKIT_LARGEST"] = "4e8"
RECIPE = load_recipe("auto")
SMALL = load_recipe("auto", {"data.size": "4x4"})
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F", "I")
FORMATS = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "tif": (*MODES, "tiled"),
    "jpg": ("L", "RGB", "CMYK"),
    "gif": ("L", "P", "1"),
    "webp": ("RGB", "RGBA"),
    "bmp": ("1", "L", "P", "RGB"),
    "ppm": ("RGB",),
    "pgm": ("L", "I;16"),
}
COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")


def picture(rng: np.random.Generator, mode: str) -> Image.Image:
    """A picture of 8 × 6 random pixels."""
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 4096, (8, 6)).astype(np.uint16))
    if mode in ("F", "I"):
        return Image.fromarray(rng.integers(0, 999, (8, 6)).astype(np.float32 if mode == "F" else np.int32))
    return Image.fromarray(rng.integers(0, 256, (8, 6, 4)).astype(np.uint8)).convert(mode if mode in MODES else "L")


def written(rng: np.random.Generator, ending: str, mode: str) -> bytes:
    """A picture file, of several pages now and then."""
    made = io.BytesIO()
    first, *rest = [picture(rng, mode) for _ in range(int(rng.integers(1, 4)))]
    options: dict[str, object] = {}
    if rest and ending in ("tif", "gif", "webp", "png"):
        options = {"save_all": True, "append_images": rest}
    if ending == "tif" and mode in ("L", "RGB"):
        options["compression"] = COMPRESSIONS[rng.integers(len(COMPRESSIONS))]
    if ending in ("jpg", "png", "tif", "webp") and rng.random() < 0.3:
        exif = Image.Exif()
        exif[0x0112] = int(rng.integers(1, 5) if rng.random() < 0.8 or ending == "tif" else rng.integers(0, 12))
        options["exif"] = exif
    first.save(made, {"jpg": "JPEG", "tif": "TIFF", "pgm": "PPM"}.get(ending, ending.upper()), **options)
    return made.getvalue()


def png(rng: np.random.Generator) -> bytes:
    """A PNG by hand, with a correct sum over a header that may say anything; sometimes a bomb."""
    side = int(rng.choice([0, 1, 8, 3000, 13000, 2**31 - 1]))
    depth, kind = int(rng.choice([1, 2, 4, 8, 16, 3])), int(rng.choice([0, 2, 3, 4, 6, 7]))
    row = b"\0" + bytes(min(side, 3000) * max(1, depth // 8) * 4)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, depth, kind, 0, 0, int(rng.integers(3)))),
        (b"acTL", struct.pack(">II", int(rng.choice([0, 2, 10**9])), 0)),
        (b"PLTE", rng.bytes(9)),
        (b"tRNS", rng.bytes(3)),
        (b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(1 << 22))),
        (b"eXIf", rng.bytes(40)),
        (b"IDAT", zlib.compress(row * min(side, 3000), 1)),
    ]
    kept = [chunk for chunk in chunks if chunk[0] in (b"IHDR", b"IDAT") or rng.random() < 0.3]
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in kept)
    return b"\x89PNG\r\n\x1a\n" + body + b"\0\0\0\0IEND\xaeB`\x82"


def check(rng: np.random.Generator, folder: Path) -> str:
    """Read and describe a folder, or one of its files."""
    os.environ["VAEKIT_CACHE"] = str(folder / "cache")
    place = folder / "pictures"
    place.mkdir()
    ending = list(FORMATS)[rng.integers(len(FORMATS))]
    mode = FORMATS[ending][rng.integers(len(FORMATS[ending]))]
    for i in range(8):
        content = png(rng) if rng.random() < 0.03 else written(rng, ending, mode)
        (place / f"{i}.{ending}").write_bytes(damaged(content, rng) if rng.random() < 0.15 else content)
    source = place if rng.random() < 0.8 else place / f"0.{ending}"
    recipe = SMALL if rng.random() < 0.3 else RECIPE
    opened, _ = open_both(source, None, recipe.data, recipe.mixed)
    schema = make_schema(opened, split_source(opened, None, recipe.seed, recipe.data).train, recipe.data.kind)
    make_notes(opened, schema)
    return f"{ending} described as {schema.kind}"


if __name__ == "__main__":
    fuzz(check)
