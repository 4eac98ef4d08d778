"""Change fields of a pydantic model."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)


def rebuild(model: Model, **changes: Any) -> Model:
    """Return a model with other values in some fields, and nothing computed before: `model_copy` keeps cached properties."""
    return type(model).model_validate(model.model_dump() | changes)
