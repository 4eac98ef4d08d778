"""What data are, told from their values: kind, levels, constant columns, and what should be known of them."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from vaekit.data.disguise import find_disguise, refuse_disguise
from vaekit.data.part import Part, all_rows
from vaekit.data.schema import Kind, Schema, check_finite
from vaekit.data.source import Source, levels_of
from vaekit.data.tables.columns import Column
from vaekit.errors import DataError

POSSIBLE: dict[Kind, tuple[Kind, ...]] = {
    "binary": ("binary", "counts", "real"),
    "levels": ("levels", "counts", "real"),
    "counts": ("counts", "real"),
    "real": ("real",),
    "mixed": ("mixed",),
}
"""What values that look like the first may be declared to be."""


def infer_kind(part: Part, picture: bool, levels: int) -> tuple[Kind, int]:
    """Kind and number of levels of the values: bytes and pictures of 16 bits are levels, other integers counts, the rest reals."""
    low, high, whole = math.inf, -math.inf, True
    for _, block in part.blocks():
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        whole = whole and (block.dtype.kind in "ui" or bool((block == np.floor(block)).all()))
    if not whole or low < 0:
        return "real", 0
    if high <= 1:
        return "binary", 2
    if levels or part.values.dtype == np.uint8 or (picture and (high <= 255 or part.values.dtype == np.uint16)):
        return "levels", levels or levels_of(high)
    return "counts", 0


def only_extremes(part: Part) -> bool:
    """Whether all values are 0 or 255: masks and drawings that were saved as bytes."""
    return all(bool(((block == 0) | (block == 255)).all()) for _, block in part.blocks())


def constant_columns(part: Part) -> dict[int, float]:
    """Flat index and value of the features in which nothing varies."""
    first = part.take(0, 1).reshape(1, -1)
    varies = np.zeros(first.shape[1], dtype=bool)
    for _, block in part.blocks():
        varies |= (block.reshape(len(block), -1) != first).any(axis=0)
    return {int(i): float(first[0, i]) for i in np.flatnonzero(~varies)}


def table_schema(table: tuple[Column, ...], array: bool) -> Schema:
    """The schema of a mixed table.

    Raises:
        DataError: if no column is left to be modelled.
    """
    names = tuple(column.name for column in table if column.modelled)
    if not names:
        left_out = "; ".join(f"'{column.name}' is {column.kind}" for column in table[:5])
        raise DataError("a table must have columns that vary and can be modelled", left_out)
    return Schema(kind="mixed", shape=(len(names),), columns=names, table=table, array=array)


def infer_schema(
    part: Part,
    *,
    picture: bool,
    levels: int = 0,
    columns: tuple[str, ...] = (),
    kind: Kind | Literal["auto"] = "auto",
    everything: Part | None = None,
) -> Schema:
    """Describe training data.

    Args:
        part: training rows.
        picture: whether they are pictures (n, H, W, C).
        levels: number of levels where the source knows it, else 0.
        columns: names of the columns of a table.
        kind: what the values are declared to be, instead of what they look like.
        everything: all rows of the source, from which the kind is told: it must not depend on who is held out.

    Returns:
        Their schema.

    Raises:
        DataError: if a value is not finite, nothing varies, or pixels were divided by 255.
    """
    dtype = str(part.values.dtype)
    schema = Schema(kind="real", shape=part.event_shape, picture=picture, columns=columns, dtype=dtype)
    check_finite(part, schema)
    found, levels = infer_kind(everything or part, picture, levels)
    if kind == "auto" and found == "real" and (picture or not columns):
        refuse_disguise(part, picture)
    declared = found if kind == "auto" else kind
    if declared not in POSSIBLE[found]:
        raise DataError(f"data.kind must be one of {', '.join(POSSIBLE[found])} for these values", f"'{declared}'")
    if declared == "levels" and not levels:
        raise DataError("data.kind=levels must be given bytes or pictures", f"values of type {dtype}")
    constant = constant_columns(part)
    if len(constant) == math.prod(schema.shape):
        raise DataError("the data must vary", f"{len(part)} equal examples")
    # Pixels stay: a picture needs its grid, and the probability of a level is proper even where it never varies.
    dtype = "float64" if declared == "real" and part.values.dtype.kind in "ui" else dtype
    return schema.model_copy(
        update={
            "dtype": dtype,
            "kind": declared,
            "levels": levels if declared in ("binary", "levels") else 0,
            "constant": {} if picture else constant,
        }
    )


def make_schema(source: Source, train: Part, kind: Kind | Literal["auto"] = "auto") -> Schema:
    """Describe the training rows of an encoded source; only their kind is told from all of its rows.

    Args:
        source: the rows.
        train: those of them that train.
        kind: what the values are declared to be, instead of what they look like.

    Raises:
        DataError: as `infer_schema`, or if no column of a mixed table can be modelled.
    """
    if source.frame is not None:
        return table_schema(source.table, source.frame.array)
    schema = infer_schema(
        train,
        picture=source.picture,
        levels=source.levels,
        columns=source.columns,
        kind=kind,
        everything=all_rows(source),
    )
    return schema.model_copy(update={"table": source.table})


def make_notes(source: Source, schema: Schema) -> list[str]:
    """Return sentences on how the rows of a source were read, and on what they look like."""
    if schema.kind == "real" and schema.picture and (scale := find_disguise(all_rows(source), True)):
        told = f"The values look like {scale}. A density of them is not a likelihood: it can rise without end."
        return [*source.notes, told]
    if schema.kind != "levels" or schema.levels != 256 or not only_extremes(all_rows(source)):
        return list(source.notes)
    told = "All values are 0 or 255: data.binarize=threshold models them as zeros and ones, and gives back 0 and 255."
    return [*source.notes, told]
