"""Group Arrow types into families, and convert cells to the plain type of their family."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.dates import is_length, seconds_of
from vaekit.errors import DataError

Family = Literal["number", "truth", "date", "text", "other"]
Narrow = type[np.floating[Any]]
"""A floating type below double precision."""


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the value type of an Arrow dictionary type; return any other Arrow type unchanged."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def family(kind: pa.DataType) -> Family:
    """Return the family of an Arrow type: number, truth, date, text or other."""
    kind = value_type(kind)
    if pa.types.is_boolean(kind):
        return "truth"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or is_length(kind):
        return "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return "text" if any(is_type(kind) for is_type in text) else "other"


def to_plain(cells: Any) -> Any:
    """Convert cells to the plain type of their family: bool, float64 (durations in seconds), string or timestamp[us].

    Args:
        cells: an Arrow array, chunked or not.

    Returns:
        An Arrow array in one piece; NaN becomes missing.

    Raises:
        pyarrow.ArrowInvalid: if a cell cannot be converted.
    """
    cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    found = family(cells.type)
    if found == "number":
        cells = seconds_of(cells) if is_length(cells.type) else cells.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(cells), pa.scalar(None, pa.float64()), cells)
    if found == "date":
        zoneless = pa.timestamp("us", getattr(cells.type, "tz", None))
        return cells.cast(zoneless, safe=False).cast(pa.timestamp("us"), safe=False)
    return cells.cast(pa.string()) if found == "text" else cells


def with_own_digits(numbers: Any) -> Any:
    """Convert floats to float64 with the same decimal digits (float32 0.1 becomes 0.1); other numbers do not change."""
    kind = value_type(numbers.type)
    if not pa.types.is_floating(kind):
        return numbers
    if kind != pa.float64():
        numbers = numbers.cast(kind).cast(pa.string()).cast(pa.float64())
    return to_plain(numbers)


def narrower(given: Any, own: Any) -> Narrow | None:
    """Return the lower floating-point precision of two numeric Arrow types; None if both have double precision."""
    kinds = [value_type(kind) for kind in (given, own)]
    return np.float16 if pa.float16() in kinds else np.float32 if pa.float32() in kinds else None


def parse_type(text: str) -> Any:
    """Return the Arrow type with the given name.

    Raises:
        DataError: if the name is unknown.
    """
    if text.startswith("dictionary"):
        values = text.partition("values=")[2].partition(", indices=")[0]
        return pa.string() if values.endswith("string") else parse_type(values)
    for unit in ("s", "ms", "us", "ns"):
        if text.startswith(f"timestamp[{unit}"):
            zone = text.partition("tz=")[2].rstrip("]")
            return pa.timestamp(unit, zone or None)
    if text.startswith("decimal"):
        return pa.float64()
    names = {"date32[day]": "date32", "date64[ms]": "date64", "float": "float32", "double": "float64", "halffloat": "float16"}  # fmt: skip
    try:
        return pa.type_for_alias(names.get(text, text))
    except ValueError as error:
        raise DataError("the type of a column must be an Arrow type", f"'{text}'") from error


def integer_range(kind: Any) -> tuple[float, float]:
    """Return the least and the greatest double that fit into an Arrow integer type."""
    info = np.iinfo(kind.to_pandas_dtype())
    return float(info.min), float(info.max) if info.max < 2**53 else float(np.nextafter(float(info.max), 0))
