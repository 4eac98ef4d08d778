"""Format numbers and table cells for the report."""

from __future__ import annotations

import math

import numpy as np

from vaekit.data import Column
from vaekit.data.tables.dates import DAY
from vaekit.report.panel import cut


def nats(value: float) -> str:
    """Format a number of nats with two decimals and a true minus sign.

    Examples:
        >>> nats(-1234.5678), nats(-0.001)
        ('−1,234.57', '0.00')
    """
    return f"{round(value, 2) + 0.0:,.2f}".replace("-", "−")


def significant(value: float) -> str:
    """Format a number with four significant digits and a true minus sign.

    Examples:
        >>> significant(-0.00123456)
        '−0.001235'
    """
    return f"{value:.4g}".replace("-", "−")


def with_error(value: float, error: float | None) -> str:
    """Format a number of nats with its standard error, if there is one.

    Examples:
        >>> with_error(-90.123, 0.456), with_error(-90.123, None)
        ('−90.12 ± 0.46', '−90.12')
    """
    return nats(value) if error is None or math.isnan(error) else f"{nats(value)} ± {nats(error)}"


def percent(share: float) -> str:
    """Format a share from 0 to 1 as a percentage with one decimal.

    Examples:
        >>> percent(0.2512), percent(0.0), percent(0.00004)
        ('25.1 %', '0 %', '< 0.1 %')
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"


def write_value(column: Column, value: str | float | bool, digits: int = 4) -> str:
    """Format a value of a table column for the report.

    Args:
        column: the column.
        value: the value; for a date, microseconds since 1970.
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
    """Format a number for readers: integers in full, others with `digits` significant digits.

    Examples:
        >>> write_number(215650.0), write_number(-0.123456)
        ('215,650', '−0.1235')
    """
    integer = float(value).is_integer() and abs(value) < 1e12
    text = f"{value:,.0f}" if integer and abs(value) >= 1e4 else f"{value:.0f}" if integer else f"{value:.{digits}g}"
    return text.replace("-", "−") if float(value) else "0"
