"""Write cells of a table as people write them."""

from __future__ import annotations

import numpy as np

from vaekit.data import Column
from vaekit.data.tables.dates import DAY
from vaekit.report.panel import cut


def write_value(column: Column, value: str | float | bool, digits: int = 4) -> str:
    """Write a value of a column.

    Args:
        column: the column.
        value: the value; of a date its microseconds since 1970.
        digits: significant digits of numbers that are not integers.
    """
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, bool):
        return str(value).lower()
    if column.kind == "datetime":
        date = str(np.datetime64(int(value), "us"))
        return date[:10] if column.spacing and column.spacing % DAY == 0 else date[:16].replace("T", " ")
    return write_number(value, digits)


def write_number(value: float, digits: int = 4) -> str:
    """Write a number for readers: integers in full, others with `digits` significant digits.

    Examples:
        >>> write_number(215650.0), write_number(-0.123456)
        ('215,650', '−0.1235')
    """
    integer = float(value).is_integer() and abs(value) < 1e12
    text = f"{value:,.0f}" if integer and abs(value) >= 1e4 else f"{value:.0f}" if integer else f"{value:.{digits}g}"
    return text.replace("-", "−") if float(value) else "0"
