"""Errors that name the damaged file."""

from __future__ import annotations

import contextlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from vaekit.errors import DataError, VaekitError

RAISED: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError),
    *(RuntimeError, AssertionError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)
"""Errors that libraries raise when they read a damaged file."""


@contextlib.contextmanager
def naming(path: Path | str, must: str, mend: str = "", also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Convert any error raised while reading a file to a `DataError` that names the file.

    Args:
        path: the file that is read, or its name.
        must: the rule that the file breaks.
        mend: what the user can do.
        also: further errors that the library raises.

    Raises:
        DataError: instead of the library's error.

    Examples:
        >>> with naming(Path("x.npy"), "a .npy file must be undamaged"):
        ...     raise EOFError("no data left")
        Traceback (most recent call last):
        ...
        vaekit.errors.DataError: a .npy file must be undamaged. Got 'x.npy' (no data left) instead.
    """
    try:
        yield
    except VaekitError:
        raise
    except (*RAISED, *also) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(must, f"'{path}' ({said})", mend) from error
