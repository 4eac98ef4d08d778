"""The rows of exported files: numbers in one array, with dates in days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from vaekit.data import Column, Schema
from vaekit.data.tables.columns import CATEGORICAL, reciprocal
from vaekit.data.tables.dates import DAY
from vaekit.errors import VaekitError
from vaekit.models import LatentModel
from vaekit.models.likelihoods import AutoregressiveMixed

MOST_PASSES = 32
"""Most cells that are decoded one after another in one graph, by a decoder in which each cell depends on those before it."""


def unit(column: Column) -> float:
    """Return how many units of a column's codes its unit in exported files has: dates are in days, codes in microseconds."""
    return float(DAY) if column.kind == "datetime" else 1.0


def _step(column: Column) -> float:
    """Return the distance between neighbouring numbers in tables; 0 if numbers are not rounded."""
    if column.kind == "datetime":
        return max(column.spacing, column.rounding, 1.0)
    if column.kind in CATEGORICAL:
        return 0.0
    return column.rounding or float(pa.types.is_integer(column.arrow_type))


class Units:
    """The map between rows in exported files and codes of rows.

    Args:
        schema: the schema of the data.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema, self.table = schema, schema.kind == "mixed"
        small = schema.dtype in ("uint8", "int8", "uint16", "int16")
        self.dtype = torch.float32 if small and not self.table else torch.float64
        self.units = [unit(column) for column in schema.modelled] if self.table else []
        self.steps = [_step(column) for column in schema.modelled] if self.table else []

    def read(self, x: Tensor) -> Tensor:
        """Map rows in a file to rows as the transform takes them."""
        return _to_codes(x, self.units) if self.table else x

    def read_context(self, context: Tensor) -> Tensor:
        """Map values of the context in a file to codes."""
        return _to_codes(context, [unit(column) for column in self.schema.context])

    def write(self, x: Tensor) -> Tensor:
        """Map rows of the transform to rows in a file."""
        return x / torch.tensor(self.units, dtype=torch.float64) if self.table else x.to(self.dtype)

    def round(self, codes: Tensor) -> Tensor:
        """Round codes of a table as they are rounded in tables, such as to cents or days."""
        step, parts = (
            torch.tensor(each, dtype=torch.float64) for each in (self.steps, [reciprocal(step) for step in self.steps])
        )
        count = torch.round(codes / step)
        return torch.where(step > 0, torch.where(parts > 0, count / parts, count * step), codes) + 0.0  # −0 becomes 0

    def refuse_rules(self, verb: str) -> None:
        """Refuse a run with rules, which only Python knows."""
        if self.schema.rules:
            told = "The run has rules (data.rules), and a file cannot draw a row again until it obeys them"
            raise VaekitError(
                told, mend=f"Use run.{verb} in Python, or export `encode` or `score`, which need no rules"
            )

    def refuse_many(self, model: LatentModel, verb: str) -> None:
        """Refuse to decode many cells one after another."""
        likelihood = getattr(model.decoder, "likelihood", None)
        cells = likelihood.layout.slots if isinstance(likelihood, AutoregressiveMixed) else 0
        if cells > MOST_PASSES:
            told = f"The decoder makes a pass for each of the {cells} cells of a row, and a file holds at most {MOST_PASSES}"
            raise VaekitError(told, mend=f"Use run.{verb}, or train with likelihood=mixed")

    def describe(self, columns: Sequence[Column]) -> list[dict[str, Any]]:
        """Describe columns: what each number of a row means."""
        return [_describe(column) for column in columns]


def _to_codes(x: Tensor, units: Sequence[float]) -> Tensor:
    """Map numbers in files to codes; a date becomes a whole number of microseconds."""
    scale = torch.tensor(units, dtype=torch.float64)
    return torch.where(scale == 1, x, torch.round(x * scale))


def _describe(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "kind": column.kind, "type": column.type}
    if column.kind in CATEGORICAL:
        found["categories"] = [*column.categories, *(value for value, _ in column.rare)]
        found["unseen"] = column.unseen
    if column.kind == "datetime":
        found["unit"] = "days since 1970-01-01"
    if column.spacing:
        found["spacing"] = column.spacing / unit(column)
    bounds = [None if end is None else end / unit(column) for end in (column.lowest, column.highest)]
    if bounds != [None, None]:
        found["bounds"] = bounds
    return found


def constants(schema: Schema) -> dict[str, Any]:
    """Return the columns of a mixed table that are the same in all rows, and not part of the array."""
    return {column.name: column.value for column in schema.table if column.kind == "constant"}
