"""Columns of each kind, made from the summaries of their cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.tables.columns import Category, Column, ColumnKind
from vaekit.data.tables.dates import DAY, is_length
from vaekit.data.tables.inference.tally import DISTINCT, Tally

MOST_CATEGORIES, LEAST_COUNT, LEAST_SHARE = 200, 2, 2e-4
"""Most values with their own category, and the least number and share of rows of each."""
LARGE_COUNT = 1000
"""Integers that reach this number are amounts rather than counts."""
SKEW, RANGE = 1.0, 20.0
"""Least skewness, and least ratio of the 99 % to the 1 % quantile, of numbers of the kind `positive`."""
FILLED = 0.22
"""Numbers fill a range if their 10 % and 90 % quantiles are within this share of its ends."""
ZEROS = 0.01
"""Least share of zeros for a point mass at 0 among positive numbers."""
FREQUENT = 0.2
"""The reason mentions a value with at least this share of the cells."""


def make_column(tally: Tally, kind: ColumnKind, reason: str, **parts: Any) -> Column:
    """Make a column of any kind from the summary of its cells.

    Args:
        tally: the summary of its cells.
        kind: its kind.
        reason: why it has this kind.
        parts: further fields of the column.
    """
    known = {"missing": tally.marks, "note": tally.seen.remark, "form": tally.seen.form, "written": tally.seen.written}
    reason = f"in seconds, {reason}" if is_length(tally.type) else reason
    return Column(name=tally.name, kind=kind, type=str(tally.type), reason=reason, **{**known, **parts})


def make_categorical(tally: Tally, kind: ColumnKind, reason: str = "") -> Column:
    """Make a categorical column; text is sorted by frequency, and numbers and ordered types keep their order.

    Rare values of a categorical column share a category.
    """
    counts: dict[Category, int] = tally.counts
    if tally.levels:
        ordered = [value for value in tally.levels if value in counts]
    else:
        ordered = list(counts) if tally.family == "text" else sorted(counts)
    least = max(LEAST_COUNT, LEAST_SHARE * tally.rows) if kind == "categorical" else 0
    frequent = [value for value, count in counts.items() if count >= least][:MOST_CATEGORIES]
    own = set(frequent or list(counts)[:MOST_CATEGORIES])
    return make_column(
        tally,
        kind,
        reason or _values(tally, kind),
        categories=tuple(value for value in ordered if value in own),
        rare=tuple((value, count) for value, count in counts.items() if value not in own)[:DISTINCT],
    )


def _values(tally: Tally, kind: ColumnKind) -> str:
    if kind == "binary":
        return f"two values, {' and '.join(map(write_value, sorted(tally.counts)))}"
    what = "text values" if tally.family == "text" else "whole numbers" if tally.integer else "numbers"
    return f"{write_count(tally)} {what}{' in order' if kind == 'ordinal' else ''}"


def make_datetime(tally: Tally) -> Column:
    """Make a column of dates from the summary of its cells."""
    first, last = (str(np.datetime64(int(end), "us")) for end in (tally.low, tally.high))
    days = tally.rounding % DAY == 0
    reason = " to ".join(end[:10] if days else end[:19] for end in (first, last))
    drawn = (tally.low, tally.high)
    return make_column(tally, "datetime", reason, spacing=tally.spacing, rounding=tally.rounding, drawn=drawn)


def make_number(tally: Tally) -> Column:
    """Make a column of numbers, and infer whether they are counts, positive, bounded or real."""
    if tally.integer:
        return make_numbers(tally, "real" if tally.low < 0 else "count" if tally.high < LARGE_COUNT else "positive")
    if top := _end_reached(tally):
        return make_numbers(tally, "bounded", (0.0, top))
    return make_numbers(tally, "positive" if _is_skewed(tally) else "real")


def make_numbers(tally: Tally, kind: ColumnKind, bounds: tuple[float | None, float | None] = (None, None)) -> Column:
    """Make a column of numbers of a given kind.

    Args:
        tally: the summary of its cells.
        kind: `real`, `count`, `positive` or `bounded`.
        bounds: the bounds of bounded numbers.
    """
    reason, (low, high), unit = _span(tally), bounds, 0.0
    if kind == "bounded":
        reason = f"{reason}, within {low:g} and {high:g}"
    elif kind == "count":
        low, unit = 0.0, 1.0
    elif kind == "positive":
        low = 1.0 if tally.integer and tally.low == 1 else 0.0
    spacing, rounding = tally.spacing or unit, tally.rounding or unit
    return make_column(tally, kind, reason, spacing=spacing, rounding=rounding, lowest=low, highest=high)


def _end_reached(tally: Tally) -> float:
    """Return the upper bound, 1 or 100, if numbers fill the range from 0 to this bound; otherwise return 0."""
    low, high = np.nanquantile(tally.numbers, (0.1, 0.9))
    tops = (
        t for t in (1.0, 100.0) if tally.low >= 0 and low <= FILLED * t and (1 - FILLED) * t <= high and tally.high <= t
    )
    return next(tops, 0.0)


def _is_skewed(tally: Tally) -> bool:
    """Return whether numbers are positive and less skewed on a logarithmic scale.

    Zeros are ignored if they are frequent enough for a point mass.
    """
    x = tally.numbers[~np.isnan(tally.numbers)]
    if tally.low < 0 or (tally.low == 0 and (x == 0).mean() < ZEROS):
        return False
    x = x[x > 0]
    if len(x) < 3:
        return False
    wide = np.quantile(x, 0.99) > RANGE * np.quantile(x, 0.01)
    slant = _skewness(x)
    return bool((slant > SKEW or wide) and abs(_skewness(np.log(x))) < slant)


def _skewness(x: npt.NDArray[np.float64]) -> float:
    """Return the skewness of numbers, or 0 if they hardly differ."""
    apart = x - x.mean()
    spread = apart.std()
    return float(((apart / spread) ** 3).mean()) if spread > 1e-9 * np.abs(x).max() else 0.0


def _span(tally: Tally) -> str:
    """Describe a column of numbers in words: its range, and its most frequent value if many cells hold it."""
    what = "whole numbers" if tally.integer else "numbers"
    if tally.integer and tally.exact:
        what = f"{tally.distinct} {what}"
    steps = f" in steps of {tally.spacing:g}" if tally.spacing not in (0, 1) else ""
    value, share = tally.usual
    often = f", {100 * share:.0f} % are {write_value(value)}" if share >= FREQUENT else ""
    return f"{what} from {write_value(tally.low)} to {write_value(tally.high)}{steps}{often}"


def write_value(value: Any) -> str:
    """Format a value for a message.

    Examples:
        >>> write_value(99999.0), write_value(0.25), write_value("Bonn")
        ('99999', '0.25', "'Bonn'")
    """
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return repr(value) if isinstance(value, str) else str(value)


def write_count(tally: Tally) -> str:
    """Format the number of different values of a column, such as '12' or 'more than 20,000'."""
    return str(tally.distinct) if tally.exact else f"more than {DISTINCT:,}"


def is_coded(tally: Tally) -> bool:
    """Return whether a column has a categorical type, as in a data frame."""
    return bool(pa.types.is_dictionary(tally.type))
