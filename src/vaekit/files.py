"""Files that are written whole or not at all, read only where they are plain files, and held by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from vaekit.errors import RunError

try:
    import fcntl
except ImportError:  # Windows, where neither leftovers nor a second training are noticed
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.vaekit-.*-\d+-[\w.]+-\w{8}(\..*)?")
"""Names of half-written files and folders: what it will be, the process and the host that write it, and a chance part."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_plain(path: Path, most: int | None = None) -> BinaryIO:
    """Open a file to be read: never through a link, nor a pipe, which would wait, nor a device.

    Args:
        path: the file.
        most: how many bytes it may have.

    Raises:
        FileNotFoundError: if nothing is there.
        RunError: if it is no plain file, or longer than that.
    """
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode):  # else it is not even opened
        file = os.fdopen(os.open(path, os.O_RDONLY | NO_LINK), "rb")
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most):
            return file
        file.close()
    if not stat.S_ISREG(found.st_mode):
        raise RunError(
            f"{path.name} must be a plain file", f"{_kind(found.st_mode)} '{path}'", "Put the file itself there"
        )
    raise RunError(f"{path.name} must have at most {most:,} bytes", f"{found.st_size:,} in '{path}'")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISLNK: "the link", stat.S_ISDIR: "the folder", stat.S_ISFIFO: "the pipe"}
    return next((name for test, name in kinds.items() if test(mode)), "the device")


@contextlib.contextmanager
def _writing(path: Path, mend: str) -> Iterator[None]:
    """Turn failures to write into errors that say what survives."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if isinstance(error, RunError):
            raise
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            raise RunError(
                "there must be room on the disk",
                f"'{path}': {error}",
                f"What was saved before is intact; make room and {mend}",
            ) from error
        raise RunError("the place must be writable", f"'{path}': {error}") from error


@contextlib.contextmanager
def atomic_path(path: Path, mend: str = "try again") -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` in one step, or vanishes if the body fails.

    Args:
        path: the file to be written.
        mend: how to go on once a full disk has room again.

    Raises:
        RunError: if the disk is full or the place cannot be written; what stood there before survives.
    """
    with _writing(path, mend), _temporary(path) as temporary:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` (new, or empty) in one step, or vanishes if the body fails."""
    with _writing(path, "try again"), _temporary(path, folder=True) as temporary:
        made = temporary / "made"
        made.mkdir()
        yield made
        try:
            os.replace(made, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            must, mend = "the folder must be new or empty", "Choose another"
            raise RunError(must, f"'{path}', which another process has just made", mend) from error


@contextlib.contextmanager
def _temporary(path: Path, folder: bool = False) -> Iterator[Path]:
    """A file or folder beside `path` that is locked while it is written, so that others can tell it from a leftover."""
    host = re.sub(r"[^\w.]", "_", socket.gethostname())[:40]
    remove_leftovers(path.parent, f".vaekit-{path.stem[:40]}-")
    prefix, suffix = f".vaekit-{path.stem[:40]}-{os.getpid()}-{host}-", "" if folder else path.suffix
    while True:
        if folder:
            name = tempfile.mkdtemp(dir=path.parent, prefix=prefix)
        else:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
            os.close(handle)
        with _marked(Path(name)):
            if os.path.exists(name):  # else it was taken for a leftover before it was locked
                try:
                    yield Path(name)
                finally:
                    _remove(Path(name))
                return


@contextlib.contextmanager
def _marked(path: Path) -> Iterator[None]:
    """Hold a lock on a temporary file or folder; do nothing where the system has no locks, as there an open file cannot be renamed."""
    if not fcntl:
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, prefix: str = ".vaekit-") -> None:
    """Remove what writing left behind whose process is gone, and nothing else.

    Args:
        folder: where to look.
        prefix: how the names begin.
    """
    for leftover in folder.glob(".vaekit-*") if fcntl else ():
        if leftover.name.startswith(prefix) and TEMPORARY.fullmatch(leftover.name) and not leftover.is_symlink():
            with contextlib.suppress(OSError):  # it is being written, or another process removes it
                descriptor = os.open(leftover, os.O_RDONLY | NO_LINK)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(leftover)
                finally:
                    os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends.

    Args:
        path: the file of the lock, which tells who holds it.
        what: that must not be used by two, as a clause ("the run must not be in training").

    Raises:
        RunError: if another holds it, with process, host and time.
    """
    with _writing(path, "try again"):
        file = _locked(path, what)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # removed before the lock ends: afterwards it might be another's
            path.unlink()
        file.close()


def _locked(path: Path, what: str) -> BinaryIO:
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666), "r+b")
        try:
            if fcntl:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise RunError(what, _holder(file.read(1000)), "Wait for its end, or stop it") from None
        except OSError:  # a file system without locks
            return file
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # its holder has just removed it
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode())
    file.truncate()
    file.flush()
    return file


def _holder(said: bytes) -> str:
    return said.decode(errors="replace").strip() or "another process"
