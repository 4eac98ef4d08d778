"""The inference of a schema from data: kind, levels, constant columns, and notes for the user."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from vaekit.data.blanks import find_blanks
from vaekit.data.disguise import find_disguise, refuse_disguise
from vaekit.data.part import Part, all_rows
from vaekit.data.schema import Kind, Schema, check_finite
from vaekit.data.source import Source, levels_of
from vaekit.data.tables.columns import Column
from vaekit.data.tables.rules.fitting import MOST_FITTED, describe_rule, fit_rules
from vaekit.errors import DataError

POSSIBLE: dict[Kind, tuple[Kind, ...]] = {
    "binary": ("binary", "counts", "real"),
    "levels": ("levels", "counts", "real"),
    "counts": ("counts", "real"),
    "real": ("real",),
    "mixed": ("mixed",),
}
"""For each inferred kind of values, the kinds that a user may declare."""


def infer_kind(part: Part, picture: bool, levels: int) -> tuple[Kind, int]:
    """Infer the kind of values (binary, levels, counts or real) and the number of levels (0 for counts and reals)."""
    low, high, integer = math.inf, -math.inf, True
    for _, block in part.blocks():
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        integer = integer and (block.dtype.kind in "ui" or bool((block == np.floor(block)).all()))
    if not integer or low < 0:
        return "real", 0
    if high <= 1:
        return "binary", 2
    if levels or part.values.dtype == np.uint8 or (picture and (high <= 255 or part.values.dtype == np.uint16)):
        return "levels", levels or levels_of(high)
    return "counts", 0


def only_extremes(part: Part) -> bool:
    """Return whether all values are 0 or 255, as in black-and-white pictures saved as bytes."""
    return all(bool(((block == 0) | (block == 255)).all()) for _, block in part.blocks())


def constant_columns(part: Part) -> dict[int, float]:
    """Find the features that are constant in all rows, and return their values by flat index."""
    first = part.take(0, 1).reshape(1, -1)
    varies = np.zeros(first.shape[1], dtype=bool)
    for _, block in part.blocks():
        varies |= (block.reshape(len(block), -1) != first).any(axis=0)
    return {int(i): float(first[0, i]) for i in np.flatnonzero(~varies)}


def table_schema(table: tuple[Column, ...], array: bool) -> Schema:
    """Make the schema of a mixed table from its columns.

    Raises:
        DataError: if no column can be modelled.
    """
    names = tuple(column.name for column in table if column.modelled)
    if not names:
        left_out = "; ".join(map(_say_left_out, table[:5]))
        raise DataError(f"No column of the table can be modelled: {left_out}")
    return Schema(kind="mixed", shape=(len(names),), columns=names, table=table, array=array)


def _say_left_out(column: Column) -> str:
    if column.kind == "constant" and column.value is None:
        return f"no cell of '{column.name}' has a value"
    return f"'{column.name}' is {column.kind}"


def infer_schema(
    part: Part,
    *,
    picture: bool,
    levels: int = 0,
    columns: tuple[str, ...] = (),
    kind: Kind | Literal["auto"] = "auto",
    everything: Part | None = None,
) -> Schema:
    """Infer the schema of training data.

    Args:
        part: training rows.
        picture: whether the rows are pictures (n, H, W, C).
        levels: number of levels if the source knows it, else 0.
        columns: names of the columns of a table.
        kind: the declared kind of the values; by default it is inferred.
        everything: all rows of the source; the kind is inferred from these, so that it does not depend on the split.

    Returns:
        The schema.

    Raises:
        DataError: if a value is not finite, all rows are identical, or pixels were rescaled.
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
        raise DataError("values declared as data.kind=levels must be bytes or pictures", f"values of type {dtype}")
    constant = constant_columns(part)
    if len(constant) == math.prod(schema.shape):
        raise DataError(f"All {len(part)} training examples are identical, so there is nothing to learn")
    # Constant pixels stay, because a picture needs all of its pixels; their levels have proper probabilities.
    dtype = "float64" if declared == "real" and part.values.dtype.kind in "ui" else dtype
    levels = levels if declared in ("binary", "levels") else 0
    found_out = {"dtype": dtype, "kind": declared, "levels": levels, "constant": {} if picture else constant}
    return schema.model_copy(update=found_out)


def add_rules(schema: Schema, train: Part, rules: Sequence[str]) -> Schema:
    """Add the rules of `data.rules` to a schema, with what they learn from training rows.

    Raises:
        DataError: if a rule does not fit the columns or the training rows, or the data are not a mixed table.
    """
    if rules and schema.kind != "mixed":
        told = f"Rules (data.rules) need a mixed table, but the data are {schema.kind}"
        raise DataError(told, mend="" if schema.picture else "Train with data.kind=mixed")
    some = train.subset(MOST_FITTED, seed=0)
    fitted = fit_rules(rules, schema.table, some.take(0, len(some))) if rules else ()
    return schema.model_copy(update={"rules": fitted})


def make_schema(
    source: Source, train: Part, kind: Kind | Literal["auto"] = "auto", rules: Sequence[str] = ()
) -> Schema:
    """Make the schema of an encoded source.

    Args:
        source: all rows.
        train: the training rows.
        kind: the declared kind of the values; by default it is inferred.
        rules: the rules that rows of a mixed table obey.

    Raises:
        DataError: in the cases of `infer_schema` and `add_rules`, and if no column of a mixed table can be modelled.
    """
    if source.frame is not None:
        schema = table_schema(source.table, source.frame.array)
        schema = schema.model_copy(update={"table": find_blanks(train, schema.table)})
        return add_rules(schema, train, rules)
    picture, levels, columns = source.picture, source.levels, source.columns
    everything = all_rows(source)
    schema = infer_schema(train, picture=picture, levels=levels, columns=columns, kind=kind, everything=everything)
    return add_rules(schema.model_copy(update={"table": source.table}), train, rules)


def make_notes(source: Source, schema: Schema) -> list[str]:
    """Return notes for the user on how the rows of a source were read, what they look like, and which rules they obey."""
    if schema.kind == "real" and schema.picture and (scale := find_disguise(all_rows(source), True)):
        note = f"The values look like {scale}. A density of such values is not a likelihood, because it can grow without bound."
        return [*source.notes, note]
    if schema.kind != "levels" or schema.levels != 256 or not only_extremes(all_rows(source)):
        return [*source.notes, *map(describe_rule, schema.rules)]
    note = "All values are 0 or 255. With data.binarize=threshold they are modelled as zeros and ones, and samples are 0 or 255."
    return [*source.notes, note]
