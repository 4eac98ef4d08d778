"""A reader of Parquet files, in batches and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from vaekit.data.limits import check_size
from vaekit.data.readers.pieces import PIECE, even_pieces, is_long, text_lengths
from vaekit.data.readers.shards import Header, TypedShard
from vaekit.data.tables.checks import check_cells
from vaekit.data.tables.frame import BATCH
from vaekit.data.tables.types import value_type
from vaekit.errors import DataError

NESTED = 1 << 10
"""Most rows that are read at once if cells are lists."""


class ParquetShard(TypedShard):
    """A Parquet file."""

    format = "Parquet"
    endings = (".parquet", ".pq")

    def header(self) -> Header:
        """Return the columns, the number of rows and the unpacked size of the file, from its footer."""
        with self.open() as source, pyarrow.parquet.ParquetFile(source) as file:
            # Only sizes of groups of rows are read, because pyarrow ends the process if a column is damaged.
            groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
            unpacked = sum(group.total_byte_size for group in groups)
            return Header(file.schema_arrow.remove_metadata(), file.metadata.num_rows, unpacked)

    def cells(self) -> Iterator[Any]:
        """Iterate over the rows as record batches of at most 64 MiB of text; a row with more text is a batch of its own."""
        row = text = 0
        with self.open() as source, pyarrow.parquet.ParquetFile(source) as file:
            schema, rows = file.schema_arrow.remove_metadata(), file.metadata.num_rows
            size = _batch_size(file.metadata, schema)
        packed = [field.name for field in schema if not pa.types.is_dictionary(field.type) and is_long(field.type)]
        # a buffer would hold the whole file
        options = {"pre_buffer": False, "read_dictionary": packed}
        with self.open() as source, pyarrow.parquet.ParquetFile(source, **options) as file:
            batches = file.iter_batches(size, use_threads=False)
            for piece in even_pieces(pa.Table.from_batches([batch]).replace_schema_metadata() for batch in batches):
                text += int(text_lengths(piece).sum())
                check_size(text, f"the text of '{self.name}'", [self.stored])
                piece = pa.table([_unpacked(c, f.type) for c, f in zip(piece.columns, schema, strict=True)], schema)
                check_cells(piece, row)
                row += len(piece)
                yield from piece.to_batches()
        if row != rows:
            fault = f"'{self.address}' ({row} rows, where its header says {rows})"
            raise DataError("a Parquet file must be undamaged", fault)


def _batch_size(metadata: Any, schema: pa.Schema) -> int:
    """Return how many rows of a Parquet file are unpacked at once."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    size = min((4 * PIECE * group.num_rows // max(group.total_byte_size, 1) for group in groups), default=1)
    if any(pa.types.is_nested(kind) for kind in schema.types):  # text in lists cannot be read as a dictionary
        size = min(size, NESTED)
    return max(1, min(size, BATCH))


def _unpacked(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert a dictionary-encoded column back to its type in the Parquet file."""
    return column if column.type == kind else column.cast(value_type(column.type)).cast(kind)
