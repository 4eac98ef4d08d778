"""Dates in text: the format of a column of dates, and conversions between text and timestamps.

Formats are written as for `strftime`, such as `%d.%m.%Y` for 31.12.2020. The empty format means ISO 8601 of any length, from
2020-12-31 to 2020-12-31T23:59:59.5Z.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000
"""Microseconds of a day."""
CALENDAR = (-62_135_596_800, 253_402_300_799)
"""First and last second of the years 1 to 9999, Python's calendar, counted from 1970."""
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units of time in a second."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
"""Formats in which the month is unambiguous."""
OTHERS = (
    *("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%m.%d.%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y"),
)
"""Further formats, the more likely first. One format must fit all cells of a column."""
CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S")
ZONED = tuple(f"%Y-%m-%d{mark}{clock}Z" for mark in "T " for clock in ("%H:%M:%S", "%H:%M"))
ISO = r"^\d{4}-\d\d-\d\d"
"""The beginning of a date in ISO 8601."""
_TOKENS = {
    "%Y": r"(?P<Y>\d{4})",
    "%m": r"(?P<m>\d{1,2})",
    "%d": r"(?P<d>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3})\.?",
    "%B": r"(?P<b>[A-Za-z]{3,9})",
    "%H": r"(?P<H>\d{1,2})",
    "%I": r"(?P<I>\d{1,2})",
    "%M": r"(?P<M>\d{2})",
    "%S": r"(?P<S>\d{2})",
    "%p": r"(?P<p>[AaPp][Mm])",
}


def read_dates(text: Any, form: str = "") -> Any:
    """Convert text to Arrow timestamps.

    Args:
        text: an Arrow array.
        form: how the dates are written; cells in ISO 8601 are read with any format.

    Returns:
        Arrow timestamps in microseconds, in UTC if the cells have a zone.

    Raises:
        pyarrow.ArrowInvalid: if a cell is not a date, or only some cells have a zone.

    Examples:
        >>> read_dates(pa.array(["31.12.2020", None]), "%d.%m.%Y").to_pylist()
        [datetime.datetime(2020, 12, 31, 0, 0), None]
    """
    if form:
        found = _parse(text, form)
        rest = pc.if_else(found.is_valid(), pa.scalar(None, pa.string()), text)
        return found if rest.null_count == len(rest) else pc.coalesce(found, read_dates(rest))
    try:
        found = text.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        found = text.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    if not in_calendar(found):
        raise pa.ArrowInvalid("a year before 1 or after 9999")
    return found


def in_calendar(dates: Any) -> bool:
    """Return whether all Arrow dates or timestamps are in the years 1 to 9999, Python's calendar."""
    years = pc.min_max(pc.year(dates))
    return years["min"].as_py() is None or 1 <= years["min"].as_py() <= years["max"].as_py() <= 9999


def is_date(text: Any, form: str = "") -> npt.NDArray[np.bool_]:
    """Return which cells of an Arrow array of text are valid dates; missing cells count as valid."""
    if form:
        found = pc.or_(pc.is_valid(_parse(text, form)), pc.is_null(text))
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
    begun = pc.fill_null(pc.match_substring_regex(text, ISO), fill_value=True)
    found, cells = np.array(begun.to_numpy(zero_copy_only=False), dtype=bool), text.filter(begun)
    try:
        read_dates(cells)
    except pa.ArrowInvalid:  # one by one, since only some cells may have a zone
        found[found] = [cell is None or _is_iso(cell) for cell in cells.to_pylist()]
    return found


def _is_iso(cell: str) -> bool:
    try:
        read_dates(pa.array([cell]))
    except pa.ArrowInvalid:
        return False
    return True


def write_dates(dates: Any, spacing: float, form: str = "") -> Any:
    """Write Arrow timestamps in microseconds as text: in the given format if that loses nothing, else in ISO 8601."""
    if form:
        text = pc.strftime(dates.cast(pa.timestamp("s"), safe=False), form)
        if read_dates(text, form).equals(dates):
            return text
    if pc.any(pc.not_equal(dates, dates.cast(pa.timestamp("s"), safe=False).cast(dates.type))).as_py():
        return dates.cast(pa.string())
    days = spacing and spacing % DAY == 0
    return pc.strftime(dates.cast(pa.timestamp("s")), "%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S")


def date_text(date: datetime.date, kind: Any) -> str:
    """Write a single date as text that Arrow can convert back to the given type."""
    if pa.types.is_date(kind):
        return date.isoformat()[:10]
    moment = date if isinstance(date, datetime.datetime) else datetime.datetime(date.year, date.month, date.day)
    return moment.isoformat(sep=" ") + ("Z" if getattr(kind, "tz", None) else "")


def forms_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Find the date formats that fit all texts, the most likely first.

    Args:
        texts: the texts.

    Returns:
        Formats that give different dates.

    Examples:
        >>> forms_of(["31.12.2020", "01.02.2021"]), forms_of(["1/2/2020", "3/4/2020"])
        (('%d.%m.%Y',), ('%m/%d/%Y', '%d/%m/%Y'))
    """
    cells = pa.array(texts, pa.string())
    forms = [*(day + clock for day, clock in itertools.product((*YEAR_FIRST, *OTHERS), CLOCKS)), *ZONED]
    readings: dict[bytes, str] = {}
    for form in forms:
        if texts and re.fullmatch(_pattern(form), texts[0]) and is_date(cells, form).all():
            readings.setdefault(np.asarray(_parse(cells, form).cast(pa.int64())).tobytes(), form)
    return tuple(readings.values())


def moment_of(text: str) -> datetime.datetime | None:
    """Convert a text to a date and time if it can be read in exactly one way, else return None."""
    forms = ("",) if _is_iso(text) else forms_of([text])
    return read_dates(pa.array([text]), forms[0])[0].as_py() if len(forms) == 1 else None


def looks_like_date(text: str) -> bool:
    """Return whether a single text is a date in any format."""
    return any(sign.isdigit() for sign in text) and (_is_iso(text) or bool(forms_of([text])))


@lru_cache(maxsize=256)
def _pattern(form: str) -> str:
    """Return the regular expression that matches dates in a given format."""
    parts = re.split(r"(%[A-Za-z])", form)
    months = r"(?P<m>\d{2})", r"(?P<d>\d{2})"  # without separators, numbers must have all their digits
    tokens = _TOKENS if "%Y%m" not in form else {**_TOKENS, "%m": months[0], "%d": months[1]}
    return r"^\s*" + "".join(tokens.get(part) or re.escape(part) for part in parts) + r"\s*$"


def _parse(text: Any, form: str) -> Any:
    """Convert text to timestamps in microseconds, null where a cell is not a valid date in the given format."""
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    parts = pc.extract_regex(text, _pattern(form))
    there = np.asarray(pc.fill_null(parts.is_valid(), fill_value=False))
    if not there.any():
        return pa.nulls(len(text), pa.timestamp("us"))

    def numbers(name: str, absent: int) -> npt.NDArray[np.int64]:
        if parts.type.get_field_index(name) < 0:
            return np.full(len(text), absent, np.int64)
        cells = pc.struct_field(parts, name)
        if name == "b":
            short = pc.utf8_lower(pc.utf8_slice_codeunits(cells, 0, 3))
            return np.asarray(pc.fill_null(pc.index_in(short, pa.array(MONTHS)), -1)).astype(np.int64) + 1
        if name == "p":
            return np.asarray(pc.fill_null(pc.equal(pc.utf8_lower(cells), "pm"), fill_value=False)).astype(np.int64)
        return np.asarray(pc.fill_null(cells, "0").cast(pa.int64()))

    year, month, day = numbers("Y", 1970), numbers("m", 0) + numbers("b", 0), numbers("d", 1)
    if "%I" in form:
        hour, valid_hour = numbers("I", 0) % 12 + 12 * numbers("p", 0), (numbers("I", 1) >= 1) & (numbers("I", 1) <= 12)
    else:
        hour = numbers("H", 0)
        valid_hour = hour < 24
    minute, second = numbers("M", 0), numbers("S", 0)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    valid = there & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    valid &= valid_hour & (minute < 60) & (second < 60) & (year >= 1)
    moments = days.astype("datetime64[us]") + ((hour * 60 + minute) * 60 + second) * np.timedelta64(1_000_000, "us")
    return pa.array(moments, mask=~valid).cast(pa.timestamp("us"))


def is_length(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is a duration or a time of day; both are encoded as seconds."""
    return bool(pa.types.is_duration(kind) or pa.types.is_time(kind))


def seconds_of(cells: Any) -> Any:
    """Convert durations or times of day to seconds, float64."""
    counted = cells.cast(pa.int32() if pa.types.is_time32(cells.type) else pa.int64())
    return pc.divide(counted.cast(pa.float64(), safe=False), float(PER_SECOND[cells.type.unit]))


def length_of(seconds: npt.NDArray[np.float64], kind: Any) -> Any:
    """Convert seconds, NaN where missing, to an Arrow type of durations or times of day."""
    missing, unit = np.isnan(seconds), PER_SECOND[kind.unit]
    counts = np.round(np.where(missing, 0, seconds) * unit)
    low, high = (0, DAY // 10**6 * unit - 1) if pa.types.is_time(kind) else (-(2.0**62), 2.0**62)
    counted = pa.array(counts.clip(low, high).astype(np.int64), mask=missing)
    return (counted.cast(pa.int32()) if pa.types.is_time32(kind) else counted).cast(kind)
