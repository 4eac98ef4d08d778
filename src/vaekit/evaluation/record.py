"""Base of the records that hold figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Record:
    """Hold named figures that cannot be changed and that turn themselves into JSON."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as texts, numbers, lists and dictionaries, with None for numbers that are not finite."""
        return {field.name: _as_json(getattr(self, field.name)) for field in fields(self)}


def _as_json(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_json()
    if isinstance(value, np.ndarray):
        return _as_json(value.tolist())
    if isinstance(value, tuple | list):
        return [_as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
