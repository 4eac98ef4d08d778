"""The parts of a job: which rows each has, and the file that it makes."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from vaekit.data import Frame
from vaekit.data.readers.opening import open_shards
from vaekit.data.readers.shards import Shard
from vaekit.data.tables.frame import BATCH
from vaekit.errors import DataError
from vaekit.runs.run import Run
from vaekit.runs.verbs import RowVerb

ENDING = ".parquet"
"""How names of results end."""
PART_ROWS = 1 << 20
"""Most rows of a part of drawn rows."""


@dataclass(frozen=True)
class Part(ABC):
    """A part of a job.

    Args:
        file: name of the file that it makes, relative to the folder of the results.
    """

    file: str

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what its rows are, so that a finished part can be recognised."""

    @abstractmethod
    def tables(self, run: Run, verb: RowVerb) -> Iterator[pa.Table]:
        """Iterate over the results of its rows, in pieces that fit into memory.

        Raises:
            DataError: if the rows cannot be read, or do not fit the run.
        """


@dataclass(frozen=True)
class ShardPart(Part):
    """The rows of a file.

    Args:
        shard: the file.
        first: position of its first row in the whole source; 0 if positions do not matter.
    """

    shard: Shard
    first: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """Return the address, size and version of the file."""
        shard = self.shard
        return {"address": shard.address, "size": shard.size, "version": shard.version, "first": self.first}

    def tables(self, run: Run, verb: RowVerb) -> Iterator[pa.Table]:
        """Read the file, and yield the results of its rows; a file without rows has none."""
        if self.shard.is_empty():
            return
        try:
            for rows in run.pieces(open_shards([self.shard], run.recipe.data, run.schema.cells)):
                yield verb.table(run, replace(rows, first=rows.first + self.first) if isinstance(rows, Frame) else rows)
        except DataError as error:
            if self.shard.address in str(error):
                raise
            raise DataError(f"In the file '{self.shard.address}': {error}") from error


@dataclass(frozen=True)
class RangePart(Part):
    """New rows, from number `start` up to, but not including, number `stop`."""

    start: int
    stop: int

    @property
    def identity(self) -> dict[str, Any]:
        """Return the range."""
        return {"start": self.start, "stop": self.stop}

    def tables(self, run: Run, verb: RowVerb) -> Iterator[pa.Table]:
        """Draw the rows."""
        for start in range(self.start, self.stop, BATCH):
            yield verb.table(run, range(start, min(start + BATCH, self.stop)))


def shard_parts(shards: Sequence[Shard], by_position: bool) -> list[Part]:
    """Return a part for each file; its results have the file's name, below the same sub-folders.

    Args:
        shards: the files.
        by_position: whether results depend on the position of a row in the source, so that rows are counted first.

    Raises:
        DataError: for an address with `..`, or if a file cannot be read for its number of rows.
    """
    parts: list[Part] = []
    root, first = _root(shards), 0
    for shard in shards:
        below = posixpath.relpath(shard.path, root)
        if ".." in PurePosixPath(below).parts:
            raise DataError("the address of a file must have no '..'", f"'{shard.address}'")
        parts.append(ShardPart(below if below.endswith(ENDING) else below + ENDING, shard, first))
        first += shard.count_rows() if by_position else 0
    return parts


def _root(shards: Sequence[Shard]) -> str:
    """Return the folder that holds all files, above the folders whose names are columns."""
    root = posixpath.commonpath([posixpath.dirname(shard.path) for shard in shards])
    while unquote(posixpath.basename(root).partition("=")[0]) in shards[0].partitions:
        root = posixpath.dirname(root)
    return root


def range_parts(rows: int) -> list[Part]:
    """Return the parts of new rows.

    Examples:
        >>> [(part.file, part.identity) for part in range_parts(PART_ROWS + 5)][1]
        ('part-1.parquet', {'start': 1048576, 'stop': 1048581})
    """
    starts = range(0, rows, PART_ROWS)
    digits = len(str(len(starts) - 1))
    return [
        RangePart(f"part-{i:0{digits}d}{ENDING}", start, min(start + PART_ROWS, rows)) for i, start in enumerate(starts)
    ]
