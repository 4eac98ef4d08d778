"""Which known text a cell of another type stands for: libraries read 007, TRUE or 2020-01-01 as they like."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from functools import cached_property
from typing import Any

from vaekit.data.tables.dates import looks_like_date, moment_of
from vaekit.errors import DataError


class KnownTexts:
    """The texts of a column, found by the numbers, truth values and dates that they say.

    Args:
        texts: all different.
        name: of the column, for the refusal.

    Examples:
        >>> known = KnownTexts(["A12", "007", "TRUE"], "room")
        >>> known.find(7), known.find(True), known.find(1.5)
        ('007', 'TRUE', '1.5')
    """

    def __init__(self, texts: Iterable[str], name: str) -> None:
        self.texts, self.name = frozenset(texts), name

    def find(self, value: Any) -> str | None:
        """Find the text as which a number, a truth value or a date is known.

        Args:
            value: a cell; None where it is missing.

        Returns:
            The text; how the value is written, where it is not known.

        Raises:
            DataError: if several texts say the same: the library has lost which of them it was.
        """
        if value is None:
            return None
        same = self._same(value)
        if len(same) > 1:
            raise DataError(
                f"cells of column '{self.name}' must be text, as in training, where {same[0]!r} and {same[1]!r} differ",
                f"{value!r}, which may be either",
                "Read the column as text",
            )
        forms = _forms(value)
        return same[0] if same else next((form for form in forms if form in self.texts), forms[0])

    def _same(self, value: Any) -> list[str]:
        """The texts that say a value in ways of their own."""
        if isinstance(value, bool):
            return sorted(text for text in self.texts if text.lower() == str(value).lower())
        if isinstance(value, int | float | Decimal):
            return self._numbers.get(float(value), [])
        if not isinstance(value, datetime.date):
            return []
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
        return self._moments.get(moment.replace(tzinfo=None), [])

    @cached_property
    def _numbers(self) -> dict[Hashable, list[str]]:
        return self._by(_number)

    @cached_property
    def _moments(self) -> dict[Hashable, list[str]]:
        return self._by(lambda text: moment_of(text) if looks_like_date(text) else None)

    def _by(self, meaning: Callable[[str], Hashable]) -> dict[Hashable, list[str]]:
        found: dict[Hashable, list[str]] = {}
        for text in sorted(self.texts):
            if (said := meaning(text)) is not None:
                found.setdefault(said, []).append(text)
        return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _forms(value: Any) -> tuple[str, ...]:
    """How a value is written in a text, the likeliest first."""
    if isinstance(value, float) and value.is_integer():
        return repr(value), str(int(value))
    if isinstance(value, datetime.datetime):
        days = (value.date().isoformat(),) if value.time() == datetime.time() else ()
        return *days, str(value), value.isoformat()
    if isinstance(value, datetime.time) and not (value.second or value.microsecond):
        return f"{value:%H:%M}", str(value)
    return (repr(value) if isinstance(value, float) else str(value),)
