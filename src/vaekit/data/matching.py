"""Which known text a cell of another type stands for: libraries read 007, TRUE or 2020-01-01 as they like."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from vaekit.data.dates import moment_of
from vaekit.errors import DataError


def known_text(value: Any, known: Sequence[str], name: str) -> str | None:
    """Find the text as which a number, a truth value or a date is known.

    Args:
        value: a cell; None where it is missing.
        known: the texts of the column.
        name: of the column, for the refusal.

    Returns:
        The text; how the value is written, where it is not known.

    Raises:
        DataError: if several texts say the same, and none of them is how the value is written.

    Examples:
        >>> known_text(7, ["A12", "007"], "room"), known_text(True, ["TRUE", "n.d."], "paid"), known_text(1.5, ["a"], "x")
        ('007', 'TRUE', '1.5')
    """
    if value is None:
        return None
    forms = _forms(value)
    if found := next((form for form in forms if form in known), None):
        return found
    same = [text for text in known if _says(text, value)]
    if len(same) > 1:
        raise DataError(
            f"cells of column '{name}' must be text, as in training, where {same[0]!r} and {same[1]!r} differ",
            f"{value!r}, which may be either",
            "Read the column as text",
        )
    return same[0] if same else forms[0]


def _forms(value: Any) -> tuple[str, ...]:
    """How a value is written in a text, the likeliest first."""
    if isinstance(value, float) and value.is_integer():
        return repr(value), str(int(value))
    if isinstance(value, datetime.datetime):
        days = (value.date().isoformat(),) if value.time() == datetime.time() else ()
        return *days, str(value), value.isoformat()
    return (repr(value) if isinstance(value, float) else str(value),)


def _says(text: str, value: Any) -> bool:
    """Whether a text says what a value is, in its own way."""
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, int | float | Decimal):
        try:
            return float(text) == float(value)
        except ValueError:
            return False
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
    return moment_of(text) == moment.replace(tzinfo=None)
