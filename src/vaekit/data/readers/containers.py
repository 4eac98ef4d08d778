"""Where files of pictures are kept: folders on this computer, and what any other container must do."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vaekit.data.damage import naming
from vaekit.data.readers.decoding import is_picture_name, readable

TAR = ".tar"
"""How names of tars end."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """Describes a file that holds one or more pictures.

    Args:
        name: its path in its container.
        size: its size in bytes.
        version: the time of its last change in nanoseconds; 0 in a tar, which changes as a whole.
        start: its first byte within the tar; 0 for a file of its own.
        label: its class; None if the container does not say one.
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
        skipped: the number of other files, by the ending of their name; a folder does not count them.
        lost: the number of classes that belong to no picture.
        tars: the number of tars beside the pictures of a folder.
    """

    files: Sequence[PictureFile]
    skipped: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    tars: int = 0


class Container(ABC):
    """Holds files of pictures, which are listed and opened together."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Return its path or address."""

    @abstractmethod
    def identity(self) -> Iterator[tuple[object, ...]]:
        """Iterate over tuples whose `repr` differs whenever a picture differs, as it is now.

        Raises:
            DataError: if the container is not there or may not be read.
        """

    @abstractmethod
    def listing(self) -> Listing:
        """List the files.

        Raises:
            DataError: if the container is damaged or may not be read.
        """

    @abstractmethod
    def open_files(self, files: Sequence[PictureFile]) -> Generator[IO[bytes], None, None]:
        """Open some of its files one after the other; each is closed when the next one is asked for.

        Raises:
            DataError: if a file cannot be opened.
        """

    @abstractmethod
    def full_name(self, file: PictureFile) -> str:
        """Return how an error names a file."""

    @abstractmethod
    def space_of(self, file: PictureFile) -> Path | int:
        """Return the path of a file if it is one on this computer, else its size in bytes (see `check_size`)."""

    @abstractmethod
    def sources(self, files: Sequence[PictureFile]) -> Iterator[Path | int]:
        """Iterate over the space that files take together, as `space_of`."""


class Folder(Container):
    """A folder on this computer with its sub-folders.

    Hidden files and folders are skipped, and links to folders are not followed. The class of a picture is the first folder on
    its way, or an empty text.

    Args:
        path: the folder.
        without: folders to skip.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     Path(place, "cat").mkdir()
        ...     written = [Path(place, name).write_bytes(b"") for name in ("cat/b.png", "a.jpg", "notes.txt")]
        ...     [(file.name, file.label) for file in Folder(Path(place)).listing().files]
        [('a.jpg', ''), ('cat/b.png', 'cat')]
    """

    def __init__(self, path: Path, without: Sequence[Path] = ()) -> None:
        self.path, self.without = path, frozenset(map(str, without))

    @property
    def place(self) -> str:
        """Return the path of the folder."""
        return str(self.path)

    def identity(self) -> Iterator[tuple[object, ...]]:
        """Iterate over the folder, and the names, sizes and times of all files."""
        found = self.listing()
        yield self.place, found.tars
        for file in found.files:
            yield file.name, file.size, file.version

    def names(self) -> Iterator[str]:
        """Iterate over the paths of all files, pictures or not."""
        return (name for name, _ in self._walk())

    def holds_pictures(self) -> bool:
        """Return whether there is any picture, without listing all of them."""
        return any(_is_picture(entry.path) for _, entry in self._walk())

    def listing(self) -> Listing:
        """List the files of pictures, sorted by the parts of their paths."""
        files, tars = [], 0
        for name, entry in self._walk():
            if _is_picture(entry.path):
                files.append(_described(entry.path, name))
            tars += name.lower().endswith(TAR)
        return Listing(files, tars=tars)

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Iterate over all files with their paths below the folder, sorted by the parts of their paths."""
        waiting = [iter(_entries(self.place))]
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

    def open_files(self, files: Sequence[PictureFile]) -> Generator[IO[bytes], None, None]:
        """Open files one after the other."""
        for file in files:
            with readable(self.full_name(file)), open(self.full_name(file), "rb") as opened:
                yield opened

    def full_name(self, file: PictureFile) -> str:
        """Return the path of a file."""
        return str(self.path / file.name)

    def space_of(self, file: PictureFile) -> Path | int:
        """Return the path of a file."""
        return self.path / file.name

    def sources(self, files: Sequence[PictureFile]) -> Iterator[Path | int]:
        """Iterate over the paths of files."""
        return map(self.space_of, files)


class SingleFile(Folder):
    """A single file of pictures, in its folder.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self.file = path

    @property
    def place(self) -> str:
        """Return the path of the file."""
        return str(self.file)

    def listing(self) -> Listing:
        """Return the file alone."""
        return Listing([_described(self.place, self.file.name)])


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder and not hidden, sorted by name."""
    with _listed(folder), os.scandir(folder) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _listed(path: str) -> AbstractContextManager[None]:
    return naming(path, "files and folders of pictures must be readable, and must stay while they are listed")


def _is_picture(path: str) -> bool:
    return is_picture_name(path) and os.path.isfile(path)  # False for broken links


def _described(path: str, name: str) -> PictureFile:
    with _listed(path):
        stat = os.stat(path)
    folder, mark, _ = name.partition("/")
    return PictureFile(name, stat.st_size, stat.st_mtime_ns, label=folder if mark else "")
