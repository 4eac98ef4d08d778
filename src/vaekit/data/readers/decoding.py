"""The decoding of picture files: the pages of a file, their sizes and bit depths, and their pixels."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from vaekit.data.damage import naming
from vaekit.data.limits import check_size, how_to_allow, largest
from vaekit.data.source import levels_of
from vaekit.errors import DataError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
ORIENTATION, SUBFILE = 0x0112, 0x00FE
"""The EXIF tag for the orientation of a picture, and the TIFF tag for the type of a page."""
PREVIEW_OR_MASK = 0b101
"""Bits of the TIFF tag: the page is a reduced copy of another page, or a transparency mask."""
PIXELS, NUMBERS = 48, 256
"""Divisors of `largest()` that limit the pixels of a picture and the numbers of a row."""

PAGE = 256
"""Bytes of memory for the description of a page."""

Form = Literal["bit", "grey", "deep", "colour"]
"""Form of a picture: black and white, 8 bits of grey, 16 bits of grey, or three channels of 8 bits."""
Size = tuple[int, int]
"""Height and width."""
BOMBS: tuple[type[Exception], ...] = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def is_picture_name(name: str) -> bool:
    """Return whether the name of a file has the ending of a picture.

    Examples:
        >>> is_picture_name("cat/1.JPG"), is_picture_name("notes.txt")
        (True, False)
    """
    return os.path.splitext(name)[1].lower() in ENDINGS


class Page(NamedTuple):
    """Describes one picture (page) in a file.

    Args:
        frame: its position in the file.
        size: its height and width in the right orientation.
        form: its form.
    """

    frame: int
    size: Size
    form: Form


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn an error of Pillow into a refusal that names the picture file."""
    with naming(name, "every picture must be readable", "Repair or remove it", BOMBS):
        try:
            yield
        except UnidentifiedImageError:  # its message has the address of an object in memory
            raise ValueError("its content is of no known format of pictures") from None


def pages_of(file: IO[bytes], name: str, stored: Path | int) -> tuple[Page, ...]:
    """Find the pictures in a file, without decoding them.

    Each page of a TIFF and each frame of an animation is a picture. Previews, masks and the
    further pictures in a JPEG are skipped.

    Args:
        file: the opened file.
        name: its name in a refusal.
        stored: its path if it is on this computer, else its size in bytes (see `check_size`).

    Raises:
        DataError: if the file is damaged, too large, or has too many bits.
    """
    with readable(name), Image.open(file) as picture:
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        check_size(frames * (picture.width * picture.height + PAGE), f"the {frames} pictures of '{name}'", [stored])
        several = frames > 1 and picture.format == "TIFF"
        first = _page(name, picture, 0, animated=frames > 1 and not several)
        if not several:  # all frames of an animation have the form of the first
            start = int(frames > 1 and bool(picture.info.get("default_image")))
            return tuple(Page(frame, first.size, first.form) for frame in range(start, frames))
        pages = []
        for frame in range(frames):
            picture.seek(frame)
            if not getattr(picture, "tag_v2", {}).get(SUBFILE, 0) & PREVIEW_OR_MASK:
                pages.append(_page(name, picture, frame))
        return tuple(pages) or (first,)


def _page(name: str, picture: Image.Image, frame: int, animated: bool = False) -> Page:
    pixels = picture.width * picture.height
    if pixels > largest() // PIXELS:
        must = f"a picture must have at most {largest() // PIXELS:,} pixels"
        raise DataError(must, f"{picture.height}x{picture.width} in '{name}'", how_to_allow(pixels * PIXELS))
    form = form_of(picture, f"'{name}'")
    if animated and picture.format == "GIF":  # each frame may have its own colours
        form = "colour"
    turned = _orientation(picture) >= 5  # a quarter turn
    size = (picture.width, picture.height) if turned else (picture.height, picture.width)
    return Page(frame, size, form)


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of a picture, decoding as little of the file as possible."""
    late = picture.format == "PNG" and "exif" not in picture.info and not _exif_at_the_end(picture)
    return int((Image.Image.getexif(picture) if late else picture.getexif()).get(ORIENTATION, 1))


def _exif_at_the_end(picture: Image.Image) -> bool:
    """Return whether a PNG file has EXIF data after its pixels, by reading only the headers of its chunks."""
    file = getattr(picture, "fp", None)  # None once all is decoded
    if file is None or file.closed or getattr(picture, "is_animated", False):
        return False
    place, head = file.tell(), b""
    file.seek(8)
    while head[4:] != b"eXIf" and len(head := file.read(8)) == 8:
        file.seek(4 + int.from_bytes(head[:4], "big"), 1)
    file.seek(place)
    return head[4:] == b"eXIf"


def form_of(picture: Image.Image, name: str) -> Form:
    """Return the form (bits and channels) of a picture from its mode and the encoding of its file.

    Args:
        picture: the opened picture.
        name: name of the picture in a refusal.

    Raises:
        DataError: if it has too many bits.
    """
    raw = " ".join(str(tile.args) for tile in getattr(picture, "tile", [])[:1])
    scaled = picture.format == "PPM" and picture.mode == "I"  # 16 bits, which Pillow holds in 32
    if picture.mode.startswith("I;16") or scaled:
        return "deep"
    if picture.mode in ("F", "I"):
        must = "a picture must have 8 or 16 bits for each channel"
        raise DataError(must, f"{name} of mode {picture.mode}", "Save its values as a .npy file")
    if ";16" in raw or (picture.format == "PPM" and _maxval(picture) > 255):
        must = "a picture with several channels must have 8 bits for each channel, because Pillow does not read more"
        raise DataError(
            must, f"{name} with 16 bits", "Save the values as a .npy file of uint16, or save the picture with 8 bits"
        )
    return "bit" if picture.mode == "1" else "grey" if picture.mode in ("L", "LA") else "colour"


def _maxval(picture: Image.Image) -> int:
    """Return the greatest possible value in a PPM or PGM file that Pillow rescales, or 0 for other files."""
    args = next((tile.args for tile in getattr(picture, "tile", [])), ())
    return args[1] if isinstance(args, tuple) and len(args) == 2 and isinstance(args[1], int) else 0


def common_form(forms: Mapping[Form, str]) -> Form:
    """Return one form (bits and channels) for all pictures; grey pictures among colour pictures become colour.

    Args:
        forms: their forms, each with the name of a picture that has it.

    Raises:
        DataError: if only some pictures have 16 bits.
    """
    if len(forms) == 1:
        return next(iter(forms))
    if "deep" in forms:
        flat = next(form for form in forms if form != "deep")
        raise DataError(
            "all pictures must have 8 bits for each channel, or all must have 16 bits and one channel",
            f"'{forms[flat]}' ({1 if flat == 'bit' else 8} bits) and '{forms['deep']}' (16 bits)",
            "Save all pictures with the same number of bits",
        )
    return "colour" if "colour" in forms else "grey"


def depth(form: Form, values: npt.NDArray[np.generic]) -> int:
    """Return the number of levels of pictures; for 16-bit pictures, infer this number from the greatest value."""
    if form == "deep":
        return levels_of(int(values.max()))
    return 2 if form == "bit" else 256


def decode(
    file: IO[bytes], name: str, pages: Sequence[Page], size: Size, form: Form
) -> Iterator[npt.NDArray[np.generic]]:
    """Decode pages of a picture file, in order, and yield the pixels of each.

    Args:
        file: the opened file.
        name: its name in a refusal.
        pages: pages of the file, in order.
        size: size that pages are resampled to.
        form: form of the result.

    Yields:
        Pixels (H, W, C): uint16 for 16 bits, zeros and ones for one bit, else bytes.
    """
    with readable(name), Image.open(file) as picture:
        for page in pages:
            if page.frame:
                picture.seek(page.frame)
            yield pixels_of(picture, size, form)


def pixels_of(picture: Image.Image, size: Size, form: Form) -> npt.NDArray[np.generic]:
    """Return the pixels of an opened picture, turned upright and resampled, on a white background.

    Args:
        picture: the picture.
        size: size of the result.
        form: form of the result.

    Returns:
        An array (H, W, C).
    """
    maxval = _maxval(picture)
    loaded: Image.Image = (
        ImageOps.exif_transpose(picture) if _orientation(picture) != 1 else picture
    )  # else it would be copied
    if form == "deep":
        values = np.asarray(loaded).astype(np.float32)
        values = np.round(values * (maxval / 65535)) if maxval else values  # undo the scaling of Pillow
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
