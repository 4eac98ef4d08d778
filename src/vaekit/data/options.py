"""The `data` section of a recipe."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from vaekit.data.tables.columns import ColumnKind
from vaekit.data.tables.written import MISSING
from vaekit.options import Options


def _read_range(given: Any) -> tuple[Any, Any]:
    """Read a range as a pair of numbers or texts, with an empty text for an open end."""
    must = "must be [least, greatest], such as [0, 23] or [0, null], with least < greatest"
    try:
        low, high = (_read_end(end) for end in (json.loads(given) if isinstance(given, str) else given))
        if low == "" or high == "" or low < high:
            return low, high
    except (TypeError, ValueError) as error:
        raise ValueError(must) from error
    raise ValueError(must)


def _read_end(given: Any) -> Any:
    return "" if given is None else str(given) if isinstance(given, datetime.date) else given


class DataOptions(Options):
    """Lists the options for reading, describing and transforming data."""

    size: str = Field(
        "auto",
        pattern=r"^(auto|[1-9]\d*x[1-9]\d*)$",
        description="Height and width (HxW) to which pictures are resampled; `auto` keeps their size.",
    )
    kind: Literal["auto", "binary", "levels", "counts", "real", "mixed"] = Field(
        "auto",
        description="Kind of the values; `auto` infers it. Integers may be declared real. In a mixed table each column has its own kind.",
    )
    columns: dict[str, ColumnKind | Literal["ignore"]] = Field(
        {},
        description="Kinds of columns in a mixed table, in place of the inferred ones: data.columns.NAME=KIND, or ignore to leave a column out.",
    )
    ranges: dict[str, Annotated[tuple[float | str, float | str], BeforeValidator(_read_range)]] = Field(
        {},
        description="Least and greatest number or date of columns in a mixed table, in place of inferred ones: "
        "data.ranges.NAME=[0, 23]. An end is open if it is null, or an empty text.",
    )
    least_count: int = Field(
        5,
        ge=1,
        description="Least number of rows that must have a text or a category for it to be written into drawn rows (mixed tables only).",
    )
    hide: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        "auto",
        description="Share of training rows with cells hidden at random, so that the model learns to predict missing cells (mixed tables only).",
    )
    blur: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        0.0,
        description="Standard deviation of the noise added to the numbers of training rows, in standard deviations of their columns; `auto` "
        "chooses the one under which each row is likeliest among the blurred others. Categories are replaced with probability "
        "blur²/(1 + blur²). All numbers are then real (mixed tables only).",
    )

    context: tuple[str, ...] = Field(
        (),
        description="Columns that the model p(x|c) is conditional on and does not model; `label` means the labels of pictures and arrays.",
    )
    rules: tuple[str, ...] = Field(
        (),
        description="Rules that drawn and filled rows of a mixed table obey, such as `a <= b`, `total == x + y`, `a == b[0:2]`, `city -> country`, `fixed(a, b)`.",
    )
    header: bool | Literal["auto"] = Field(
        "auto", description="Whether the first line of a CSV file names the columns; `auto` infers it."
    )
    missing: tuple[str, ...] | Literal["auto"] = Field(
        "auto",
        description="Words in a text file that mean a missing cell; an empty cell is always missing. `auto` means NA, N/A, nan, null, None, ?, - and similar words.",
    )
    query: str = Field("", description="SQL query that returns the rows, if the source is a database.")
    binarize: Literal["auto", "none", "dynamic", "fixed", "threshold"] = Field(
        "auto",
        description="How grey levels become zeros and ones: drawn again in each epoch (`dynamic`), drawn once (`fixed`), by a "
        "threshold at the middle (`threshold`), or not at all (`none`).",
    )
    scaling: Literal["auto", "none", "centre", "standardize", "unit"] = Field(
        "auto",
        description="How the data are shifted and scaled for the model; densities remain those of the data as given.",
    )
    validation: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the training rows used to choose the best weights (at most 5,000 rows); 0 keeps the last weights.",
    )
    test: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the rows held out for evaluation if no test data are given; 0 holds out no rows.",
    )

    @property
    def marks(self) -> tuple[str, ...]:
        """Return the words that mean a missing cell in a text file."""
        return MISSING if self.missing == "auto" else self.missing

    @property
    def blurs(self) -> bool:
        """Return whether training rows are blurred."""
        return self.blur != 0

    @property
    def height_width(self) -> tuple[int, int] | None:
        """Return the height and width to which pictures are resampled, or None if `size` is auto."""
        if self.size == "auto":
            return None
        height, width = self.size.split("x")
        return int(height), int(width)


DEFAULTS = DataOptions()
"""The default options for data."""
