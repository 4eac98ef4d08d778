"""The base of every section of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Width = Annotated[int, Field(ge=1, le=100_000)]
"""Number of units of a layer."""


class Options(BaseModel):
    """The base class of recipe sections: immutable, with checked values and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
