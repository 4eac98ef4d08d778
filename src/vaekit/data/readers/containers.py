"""Where files of pictures are kept: folders on this computer, and what any other container must do."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vaekit.data.damage import naming
from vaekit.data.readers.decoding import ENDINGS, readable

TAR = ".tar"
"""How names of tars end."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Describes a file that holds one or more pictures.

    Args:
        name: its path in its container.
        size: its size in bytes.
        version: the time of its last change in nanoseconds, if it can change alone.
        start: where it begins in its container, if that is one file.
        label: its class; None if it has none.
    """

    name: str
    size: int
    version: int = 0
    start: int = 0
    label: int | str | None = None

    @property
    def short(self) -> str:
        """Return the last part of its path."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Listing:
    """Lists the files of a container.

    Args:
        files: the files of pictures, in the order of their rows.
        skipped: the number of other files, by the ending of their name, as far as they are counted.
        notes: sentences for the user.
    """

    files: Sequence[PictureFile]
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Container(ABC):
    """Holds files of pictures, which are listed and opened together."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Return its path or address."""

    @abstractmethod
    def identity(self) -> Iterator[tuple[object, ...]]:
        """Iterate over values that change whenever a picture changes; only their written forms count."""

    @abstractmethod
    def listing(self) -> Listing:
        """List the files.

        Raises:
            DataError: if the container is damaged or may not be read.
        """

    @abstractmethod
    def open_files(self, files: Sequence[PictureFile]) -> Iterator[IO[bytes]]:
        """Open some of its files one after the other; each is closed when the next one is asked for.

        Raises:
            DataError: if a file cannot be opened.
        """

    @abstractmethod
    def full_name(self, file: PictureFile) -> str:
        """Return the name of a file in a refusal."""

    @abstractmethod
    def sources(self) -> Iterator[Path | int]:
        """Iterate over what all of its pictures are read from: paths on this computer, or sizes in bytes."""

    @abstractmethod
    def on_disk(self, file: PictureFile) -> Path | int:
        """Return the path of a file if it is a file on this computer, else its size in bytes (see `check_size`)."""


class Folder(Container):
    """A folder on this computer with its sub-folders, or a single file in it.

    Hidden files and folders are skipped, and links to folders are not followed. The class of a picture is the first folder on
    its way.

    Args:
        path: the folder.
        without: folders to skip.
        only: the name of the file, if it is a single file.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     Path(place, "cat").mkdir()
        ...     written = [Path(place, name).write_bytes(b"") for name in ("cat/b.png", "a.jpg", "notes.txt")]
        ...     [file.name for file in Folder(Path(place)).listing().files]
        ['a.jpg', 'cat/b.png']
    """

    def __init__(self, path: Path, without: Sequence[Path] = (), only: str = "") -> None:
        self.path, self.without, self.only = path, frozenset(map(str, without)), only
        self._listing: Listing | None = None

    @property
    def place(self) -> str:
        """Return the path of the folder, or of the single file."""
        return str(self.path / self.only)

    def identity(self) -> Iterator[tuple[object, ...]]:
        """Iterate over the folder, and the names, sizes and times of all files."""
        yield str(self.path), *self.listing().notes
        for file in self.listing().files:
            yield file.name, file.size, file.version

    def holds_pictures(self) -> bool:
        """Return whether there is any picture, without listing all of them."""
        return any(_is_picture(entry) for _, entry in self._walk())

    def names(self) -> Iterator[str]:
        """Iterate over the paths of all files, pictures or not."""
        return (name for name, _ in self._walk())

    def listing(self) -> Listing:
        """List the files of pictures, sorted by the parts of their paths; of other files only tars are counted."""
        if self._listing is None:
            files, tars = [_described(self.only, (self.path / self.only).stat())] if self.only else [], 0
            for name, entry in () if self.only else self._walk():
                if _is_picture(entry):
                    with _listed(entry.path):
                        files.append(_described(name, entry.stat()))
                tars += name.lower().endswith(TAR)
            hint = f"Skipped {tars} tar files. To read them, pass a pattern such as 'folder/*.tar'."
            self._listing = Listing(files, notes=(hint,) if tars else ())
        return self._listing

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Iterate over all files with their paths below the folder, sorted by the parts of their paths."""
        waiting = [iter(_entries(str(self.path)))]
        below = [""]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
                below.pop()
            elif not entry.is_dir(follow_symlinks=False):
                yield below[-1] + entry.name, entry
            elif entry.path not in self.without:
                waiting.append(iter(_entries(entry.path)))
                below.append(f"{below[-1]}{entry.name}/")

    def sources(self) -> Iterator[Path | int]:
        """Iterate over the paths of all files."""
        return (self.on_disk(file) for file in self.listing().files)

    def open_files(self, files: Sequence[PictureFile]) -> Iterator[IO[bytes]]:
        """Open files one after the other."""
        for file in files:
            with readable(self.full_name(file)), (self.path / file.name).open("rb") as opened:
                yield opened

    def full_name(self, file: PictureFile) -> str:
        """Return the path of a file."""
        return str(self.on_disk(file))

    def on_disk(self, file: PictureFile) -> Path:
        """Return the path of a file."""
        return self.path / file.name


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder and not hidden, sorted by name."""
    with _listed(folder), os.scandir(folder) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _listed(path: str) -> AbstractContextManager[None]:
    return naming(path, "files and folders of pictures must be readable, and must stay while they are listed")


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in ENDINGS and os.path.isfile(entry.path)  # False for broken links


def _described(name: str, stat: os.stat_result) -> PictureFile:
    folder, mark, _ = name.partition("/")
    return PictureFile(name, stat.st_size, stat.st_mtime_ns, label=folder if mark else None)
