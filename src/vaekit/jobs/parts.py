"""The parts of a job: which rows each has, and the file that it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from vaekit.data import Frame
from vaekit.data.readers.opening import open_stored
from vaekit.data.readers.shards import Shard
from vaekit.data.readers.stored import StoredFile
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
class FilePart(Part):
    """The rows of a table file, or the pictures of a tar.

    Args:
        source: the file.
        first: position of its first row in the whole source; 0 if positions do not matter.
    """

    source: StoredFile
    first: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """Return the address, size and version of the file."""
        source = self.source
        return {"address": source.address, "size": source.size, "version": source.version, "first": self.first}

    def tables(self, run: Run, verb: RowVerb) -> Iterator[pa.Table]:
        """Read the file, and yield the results of its rows; a file without rows has none."""
        if self.source.is_empty():
            return
        try:
            for rows in run.pieces(open_stored([self.source], run.recipe.data, run.schema.cells)):
                yield verb.table(run, replace(rows, first=rows.first + self.first) if isinstance(rows, Frame) else rows)
        except DataError as error:
            if self.source.address in str(error):
                raise
            raise DataError(f"In the file '{self.source.address}': {error}") from error


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


def file_parts(files: Sequence[StoredFile], by_position: bool) -> list[Part]:
    """Return a part for each file; its results have the file's name, below the same sub-folders.

    Args:
        files: the files of a table, or tars of pictures.
        by_position: whether results depend on the position of a row in the source, so that rows are counted first.

    Raises:
        DataError: for an address with `..`, or if a file cannot be read for its number of rows.
    """
    parts: list[Part] = []
    first = 0
    for file in files:
        if ".." in file.below:
            raise DataError("the address of a file must have no '..'", f"'{file.address}'")
        below = "/".join(file.below)
        parts.append(FilePart(below if below.endswith(ENDING) else below + ENDING, file, first))
        first += file.count_rows() if by_position and isinstance(file, Shard) else 0
    return parts


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
