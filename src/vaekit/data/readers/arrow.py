"""A reader of Arrow files (IPC, Feather), in batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.ipc

from vaekit.data.readers.pieces import even_pieces
from vaekit.data.readers.shards import Header, TypedShard
from vaekit.data.tables.checks import check_cells

MAGIC = b"ARROW1"
"""The first bytes of a file with a footer; without them it is a stream."""


class ArrowShard(TypedShard):
    """An Arrow file, with a footer or as a stream, compressed or not."""

    format = "Arrow"
    endings = (".arrow", ".feather", ".ipc", ".arrows")

    def header(self) -> Header:
        """Return the columns, the number of rows and the size of the file; a stream is read for its number of rows."""
        with self._opened() as file:
            schema = file.schema.remove_metadata()
            if isinstance(file, pa.RecordBatchFileReader):
                fragment = pyarrow.dataset.IpcFileFormat().make_fragment(self.path, self.filesystem)
                rows = fragment.count_rows()  # reads no cells
            else:
                rows = sum(len(batch) for batch in file)
            return Header(schema, rows, self.size)

    def cells(self) -> Iterator[Any]:
        """Iterate over the rows as record batches of at most 64 MiB of text; a row with more text is a batch of its own."""
        row = 0
        with self._opened() as file:
            schema = file.schema.remove_metadata()
            for piece in even_pieces(pa.Table.from_batches([batch]) for batch in _batches(file)):
                piece = piece.cast(schema)
                check_cells(piece, row)
                row += len(piece)
                yield from piece.to_batches()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        with self.open() as source:
            has_footer = source.read(len(MAGIC)) == MAGIC
            source.seek(0)
            yield (pa.ipc.open_file if has_footer else pa.ipc.open_stream)(source)


def _batches(file: Any) -> Iterator[Any]:
    if isinstance(file, pa.RecordBatchFileReader):
        return (file.get_batch(i) for i in range(file.num_record_batches))
    return iter(file)
