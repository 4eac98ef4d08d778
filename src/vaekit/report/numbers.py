"""Write numbers as the report shows them."""

from __future__ import annotations

import math


def nats(value: float) -> str:
    """Write a number of nats with two decimals and a true minus sign.

    Examples:
        >>> nats(-1234.5678), nats(-0.001)
        ('−1,234.57', '0.00')
    """
    return f"{round(value, 2) + 0.0:,.2f}".replace("-", "−")


def significant(value: float) -> str:
    """Write a number with four significant digits and a true minus sign.

    Examples:
        >>> significant(-0.00123456)
        '−0.001235'
    """
    return f"{value:.4g}".replace("-", "−")


def with_error(value: float, error: float | None) -> str:
    """Write a number of nats with its standard error, if there is one.

    Examples:
        >>> with_error(-90.123, 0.456), with_error(-90.123, None)
        ('−90.12 ± 0.46', '−90.12')
    """
    return nats(value) if error is None or math.isnan(error) else f"{nats(value)} ± {nats(error)}"


def percent(share: float) -> str:
    """Write a share from 0 to 1 in percent, with one decimal.

    Examples:
        >>> percent(0.2512), percent(0.0), percent(0.00004)
        ('25.1 %', '0 %', '< 0.1 %')
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"
