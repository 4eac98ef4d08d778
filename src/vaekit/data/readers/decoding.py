"""Picture files to arrays: which pages a file holds, how large and how deep they are, and their pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from vaekit.data.damage import naming
from vaekit.data.limits import check_size, how_to_allow, largest
from vaekit.data.source import levels_of
from vaekit.errors import DataError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
ORIENTATION, SUBFILE = 0x0112, 0x00FE
"""The EXIF tag by which cameras say how a picture is to be turned, and the TIFF tag by which a page says what it is."""
PREVIEW_OR_MASK = 0b101
"""Bits of the second: the page is a smaller copy of another one, or says which of its pixels are transparent."""
PIXELS, NUMBERS = 48, 256
"""A picture may have as many pixels as `largest()` divided by the first, a row as many numbers as by the second."""

PAGE = 256
"""Bytes that it takes to know of a page."""

Form = Literal["bit", "grey", "deep", "colour"]
"""Black and white, 8 bits of grey, 16 bits of grey, or three channels of 8 bits."""
Size = tuple[int, int]
"""Height and width."""
BOMBS: tuple[type[Exception], ...] = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Page:
    """One picture of a file.

    Args:
        path: the file.
        frame: its place in the file.
        size: as it is to be seen, turned as the camera says.
        form: how deep it is.
    """

    path: Path
    frame: int
    size: Size
    form: Form


def _named(path: Path) -> AbstractContextManager[None]:
    """Refuse a file that cannot be read, with its name."""
    return naming(path, "every picture must be readable", "Repair or remove it", BOMBS)


def pages_of(path: Path) -> list[Page]:
    """Find the pictures in a file, without decoding them.

    Every page of a TIFF and every frame of an animation is a picture. Previews and masks are not, nor are the further
    pictures in a JPEG, which are previews, depths or other views of the first.

    Args:
        path: the file.

    Raises:
        DataError: if it is damaged, too large, or has more bits than can be kept.
    """
    with _named(path), Image.open(path) as picture:
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        check_size(frames * (picture.width * picture.height + PAGE), f"the {frames} pictures of '{path.name}'", [path])
        several = frames > 1 and picture.format == "TIFF"
        first = _page(path, picture, 0, animated=frames > 1 and not several)
        if not several:  # all frames of an animation are as the first, unless that stands for those who show no others
            start = int(frames > 1 and bool(picture.info.get("default_image")))
            return [Page(path, frame, first.size, first.form) for frame in range(start, frames)]
        pages = []
        for frame in range(frames):
            picture.seek(frame)
            if not getattr(picture, "tag_v2", {}).get(SUBFILE, 0) & PREVIEW_OR_MASK:
                pages.append(_page(path, picture, frame))
        return pages or [first]


def _page(path: Path, picture: Image.Image, frame: int, animated: bool = False) -> Page:
    pixels = picture.width * picture.height
    if pixels > largest() // PIXELS:
        raise DataError(
            f"a picture must have at most {largest() // PIXELS:,} pixels",
            f"{picture.height}x{picture.width} in '{path}'",
            how_to_allow(pixels * PIXELS),
        )
    form = form_of(picture, f"'{path}'")
    if animated and picture.format == "GIF":  # each frame may have colours of its own
        form = "colour"
    turned = _orientation(picture) >= 5  # a quarter turn
    size = (picture.width, picture.height) if turned else (picture.height, picture.width)
    return Page(path, frame, size, form)


def _orientation(picture: Image.Image) -> int:
    """How a picture is to be turned; Pillow would decode a whole PNG to look for what may stand at its end."""
    late = picture.format == "PNG" and "exif" not in picture.info and not _exif_at_the_end(picture)
    return int((Image.Image.getexif(picture) if late else picture.getexif()).get(ORIENTATION, 1))


def _exif_at_the_end(picture: Image.Image) -> bool:
    """Whether a PNG file has a chunk of EXIF after its pixels, found by the heads of its chunks."""
    path = getattr(picture, "filename", "")
    if not path or getattr(picture, "is_animated", False):
        return False
    with contextlib.suppress(OSError), open(path, "rb") as file:  # one in memory may have outlived its file
        file.seek(8)
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            file.seek(4 + int.from_bytes(head[:4], "big"), 1)
    return False


def form_of(picture: Image.Image, name: str) -> Form:
    """Tell how deep a picture is, from its mode and from how its file stores it.

    Args:
        picture: as it was opened.
        name: how a refusal speaks of it.

    Raises:
        DataError: if it has more bits than can be kept.
    """
    raw = " ".join(str(tile.args) for tile in getattr(picture, "tile", [])[:1])
    scaled = picture.format == "PPM" and picture.mode == "I"  # 16 bits, which Pillow holds in 32
    if picture.mode.startswith("I;16") or scaled:
        return "deep"
    if picture.mode in ("F", "I"):
        raise DataError(
            "a picture must have 8 or 16 bits for each channel",
            f"{name} of mode {picture.mode}",
            "Save its values as .npy instead",
        )
    if ";16" in raw or (picture.format == "PPM" and _maxval(picture) > 255):
        raise DataError(
            "a picture of several channels must have 8 bits for each, as Pillow reads no more",
            f"{name} with 16",
            "Save the values as a .npy file of uint16, or the picture with 8 bits",
        )
    return "bit" if picture.mode == "1" else "grey" if picture.mode in ("L", "LA") else "colour"


def _maxval(picture: Image.Image) -> int:
    """The greatest value of a PPM or PGM file that Pillow brings to another scale; 0 where it does not."""
    args = next((tile.args for tile in getattr(picture, "tile", [])), ())
    return args[1] if isinstance(args, tuple) and len(args) == 2 and isinstance(args[1], int) else 0


def common_form(pages: Sequence[Page]) -> Form:
    """Find the form that holds all pictures: grey ones become colours among colours.

    Raises:
        DataError: if some have 16 bits and others do not.
    """
    forms = {page.form for page in pages}
    if len(forms) == 1:
        return pages[0].form
    if "deep" in forms:
        deep = next(page for page in pages if page.form == "deep")
        flat = next(page for page in pages if page.form != "deep")
        raise DataError(
            "pictures must all have 8 bits for each channel, or all 16 and one channel",
            f"'{flat.path.name}' with {1 if flat.form == 'bit' else 8} and '{deep.path.name}' with 16",
            "Save them all alike",
        )
    return "colour" if "colour" in forms else "grey"


def depth(form: Form, values: npt.NDArray[np.generic]) -> int:
    """Return how many levels pictures of a form have; of 16 bits by their values, as cameras measure fewer."""
    if form == "deep":
        return levels_of(int(values.max()))
    return 2 if form == "bit" else 256


def decode(pages: Sequence[Page], size: Size, form: Form) -> Iterator[npt.NDArray[np.generic]]:
    """Decode pages of one file, in order.

    Args:
        pages: of one file, their frames increasing.
        size: to which each is resampled where it has another.
        form: of the result.

    Yields:
        Pixels of shape (H, W, C): uint16 of 16 bits, zeros and ones of one bit, else bytes.
    """
    path = pages[0].path
    with _named(path), Image.open(path) as picture:
        for page in pages:
            if page.frame:
                picture.seek(page.frame)
            yield pixels_of(picture, size, form)


def pixels_of(picture: Image.Image, size: Size, form: Form) -> npt.NDArray[np.generic]:
    """The pixels of an opened picture, turned and resampled; transparent ones lie on white.

    Args:
        picture: the picture.
        size: of the result.
        form: of the result.

    Returns:
        Shape (H, W, C).
    """
    maxval = _maxval(picture)
    loaded: Image.Image = ImageOps.exif_transpose(picture) if _orientation(picture) != 1 else picture  # else a copy
    if form == "deep":
        values = np.asarray(loaded).astype(np.float32)
        values = np.round(values * (maxval / 65535)) if maxval else values  # Pillow had scaled them up
        return _resampled(Image.fromarray(values), size).round().clip(0, 65535).astype(np.uint16)[..., None]
    if loaded.has_transparency_data:
        white = Image.new("RGBA", loaded.size, "white")
        loaded = Image.alpha_composite(white, loaded.convert("RGBA"))
    if form == "bit":
        return np.asarray(loaded.convert("1")).astype(np.uint8)[..., None]
    mode = "RGB" if form == "colour" else "L"
    pixels = _resampled(loaded if loaded.mode == mode else loaded.convert(mode), size)
    return pixels if form == "colour" else pixels[..., None]


def _resampled(picture: Image.Image, size: Size) -> npt.NDArray[np.generic]:
    if (picture.height, picture.width) != size:
        picture = picture.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(picture)
