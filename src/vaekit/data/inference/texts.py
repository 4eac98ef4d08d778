"""What text is: numbers or dates among which some are miswritten, many words, or values of a list."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.columns import Column, plain
from vaekit.data.dates import read_dates
from vaekit.data.frame import Frame
from vaekit.data.inference.kinds import make_column
from vaekit.data.inference.lattice import step_of_dates
from vaekit.data.inference.tally import Tally
from vaekit.errors import DataError

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
GROUPED = r"^\s*[+-]?[$€£]?\s?(\d{1,3}([,.']\d{3})+([.,]\d+)?|\d+([.,]\d+)?)\s?[%$€£]?\s*$"
"""Numbers as people write them: with separators of thousands, a decimal comma, a currency or per cent."""
DATE = r"^\s*\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?\s*$"
MOSTLY, MANY = 0.5, 20
"""From this share of the cells, and from so many different ones, on numbers or dates are meant; fewer may be a list."""


def check_numbers(frame: Frame, tally: Tally) -> None:
    """Refuse text that is mostly numbers or dates.

    Args:
        frame: the rows, read again for the place of a cell that is amiss.
        tally: what was seen of a column of text.

    Raises:
        DataError: if most cells are numbers or dates, and not just a few values, and some are none.
    """
    values, counts = pa.array(tally.counts), np.array(list(tally.counts.values()))
    number, grouped, date = (_matches(values, pattern) for pattern in (NUMBER, GROUPED, DATE))
    if number.all():  # a choice of whoever made the type
        return
    for some, word, pattern in (
        (number | grouped, "a number as in 12.5", NUMBER),
        (date, "a date as in 2020-12-31", DATE),
    ):
        cells, different = int(counts[some].sum()), int(some.sum())
        if cells <= MOSTLY * counts.sum() or (different <= MANY and 2 * different <= cells):
            continue
        found = first_cell(frame, tally.name, partial(_differs, pattern=pattern))
        row, cell = found or (0, next(iter(tally.counts)))
        written = re.fullmatch(GROUPED, cell) is not None
        mend = (
            "Write numbers with a decimal point and nothing else between or after the digits"
            if written
            else "Mend the cell"
        )
        raise DataError(
            f"every cell of column '{tally.name}' must be {word}, or empty, as most are",
            f"{cell!r} in row {row}",
            f"{mend}, or declare data.columns.{tally.name}=categorical or ignore",
        )


def is_dates(values: Any) -> bool:
    """Whether all text of an Arrow array is dates of the calendar, as in 2020-12-31 or 2020-12-31 23:59:59."""
    if not _matches(values, DATE).all():
        return False
    try:
        read_dates(values)
    except pa.ArrowInvalid:  # the 31st of February
        return False
    return True


def make_text_dates(tally: Tally) -> Column:
    """A column of dates that are written as text."""
    unit = step_of_dates(read_dates(pa.array(tally.counts)).cast(pa.int64()).to_numpy())
    return make_column(tally, "datetime", f"dates from {min(tally.counts)} to {max(tally.counts)}, as text", step=unit)


def _matches(values: Any, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def _differs(cells: Any, pattern: str) -> Any:
    return pc.invert(pc.match_substring_regex(cells, pattern))


def first_cell(frame: Frame, name: str, wrong: Callable[[Any], Any]) -> tuple[int, Any] | None:
    """Row and content of the first cell of which something holds.

    Args:
        frame: the rows, read again.
        name: the column.
        wrong: from an Arrow array of plain cells to one of truth values.
    """
    first = 0
    for table in frame.read():
        cells = plain(table[name])
        row = pc.index(pc.fill_null(wrong(cells), fill_value=False), value=True).as_py()
        if row >= 0:
            return first + row, cells[row].as_py()
        first += len(table)
    return None


def size(tally: Tally) -> tuple[float, float]:
    """How many words and characters the different values of a text have on average."""
    values = pa.array(tally.counts)
    words = pc.add(pc.count_substring(pc.utf8_trim_whitespace(values), " "), 1)
    return float(pc.mean(words).as_py()), float(pc.mean(pc.utf8_length(values)).as_py())
