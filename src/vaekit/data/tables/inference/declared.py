"""Columns whose kind is declared by the user. Their cells are checked against this kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.columns import CATEGORICAL, Column, ColumnKind
from vaekit.data.tables.dates import forms_of, is_date
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.inference.kinds import make_categorical, make_datetime, make_numbers
from vaekit.data.tables.inference.tally import Tally
from vaekit.data.tables.inference.texts import (
    WHOLE_DATE,
    date_forms,
    first_cell,
    holds_dates,
    is_no_number,
    make_text_dates,
)
from vaekit.data.tables.written import EXACT
from vaekit.errors import DataError


def declare(frame: Frame, tally: Tally, kind: ColumnKind) -> Column:
    """Make a column of the kind that the user declares, and check its cells.

    Args:
        frame: the rows, which are read again to find a wrong cell.
        tally: the summary of the column, which has at least two different values.
        kind: the declared kind.

    Returns:
        The column.

    Raises:
        DataError: if its cells do not fit this kind.
    """
    column = _make(frame, tally, kind)
    return column.model_copy(update={"reason": f"declared; {column.reason}"})


def _make(frame: Frame, tally: Tally, kind: ColumnKind) -> Column:
    if tally.huge and kind in CATEGORICAL:
        raise _refusal(tally, kind, f"numbers below {EXACT}, or text", f"{tally.high:.0f}")
    if kind in ("categorical", "binary"):
        if tally.family not in ("number", "truth", "text") or tally.cut:
            raise _refusal(tally, kind, "numbers, short text, or true and false", f"cells of type {tally.type}")
        if kind == "binary" and tally.distinct > 2:
            raise _refusal(tally, kind, "two different values", f"{tally.distinct} or more")
        return make_categorical(tally, kind)
    if kind == "ordinal" and tally.levels:
        return make_categorical(tally, kind)
    if kind == "datetime":
        if tally.family == "date":
            return make_datetime(tally)
        if tally.family == "text" and (forms := date_forms(tally)):
            return make_text_dates(tally, forms[0])
        if holds_dates(tally):
            return make_text_dates(tally, WHOLE_DATE)
        raise _refusal(tally, kind, "dates as in 2020-12-31", _no_date(frame, tally))
    if tally.family != "number":
        raise _refusal(tally, kind, "numbers", _no_number(frame, tally))
    if kind == "ordinal":
        return make_categorical(tally, kind)
    if kind in ("count", "positive"):
        _check(frame, tally, kind, "no negative numbers", lambda x: pc.less(x, 0))
    if kind == "count":
        _check(frame, tally, kind, "whole numbers", lambda x: pc.not_equal(x, pc.floor(x)))
    return make_numbers(tally, kind, _bounds(tally) if kind == "bounded" else (None, None))


def _bounds(tally: Tally) -> tuple[float, float]:
    """Return the bounds of bounded numbers: 0 and 1, 0 and 100, or the least and the greatest number."""
    return next(((0.0, top) for top in (1.0, 100.0) if tally.low >= 0 and tally.high <= top), (tally.low, tally.high))


def _check(frame: Frame, tally: Tally, kind: str, wanted: str, wrong: Callable[[Any], Any]) -> None:
    found = first_cell(frame, tally.name, wrong)
    if found is not None:
        raise _refusal(tally, kind, wanted, f"{found[1]:g} in {frame.where(found[0])}")


def _no_number(frame: Frame, tally: Tally) -> str:
    """Return a column's first cell that is not a number, as text for an error message."""
    if tally.family != "text":
        return f"cells of type {tally.type}"
    found = first_cell(frame, tally.name, is_no_number)
    return f"'{found[1]}' in {frame.where(found[0])}" if found else "numbers stored as text"


def _no_date(frame: Frame, tally: Tally) -> str:
    """Return a column's first cell that is not a date in the most frequent format, as text for an error message."""
    if tally.family != "text":
        return f"cells of type {tally.type}"
    values = pa.array(tally.counts, pa.string())
    form = max(("", *forms_of(list(tally.counts)[:1])), key=lambda form: int(is_date(values, form).sum()))
    found = first_cell(frame, tally.name, lambda x: pa.array(~is_date(x, form)))
    return f"'{found[1]}' in {frame.where(found[0])}" if found else "dates in several formats"


def _refusal(tally: Tally, kind: str, wanted: str, given: str) -> DataError:
    return DataError(f"column '{tally.name}', declared as data.columns.{tally.name}={kind}, must hold {wanted}", given)
