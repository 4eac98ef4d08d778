"""Format numbers and table cells for figures and pages."""

from __future__ import annotations

import math
import re
import unicodedata

import numpy as np

from vaekit.data import Column
from vaekit.data.tables.dates import DAY

LONGEST = 80
"""Most characters shown of a name from the data."""


def cut(name: str) -> str:
    """Shorten a name from the data, replace control characters, and mark an empty or a blank name.

    Examples:
        >>> cut("a\\tb"), cut(""), cut(" "), cut("x" * 100)[-3:]
        ('a b', '(empty)', '(blank)', 'xx…')
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in name[: LONGEST + 1])
    if not clean.strip():
        return "(blank)" if name else "(empty)"
    return clean if len(name) <= LONGEST else f"{clean[: LONGEST - 1]}…"


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
        >>> significant(-0.00123456), significant(12345.6)
        ('−0.001235', '12,346')
    """
    return _digits(value, 4).replace("-", "−")


def _digits(value: float, digits: int) -> str:
    """Write a number with significant digits: as 1,016 rather than 1.02e+03 unless it is very large or very small."""
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_minus(text: str) -> str:
    """Write the minus signs of numbers in a text as true minus signs.

    Examples:
        >>> with_minus("log p(x) ≥ -11.39, self-supervised, 2020-01-02")
        'log p(x) ≥ −11.39, self-supervised, 2020-01-02'
    """
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


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
        >>> write_number(215650.0), write_number(-0.123456), write_number(1016.4, 3)
        ('215,650', '−0.1235', '1,016')
    """
    integer = float(value).is_integer() and abs(value) < 1e12
    text = f"{value:,.0f}" if integer and abs(value) >= 1e4 else f"{value:.0f}" if integer else _digits(value, digits)
    return text.replace("-", "−") if float(value) else "0"
