"""Write files atomically, read plain files only, and hold locks that end with their process."""

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
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from vaekit.errors import RunError

try:
    import fcntl
except ImportError:  # on Windows leftovers stay, and two processes can train the same run
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.vaekit-.*-\d+-[\w.]+-\w{8}(\..*)?")
"""Names of half-written files and folders: the final name, the process, the host and a random part."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_plain(path: Path, most: int | None = None) -> BufferedReader:
    """Open a plain file for reading, and refuse a link, a device or a pipe.

    Args:
        path: the file.
        most: the largest allowed size in bytes; None for no limit.

    Raises:
        FileNotFoundError: if the file does not exist.
        RunError: if `path` is not a plain file, or is larger than `most`.
    """
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode):  # opening a pipe could block
        file = os.fdopen(os.open(path, os.O_RDONLY | NO_LINK), "rb")
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most):
            return file
        file.close()
    if not stat.S_ISREG(found.st_mode):
        raise RunError(f"'{path}' is a {_kind(found.st_mode)}, not a plain file", mend="Replace it with a plain file")
    raise RunError(f"'{path}' must have at most {most:,} bytes", f"{found.st_size:,}")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISLNK: "link", stat.S_ISDIR: "folder", stat.S_ISFIFO: "pipe"}
    return next((name for test, name in kinds.items() if test(mode)), "device")


@contextlib.contextmanager
def _writing(path: Path, mend: str) -> Iterator[None]:
    """Turn an `OSError` in writing a file into a `RunError` that says what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except RunError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC or "No space left" in str(error):
            mend = f"What was saved before is intact. Free some space and {mend}"
            raise RunError(f"The disk is full: '{path}' cannot be written ({error})", mend=mend) from error
        raise RunError(f"'{path}' cannot be written: {error}", mend="Choose another path") from error


@contextlib.contextmanager
def atomic_path(path: Path, mend: str = "try again") -> Iterator[Path]:
    """Yield a temporary file that replaces `path` in one step if the body succeeds.

    Args:
        path: the file to write.
        mend: how to continue once the disk has space again, for the error message.

    Raises:
        RunError: if the disk is full or the file cannot be written; an earlier file is kept.
    """
    with _writing(path, mend), _temporary(path) as temporary:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` in one step if the body succeeds.

    Raises:
        RunError: if the disk is full, the folder cannot be written, or `path` already has files in it.
    """
    with _writing(path, "try again"), _temporary(path, folder=True) as temporary:
        made = temporary / "made"
        made.mkdir()
        yield made
        try:
            os.replace(made, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise RunError(f"Another process has just made '{path}'", mend="Choose another folder") from error


@contextlib.contextmanager
def _temporary(path: Path, folder: bool = False) -> Iterator[Path]:
    """Make a temporary file or folder next to `path`, locked so that other processes do not remove it."""
    host = re.sub(r"[^\w.]", "_", socket.gethostname())[:40]
    remove_leftovers(path.parent, f".vaekit-{path.stem[:40]}-")
    prefix, suffix = f".vaekit-{path.stem[:40]}-{os.getpid()}-{host}-", "" if folder else path.suffix
    while True:
        if folder:
            made = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix))
        else:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
            os.close(handle)
            made = Path(name)
        with _locked(made):
            if made.exists():  # otherwise another process removed it as a leftover before it was locked
                try:
                    yield made
                finally:
                    _remove(made)
                return


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a temporary file or folder, except on Windows, where an open file cannot be renamed."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # it is gone, or the file system does not have locks
            if fcntl:
                descriptor = os.open(path, os.O_RDONLY)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def remove_leftovers(folder: Path, prefix: str = ".vaekit-") -> None:
    """Remove half-written files and folders from a folder if the processes that wrote them have ended.

    Args:
        folder: the folder with the leftovers.
        prefix: the beginning of the names to remove.
    """
    for leftover in folder.glob(".vaekit-*") if fcntl else ():
        if leftover.name.startswith(prefix) and TEMPORARY.fullmatch(leftover.name) and not leftover.is_symlink():
            with contextlib.suppress(OSError):  # it is still being written, or another process removes it
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
def hold_lock(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock on a file until the body ends, or until the process ends or crashes.

    Args:
        path: the lock file, which names its holder.
        refusal: the beginning of the error message if another process holds the lock ("'runs/x' is being trained").

    Raises:
        RunError: if another process holds the lock; the message names the process, host and time.
    """
    with _writing(path, "try again"):
        file = _take_lock(path, refusal)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # removed while locked, since afterwards it might be another process's lock
            path.unlink()
        file.close()


def _take_lock(path: Path, refusal: str) -> BinaryIO:
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666), "r+b")
        try:
            if fcntl:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                holder = file.read(1000).decode(errors="replace").strip() or "another process"
                raise RunError(f"{refusal} by {holder}", mend="Wait until that process ends, or stop it") from None
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
