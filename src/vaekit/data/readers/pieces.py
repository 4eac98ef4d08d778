"""The cutting of rows into pieces whose ends depend on the rows alone, and not on the files that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.frame import BATCH
from vaekit.data.tables.types import value_type

PIECE = 1 << 26
"""Most bytes of text in a piece; a row with more text is a piece of its own."""
_LONG = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


def is_long(kind: pa.DataType) -> bool:
    """Return whether cells of an Arrow type are text or bytes of any length."""
    return any(is_type(value_type(kind)) for is_type in _LONG)


def even_pieces(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut rows anew: each piece has `BATCH` rows, or fewer if their text would exceed `PIECE` bytes.

    Args:
        tables: the rows, in tables of any sizes and of the same columns.

    Yields:
        The same rows in the same order. Where pieces end depends on the rows alone.

    Examples:
        >>> numbers = pa.table({"x": range(70_000)})
        >>> [len(piece) for piece in even_pieces([numbers.slice(0, 3), numbers.slice(3)])]
        [65536, 4464]
    """
    held: list[pa.Table] = []
    rows = text = 0
    for table in tables:
        reached, start = np.cumsum(text_lengths(table)), 0
        while start < len(table):
            before = int(reached[start - 1]) if start else 0
            fitting = int(np.searchsorted(reached, before + PIECE - text, side="right")) - start
            end = start + min(BATCH - rows, max(fitting, 0 if rows else 1))
            if end > start:
                held.append(table.slice(start, end - start))
            if end < len(table) or rows + end - start == BATCH:
                yield pa.concat_tables(held)
                held, rows, text = [], 0, 0
            else:
                end = len(table)
                rows, text = rows + end - start, text + int(reached[-1]) - before
            start = end
    if held:
        yield pa.concat_tables(held)


def text_lengths(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return the number of bytes of unpacked text in each row of a table, shape (rows,).

    Raises:
        pyarrow.ArrowInvalid: if an index lies beyond its dictionary.
    """
    found = np.zeros(len(table), np.int64)
    for column in table.columns:
        chunks = column.chunks if pa.types.is_dictionary(column.type) or is_long(column.type) else []
        lengths = [_chunk_lengths(chunk) for chunk in chunks]
        if lengths:
            found += np.concatenate(lengths)
    return found


def _chunk_lengths(cells: Any) -> npt.NDArray[np.int64]:
    if not pa.types.is_dictionary(cells.type):
        return np.asarray(pc.binary_length(cells).fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    cells.indices.validate(full=True)
    indices = cells.indices.fill_null(0).to_numpy(zero_copy_only=False)
    if len(indices) and not 0 <= indices.min() <= indices.max() < max(len(cells.dictionary), 1):
        raise pa.ArrowInvalid("an index beyond the dictionary")
    if not is_long(cells.type) or not len(cells.dictionary):
        return np.zeros(len(cells), np.int64)
    lengths = pc.binary_length(cells.dictionary).fill_null(0).to_numpy(zero_copy_only=False)
    return np.where(cells.is_null().to_numpy(zero_copy_only=False), 0, lengths[indices]).astype(np.int64)
