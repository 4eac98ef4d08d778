"""The refusal to write results among the files that they are made from."""

from __future__ import annotations

import re
from pathlib import Path

from vaekit.data.readers.stored import fixed_part, is_hidden, is_pattern
from vaekit.errors import VaekitError


def check_apart(source: str, out: Path) -> None:
    """Refuse a file or folder of results that a later reading of the source would find.

    Args:
        source: a file, a folder, a pattern, or an address.
        out: the file or folder to write.

    Raises:
        VaekitError: if `out` is the source, is inside its folder, or matches its pattern.
    """
    if "://" in source and not source.lower().startswith("file://"):
        return
    try:
        read = Path(source.partition("://")[2] or source).expanduser().absolute()
        folder = read.is_dir()
        same = read.exists() and out.exists() and read.samefile(out)
    except (OSError, RuntimeError):  # no such name is possible: the reader says so
        return
    place = Path(out.absolute())
    if same:
        raise VaekitError(
            f"`out=` is the {'folder' if folder else 'file'} that is read, '{out}'", mend="Choose another one"
        )
    inside = folder and place.resolve().is_relative_to(read.resolve())
    if is_pattern(source) and not read.exists():
        from fsspec.utils import glob_translate

        matches = re.compile(glob_translate(read.as_posix()))
        inside = any(matches.match(path.as_posix()) for path in (place, *place.parents))
    if inside and not is_hidden(place.as_posix(), fixed_part(read.as_posix())):
        mend = "Choose a file or folder outside of it"
        raise VaekitError(f"`out=` '{out}' would be read as a part of the source '{source}' the next time", mend=mend)
