"""From a source and a recipe to rows that are divided and described: the same way in training, resuming and describing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import (
    Column,
    Frame,
    Schema,
    Source,
    Split,
    infer_schema,
    open_source,
    split_source,
    table_schema,
    whole,
)
from vaekit.data.disguise import find_disguise
from vaekit.data.readers.database import is_database
from vaekit.data.readers.opening import TextForm
from vaekit.data.readers.tabular import numeric_source
from vaekit.data.schema import infer_kind, only_extremes
from vaekit.data.source import LABEL, Progress
from vaekit.data.tables.coding import code_frame, frame_of_array
from vaekit.data.tables.columns import are_numbered, family
from vaekit.data.tables.frame import frame_of_table
from vaekit.data.tables.inference import infer_columns
from vaekit.errors import DataError
from vaekit.recipe import Recipe


def open_both(
    source: object,
    test: object,
    recipe: Recipe,
    progress: Progress | None = None,
    table: tuple[Column, ...] | None = None,
) -> tuple[Source, Source | None]:
    """A source and its separate test source, where there is one.

    Args:
        source: as `open_source` takes it.
        test: likewise, or None.
        recipe: declares kinds of data and columns.
        progress: told how many pictures are decoded.
        table: the columns, where they are known already; by default they are inferred.
    """
    mixed = tuple(table or ()) if table and not all(column.given for column in table) else ()
    if recipe.data.query and not any(_is_database(rows) for rows in (source, test)):
        raise DataError(
            "data.query must go with a database", f"the source '{source}'", "Name postgresql://… or sqlite:///…"
        )
    opened = settle(open_rows(source, recipe, progress, mixed), recipe, table)
    if test is None:
        return opened, None
    known = opened.table if opened.frame is not None else ()
    return opened, settle(open_rows(test, recipe, progress, known), recipe, opened.table)


def open_rows(
    source: object, recipe: Recipe, progress: Progress | None = None, known: tuple[Column, ...] = ()
) -> Source | Frame:
    """Open rows by name, path, query or value, as they are.

    Args:
        source: as `open_source` takes it.
        recipe: says how files are read.
        progress: told how many pictures are decoded.
        known: what the columns of a text file are, where that is known: its cells are then not looked at anew.
    """
    data = recipe.data
    text = TextForm(None if data.header == "auto" else data.header, data.marks, known)
    return open_source(source, data.height_width, progress, data.query if _is_database(source) else "", text)


def _is_database(source: object) -> bool:
    return isinstance(source, str) and is_database(source)


def settle(rows: Source | Frame, recipe: Recipe, table: tuple[Column, ...] | None = None) -> Source:
    """Rows as numbers: coded column by column where the table is mixed, side by side where it is not.

    Args:
        rows: as they were opened.
        recipe: declares kinds of data and columns, and which of them are given.
        table: the columns of a mixed table, those given of other data; inferred by default.
    """
    if isinstance(rows, Source) and rows.context is not None:  # coded already
        return rows
    if table is None:
        table = _columns(rows, recipe)
    if isinstance(rows, Frame) and rows.written is None and any(column.written for column in table):
        rows = replace(rows, words=recipe.data.marks)
    if isinstance(rows, Frame) and rows.named and are_numbered(table) and len(rows.names) == len(table):
        rows = replace(rows, named=rows.names == tuple(column.name for column in table))  # matched by position
    if not table:
        return numeric_source(rows) if isinstance(rows, Frame) else rows
    mixed = not all(column.given for column in table)
    coded = code_frame(as_frame(rows, recipe), table, rows.origin) if mixed else _beside_given(rows, table)
    if isinstance(rows, Frame):
        return coded
    test, validation = (part and settle(part, recipe, table) for part in (rows.test, rows.validation))
    return replace(coded, labels=rows.labels, weights=rows.weights, test=test, validation=validation, notes=rows.notes)


def _columns(rows: Source | Frame, recipe: Recipe) -> tuple[Column, ...]:
    """The columns of a mixed table; of other data those that are given."""
    declared, given = recipe.data.columns, recipe.data.condition
    if LABEL in given and isinstance(rows, Source) and rows.labels is not None and rows.labels.dtype.kind != "f":
        declared = {LABEL: "categorical", **declared}  # whole numbers that name classes
    mixed = is_mixed(rows, recipe)
    if not mixed and not given:
        return ()
    if not mixed and isinstance(rows, Source):
        return infer_columns(_given_frame(rows, given), declared, given)
    columns = infer_columns(as_frame(rows, recipe), declared, given)
    if all(column.given for column in columns):
        raise DataError("data.condition must leave columns to be modelled", f"all {len(columns)} of them")
    return columns if mixed else tuple(column for column in columns if column.given)


def _beside_given(rows: Source | Frame, table: tuple[Column, ...]) -> Source:
    """Rows of one kind, as numbers side by side, with the codes of what is given."""
    given = [column.name for column in table]
    context = code_frame(_given_frame(rows, given), table).context
    if isinstance(rows, Frame):
        rows = numeric_source(rows.in_order([name for name in rows.names if name not in given]))
    return replace(rows, table=table, context=context)


def _given_frame(rows: Source | Frame, given: Sequence[str]) -> Frame:
    """The columns that are given: those of a table, or the labels of pictures and arrays.

    Raises:
        DataError: if they are not there.
    """
    if isinstance(rows, Frame):
        return rows.in_order(given)
    if list(given) != [LABEL]:
        raise DataError(f"data.condition must be ['{LABEL}'] for pictures and arrays", str(list(given)))
    if rows.labels is None:
        raise DataError(
            "rows must come with their labels, which the model is given",
            f"{len(rows.values)} rows without",
            "Give an .npz file with `labels`, a folder of IDX files or of a folder for each class, or a vaekit.data.Source",
        )
    return frame_of_table(pa.table({LABEL: pa.array(rows.labels)}))


def as_frame(rows: Source | Frame, recipe: Recipe) -> Frame:
    """Rows as a frame, an array's too, its labels among the columns where they are given."""
    if isinstance(rows, Frame):
        return rows
    labels = rows.labels if LABEL in recipe.data.condition else None
    return frame_of_array(rows.values, rows.columns, labels)


def is_mixed(rows: Source | Frame, recipe: Recipe) -> bool:
    """Whether each column has a kind of its own: unless all are zeros and ones, or the recipe says otherwise."""
    kind, likelihood = recipe.data.kind, recipe.likelihood.name
    if recipe.model != "vae" or kind not in ("auto", "mixed") or likelihood not in ("auto", "mixed"):
        return False
    if "mixed" in (kind, likelihood) or recipe.data.columns:
        if isinstance(rows, Source) and rows.picture:
            raise DataError("a mixed table must have an example per row: (n, columns)", "pictures")
        return True
    if isinstance(rows, Frame):
        return not _all_binary(rows)
    if rows.picture or rows.levels or rows.values.dtype == np.uint8:
        return False
    return bool(np.isnan(rows.values).any()) or infer_kind(whole(rows), False, 0)[0] == "real"


def _all_binary(frame: Frame) -> bool:
    """Whether a frame holds zeros and ones and nothing else."""
    if any(family(kind) not in ("number", "truth") for kind in frame.schema.types):
        return False
    for piece in frame.read():
        for cells in piece.columns:
            if cells.null_count or not set(cells.unique().to_pylist()) <= {0, 1}:
                return False
    return True


def open_factors(factors: object, rows: int) -> npt.NDArray[np.int64]:
    """Known factors of variation, their values numbered.

    Args:
        factors: a file, an array (n, f) or a data frame with a column for each factor: whole numbers or names.
        rows: n.

    Returns:
        Integers from 0 in each column, shape (n, f).

    Raises:
        DataError: if there are more or fewer rows, a cell is missing, or a factor is continuous.

    Examples:
        >>> open_factors([[3, 0], [5, 1], [3, 1]], 3).tolist()
        [[0, 0], [1, 1], [0, 1]]
    """
    opened = open_source(factors)
    if isinstance(opened, Source) and opened.values.ndim != 2:
        raise DataError("factors must be a table with a column for each factor", f"shape {opened.values.shape}")
    table = (opened if isinstance(opened, Frame) else frame_of_array(opened.values, opened.columns)).table()
    if len(table) != rows:
        raise DataError(f"there must be factors for each of the {rows} rows", f"{len(table)} rows of factors")
    return np.stack([_numbered(name, table[name]) for name in table.column_names], axis=1)


def _numbered(name: str, cells: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    if cells.null_count:
        raise DataError(
            "every row must have all factors",
            f"{cells.null_count} empty cells in column '{name}'",
            "Leave out these rows, from both files",
        )
    values = np.asarray(cells.to_pylist())
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise DataError(
            "factors must be whole numbers or names",
            f"{values[values != np.floor(values)][0]:g} in column '{name}'",
            "Put its values into classes, of equal width or equally frequent",
        )
    return np.unique(values, return_inverse=True)[1]


def make_schema(source: Source, split: Split, recipe: Recipe) -> Schema:
    """What the training rows of a source are; only their kinds are told from all of its rows."""
    if source.frame is not None:
        return table_schema(source.table, source.frame.array)
    schema = infer_schema(
        split.train,
        picture=source.picture,
        levels=source.levels,
        columns=source.columns,
        kind=recipe.data.kind,
        everything=whole(source),
    )
    return schema.model_copy(update={"table": source.table})


def make_notes(source: Source, schema: Schema) -> list[str]:
    """Sentences on how the rows of a source were read, and on what they look like."""
    if schema.kind == "real" and schema.picture and (scale := find_disguise(whole(source), True)):
        told = f"The values look like {scale}. A density of them is not a likelihood: it can rise without end."
        return [*source.notes, told]
    if schema.kind != "levels" or schema.levels != 256 or not only_extremes(whole(source)):
        return list(source.notes)
    told = "All values are 0 or 255: data.binarize=threshold models them as zeros and ones, and gives back 0 and 255."
    return [*source.notes, told]


def make_split(source: Source, test: Source | None, recipe: Recipe) -> Split:
    """The division of the rows that a recipe asks for."""
    return split_source(source, test, recipe.seed, recipe.data.validation, recipe.data.test)
