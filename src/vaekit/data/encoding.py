"""The encoding of opened rows as numbers, and the decision whether a table is mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vaekit.data.description import infer_kind
from vaekit.data.options import DEFAULTS, DataOptions
from vaekit.data.part import all_rows
from vaekit.data.readers.addresses import is_database
from vaekit.data.readers.opening import open_source
from vaekit.data.source import Source
from vaekit.data.tables.arrays import LABEL
from vaekit.data.tables.coding import encode_frame
from vaekit.data.tables.columns import Column, are_numbered
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.inference import infer_columns
from vaekit.data.tables.types import family
from vaekit.data.tables.written import MISSING
from vaekit.errors import DataError


def open_both(
    source: object,
    test: object = None,
    options: DataOptions = DEFAULTS,
    mixed: bool | None = None,
    columns: tuple[Column, ...] | None = None,
) -> tuple[Source, Source | None]:
    """Open training data and, if given, test data, and encode both as numbers in the same way.

    Args:
        source: rows in any form that `open_source` takes.
        test: held-out rows in the same form, or None.
        options: how data are read, and the declared kinds of columns.
        mixed: whether each column has its own kind; None lets the rows decide.
        columns: the columns if they are known; by default they are inferred.

    Raises:
        DataError: if rows cannot be opened or encoded.
    """
    if options.query and not any(isinstance(rows, str) and is_database(rows) for rows in (source, test)):
        must = "data.query must be used with a database"
        raise DataError(must, f"the source '{source}'", "Pass an address such as postgresql://… or sqlite:///…")
    known = columns if columns and not all(column.context for column in columns) else ()
    opened = open_source(source, options, known)
    opened = encode_rows(opened, find_columns(opened, options, mixed) if columns is None else columns, options.marks)
    if test is None:
        return opened, None
    held_out = open_source(test, options, opened.table if opened.frame is not None else ())
    return opened, encode_rows(held_out, opened.table, options.marks)


def find_columns(source: Source, options: DataOptions, mixed: bool | None = None) -> tuple[Column, ...]:
    """Infer the columns of a mixed table; for other data, infer only the context columns.

    Args:
        source: rows as they were opened.
        options: the declared kinds of columns, and the context columns (covariates).
        mixed: whether each column has its own kind; by default all rows do, except pictures, levels, counts, and
            zeros and ones.

    Raises:
        DataError: if pictures are declared to be a mixed table, or cells do not fit the declared kind of their column.
    """
    declared, context = options.columns, options.context
    if LABEL in context and source.labels is not None and source.labels.dtype.kind != "f":
        declared = {LABEL: "categorical", **declared}  # integers that name classes
    if mixed and source.picture:
        raise DataError("a mixed table must have an example per row, shape (n, columns)", "pictures")
    mixed = _looks_mixed(source) if mixed is None else mixed
    if not mixed and not context:
        return ()
    further = (declared, context, options.ranges, options.least_count, options.blurs)
    if not mixed and source.frame is None:
        return infer_columns(source.context_frame(context), *further)
    columns = infer_columns(source.as_frame(LABEL in context), *further)
    if all(column.context for column in columns):
        raise DataError(f"All {len(columns)} columns are in data.context, so no column is left to model")
    return columns if mixed else tuple(column for column in columns if column.context)


def _looks_mixed(source: Source) -> bool:
    if source.frame is not None:
        return not _all_binary(source.frame)
    if source.picture or source.levels or source.values.dtype == np.uint8:
        return False
    return bool(np.isnan(source.values).any()) or infer_kind(all_rows(source), False, 0)[0] == "real"


def _all_binary(frame: Frame) -> bool:
    """Return whether a table holds only zeros and ones."""
    if any(family(kind) not in ("number", "truth") for kind in frame.schema.types):
        return False
    columns = (cells for piece in frame.read() for cells in piece.columns)
    return all(not cells.null_count and set(cells.unique().to_pylist()) <= {0, 1} for cells in columns)


def encode_rows(source: Source, columns: Sequence[Column], marks: tuple[str, ...] = MISSING) -> Source:
    """Encode opened rows as numbers: a mixed table column by column, other tables as one array.

    Args:
        source: opened rows; encoded rows are returned unchanged.
        columns: the columns of a mixed table, or the context columns of other data.
        marks: words that mean a missing cell, for columns that came from a text file in training.

    Raises:
        DataError: if a column is missing, or a cell does not fit its column.
    """
    if source.context is not None:
        return source
    if source.frame is not None:
        source = replace(source, frame=_matched(source.frame, columns, marks))
    if not columns:
        return source.as_numbers()
    context = [column.name for column in columns if column.context]
    if len(context) < len(columns):
        frame = source.as_frame(LABEL in context)
        values, codes = encode_frame(frame, columns)
        names = tuple(column.name for column in columns if column.modelled)
        encoded = replace(source, values=values, columns=names, frame=frame, context=codes)
    else:
        codes = encode_frame(source.context_frame(context), columns)[1]
        encoded = replace(source.as_numbers(without=context), context=codes)
    test, validation = (part and encode_rows(part, columns, marks) for part in (source.test, source.validation))
    return replace(encoded, table=tuple(columns), test=test, validation=validation)


def _matched(frame: Frame, columns: Sequence[Column], marks: tuple[str, ...]) -> Frame:
    """Prepare a new table so that its columns can be matched to those of the training table."""
    if frame.written is None and any(column.written for column in columns):
        frame = replace(frame, words=marks)
    if frame.named and are_numbered(columns) and len(frame.names) == len(columns):
        frame = replace(frame, named=frame.names == tuple(column.name for column in columns))
    return frame
