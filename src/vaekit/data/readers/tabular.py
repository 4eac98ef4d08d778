"""Readers of tables: CSV and Parquet files, and data frames in memory."""

from __future__ import annotations

from pathlib import Path

from vaekit.data.readers.csv import open_csv
from vaekit.data.readers.libraries import INDEX, library_of
from vaekit.data.readers.parquet import frame_of_parquet
from vaekit.data.tables.frame import Frame, frame_of_table

__all__ = ["open_csv", "open_frame", "open_parquet"]


def open_parquet(path: Path) -> Frame:
    """Open a Parquet file.

    Args:
        path: the file.

    Returns:
        The rows, without an unnamed index.

    Raises:
        DataError: if the file is damaged, has no rows or columns, or two columns with the same name.
    """
    return _without_index(frame_of_parquet(path))


def open_frame(value: object) -> Frame | None:
    """Open a data frame in memory.

    Args:
        value: anything.

    Returns:
        The rows of a data frame of pandas, polars, Arrow or another library that narwhals supports. Their `native` converts
        results to the same library, types and row labels. None if the value is not a data frame.

    Raises:
        DataError: if it has no rows or columns, two columns with the same name, or a column of mixed or unknown types.

    Examples:
        >>> import pyarrow as pa
        >>> frame = open_frame(pa.table({"animal": ["cat", None, "dog"]}))
        >>> frame.names, frame.rows
        (('animal',), 3)
        >>> open_frame([[1, 2]]) is None
        True
    """
    library = library_of(value)
    if library is None:
        return None
    return frame_of_table(
        library.table, native=library.answer, part=lambda first, rows: library.part(first, rows).answer
    )


def _without_index(frame: Frame) -> Frame:
    kept = [name for name in frame.names if not INDEX.fullmatch(name)]
    return frame.in_order(kept) if kept and len(kept) < len(frame.names) else frame
