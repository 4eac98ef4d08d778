"""Shards: the files of one table, in a folder or behind a pattern, on this computer or in a store of objects."""

from __future__ import annotations

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs

from vaekit.data.tables.written import Survey, present
from vaekit.errors import DataError

PACKAGES = {"memory": "", "file": "", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs",
            "abfss": "adlfs", "az": "adlfs", "hf": "huggingface_hub"}  # fmt: skip
"""Schemes of addresses, each with the package that reads it."""
ERRORS = {"botocore.exceptions": "BotoCoreError", "httpx": "HTTPError", "aiohttp": "ClientError",
          "google.auth.exceptions": "GoogleAuthError", "azure.core.exceptions": "AzureError"}  # fmt: skip
"""Modules that stores are read with, and their base classes of errors."""
EMPTY = "__HIVE_DEFAULT_PARTITION__"
"""How the name of a folder writes a missing value."""
VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "created")
"""What stores call the version of a file, the most exact ones first."""
FAULTS = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, OverflowError, EOFError)
"""Errors for a damaged file, which may request any amount of memory."""


def is_pattern(source: str) -> bool:
    """Return whether a source may be a pattern of names, such as `table/*.parquet`."""
    return any(sign in source for sign in "*?[")


@dataclass(frozen=True)
class Shard(ABC):
    """Holds one file of a table: its address, and how it is opened.

    Args:
        address: what messages call it; the path of a local file.
        filesystem: the file system of pyarrow that it is on.
        path: its path on this file system.
        size: its size in bytes.
        version: what the file system says about its version, such as the time of its last change.
        partitions: the values that the folders above it write as `name=value`; they are columns of its rows.
    """

    address: str
    filesystem: Any
    path: str
    size: int = 0
    version: str = ""
    partitions: Mapping[str, Any] = field(default_factory=dict)

    format: ClassVar[str]
    """The name of the format."""
    endings: ClassVar[tuple[str, ...]]
    """How names of such files end."""

    @classmethod
    def local(cls, path: Path) -> Shard:
        """Return a local file as the only shard of a table."""
        found = path.stat()
        return cls(str(path), pyarrow.fs.LocalFileSystem(), str(path), found.st_size, str(found.st_mtime_ns))

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
    def cells(self) -> Iterator[Any]:
        """Iterate over the rows of the file as record batches of bounded size, without the values of folders.

        Raises:
            DataError: if the file is damaged, has vanished, or may not be read; the message names it.
        """

    def count_rows(self) -> int:
        """Return the number of rows.

        Raises:
            DataError: as `cells`.
        """
        return sum(map(len, self.cells()))

    def is_empty(self) -> bool:
        """Return whether it has no rows, without reading all of them.

        Raises:
            DataError: as `cells`.
        """
        return next(self.batches(), None) is None

    def batches(self) -> Iterator[Any]:
        """Iterate over the rows as Arrow record batches of bounded size, with the values of folders as last columns.

        A shard without rows has no batches. Cells of text files are text, as they are written.

        Raises:
            DataError: if the file is damaged, has vanished, or may not be read; the message names it.
        """
        for batch in self.cells():
            if len(batch):
                yield self.with_partitions(batch)

    def with_partitions(self, batch: Any) -> Any:
        """Add the values of folders to a record batch as columns, unless the file itself has a column of this name."""
        for name in self.partitions:
            if name not in batch.schema.names:
                batch = batch.append_column(name, pa.repeat(self.partition_value(name), len(batch)))
        return batch

    def partition_value(self, name: str) -> Any:
        """Return the value that a folder above the file writes as `name=value`, as an Arrow scalar."""
        return self.partitions[name]


@dataclass(frozen=True)
class Header:
    """What a file says about its rows before they are read.

    Args:
        schema: names and types of its columns.
        rows: number of rows.
        unpacked: bytes of the unpacked cells.
    """

    schema: pa.Schema
    rows: int
    unpacked: int


class TypedShard(Shard):
    """A file whose columns have types."""

    @abstractmethod
    def header(self) -> Header:
        """Return what the file says about its rows.

        Raises:
            DataError: if the file is damaged, has vanished, or may not be read.
        """

    def count_rows(self) -> int:
        """Return the number of rows that the file says it has."""
        return self.header().rows

    def is_empty(self) -> bool:
        """Return whether the file says that it has no rows."""
        return not self.count_rows()


def _formats() -> dict[str, type[Shard]]:
    """Return the kind of shard for each ending of a name."""
    from vaekit.data.readers import arrow, csv, parquet  # slow to import

    kinds: tuple[type[Shard], ...] = (parquet.ParquetShard, csv.CsvShard, arrow.ArrowShard)
    return {ending: kind for kind in kinds for ending in kind.endings}


def shard_endings() -> tuple[str, ...]:
    """Return how the names of tables end."""
    return tuple(_formats())


def shard_type(name: str) -> type[Shard] | None:
    """Return the kind of shard that a file is, judged from its name; None for a file that is not a table."""
    return next((kind for ending, kind in _formats().items() if name.lower().endswith(ending)), None)


def find_shards(address: str) -> tuple[Shard, ...]:
    """Find the files of a table that a folder holds, or whose names match a pattern.

    Files and folders whose names begin with `.` or `_` are skipped, as are files of other formats.

    Args:
        address: a file, a folder or a pattern such as `table/*.parquet` or `s3://bucket/table/year=*/`; local, or
            beginning with `s3://`, `gs://`, `abfs://`, `hf://` or `memory://`.

    Returns:
        The shards, sorted by address. Folders named `name=value` below the folder, or below the fixed part of the pattern,
        give columns.

    Raises:
        DataError: if nothing matches, formats differ, there is no permission, or a package is not installed.

    Examples:
        >>> import tempfile, pyarrow.parquet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "year=2024").mkdir()
        ...     pa.parquet.write_table(pa.table({"x": [1.5]}), Path(folder, "year=2024", "a.parquet"))
        ...     [shard] = find_shards(folder)
        ...     [batch.to_pydict() for batch in shard.batches()]
        [{'x': [1.5], 'year': [2024]}]
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
    kinds = {name: kind for name in named if (kind := shard_type(name)) is not None}
    if not kinds:
        raise _nothing(address, list(named))
    if len({kind.format for kind in kinds.values()}) > 1:
        formats = sorted({kind.format for kind in kinds.values()})
        raise DataError(
            "the files of a table must have one format",
            f"{' and '.join(formats)} files in '{address}'",
            "Pass a pattern such as 'folder/*.parquet'",
        )
    filesystem = pyarrow.fs.LocalFileSystem() if local else pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(store))
    partitions = _partitions({name: _pairs(name, root) for name in kinds})
    shards = [
        kind(
            name if local else store.unstrip_protocol(name),
            filesystem,
            name,
            int(named[name].get("size") or 0),
            next((str(named[name][key]) for key in VERSIONS if named[name].get(key)), ""),
            partitions[name],
        )
        for name, kind in kinds.items()
    ]
    return tuple(sorted(shards, key=lambda shard: shard.address))


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


def _pairs(path: str, root: str) -> dict[str, str]:
    folders = (part.partition("=") for part in _below(path, root)[:-1])
    return {unquote(name): unquote(value) for name, mark, value in folders if mark and name}


def _partitions(pairs: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Give the values in names of folders the type that holds all values of their name without loss, as in text files."""
    typed: dict[str, dict[str, Any]] = {path: {} for path in pairs}
    for name in dict.fromkeys(name for own in pairs.values() for name in own):
        having = [path for path, own in pairs.items() if name in own]
        cells = pa.array([pairs[path][name] for path in having], pa.string())
        survey = Survey((EMPTY,))
        survey.add(cells)
        for path, value in zip(having, present(cells, (EMPTY,)).cast(survey.type), strict=True):
            typed[path][name] = value
    return typed


def _nothing(address: str, others: list[str]) -> DataError:
    """Return the refusal of an address without tables."""
    formats = ", ".join(shard_endings())
    if Path(address).is_dir():
        return DataError(f"The folder '{address}' holds no tables, pictures or IDX files")
    if others:
        first = PurePosixPath(others[0]).name
        return DataError(f"a table must be in files that end in one of {formats}", f"'{first}' in '{address}'")
    mend = f"Pass a file, a folder or a pattern of files that end in one of {formats}"
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
