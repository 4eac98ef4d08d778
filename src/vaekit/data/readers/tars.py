"""Tars of pictures, such as the shards of WebDataset: read in place, never unpacked to disk."""

from __future__ import annotations

import io
import json
import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from vaekit.data.damage import naming
from vaekit.data.limits import MOST_IN_MEMORY, write_size
from vaekit.data.readers.containers import TAR, Container, Listing, PictureFile
from vaekit.data.readers.decoding import ENDINGS
from vaekit.data.readers.stored import StoredFile
from vaekit.errors import DataError

CLASS, RECORD = "cls", "json"
"""Endings of the files of a sample that give its class, as text or as a key of a record."""
KEYS = ("cls", "class", "label")
"""Keys of a record that give a class."""
MOST_LABEL = 1 << 16
"""Bytes that the class or record of a sample may have."""
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
"""Classes that are numbers."""
PADDING = 1 << 20
"""Most zeros after the end of a tar."""


@dataclass(frozen=True)
class Tar(StoredFile, Container):
    """An uncompressed tar of pictures.

    Files of one sample have the same path up to the first dot of the name, as in WebDataset: `0001.jpg` and `0001.cls`.
    """

    format = "tar"
    endings = (TAR,)

    @property
    def place(self) -> str:
        """Return the address."""
        return self.address

    def identity(self) -> Iterator[tuple[object, ...]]:
        """Return the address, size and version of the tar."""
        yield self.address, self.size, self.version

    def listing(self) -> Listing:
        """List the pictures in the order of the tar, with the classes of their samples."""
        pictures: dict[str, PictureFile] = {}
        given: dict[str, dict[str, int | str]] = {CLASS: {}, RECORD: {}}
        skipped: Counter[str] = Counter()
        for member, opened in self._members():
            name, (key, ending) = member.name, _sample(member.name)
            if name in pictures:
                raise DataError("the names in a tar must differ", f"'{name}' twice in '{self.address}'")
            if (kind := posixpath.splitext(name)[1].lower()) in ENDINGS:
                first = pictures.get(posixpath.normpath(member.linkname)) if member.islnk() else None
                size, start = (first.size, first.start) if first else (member.size, member.offset_data)
                pictures[name] = PictureFile(name, size, start=start)
            elif ending in given and (label := self._label(ending, member, opened)) is not None:
                given[ending][key] = label
            elif ending not in given:
                skipped[kind] += 1
        labels = given[RECORD] | given[CLASS]
        files = [replace(file, label=labels.get(_sample(file.name)[0])) for file in pictures.values()]
        return Listing(files, skipped)

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, Any]]:
        """Iterate over the files that are not hidden, each with the opened tar; symbolic links are no files.

        Raises:
            DataError: if the tar is compressed, cut short, or damaged otherwise.
        """
        must, mend = "a tar must be undamaged and not compressed", "Make it again, as with tar --create"
        fault = naming(self.address, must, mend, (tarfile.TarError, SystemError))
        with self.open() as opened, fault, tarfile.open(fileobj=opened, mode="r:") as tar:
            last = -1
            while (member := tar.next()) is not None:
                if tar.offset <= last or member.size < 0 or member.offset_data + member.size > self.size:
                    raise tarfile.ReadError(f"'{member.name:.80}' is not within the file")
                last = tar.offset
                tar.members = []  # type: ignore[attr-defined]  # else all of them would be kept
                member.name = posixpath.normpath(member.name).lstrip("/")
                hidden = any(part.startswith(".") for part in member.name.split("/"))
                if (member.isreg() or member.islnk()) and not hidden and not member.issparse():
                    yield member, opened
            opened.seek(tar.offset)
            end = opened.read(PADDING + 1)
            if len(end) < tarfile.BLOCKSIZE or len(end) > PADDING or end.strip(b"\0"):
                raise tarfile.ReadError("it is cut short" if not end else "there are data after its end")

    def _label(self, ending: str, member: tarfile.TarInfo, opened: Any) -> int | str | None:
        """Read the class of a sample; None if its record has none."""
        must = f"the class of a sample must be a number or a text of at most {MOST_LABEL:,} bytes"
        if member.size > MOST_LABEL:
            raise DataError(must, f"{member.size:,} bytes in '{member.name}' of '{self.address}'")
        opened.seek(member.offset_data)
        written = "UTF-8" if ending == CLASS else "JSON"
        with naming(f"{member.name} in {self.address}", f"a file .{ending} in a tar must be {written}"):
            text = opened.read(member.size).decode().strip()
            found = json.loads(text) if ending == RECORD else text
        if isinstance(found, dict):
            found = next((found[key] for key in KEYS if key in found), None)
        if ending == CLASS:
            return int(found) if WHOLE.fullmatch(found) else found
        if found is not None and (not isinstance(found, int | str) or isinstance(found, bool)):
            raise DataError(must, f"{found!r:.80} in '{member.name}' of '{self.address}'")
        return found

    def count_rows(self) -> int:
        """Return the number of files of pictures; each may have several pages."""
        return len(self.listing().files)

    def is_empty(self) -> bool:
        """Return whether there is no picture."""
        return not self.listing().files

    def open_files(self, files: Sequence[PictureFile]) -> Iterator[IO[bytes]]:
        """Open the tar once, and read files from it one after the other."""
        with self.open() as opened:
            for file in files:
                if file.size > MOST_IN_MEMORY:
                    must = f"a picture in a tar must have at most {write_size(MOST_IN_MEMORY)}"
                    raise DataError(must, f"{write_size(file.size)} in '{self.full_name(file)}'")
                opened.seek(file.start)
                yield io.BytesIO(opened.read(file.size))

    def full_name(self, file: PictureFile) -> str:
        """Return the name of a file, and the address."""
        return f"{file.name} in {self.address}"

    def on_disk(self, file: PictureFile) -> int:
        """Return the size of a file."""
        return file.size


def _sample(name: str) -> tuple[str, str]:
    """Return the path of a file up to the first dot of its name, and what follows this dot."""
    folder, base = posixpath.split(name)
    key, _, ending = base.partition(".")
    return posixpath.join(folder, key), ending.lower()
