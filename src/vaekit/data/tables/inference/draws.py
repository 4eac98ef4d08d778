"""What may be drawn from a column: the range of its numbers, and the categories that enough rows have.

The range of numbers is declared, or it is guessed where an end looks like a limit:

    many rows hold the least (greatest) number      hours, days, top-coded ages
    no number is negative (positive)                from 0 (to 0): amounts, counts
    the greatest number is 1 or 100, from 0         shares and percentages
    dates                                           from the first to the last

Draws stay within the range. Rows beyond a range have a small probability, and are not refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.columns import CATEGORICAL, LEFT_OUT, NEAR, Bounds, Column, round_to
from vaekit.data.tables.dates import DAY
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.inference.kinds import write_value
from vaekit.data.tables.inference.tally import Tally
from vaekit.data.tables.inference.texts import first_cell
from vaekit.errors import DataError, did_you_mean

End = float | str
FEW = 60
"""Most different whole numbers for which a few rows at an end show that it is a limit, as for hours, days and minutes."""
FEW_ROWS, MANY_ROWS, MANY_SHARE = 5, 10, 0.01
"""Rows at an end that show a limit: of few whole numbers, and of other numbers; these must also be a share of all rows, or
more than hold the next number."""
TOPS = (1.0, 100.0)
"""Upper limits of shares and percentages."""


def check_names(ranges: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse declared ranges of columns that the table does not have."""
    for name in ranges:
        if name not in names:
            raise DataError("data.ranges must name columns of the data", f"'{name}'", did_you_mean(name, names))


def limit_draws(frame: Frame, tally: Tally, column: Column, declared: tuple[End, End] | None, least: int) -> Column:
    """Add to a column what may be drawn from it.

    Args:
        frame: the rows, which are read again if a range is declared.
        tally: the summary of its cells.
        column: the column.
        declared: its declared range, with an empty text for an open end; None to guess.
        least: least number of rows with a category that is drawn.

    Raises:
        DataError: if a range is declared for a column without numbers or dates, or a cell is outside of it.
    """
    if declared is not None:
        return _declare(frame, tally, column, declared)
    if column.kind in LEFT_OUT:
        return column
    if column.kind in CATEGORICAL:
        return _withhold(tally, column, least)
    bounds, because = _guess(tally, column)
    return column.model_copy(update={"drawn": bounds, "draws": _words(column, bounds, because)})


def _withhold(tally: Tally, column: Column, least: int) -> Column:
    """List the values of a categorical column that too few rows have; ordered numbers and truth values are not names."""
    values = column.listed
    if column.kind != "categorical" and not any(isinstance(value, str) for value in values):
        return column
    few = tuple(code for code, value in enumerate(values) if tally.counts[value] < least)
    one = len(few) == 1
    what = f"{len(few):,} value{'' if one else 's'} of fewer than {least} rows {'is' if one else 'are'} not drawn"
    return column.model_copy(update={"withheld": few, "draws": what if few else ""})


def _declare(frame: Frame, tally: Tally, column: Column, declared: tuple[End, End]) -> Column:
    key = f"data.ranges.{tally.name}"
    if column.kind in LEFT_OUT or (column.kind != "datetime" and tally.family != "number"):
        raise DataError(f"{key} must be the range of a column of numbers or dates", f"a column of kind {column.kind}")
    low, high = (_number(column, end, key) for end in declared)

    def is_outside(cells: Any) -> Any:
        if column.kind == "datetime":
            cells = column.reader.read(cells).cast(pa.int64()).cast(pa.float64(), safe=False)
        below = pc.less(cells, -np.inf if low is None else low)
        return pc.or_(below, pc.greater(cells, np.inf if high is None else high))

    if (found := first_cell(frame, tally.name, is_outside)) is not None:
        ends = ", ".join("null" if end == "" else str(end) for end in declared)
        cell = write_value(found[1]) if tally.family == "number" else found[1]
        must = f"every cell of column '{tally.name}' must be within {key}=[{ends}]"
        raise DataError(must, f"{cell} in {frame.where(found[0])}")
    if column.kind in CATEGORICAL:
        return column
    grid = column.spacing or column.rounding
    if grid:  # the ends are values that the column can have
        low = None if low is None else float(round_to(np.ceil(low / grid - NEAR) * grid, grid)) + 0.0
        high = None if high is None else float(round_to(np.floor(high / grid + NEAR) * grid, grid)) + 0.0
    words = _words(column, (low, high), ("declared", "declared"))
    return column.model_copy(update={"lowest": low, "highest": high, "drawn": (low, high), "draws": words})


def _number(column: Column, end: End, key: str) -> float | None:
    """Return an end of a declared range as a code of the column, or None if the range is open there."""
    if end == "":
        return None
    try:
        moment = pa.array([str(end)]).cast(pa.timestamp("us")) if column.kind == "datetime" else None
    except pa.ArrowInvalid as error:
        raise DataError(f"{key} must hold dates such as 2020-12-31", f"{end!r}") from error
    if moment is not None:
        return float(moment.cast(pa.int64())[0].as_py())
    if isinstance(end, str):
        raise DataError(f"{key} must hold numbers", f"{end!r}")
    return float(end)


def _guess(tally: Tally, column: Column) -> tuple[Bounds, tuple[str, str]]:
    """Guess the range of a column of numbers or dates, and say for each end why it is a limit."""
    if column.kind == "datetime":
        return column.drawn, ("the first and the last date",) * 2
    if column.kind == "bounded":  # its kind already has a reason
        return column.bounds, ("", "")
    low, high, why_low, why_high = column.lowest, column.highest, "", ""
    first, last = _are_limits(tally)
    if first:
        low, why_low = tally.low, "many rows there"
    elif tally.low >= 0:
        low, why_low = low or 0.0, "never negative"
    if last:
        high, why_high = tally.high, "many rows there"
    elif tally.low >= 0 and tally.high in TOPS:
        high, why_high = tally.high, "a share"
    elif tally.high <= 0:
        high, why_high = 0.0, "never positive"
    return (low, high), (why_low, why_high)


def _are_limits(tally: Tally) -> tuple[bool, bool]:
    """Return whether the least and the greatest number of a column look like limits, because many rows hold them."""
    if tally.exact:
        values, counts = np.array(sorted(tally.counts)), np.array([tally.counts[v] for v in sorted(tally.counts)])
    else:
        values, counts = np.unique(tally.numbers[~np.isnan(tally.numbers)], return_counts=True)
    if len(values) == 1:
        return False, False
    few = tally.integer and tally.exact and tally.distinct <= FEW
    least = FEW_ROWS if few else MANY_ROWS

    def is_limit(end: float, value: float, own: int, following: int) -> bool:
        stands_out = few or own >= MANY_SHARE * counts.sum() or own > following
        return bool(end == value and own >= least and stands_out)

    return (
        is_limit(tally.low, values[0], counts[0], counts[1]),
        is_limit(tally.high, values[-1], counts[-1], counts[-2]),
    )


def _words(column: Column, bounds: Bounds, because: tuple[str, str]) -> str:
    """Describe a range in words, with the reasons for its ends."""
    ends = [(word, end, why) for word, end, why in zip(("from", "to"), bounds, because, strict=True) if end is not None]
    if not ends or because == ("", ""):
        return ""
    shown = [f"{word} {_written(column, end)}" for word, end, _ in ends]
    if len({why for *_, why in ends}) == 1:
        return f"drawn {' '.join(shown)} ({ends[0][2]})"
    return "drawn " + " ".join(f"{text} ({why})" for text, (*_, why) in zip(shown, ends, strict=True))


def _written(column: Column, end: float) -> str:
    if column.kind != "datetime":
        return write_value(end)
    text = str(np.datetime64(int(end), "us"))
    return text[:10] if max(column.spacing, column.rounding) % DAY == 0 else text[:19]
