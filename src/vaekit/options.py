"""The base of every section of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Width = Annotated[int, Field(ge=1, le=100_000)]
"""Number of units of a layer."""


class Options(BaseModel):
    """A section of a recipe, which refuses unknown keys, checks its values and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
