"""Errors of readers: whatever they raise for a damaged file becomes a refusal that names the file."""

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
"""Errors that readers raise for unexpected bytes."""


@contextlib.contextmanager
def naming(path: Path, must: str, mend: str = "", also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an error of a reader into a refusal.

    Args:
        path: the file that is read.
        must: what must be true of the file.
        mend: how to mend it.
        also: further classes of errors that the reader raises.

    Raises:
        DataError: in place of the error of the reader.

    Examples:
        >>> with naming(Path("x.npy"), "a .npy file must be undamaged"):
        ...     raise EOFError("no data left")
        Traceback (most recent call last):
        ...
        vaekit.errors.DataError: a .npy file must be undamaged. Got 'x.npy': no data left instead.
    """
    try:
        yield
    except VaekitError:
        raise
    except (*RAISED, *also) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(must, f"'{path}': {said}", mend) from error
