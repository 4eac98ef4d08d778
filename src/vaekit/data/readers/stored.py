"""Stored files: on this computer or in a store of objects, alone, in a folder, or behind a pattern."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.fs

from vaekit.errors import DataError

PACKAGES = {"memory": "", "file": "", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs",
            "abfss": "adlfs", "az": "adlfs", "hf": "huggingface_hub"}  # fmt: skip
"""Schemes of addresses, each with the package that reads it."""
ERRORS = {"botocore.exceptions": "BotoCoreError", "httpx": "HTTPError", "aiohttp": "ClientError",
          "google.auth.exceptions": "GoogleAuthError", "azure.core.exceptions": "AzureError"}  # fmt: skip
"""Modules that stores are read with, and their base classes of errors."""
VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "created", "blob_id")
"""What stores call the version of a file, the most exact ones first."""
PACKED_TAR = re.compile(r"\.(tar\.(gz|bz2|xz|zst|lz4|z)|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
"""Names of compressed tars."""
UNPACK = "Unpack it into a .tar file, as with gunzip, bunzip2, unxz or zstd -d"
FAULTS = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, OverflowError, EOFError)
"""Errors for a damaged file, which may request any amount of memory."""


def is_pattern(source: str) -> bool:
    """Return whether a source may be a pattern of names, such as `table/*.parquet`."""
    return any(sign in source for sign in "*?[")


class MemoryFiles(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]
    """Opens each file in memory with a position of its own, because all handles of fsspec on such a file share one."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any position."""
        return pa.BufferReader(self.fs.cat_file(path))

    open_input_stream = open_input_file


@dataclass(frozen=True)
class StoredFile(ABC):
    """Describes a file: its address, and how it is opened.

    Args:
        address: what messages call it; the path of a local file.
        filesystem: the file system of pyarrow that it is on.
        path: its path on this file system.
        size: its size in bytes.
        version: what the file system says about its version, such as the time of its last change.
        root: the folder that was listed, or the fixed part of the pattern; the file itself if it was named.
    """

    address: str
    filesystem: Any
    path: str
    size: int = 0
    version: str = ""
    root: str = ""

    format: ClassVar[str]
    """The name of the format."""
    endings: ClassVar[tuple[str, ...]]
    """How names of such files end."""

    @classmethod
    def local(cls, path: Path) -> Self:
        """Return a file on this computer."""
        found = path.stat()
        version = str(found.st_mtime_ns)
        return cls(str(path), pyarrow.fs.LocalFileSystem(), str(path), found.st_size, version, str(path))

    @property
    def name(self) -> str:
        """Return the last part of the address."""
        return PurePosixPath(self.path).name

    @property
    def stored(self) -> Path | int:
        """Return the file if it is on this computer, else its size (see `check_size`)."""
        return Path(self.path) if isinstance(self.filesystem, pyarrow.fs.LocalFileSystem) else self.size

    @contextlib.contextmanager
    def open(self, packed: str | None = None) -> Iterator[Any]:
        """Open the file for reading at any position, or from its beginning if it is packed.

        Args:
            packed: how the file is packed, such as `gzip`.

        Raises:
            DataError: if the file is damaged, has vanished, or may not be read; also if the body meets such an error.
        """
        try:
            store = self.filesystem
            with (
                store.open_input_stream(self.path, compression=packed) if packed else store.open_input_file(self.path)
            ) as file:
                yield file
        except FileNotFoundError as error:
            raise DataError(f"The file '{self.address}' has vanished since it was listed") from error
        except PermissionError as error:
            raise DataError(f"There is no permission to read '{self.address}'", mend="Ask for it") from error
        except _faults() as error:
            must = f"{'an' if self.format == 'Arrow' else 'a'} {self.format} file must be undamaged"
            raise DataError(must, f"'{self.address}' ({error!s:.200})") from error

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether it has no rows, without reading all of them.

        Raises:
            DataError: if the file is damaged, has vanished, or may not be read; the message names it.
        """

    @property
    def below(self) -> list[str]:
        """Return the parts of its path below the folder that was listed."""
        return _below(self.path, self.root)


def file_types() -> dict[str, type[StoredFile]]:
    """Return the kind of file for each ending of a name."""
    from vaekit.data.readers import arrow, csv, parquet, tars  # slow to import

    kinds: tuple[type[StoredFile], ...] = (parquet.ParquetShard, csv.CsvShard, arrow.ArrowShard, tars.Tar)
    return {ending: kind for kind in kinds for ending in kind.endings}


def file_type(name: str) -> type[StoredFile] | None:
    """Return the kind of a file, judged from its name; None for a file that is neither a table nor a tar."""
    return next((kind for ending, kind in file_types().items() if name.lower().endswith(ending)), None)


def find_files(address: str) -> tuple[StoredFile, ...]:
    """Find the tables or tars of pictures that a folder holds, or whose names match a pattern.

    Files and folders whose names begin with `.` or `_` are skipped, as are files of other formats.

    Args:
        address: a file, a folder or a pattern such as `table/*.parquet` or `s3://bucket/table/year=*/`; local, or
            beginning with `s3://`, `gs://`, `abfs://`, `hf://` or `memory://`.

    Returns:
        The files, sorted by address.

    Raises:
        DataError: if nothing matches, formats differ, there is no permission, or a package is not installed.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.csv", "a.csv", "notes.txt"):
        ...         written = Path(folder, name).write_text("x\\n1\\n")
        ...     [file.name for file in find_files(folder)]
        ['a.csv', 'b.csv']
    """
    scheme, mark, rest = address.partition("://")
    if mark and scheme.lower() not in PACKAGES:
        must = f"the address of files must begin with one of {', '.join(f'{known}://' for known in PACKAGES)}"
        raise DataError(must, f"'{address}'")
    local = not mark or scheme.lower() == "file"
    path = str(Path(rest if mark else address).expanduser().absolute()) if local else address
    with _listing(address, scheme.lower()):
        import fsspec

        store, path = fsspec.core.url_to_fs(path)
        found = _list_files(store, path)
        root = fixed_part(path) if not found.pop("", None) else path
    named = {name: info for name, info in found.items() if not is_hidden(name, root)}
    if local:  # a pipe would block for ever
        named = {name: info for name, info in named.items() if os.path.isfile(name)}
    kinds = _kinds(address, list(named))
    handler = MemoryFiles if scheme.lower() == "memory" else pyarrow.fs.FSSpecHandler
    filesystem = pyarrow.fs.PyFileSystem(handler(store))
    with _listing(address, scheme.lower()):
        files = [
            replace(kind.local(Path(name)), root=root)
            if local
            else kind(
                store.unstrip_protocol(name),
                filesystem,
                name,
                int(named[name].get("size") or 0),
                next((str(named[name][key]) for key in VERSIONS if named[name].get(key)), ""),
                root,
            )
            for name, kind in kinds.items()
        ]
    return tuple(sorted(files, key=lambda file: file.address))


def _kinds(address: str, names: list[str]) -> dict[str, type[StoredFile]]:
    """Return the kind of each file that is a table or a tar; there must be one, and all must have one format."""
    kinds = {name: kind for name in names if (kind := file_type(name)) is not None}
    formats = sorted({kind.format for kind in kinds.values()})
    packed = [name for name in names if PACKED_TAR.search(name)]
    if packed and formats in ([], ["tar"]):
        raise DataError("a tar must not be compressed", f"'{packed[0]}'", UNPACK)
    if not kinds:
        raise _nothing(address, names)
    if len(formats) > 1:
        raise DataError(
            "files that are read together must have one format",
            f"{' and '.join(formats)} files in '{address}'",
            "Pass a pattern such as 'folder/*.parquet'",
        )
    return kinds


def _list_files(store: Any, path: str) -> dict[str, Any]:
    """Return the files of a folder, of a pattern, or a single file, by path; with an entry "" if the path is no pattern."""
    fixed = store.exists(path)
    matched = {path: {}} if fixed else store.glob(path, detail=True) if is_pattern(path) else {}
    files = {name: info for start in matched for name, info in store.find(start, detail=True).items()}
    return files | ({"": True} if fixed else {})


def fixed_part(pattern: str) -> str:
    """Return the folder above the first part of a pattern that is not a plain name."""
    parts = pattern.split("/")
    return "/".join(parts[: next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts))])


def _below(path: str, root: str) -> list[str]:
    """Return the parts of a path below a folder; for the folder itself, its name."""
    return path[len(root) :].strip("/").split("/") if path != root else [path.rpartition("/")[2]]


def is_hidden(path: str, root: str) -> bool:
    """Return whether a file or folder is skipped because of its name, or that of a folder between it and the root."""
    return any(part.startswith((".", "_")) and "=" not in part for part in _below(path, root))


def _nothing(address: str, others: list[str]) -> DataError:
    """Return the refusal of an address without tables and tars."""
    formats = ", ".join(file_types())
    if Path(address).is_dir():
        return DataError(f"The folder '{address}' holds no tables, pictures, tars or IDX files")
    if others:
        first = PurePosixPath(others[0]).name
        must = f"tables, and tars of pictures, must be in files that end in one of {formats}"
        return DataError(must, f"'{first}' in '{address}'")
    mend = f"Pass a file, a folder or a pattern of files that end in one of {formats}"
    if "{" in address:
        mend = "Write a pattern with * or ?, because numbers in braces are not understood"
    return DataError(f"Nothing matches '{address}'", mend=mend)


@contextlib.contextmanager
def _listing(address: str, scheme: str) -> Iterator[None]:
    """Turn errors in listing files into a `DataError` that names the address."""
    try:
        yield
    except ImportError as error:
        package = PACKAGES.get(scheme) or scheme
        install = "'vaekit[cloud]'" if package == "s3fs" else package
        raise DataError(
            f"Reading {scheme}:// needs the package {package}", mend=f"Run: pip install {install}"
        ) from error
    except FileNotFoundError as error:
        raise _nothing(address, []) from error
    except PermissionError as error:
        mend = "Check the credentials and the rights of the user"
        raise DataError(f"There is no permission to list '{address}'", mend=mend) from error
    except ValueError as error:
        raise DataError("the address of files must be well formed", f"'{address}' ({error!s:.150})") from error
    except _faults() as error:
        raise DataError("the store of an address must be reachable", f"'{address}' ({error!s:.150})") from error


def _faults() -> tuple[type[BaseException], ...]:
    """Return the errors for a damaged file, and those of the packages that read stores, as far as they are imported."""
    known = (getattr(sys.modules.get(module), name, None) for module, name in ERRORS.items())
    return (*FAULTS, *(error for error in known if isinstance(error, type) and issubclass(error, BaseException)))
