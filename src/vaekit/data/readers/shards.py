"""Shards: the files of one table, in a folder or behind a pattern, on this computer or in a store of objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from vaekit.data.readers.stored import StoredFile
from vaekit.data.tables.written import Survey, present

EMPTY = "__HIVE_DEFAULT_PARTITION__"
"""How the name of a folder writes a missing value."""


@dataclass(frozen=True)
class Shard(StoredFile):
    """A file of a table.

    Args:
        partitions: the values that the folders above it write as `name=value`; they are columns of its rows.
    """

    partitions: Mapping[str, Any] = field(default_factory=dict)

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


def as_shards(files: Sequence[StoredFile]) -> tuple[Shard, ...]:
    """Return files as the shards of one table.

    Folders named `name=value` below the folder that was listed, or below the fixed part of the pattern, give columns. The
    values of a name have the type that holds all of them without loss, as in text files.

    Args:
        files: the files, in the order of their rows.

    Examples:
        >>> import tempfile, pyarrow.parquet
        >>> from pathlib import Path
        >>> from vaekit.data.readers.stored import find_files
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "year=2024").mkdir()
        ...     pa.parquet.write_table(pa.table({"x": [1.5]}), Path(folder, "year=2024", "a.parquet"))
        ...     [shard] = as_shards(find_files(folder))
        ...     [batch.to_pydict() for batch in shard.batches()]
        [{'x': [1.5], 'year': [2024]}]
    """
    shards = [file for file in files if isinstance(file, Shard)]
    pairs = [_pairs(shard.below[:-1]) for shard in shards]
    typed: list[dict[str, Any]] = [{} for _ in shards]
    for name in dict.fromkeys(name for own in pairs for name in own):
        having = [i for i, own in enumerate(pairs) if name in own]
        cells = pa.array([pairs[i][name] for i in having], pa.string())
        survey = Survey((EMPTY,))
        survey.add(cells)
        for i, value in zip(having, present(cells, (EMPTY,)).cast(survey.type), strict=True):
            typed[i][name] = value
    return tuple(replace(shard, partitions=own) for shard, own in zip(shards, typed, strict=True))


def _pairs(folders: Sequence[str]) -> dict[str, str]:
    split = (folder.partition("=") for folder in folders)
    return {unquote(name): unquote(value) for name, mark, value in split if mark and name}
