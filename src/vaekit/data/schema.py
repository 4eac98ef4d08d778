"""The schema of a run's data: kind, shape, levels, names and constant columns. New rows are checked against it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vaekit.data.part import Part
from vaekit.data.tables.arrays import Values
from vaekit.data.tables.columns import LARGEST, Column, numbered_names
from vaekit.data.tables.rules import AnyRule
from vaekit.errors import DataError

Kind = Literal["binary", "levels", "counts", "real", "mixed"]
Size = Annotated[int, Field(ge=0, lt=1 << 31)]
DTYPES = (*(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)), "float32", "float64")


class Schema(BaseModel):
    """Describes the examples of a data set: their kind, shape, levels and columns.

    Args:
        kind: `binary` (0 and 1), `levels` (0 … levels−1), `counts` (0, 1, 2, …), `real`, or `mixed`: each column has its own kind.
        shape: shape of one example: (H, W, C) for pictures, (columns,) for tables.
        levels: number of levels of graded data, 2 for binary data, else 0.
        picture: whether an example is a picture.
        columns: names of the columns of a table; empty for pictures and unnamed arrays.
        constant: index and value of the columns that do not vary in training; the likelihood does not include them.
        dtype: type of the data as given, and of samples; a floating type for reals.
        table: all columns of a mixed table (`shape` and `columns` count only modelled ones), or the context columns of
            other data.
        array: whether a mixed table was passed as an array, so that samples are returned as an array.
        rules: the rules that drawn and filled rows of a mixed table obey.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    shape: tuple[Size, ...]
    levels: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    picture: bool = False
    columns: tuple[str, ...] = ()
    constant: dict[int, float] = {}
    dtype: str = "float64"
    table: tuple[Column, ...] = ()
    array: bool = False
    rules: tuple[AnyRule, ...] = ()

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, dtype: str) -> str:
        if dtype not in DTYPES:
            raise ValueError(f"must be one of {', '.join(DTYPES)}")
        return dtype

    @model_validator(mode="after")
    def _fits(self) -> Schema:
        if self.columns and self.shape != (len(self.columns),):
            raise ValueError(f"{len(self.columns)} columns of shape {self.shape}")
        if self.constant and (len(self.shape) > 1 or not 0 <= min(self.constant) <= max(self.constant) < self.shape[0]):
            raise ValueError("constant columns that do not exist")
        if {name for rule in self.rules for name in rule.columns} - {column.name for column in self.modelled}:
            raise ValueError("rules of columns that do not exist")
        categories = {column.name: column.categories for column in (*self.modelled, *self.context)}
        for column in self.table:
            name, values = column.blank_where or ("", ())
            if values and not set(values) <= set(categories.get(name, ())):
                raise ValueError(f"structural blanks of '{column.name}' that no column explains")
        return self

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of an example without its constant columns, which the model does not see."""
        return (self.shape[0] - len(self.constant),) if self.constant else self.shape

    @property
    def discrete(self) -> bool:
        """Return whether the data are discrete, with a likelihood that is a probability rather than a density."""
        return self.kind not in ("real", "mixed")

    @property
    def modelled(self) -> tuple[Column, ...]:
        """Return the modelled columns of a mixed table."""
        return tuple(column for column in self.table if column.modelled)

    @property
    def context(self) -> tuple[Column, ...]:
        """Return the context columns, on which the model is conditional."""
        return tuple(column for column in self.table if column.context)

    @property
    def cells(self) -> tuple[Column, ...]:
        """Return the columns of a text file with such data, including context columns; pictures have none."""
        if self.kind == "mixed" or len(self.shape) > 1:
            return self.table if self.kind == "mixed" else ()
        names = self.columns or numbered_names(self.shape[0])
        return (*(Column(name=name, kind="real", type="double") for name in names), *self.context)

    def name(self, index: int) -> str:
        """Return the name of the feature (a column or a pixel) at a flat index, for use in messages."""
        if self.columns:
            return f"column '{self.columns[index]}'"
        if self.picture:
            row, column, channel = np.unravel_index(index, self.shape)
            return f"pixel ({row}, {column}), channel {channel}"
        return f"column {index}"

    def check(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Check new data against the shape and range that the model was trained on.

        Args:
            values: rows of any numeric type, shape (n, *shape); the axis of a single channel may be missing.

        Returns:
            The values, as (n, *shape).

        Raises:
            DataError: if the shape or a value does not fit; the message names the first wrong value.
        """
        if self.picture and values.shape[1:] == self.shape[:-1] and self.shape[-1] == 1:
            values = values[..., None]
        if self.kind == "real":  # integers are checked before they could be truncated
            with np.errstate(over="ignore"):
                values = values.astype(self.dtype, copy=False)
        self.check_part(Part(values, np.arange(len(values))))
        return values.astype(self.dtype, copy=False)

    def check_part(self, part: Part) -> None:
        """Refuse rows that differ from the training data in shape or range, reading one block at a time.

        Raises:
            DataError: names the first value that does not fit.
        """
        if part.event_shape != self.shape:
            must = f"each example must have the shape {self.shape} that the model was trained on"
            mend = _to_shape(part.event_shape, self.shape) if self.picture else ""
            raise DataError(must, f"{part.event_shape}", mend)
        if self.kind == "mixed":  # its columns were checked when they were encoded
            return
        check_finite(part, self)
        if self.discrete:
            self._check_range(part)
        if self.constant:
            self._check_constants(part)

    def _check_constants(self, part: Part) -> None:
        """Warn if a column that was constant in training now varies; the likelihood ignores such columns."""
        index, value = list(self.constant), np.array(list(self.constant.values()))
        if (found := _first(part, lambda block: block[:, index] != value)) is not None:
            row, i, block = found
            warnings.warn(
                f"{self.name(index[i])} is {block[index[i]]:g} in row {row}, but was {value[i]:g} in all training rows. The "
                f"likelihood does not include it, so scores do not show that this row is unusual",
                stacklevel=2,
            )

    def _check_range(self, part: Part) -> None:
        most = self.levels - 1 if self.levels else np.inf
        found = _first(part, lambda block: (block < 0) | (block != np.floor(block)) | (block > most))
        if found is not None:
            row, index, values = found
            wanted = f"integers from 0 to {most}" if self.levels else "counts 0, 1, 2, …"
            given = f"{values[index]:g} in row {row}, {self.name(index)}"
            raise DataError(f"the data must be {wanted}, as in training", given)


def check_finite(part: Part, schema: Schema) -> None:
    """Refuse rows with NaN, infinity or extremely large numbers; the message names the first such cell."""
    if part.values.dtype.kind != "f":
        return
    if (found := _first(part, lambda block: ~(np.abs(block) <= LARGEST))) is not None:
        row, index, values = found
        must = f"every value must be a finite number, at most {LARGEST:g} in size"
        mend = "Remove such rows, or fill the cells, before training"
        raise DataError(must, f"{values[index]} in row {row}, {schema.name(index)}", mend)


def _first(part: Part, wrong: Callable[[Values], Values]) -> tuple[int, int, Values] | None:
    """Find the first wrong value, and return its row number, its flat index in the row, and the values of the row."""
    for start, block in part.blocks():
        flat = block.reshape(len(block), -1)
        if (bad := wrong(flat)).any():
            row, index = np.argwhere(bad)[0]
            return int(part.index[start + row]), int(index), flat[row]
    return None


def _to_shape(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return an instruction for bringing pictures to the shape that the model was trained on."""
    if len(given) != 3 or given[:-1] != wanted[:-1]:
        return "Pictures can be resampled with data.size when they are read"
    if (given[-1], wanted[-1]) == (4, 3):
        return (
            "Drop the fourth channel, as in x[..., :3], or pass picture files, in which transparent pixels become white"
        )
    if wanted[-1] == 1:
        return "Convert them to grey, as with PIL.Image.convert('L'), or take one channel, as in x[..., :1]"
    return "Pass pictures with the same number of channels"
