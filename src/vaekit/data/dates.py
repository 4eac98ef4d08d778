"""Dates as people and files write them."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000
"""In microseconds."""


def read_dates(text: Any) -> Any:
    """Text as in 2020-12-31, 2020-12-31 23:59 or 2020-12-31T23:59:59.5Z as Arrow timestamps; with a zone, in UTC.

    Raises:
        pyarrow.ArrowInvalid: if a cell is no date, or only some have a zone.
    """
    try:
        return text.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return text.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))


def write_dates(dates: Any, step: float) -> Any:
    """Arrow timestamps in microseconds as text, no finer than need be."""
    if pc.any(pc.not_equal(dates, dates.cast(pa.timestamp("s"), safe=False).cast(dates.type))).as_py():
        return dates.cast(pa.string())
    days = step and step % DAY == 0
    return pc.strftime(dates.cast(pa.timestamp("s")), "%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S")


def date_text(date: datetime.date, kind: Any) -> str:
    """A single date as text that Arrow reads as its type."""
    if pa.types.is_date(kind):
        return date.isoformat()[:10]
    moment = date if isinstance(date, datetime.datetime) else datetime.datetime(date.year, date.month, date.day)
    return moment.isoformat(sep=" ") + ("Z" if getattr(kind, "tz", None) else "")
