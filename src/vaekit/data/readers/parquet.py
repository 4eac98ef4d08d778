"""A reader of Parquet files, in batches and bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from vaekit.data.limits import check_size
from vaekit.data.readers.libraries import INDEX
from vaekit.data.tables.checks import check_cells, check_columns
from vaekit.data.tables.frame import BATCH, Frame
from vaekit.data.tables.types import value_type
from vaekit.errors import DataError

PIECE = 1 << 26
"""Most bytes of text that are unpacked at once."""
NESTED = 1 << 10
"""Most rows that are read at once if cells are lists."""
FAULTS = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, OverflowError)
"""Errors of pyarrow for a damaged file, which may request any amount of memory."""
_LONG = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


@dataclass(frozen=True)
class _Form:
    """Describes how a Parquet file is read."""

    schema: pa.Schema
    rows: int
    packed: list[str]  # columns of text, in which many rows may share one stored value
    batch: int


def open_parquet(path: Path) -> Frame:
    """Open a Parquet file as a table that is read in batches.

    Args:
        path: the file.

    Returns:
        The rows, without an unnamed pandas index.

    Raises:
        DataError: if the file is damaged, has no rows or columns, two columns with the same name, or more cells or text
            than may be unpacked.
    """
    with _refused(path), pyarrow.parquet.ParquetFile(path) as file:
        form = _form(file, path)
    frame = Frame(form.schema, form.rows, lambda: _read(path, form))
    kept = [name for name in frame.names if not INDEX.fullmatch(name)]
    return frame.in_order(kept) if kept and len(kept) < len(frame.names) else frame


@contextlib.contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn an error of pyarrow into a `DataError` with the path of the Parquet file."""
    try:
        yield
    except FAULTS as error:
        raise DataError("a Parquet file must be undamaged", f"'{path}' ({error!s:.200})") from error


def _form(file: Any, path: Path) -> _Form:
    """Check the columns and the size of a Parquet file before it is unpacked, and plan how to read it."""
    schema, rows = file.schema_arrow.remove_metadata(), file.metadata.num_rows
    check_columns(schema, rows)
    # Only sizes of groups of rows are read, because pyarrow ends the process if a column is damaged.
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    needed = max(
        8 * rows * len(schema.names), sum(group.total_byte_size for group in groups)
    )  # as codes, and as unpacked cells
    check_size(needed, f"'{path.name}'", [path])
    batch = min((4 * PIECE * group.num_rows // max(group.total_byte_size, 1) for group in groups), default=1)
    if any(pa.types.is_nested(kind) for kind in schema.types):  # text in lists cannot be read as a dictionary
        batch = min(batch, NESTED)
    packed = [field.name for field in schema if any(is_type(field.type) for is_type in _LONG)]
    return _Form(schema, rows, packed, max(1, batch))


def _read(path: Path, form: _Form) -> Iterator[pa.Table]:
    """Read the rows of a Parquet file as tables of at most 64 MiB of text; a row with more text is a table of its own."""
    row = text = 0
    # a buffer would hold the whole file
    with _refused(path), pyarrow.parquet.ParquetFile(path, pre_buffer=False, read_dictionary=form.packed) as file:
        for batch in file.iter_batches(min(form.batch, BATCH), use_threads=False):
            lengths = _text_lengths(batch)
            text += int(lengths.sum())
            check_size(text, f"the text of '{path.name}'", [path])
            for start, end in _pieces(lengths):
                piece = pa.Table.from_batches([batch.slice(start, end - start)]).replace_schema_metadata()
                piece = pa.table(
                    [_unpacked(c, f.type) for c, f in zip(piece.columns, form.schema, strict=True)], form.schema
                )
                check_cells(piece, row)
                row += len(piece)
                yield piece
    if row != form.rows:
        raise DataError("a Parquet file must be undamaged", f"'{path}' ({row} rows, where its header says {form.rows})")


def _text_lengths(batch: Any) -> npt.NDArray[np.int64]:
    """Return the number of bytes of unpacked text in each row of a batch, shape (rows,)."""
    found = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column.indices.validate(full=True)
            indices = column.indices.fill_null(0).to_numpy()
            if len(indices) and not 0 <= indices.min() <= indices.max() < max(len(column.dictionary), 1):
                raise pa.ArrowInvalid("an index beyond the dictionary")
            if any(is_type(column.type.value_type) for is_type in _LONG) and len(column.dictionary):
                lengths = pc.binary_length(column.dictionary).fill_null(0).to_numpy()
                found += np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths[indices])
    return found


def _pieces(lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Split rows into pieces of at most `PIECE` bytes; a larger row is a piece of its own.

    Yields:
        The first row of each piece, and the row after its last one.
    """
    reached, start = np.cumsum(lengths), 0
    while start < len(lengths):
        before = int(reached[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(reached, before + PIECE, side="right")))
        yield start, end
        start = end


def _unpacked(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert a dictionary-encoded column back to its type in the Parquet file."""
    return column if column.type == kind else column.cast(value_type(column.type)).cast(kind)
