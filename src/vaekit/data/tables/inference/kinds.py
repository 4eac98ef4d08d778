"""Columns of each kind, made from what was seen of their cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.tables.columns import Category, Column, ColumnKind
from vaekit.data.tables.dates import DAY, is_length
from vaekit.data.tables.inference.tally import DISTINCT, Tally

MOST_PLACES, LEAST_COUNT, LEAST_SHARE = 200, 2, 2e-4
"""How many categories have a place of their own, and how many rows, and which share of them, each must have."""
LARGE_COUNT = 1000
"""From this maximum on, whole numbers are amounts rather than counts."""
SKEW, RANGE = 1.0, 20.0
"""From this skewness, or ratio of the outermost hundredths, on, positive numbers are felt by their ratios."""
FILLED = 0.22
"""So near the ends of a range a tenth of the numbers must begin for them to fill it: uniform ones do from half there on."""
ATOM = 0.01
"""Share of zeros from which on they are a point of their own, beside positive numbers."""
FREQUENT = 0.2
"""Share of the cells from which on a value is told."""


def make_column(tally: Tally, kind: ColumnKind, reason: str, **parts: Any) -> Column:
    """A column of a kind.

    Args:
        tally: what was seen of it.
        kind: what it is.
        reason: why.
        parts: further parts of the column.
    """
    known = {"missing": tally.marks, "note": tally.seen.remark, "form": tally.seen.form, "written": tally.seen.written}
    reason = f"in seconds, {reason}" if is_length(tally.type) else reason
    return Column(name=tally.name, kind=kind, type=str(tally.type), reason=reason, **{**known, **parts})


def make_categorical(tally: Tally, kind: ColumnKind, reason: str = "") -> Column:
    """A column whose values are a list: numbers and ordered types in their order, text by how often it comes.

    Values that hardly come share a place, but not where all are known to be few.
    """
    counts: dict[Category, int] = tally.counts
    if tally.levels:
        ordered = [value for value in tally.levels if value in counts]
    else:
        ordered = list(counts) if tally.family == "text" else sorted(counts)
    least = max(LEAST_COUNT, LEAST_SHARE * tally.rows) if kind == "categorical" else 0
    frequent = [value for value, count in counts.items() if count >= least][:MOST_PLACES]
    own = set(frequent or list(counts)[:MOST_PLACES])
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
    """A column of dates."""
    first, last = (str(np.datetime64(int(end), "us")) for end in (tally.low, tally.high))
    days = tally.rounding % DAY == 0
    reason = " to ".join(end[:10] if days else end[:19] for end in (first, last))
    return make_column(tally, "datetime", reason, spacing=tally.spacing, rounding=tally.rounding)


def make_number(tally: Tally) -> Column:
    """A column of numbers on the line, of the kind that they look like."""
    if tally.integer:
        if tally.low < 0:
            return make_real(tally)
        return make_count(tally) if tally.high < LARGE_COUNT else make_positive(tally)
    top = _end_reached(tally)
    if top:
        return make_bounded(tally, 0.0, top)
    return make_positive(tally) if _is_skewed(tally) else make_real(tally)


def make_real(tally: Tally) -> Column:
    """A column of real numbers."""
    return make_column(tally, "real", _span(tally), spacing=tally.spacing, rounding=tally.rounding)


def make_count(tally: Tally) -> Column:
    """A column of counts 0, 1, 2, …"""
    return make_column(
        tally, "count", _span(tally), spacing=tally.spacing or 1.0, rounding=tally.rounding or 1.0, lowest=0.0
    )


def make_positive(tally: Tally) -> Column:
    """A column of amounts."""
    lowest = 1.0 if tally.integer and tally.low == 1 else 0.0
    return make_column(tally, "positive", _span(tally), spacing=tally.spacing, rounding=tally.rounding, lowest=lowest)


def make_bounded(tally: Tally, low: float, high: float) -> Column:
    """A column of numbers between bounds."""
    reason = f"{_span(tally)}, within {low:g} and {high:g}"
    return make_column(
        tally, "bounded", reason, spacing=tally.spacing, rounding=tally.rounding, lowest=low, highest=high
    )


def _end_reached(tally: Tally) -> float:
    """1 or 100 where numbers fill the range from 0 to it, else 0: told from tenths of the rows, as the least and greatest are luck."""
    low, high = np.nanquantile(tally.numbers, (0.1, 0.9))
    tops = (
        t for t in (1.0, 100.0) if tally.low >= 0 and low <= FILLED * t and (1 - FILLED) * t <= high and tally.high <= t
    )
    return next(tops, 0.0)


def _is_skewed(tally: Tally) -> bool:
    """Whether numbers are positive, but for an atom of zeros, and more even in their logarithms."""
    x = tally.numbers[~np.isnan(tally.numbers)]
    if tally.low < 0 or (tally.low == 0 and (x == 0).mean() < ATOM):
        return False
    x = x[x > 0]
    if len(x) < 3:
        return False
    wide = np.quantile(x, 0.99) > RANGE * np.quantile(x, 0.01)
    slant = _skewness(x)
    return bool((slant > SKEW or wide) and abs(_skewness(np.log(x))) < slant)


def _skewness(x: npt.NDArray[np.float64]) -> float:
    """The third standardised moment; 0 of numbers that hardly differ."""
    apart = x - x.mean()
    spread = apart.std()
    return float(((apart / spread) ** 3).mean()) if spread > 1e-9 * np.abs(x).max() else 0.0


def _span(tally: Tally) -> str:
    """From where to where numbers go, and which of them is frequent."""
    what = "whole numbers" if tally.integer else "numbers"
    if tally.integer and tally.exact:
        what = f"{tally.distinct} {what}"
    steps = f" in steps of {tally.spacing:g}" if tally.spacing not in (0, 1) else ""
    value, share = tally.usual
    often = f", {100 * share:.0f} % are {write_value(value)}" if share >= FREQUENT else ""
    return f"{what} from {write_value(tally.low)} to {write_value(tally.high)}{steps}{often}"


def write_value(value: Any) -> str:
    """A value as it is told.

    Examples:
        >>> write_value(99999.0), write_value(0.25), write_value("Bonn")
        ('99999', '0.25', "'Bonn'")
    """
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return repr(value) if isinstance(value, str) else str(value)


def write_count(tally: Tally) -> str:
    """How many different values there are, as far as they were counted."""
    return str(tally.distinct) if tally.exact else f"more than {DISTINCT:,}"


def is_coded(tally: Tally) -> bool:
    """Whether the type itself says that the values are a list, as a data frame's categoricals do."""
    return bool(pa.types.is_dictionary(tally.type))
