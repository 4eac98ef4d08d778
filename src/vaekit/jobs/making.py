"""The making of one part of a job, in this process or in a worker of an engine."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vaekit.errors import DataError, VaekitError, shorten
from vaekit.files import atomic_path
from vaekit.jobs.parts import Part
from vaekit.runs.mapper import Mapper

STAMP = b"vaekit"
"""The key of the metadata of a Parquet file that say which part of which job it is."""
GO_ON = "run the same command again, which keeps the finished parts"


@dataclass(frozen=True)
class Made:
    """A finished part.

    Args:
        file: its name in the folder of the results.
        rows: number of rows of results.
        bytes: size of the file.
        sha256: digest of the file's bytes; empty if the part has no rows and its file is not written yet.
    """

    file: str
    rows: int
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Fault:
    """A part that could not be made.

    Args:
        file: its name in the folder of the results.
        message: what was wrong, and what to do.
        of_rows: whether its rows are at fault, so that other parts can be made.
    """

    file: str
    message: str
    of_rows: bool


@dataclass(frozen=True)
class PartMaker:
    """Makes parts of a job; it can be sent to workers, each of which loads the run once.

    Args:
        folder: the folder of the results.
        job: digest of the job (see `JobFolder`).
        mapper: holds the run and the verb.
    """

    folder: Path
    job: str
    mapper: Mapper

    def __call__(self, part: Part) -> Made | Fault:
        """Make a part, and write its file in one step. The same part always has the same bytes."""
        try:
            tables = part.tables(self.mapper.run, self.mapper.verb)
            first = next(tables, None)
            if first is None:
                return Made(part.file, 0)
            return self.write(part, itertools.chain([first], tables), first.schema)
        except VaekitError as error:
            return Fault(part.file, str(error), isinstance(error, DataError))

    def write(self, part: Part, tables: Iterator[pa.Table], schema: pa.Schema) -> Made:
        """Write the file of a part.

        Args:
            part: the part.
            tables: its results.
            schema: their columns.

        Raises:
            RunError: if the file cannot be written.
        """
        path, rows = self.folder / part.file, 0
        with atomic_path(path, GO_ON) as temporary:
            stamped = schema.with_metadata({STAMP: make_stamp(self.job, part)})
            with pq.ParquetWriter(temporary, stamped) as writer:
                for table in tables:
                    writer.write_table(_cast(table, schema, path).replace_schema_metadata(stamped.metadata))
                    rows += len(table)
            return Made(part.file, rows, temporary.stat().st_size, digest(temporary))


def _cast(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        told = f"The type of a column changes between rows of '{path.name}': {shorten(str(error))}"
        raise DataError(told, mend="Make sure that all cells of the column have the same type") from error


def make_stamp(job: str, part: Part) -> str:
    """Return the text by which a finished file is recognised."""
    return json.dumps({"job": job, "part": part.identity}, sort_keys=True)


def read_finished(folder: Path, job: str, part: Part) -> Made | None:
    """Return the record of a part that was finished before; None if its file is missing, damaged or of other rows.

    Args:
        folder: the folder of the results.
        job: digest of the job.
        part: the part.
    """
    path = folder / part.file
    try:
        found = pq.read_metadata(path)
        known: Mapping[bytes, Any] = found.metadata or {}
        if known.get(STAMP, b"").decode(errors="replace") != make_stamp(job, part):
            return None
        return Made(part.file, found.num_rows, path.stat().st_size, digest(path))
    except (OSError, pa.ArrowException):
        return None


def digest(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
