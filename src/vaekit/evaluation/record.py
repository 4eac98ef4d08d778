"""The base class of records of results, and the conversion of records to JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Record:
    """An immutable record of named results that can be converted to JSON."""

    def as_json(self) -> Any:
        """Return the results as JSON values (dictionaries, lists, strings, numbers), with None for NaN and infinity."""
        return to_json(self)


def to_json(value: Any) -> Any:
    """Convert a record or an array to dictionaries and lists for JSON, with None for NaN and infinity."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
