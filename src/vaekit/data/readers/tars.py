"""Tars of pictures, such as the shards of WebDataset: read in place, never unpacked to disk."""

from __future__ import annotations

import io
import json
import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from vaekit.data.damage import naming
from vaekit.data.limits import MOST_IN_MEMORY, write_size
from vaekit.data.readers.containers import TAR, Container, Listing, PictureFile
from vaekit.data.readers.decoding import is_picture_name
from vaekit.data.readers.stored import UNPACK, StoredFile
from vaekit.errors import DataError

CLASS, RECORD = "cls", "json"
"""Endings of the files of a sample that give its class, as text or as a key of a record."""
KEYS = ("cls", "class", "label")
"""Keys of a record that give a class."""
MOST_CLASS, MOST_RECORD = 200, 1 << 20
"""Characters that a class may have, and bytes that a record may have."""
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
"""Classes that are numbers."""
EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of headers that belong to the next header."""
MOST_HEADERS, MOST_HEADER = 8, 1 << 14
"""Extended headers that a member may have, and their bytes."""
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""How files begin that gzip, bzip2, xz and zstd have packed."""
PIECE = 1 << 20
"""Bytes after the end of a tar that are read at once."""


Label = int | str | None


class Member(NamedTuple):
    """Describes a file in a tar: its path, its size, and its first byte."""

    name: str
    size: int
    start: int


@dataclass(frozen=True)
class Tar(StoredFile, Container):
    """An uncompressed tar of pictures.

    Files of one sample have the same path up to a dot of the name, as in WebDataset: `0001.jpg` and `0001.cls`.
    """

    format = "tar"
    endings = (TAR,)

    @property
    def place(self) -> str:
        """Return the address."""
        return self.address

    def identity(self) -> Iterator[tuple[object, ...]]:
        """Return the address, size and version of the tar; those of a tar on this computer are looked up again."""
        if isinstance(self.stored, int):
            yield self.address, self.size, self.version
            return
        with naming(self.address, "a tar must stay while it is read"):
            now = self.local(self.stored)
        yield now.address, now.size, now.version

    def listing(self) -> Listing:
        """List the pictures in the order of the tar, with the classes of their samples."""
        pictures: list[PictureFile] = []
        given: dict[str, dict[str, Label | DataError]] = {CLASS: {}, RECORD: {}}
        skipped: Counter[str] = Counter()
        with self.open() as opened:
            for member in self._members(opened):
                stem, kind = posixpath.splitext(member.name)
                if is_picture_name(member.name):
                    pictures.append(PictureFile(member.name, member.size, start=member.start))
                elif kind[1:].lower() in given:
                    given[kind[1:].lower()][stem] = self._label(member, opened)
                else:
                    skipped[kind.lower()] += 1
        files = [replace(file, label=_label_of(file.name, given)) for file in pictures]
        stems = {prefix for file in files for prefix in _prefixes(file.name)}
        lost = sum(
            label is not None and stem not in stems for labels in given.values() for stem, label in labels.items()
        )
        return Listing(files, skipped, lost)

    def _members(self, opened: Any) -> Iterator[Member]:
        """Iterate over the files that are not hidden; a link to an earlier file is this file.

        Raises:
            DataError: if the tar is compressed, cut short, or damaged otherwise.
        """
        if opened.read(max(map(len, PACKED))).startswith(PACKED):
            raise DataError("a tar must not be compressed", f"'{self.address}'", UNPACK)
        known: dict[str, Member] = {}
        must, mend = "a tar must be undamaged", "Make it again, as with tar --create"
        with naming(self.address, must, mend, (tarfile.TarError, SystemError)):
            _check_header(opened, 0)
            opened.seek(0)
            with tarfile.open(fileobj=opened, mode="r:") as tar:
                last = -1
                while (info := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # else all of them would be kept
                    end = tar.offset
                    _check_place(info, last, end, self.size)
                    found = _find_member(info, known)
                    if found is not None:
                        known[found.name] = found
                        if not _is_hidden(found.name):
                            yield found
                    last = end
                    _check_header(opened, end)
                _check_end(opened, tar.offset)

    def _label(self, member: Member, opened: Any) -> Label | DataError:
        """Read the class of a sample: None if there is none, and the refusal if it is no class."""
        where, record = f"'{self.full_name(member)}'", member.name.lower().endswith(f".{RECORD}")
        most = MOST_RECORD if record else 4 * MOST_CLASS
        if member.size > most:
            must = f"a file of a {'record' if record else 'class'} must have at most {most:,} bytes"
            return DataError(must, f"{member.size:,} bytes in {where}", "Make the tar again without it")
        opened.seek(member.start)
        content = opened.read(member.size)
        try:
            text = content.decode("utf-8-sig").strip()
            found = json.loads(text) if record else int(text) if WHOLE.fullmatch(text) else text
        except (ValueError, RecursionError) as error:
            must = f"a file .{RECORD if record else CLASS} in a tar must be {'JSON' if record else 'UTF-8'}"
            return DataError(must, f"{where} ({error!s:.100})", "Write it again, or leave it out")
        if isinstance(found, list):  # no record of a sample
            return None
        if isinstance(found, dict):
            found = next((found[key] for key in KEYS if found.get(key) not in (None, "")), None)
        if found is None or found == "":
            return None
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        if isinstance(found, str) and len(found) <= MOST_CLASS and _is_text(found):
            return found
        must = f"the class of a sample must be a whole number or a text of at most {MOST_CLASS} characters"
        return DataError(must, f"{found!r:.80} in {where}", "Write it as text, or leave it out")

    def is_empty(self) -> bool:
        """Return whether there is no picture."""
        with self.open() as opened:
            return not any(is_picture_name(member.name) for member in self._members(opened))

    def open_files(self, files: Sequence[PictureFile]) -> Generator[IO[bytes], None, None]:
        """Open the tar once, and read files from it one after the other."""
        with self.open() as opened:
            for file in files:
                if file.size > MOST_IN_MEMORY:
                    must = f"a picture in a tar must have at most {write_size(MOST_IN_MEMORY)}"
                    raise DataError(must, f"{write_size(file.size)} in '{self.full_name(file)}'")
                opened.seek(file.start)
                yield io.BytesIO(opened.read(file.size))

    def full_name(self, file: PictureFile | Member) -> str:
        """Return the name of a file, and the address."""
        return f"{file.name} in {self.address}"

    def space_of(self, file: PictureFile) -> int:
        """Return the size of a file."""
        return file.size

    def sources(self, files: Sequence[PictureFile]) -> Iterator[Path | int]:
        """Return the tar: links to its pictures need no space in it."""
        if files:
            yield self.stored


def _find_member(info: tarfile.TarInfo, known: Mapping[str, Member]) -> Member | None:
    """Return a member that is a file; None for folders, devices, and links that are of no use."""
    name = _plain(info.name)
    wanted = is_picture_name(name) or posixpath.splitext(name)[1].lower() in {f".{CLASS}", f".{RECORD}"}
    if wanted and info.issparse():
        raise tarfile.ReadError(f"'{name:.80}' is stored with holes, as tar --sparse does")
    if wanted and name in known and not _is_hidden(name):
        raise tarfile.ReadError(f"it holds '{name:.80}' twice")
    if info.isreg():
        return Member(name, info.size, info.offset_data)
    if not wanted or not (info.islnk() or info.issym()):
        return None
    above = posixpath.dirname(name) if info.issym() else ""
    target = known.get(_plain(posixpath.join(above, info.linkname)))
    if target is None:
        raise tarfile.ReadError(f"'{name:.80}' is a link to '{info.linkname:.80}', which is not before it in the tar")
    return target._replace(name=name)


def _check_place(info: tarfile.TarInfo, last: int, end: int, size: int) -> None:
    """Refuse a member that is not within the tar, or that leads back in it."""
    if end <= last or info.size < 0 or (not info.issparse() and info.offset_data + info.size > size):
        raise tarfile.ReadError(f"'{info.name:.80}' is not within the file")


def _check_header(opened: Any, start: int) -> None:
    """Refuse extended headers that are too long, before tarfile reads them in a time that grows with their square."""
    size = 0
    for _ in range(MOST_HEADERS):
        opened.seek(start)
        try:
            info = tarfile.TarInfo.frombuf(opened.read(tarfile.BLOCKSIZE), tarfile.ENCODING, "surrogateescape")
        except tarfile.TarError:  # the end, or damage that is found later
            return
        if info.type not in EXTENDED:
            return
        size += max(0, info.size)
        if size > MOST_HEADER:
            break
        start += tarfile.BLOCKSIZE * (1 + -(-info.size // tarfile.BLOCKSIZE))
    raise tarfile.ReadError("a header is too long")


def _check_end(opened: Any, start: int) -> None:
    """Refuse a tar that was cut short, or that holds data after its end."""
    opened.seek(start)
    block = opened.read(PIECE)
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut short")
    while block:
        if block.strip(b"\0"):
            raise tarfile.ReadError("there is damage in it, or another tar after its end")
        block = opened.read(PIECE)


def _is_text(text: str) -> bool:
    """Return whether a text can be written to any file."""
    return "\0" not in text and text == text.encode(errors="ignore").decode()


def _plain(name: str) -> str:
    """Return a path without `.`, `..` and a slash at its beginning, as tar unpacks it."""
    return re.sub(r"^(\.\./)+", "", posixpath.normpath(name).lstrip("/"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _prefixes(name: str) -> Iterator[str]:
    """Iterate over the beginnings of a path that end at a dot of the file's name, the longest first."""
    folder, base = posixpath.split(name)
    while "." in base:
        base = base.rpartition(".")[0]
        yield posixpath.join(folder, base)


def _label_of(name: str, given: Mapping[str, Mapping[str, Label | DataError]]) -> Label:
    """Return the class of the sample that a file belongs to.

    Raises:
        DataError: if it is no class.
    """
    found = (given[kind].get(prefix) for kind in (CLASS, RECORD) for prefix in _prefixes(name))
    label = next((label for label in found if label is not None), None)
    if isinstance(label, DataError):
        raise label
    return label
