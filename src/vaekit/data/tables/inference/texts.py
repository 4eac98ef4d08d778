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

from vaekit.data.tables.columns import Column
from vaekit.data.tables.dates import forms_of, is_date, read_dates
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.inference.grid import drop_if_fine, spacing_of_dates
from vaekit.data.tables.inference.kinds import make_column
from vaekit.data.tables.inference.tally import Tally
from vaekit.data.tables.types import to_plain
from vaekit.errors import DataError

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
CODE = r"^\s*(\+|[+-]?0\d|\d{16,})"
"""Numbers that begin as codes do: postcodes, telephone and account numbers."""
GROUPED = r"^\s*[+-]?[$€£]?\s?(\d{1,3}([,.']\d{3})+([.,]\d+)?|\d+([.,]\d+)?)\s?[%$€£]?\s*$"
"""Numbers as people write them: with separators of thousands, a decimal comma, a currency or per cent."""
ZONE = r"\d(Z|[+-]\d\d:?\d\d)\s*$"
_MONTH = r"(?i:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|f[eé]v|avr|ao[uû]|d[eé]c)[a-zäéû]{0,7}"
DATELIKE = (
    r"^\s*\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}\b"  # 31.12.20
    r"|\b\d{1,2}[./-](19|20)\d\d\b|\b(19|20)\d\d[./-](\d{1,2}|[WQ]\d{1,2})\b"  # 05/2020, 2020-05
    rf"|\b{_MONTH}\.?,?[ /-](\d{{1,2}},? )?\d{{2,4}}\b|(19|20)\d\d年"  # 31 Dec 20, Feb 2020
)
"""What people may mean for a date."""
MOSTLY, MANY = 0.5, 20
"""From this share of the cells, and from so many different ones, on numbers or dates are meant; fewer may be a list."""
TRIED = 200
"""Different cells in which forms of dates are looked for."""
WHOLE_DATE, FIRST_DATE, LAST_DATE = "%Y%m%d", 19000101, 21001231
"""Whole numbers that are all days of the calendar between these are dates."""


def check_numbers(frame: Frame, tally: Tally) -> None:
    """Refuse text that is mostly numbers.

    Args:
        frame: the rows, read again for the place of a cell that is amiss.
        tally: what was seen of a column of text.

    Raises:
        DataError: if most cells are numbers, and not just a few values, and some are none.
    """
    values = pa.array(tally.counts, pa.string())
    number, code, grouped = (_matches(values, pattern) for pattern in (NUMBER, CODE, GROUPED))
    if number.all() or (number & code).any():  # a choice of whoever made the type, or codes
        return
    if not _meant(tally, number | grouped):
        return
    row, cell = first_cell(frame, tally.name, partial(_differs, pattern=NUMBER)) or (0, next(iter(tally.counts)))
    written = re.fullmatch(GROUPED, cell) is not None
    mend = (
        "Write numbers with a decimal point and nothing else between or after the digits"
        if written
        else "Mend the cell"
    )
    raise _refusal(tally, "a number as in 12.5", cell, row, mend)


def check_dates(frame: Frame, tally: Tally) -> None:
    """Refuse text that is mostly dates of one form.

    Args:
        frame: the rows, read again for the place of a cell that is amiss.
        tally: what was seen of a column of text.

    Raises:
        DataError: if most cells are dates, and not just a few values, and some are none, or only some have a zone.
    """
    values = pa.array(tally.counts, pa.string())
    for form in dict.fromkeys(form for cell in list(tally.counts)[:TRIED:10] for form in ("", *forms_of([cell]))):
        dates = is_date(values, form)
        if not _meant(tally, dates):
            continue
        zoned = _matches(values, ZONE)
        if form == "" and dates.all() and zoned.any():
            rare = zoned if _count(tally, zoned) < _count(tally, ~zoned) else ~zoned
            row, cell = first_cell(frame, tally.name, _one_of(values.filter(pa.array(rare)))) or (0, "")
            must = f"all dates of column '{tally.name}' must have a zone, or none of them"
            how = "with a zone, while most have none" if rare is zoned else "without a zone, while most have one"
            raise DataError(must, f"{cell!r} {how}, in row {row}", f"Mend the cell, or {_declare(tally)}")
        if dates.all():
            return
        row, cell = first_cell(frame, tally.name, lambda x, form=form: pa.array(~is_date(x, form))) or (0, "")  # type: ignore[misc]
        example = (
            next(cell for cell, is_one in zip(tally.counts, dates, strict=True) if is_one) if form else "2020-12-31"
        )
        raise _refusal(tally, f"a date as in {example}", cell, row, "Mend the cell")


def _one_of(values: Any) -> Callable[[Any], Any]:
    return lambda cells: pc.is_in(cells, value_set=values)


def _count(tally: Tally, which: npt.NDArray[np.bool_]) -> int:
    return int(np.array(list(tally.counts.values()))[which].sum())


def _meant(tally: Tally, which: npt.NDArray[np.bool_]) -> bool:
    """Whether these values are most of the cells, and not just a few that come again and again."""
    cells, different = _count(tally, which), int(which.sum())
    return cells > MOSTLY * tally.rows and not (different <= MANY and 2 * different <= cells)


def _declare(tally: Tally) -> str:
    return f"declare data.columns.{tally.name}=categorical or ignore"


def _refusal(tally: Tally, word: str, cell: str, row: int, mend: str) -> DataError:
    return DataError(
        f"every cell of column '{tally.name}' must be {word}, or empty, as most are",
        f"{cell!r} in row {row}",
        f"{mend}, or {_declare(tally)}",
    )


def date_forms(tally: Tally) -> tuple[str, ...] | None:
    """Find the forms in which all text of a column can be read as dates; None where it does not look like dates.

    Args:
        tally: what was seen of a column of text.

    Returns:
        Forms of different readings, the likeliest first; the empty one alone for dates as in 2020-12-31.
    """
    texts = list(tally.counts)
    if not texts or not any(sign.isdigit() for sign in texts[0]):
        return None
    try:
        read_dates(pa.array(texts))
    except pa.ArrowInvalid:  # another form, or the 31st of February
        pass
    else:
        few = forms_of(texts[:TRIED])
        return (few[0] if few and is_date(pa.array(texts), few[0]).all() else "",)
    if not forms_of(texts[:TRIED]):
        alike = _matches(pa.array(texts), DATELIKE)
        return () if alike.all() or _meant(tally, alike) else None
    return forms_of(texts) or None


def with_note(column: Column, forms: tuple[str, ...] | None) -> Column:
    """Note on a column of text that it may have been meant for dates.

    Args:
        column: as its cells look.
        forms: in which they can be read as dates; none of many where they only look like dates.
    """
    if forms is None:
        return column
    if not forms:
        note = "cells look like dates in a form that is not known; write them as in 2020-12-31"
    else:
        both = " or ".join(forms)
        note = f"cells may be dates as {both}, which all fit; data.columns.{column.name}=datetime takes the first"
    return column.model_copy(update={"note": note})


def holds_dates(tally: Tally) -> bool:
    """Say whether whole numbers are dates as 20201231: each a day of the calendar, of three or more."""
    if not (
        tally.integer and tally.exact and tally.distinct > 2 and tally.low >= FIRST_DATE and tally.high <= LAST_DATE
    ):
        return False
    return bool(is_date(_as_text(tally), WHOLE_DATE).all())


def _as_text(tally: Tally) -> Any:
    """The different cells of a column as text, whole numbers without a point."""
    values = list(tally.counts)
    return pa.array([str(int(value)) if isinstance(value, float) else value for value in values], pa.string())


def make_text_dates(tally: Tally, form: str) -> Column:
    """Make a column of dates that are written as text, or as whole numbers."""
    cells = _as_text(tally)
    moments = read_dates(cells, form).cast(pa.int64()).to_numpy()
    rounding, spread = spacing_of_dates(moments)
    first, last = (cells[int(place)].as_py() for place in (moments.argmin(), moments.argmax()))
    kind = "whole numbers" if tally.family == "number" else "text"
    shape = f", read as {form}" if form and not form.startswith("%Y-") else ""
    return make_column(
        tally,
        "datetime",
        f"dates from {first} to {last}, as {kind}{shape}",
        spacing=drop_if_fine(rounding, spread),
        rounding=rounding,
        form=form,
    )


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
        cells = to_plain(table[name])
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
