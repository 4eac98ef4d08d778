"""Base of the records that hold figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Record:
    """Hold named figures that cannot be changed and that turn themselves into JSON."""

    def as_json(self) -> Any:
        """Return the fields as texts, numbers, lists and dictionaries, with None for numbers that are not finite."""
        return to_json(self)


def to_json(value: Any) -> Any:
    """Return a record as a dictionary and an array or a tuple as a list; None for a number that is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
