"""The `data` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vaekit.data.tables.columns import ColumnKind
from vaekit.data.tables.written import MISSING
from vaekit.options import Options


class DataOptions(Options):
    """How data are brought to the model."""

    size: str = Field(
        "auto",
        pattern=r"^(auto|[1-9]\d*x[1-9]\d*)$",
        description="Size HxW to which pictures of a folder are resampled.",
    )
    kind: Literal["auto", "binary", "levels", "counts", "real", "mixed"] = Field(
        "auto",
        description="What the values are; `auto` looks at them. Whole numbers may be declared real; in a mixed table every column has a kind of its own.",
    )
    columns: dict[str, ColumnKind | Literal["ignore"]] = Field(
        {},
        description="Kinds of columns of a mixed table that are not what they look like: data.columns.NAME=categorical, or ignore.",
    )
    hide: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto",
        description="Share of the training rows of a mixed table in which cells are hidden at random, so that any cells can be asked of any others.",
    )

    context: tuple[str, ...] = Field(
        (),
        description="Columns that are given, not modelled, so that the model is of p(x|c); `label` for the labels of pictures and arrays.",
    )
    header: bool | Literal["auto"] = Field(
        "auto", description="Whether the first line of a CSV file names the columns; `auto` looks at it."
    )
    missing: tuple[str, ...] | Literal["auto"] = Field(
        "auto",
        description="Words in a text file that stand for a missing cell, as an empty cell does in any case; `auto` is NA, N/A, nan, null, None, ?, - and their like.",
    )
    query: str = Field("", description="The SQL query whose rows are the data, where the source is a database.")
    binarize: Literal["auto", "none", "dynamic", "fixed", "threshold"] = Field(
        "auto",
        description="How grey levels become zeros and ones: drawn anew at each visit (`dynamic`), drawn once (`fixed`), at the "
        "middle (`threshold`), or not at all.",
    )
    scaling: Literal["auto", "none", "centre", "standardize", "unit"] = Field(
        "auto",
        description="Shift and scale before the model, undone afterwards; densities stay those of the data as given.",
    )
    validation: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the training rows that chooses the model (5,000 rows at most); 0: the last weights.",
    )
    test: float = Field(
        0.1, ge=0, lt=1, description="Share of the rows held out for evaluation where none are given; 0: none are."
    )

    @property
    def marks(self) -> tuple[str, ...]:
        """Words for a missing cell."""
        return MISSING if self.missing == "auto" else self.missing

    @property
    def height_width(self) -> tuple[int, int] | None:
        """`size` as numbers."""
        if self.size == "auto":
            return None
        height, width = self.size.split("x")
        return int(height), int(width)


DEFAULTS = DataOptions()
"""Data options as they are where nobody sets any."""
