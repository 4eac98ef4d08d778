"""Columns of text: miswritten numbers and dates, date formats, and the length of texts."""

from __future__ import annotations

import json
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
from vaekit.errors import DataError, shorten

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
CODE = r"^\s*(\+|[+-]?0\d|\d{16,})"
"""Numbers that begin like codes, such as postcodes, telephone numbers and account numbers."""
GROUPED = r"^\s*[+-]?[$€£]?\s?(\d{1,3}([,.']\d{3})+([.,]\d+)?|\d+([.,]\d+)?)\s?[%$€£]?\s*$"
"""Numbers with separators of thousands, a decimal comma, a currency or a per cent sign."""
ZONE = r"\d(Z|[+-]\d\d:?\d\d)\s*$"
_MONTH = r"(?i:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|f[eé]v|avr|ao[uû]|d[eé]c)[a-zäéû]{0,7}"
DATELIKE = (
    r"^\s*\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}\b"  # 31.12.20
    r"|\b\d{1,2}[./-](19|20)\d\d\b|\b(19|20)\d\d[./-](\d{1,2}|[WQ]\d{1,2})\b"  # 05/2020, 2020-05
    rf"|\b{_MONTH}\.?,?[ /-](\d{{1,2}},? )?\d{{2,4}}\b|(19|20)\d\d年"  # 31 Dec 20, Feb 2020
)
"""Text that may be meant as a date."""
MOSTLY, MANY = 0.5, 20
"""Least share of the cells, and least number of different cells, for text to be meant as numbers or dates."""
LONGEST_MARK = 30
"""Most characters of a word that may mean a missing cell."""
TRIED = 200
"""Most different cells used to find date formats."""
WHOLE_DATE, FIRST_DATE, LAST_DATE = "%Y%m%d", 19000101, 21001231
"""Integers are dates if all are valid in this format and lie between these two dates."""


def check_numbers(frame: Frame, tally: Tally) -> None:
    """Refuse a text column in which most cells are numbers but some are not.

    Args:
        frame: the rows, which are read again to find a wrong cell.
        tally: the summary of a column of text.

    Raises:
        DataError: if most cells are numbers of many different values, and some cells are not numbers.
    """
    values = pa.array(tally.counts, pa.string())
    number, code, grouped = (_matches(values, pattern) for pattern in (NUMBER, CODE, GROUPED))
    if number.all() or (number & code).any():  # numbers that are stored as text on purpose, or codes
        return
    if not _meant(tally, number | grouped):
        return
    found = first_cell(frame, tally.name, is_no_number) or (0, next(iter(tally.counts)))
    raise _refusal(frame, tally, "numbers", "12.5", found, _count_cells(tally, ~number))


def check_dates(frame: Frame, tally: Tally) -> None:
    """Refuse a text column in which most cells are dates in one format but some are not.

    Args:
        frame: the rows, which are read again to find a wrong cell.
        tally: the summary of a column of text.

    Raises:
        DataError: if most cells are dates of many different values, and some cells are not dates, or only some have a zone.
    """
    values = pa.array(tally.counts, pa.string())
    for form in dict.fromkeys(form for cell in list(tally.counts)[:TRIED:10] for form in ("", *forms_of([cell]))):
        dates = is_date(values, form)
        if not _meant(tally, dates):
            continue
        zoned = _matches(values, ZONE)
        if form == "" and dates.all() and zoned.any():
            rare = zoned if _count_cells(tally, zoned) < _count_cells(tally, ~zoned) else ~zoned
            row, cell = first_cell(frame, tally.name, partial(pc.is_in, value_set=values.filter(pa.array(rare)))) or (
                0,
                "",
            )
            must = f"the dates of column '{tally.name}' must all have a time zone, or all be without one"
            how = "with" if rare is zoned else "without"
            raise DataError(
                must,
                f"{cell!r} in {frame.where(row)}, {how} a time zone, unlike most cells",
                f"Correct the cell, or {_declare(tally)}",
            )
        if dates.all():
            return
        found = first_cell(frame, tally.name, lambda x, form=form: pa.array(~is_date(x, form))) or (0, "")  # type: ignore[misc]
        example = (
            next(cell for cell, is_one in zip(tally.counts, dates, strict=True) if is_one) if form else "2020-12-31"
        )
        raise _refusal(frame, tally, "dates", example, found, _count_cells(tally, ~dates))


def _count_cells(tally: Tally, which: npt.NDArray[np.bool_]) -> int:
    return int(np.array(list(tally.counts.values()))[which].sum())


def _meant(tally: Tally, which: npt.NDArray[np.bool_]) -> bool:
    """Return whether most cells hold one of the selected values; False if these are a few values that repeat."""
    cells, different = _count_cells(tally, which), int(which.sum())
    return cells > MOSTLY * tally.rows and not (different <= MANY and 2 * different <= cells)


def _declare(tally: Tally) -> str:
    return f"declare data.columns.{tally.name}=categorical or ignore"


def _refusal(frame: Frame, tally: Tally, kind: str, example: str, found: tuple[int, str], wrong: int) -> DataError:
    """Make the error for a column of numbers or dates with other cells, of which the first is named and the others counted."""
    row, cell = found
    fault = f"Most cells of column '{tally.name}' are {kind} such as {example}, but the cell in {frame.where(row)} is {shorten(cell)!r}"
    if wrong > 1:
        least = "" if tally.exact else "at least "
        fault += f", and {least}{wrong - 1:,} further {f'cells are not {kind}' if wrong > 2 else f'cell is not a {kind[:-1]}'}"
    mend = "Correct the cell"
    if kind == "numbers" and re.fullmatch(GROUPED, cell):
        mend = "Write numbers with a decimal point and nothing else between or after the digits"
    elif not any(sign.isdigit() for sign in cell) and len(cell) <= LONGEST_MARK:
        mend = f"If {cell!r} means that the value is missing, {_mark(frame, tally, cell)}. Otherwise correct the cell"
    return DataError(fault, mend=f"{mend}, or {_declare(tally)}")


def _mark(frame: Frame, tally: Tally, cell: str) -> str:
    """Say how a word is declared to mean a missing cell, beside the words for missing cells that the file has."""
    if not tally.seen.written:
        return "leave the cell empty"
    known = [word for seen in frame.seen.values() for word, _ in seen.missing if word]
    words = json.dumps([*dict.fromkeys(known), cell.strip()], ensure_ascii=False)
    return f"set data.missing={words}"


def date_forms(tally: Tally) -> tuple[str, ...] | None:
    """Find the date formats that fit all cells of a text column; return None if the cells do not look like dates.

    Args:
        tally: the summary of a column of text.

    Returns:
        Formats with different readings, the most likely first; the empty format for dates as in 2020-12-31.
    """
    texts = list(tally.counts)
    if not texts or not any(sign.isdigit() for sign in texts[0]):
        return None
    try:
        read_dates(pa.array(texts))
    except pa.ArrowInvalid:  # another form, or an invalid date
        pass
    else:
        few = forms_of(texts[:TRIED])
        return (few[0] if few and is_date(pa.array(texts), few[0]).all() else "",)
    if not forms_of(texts[:TRIED]):
        alike = _matches(pa.array(texts), DATELIKE)
        return () if alike.all() or _meant(tally, alike) else None
    return forms_of(texts) or None


def with_note(column: Column, forms: tuple[str, ...] | None) -> Column:
    """Add a note to a text column if its cells may be meant as dates.

    Args:
        column: the column of text.
        forms: formats in which the cells are dates; empty if they only look like dates, None if they do not.
    """
    if forms is None:
        return column
    if not forms:
        note = "cells look like dates of an unknown form; write them as in 2020-12-31"
    else:
        both = " or ".join(forms)
        note = f"cells may be dates of the form {both}; data.columns.{column.name}=datetime uses the first form"
    return column.model_copy(update={"note": note})


def holds_dates(tally: Tally) -> bool:
    """Return whether integers are dates such as 20201231: at least three different ones, and all valid."""
    if not (
        tally.integer and tally.exact and tally.distinct > 2 and tally.low >= FIRST_DATE and tally.high <= LAST_DATE
    ):
        return False
    return bool(is_date(_as_text(tally), WHOLE_DATE).all())


def _as_text(tally: Tally) -> Any:
    """Return the different cells of a column as text, with integers written without a decimal point."""
    values = list(tally.counts)
    return pa.array([str(int(value)) if isinstance(value, float) else value for value in values], pa.string())


def make_text_dates(tally: Tally, form: str) -> Column:
    """Make a column of dates that are written as text or as integers."""
    cells = _as_text(tally)
    moments = read_dates(cells, form).cast(pa.int64()).to_numpy()
    rounding, spread = spacing_of_dates(moments)
    first, last = (cells[int(row)].as_py() for row in (moments.argmin(), moments.argmax()))
    kind = "whole numbers" if tally.family == "number" else "text"
    shape = f", read as {form}" if form and not form.startswith("%Y-") else ""
    return make_column(
        tally,
        "datetime",
        f"dates from {first} to {last}, as {kind}{shape}",
        spacing=drop_if_fine(rounding, spread),
        rounding=rounding,
        form=form,
        drawn=(float(moments.min()), float(moments.max())) if tally.exact else (None, None),
    )


def _matches(values: Any, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def is_no_number(cells: Any) -> Any:
    """Return which cells of text are not numbers."""
    return pc.invert(pc.match_substring_regex(cells, NUMBER))


def first_cell(frame: Frame, name: str, wrong: Callable[[Any], Any]) -> tuple[int, Any] | None:
    """Find the first wrong cell of a column, and return its row and its content; return None if all are right.

    Args:
        frame: the rows, which are read again.
        name: name of the column.
        wrong: returns for an Arrow array of plain cells which of them are wrong.
    """
    first = 0
    for table in frame.read():
        cells = to_plain(table[name])
        row = pc.index(pc.fill_null(wrong(cells), fill_value=False), value=True).as_py()
        if row >= 0:
            return first + row, cells[row].as_py()
        first += len(table)
    return None


def mean_length(tally: Tally) -> tuple[float, float]:
    """Return the mean numbers of words and of characters in the different values of a text column."""
    values = pa.array(tally.counts)
    words = pc.add(pc.count_substring(pc.utf8_trim_whitespace(values), " "), 1)
    return float(pc.mean(words).as_py()), float(pc.mean(pc.utf8_length(values)).as_py())
