"""The kinds of the columns of a table, inferred from all rows and from the declared kinds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.columns import LEFT_OUT, Column, ColumnKind
from vaekit.data.tables.dates import date_text
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.inference.declared import declare
from vaekit.data.tables.inference.draws import End, check_names, limit_draws
from vaekit.data.tables.inference.kinds import (
    is_coded,
    make_categorical,
    make_column,
    make_datetime,
    make_number,
    make_numbers,
    write_count,
    write_value,
)
from vaekit.data.tables.inference.order import indicators, normal_scores, shows_order
from vaekit.data.tables.inference.tally import LONGEST, UNIQUE, Tally, tally_columns
from vaekit.data.tables.inference.texts import (
    WHOLE_DATE,
    check_dates,
    check_numbers,
    date_forms,
    holds_dates,
    make_text_dates,
    mean_length,
    with_note,
)
from vaekit.errors import DataError, did_you_mean

Array = npt.NDArray[np.float64]

IGNORE = "ignore"
FEW = 20
"""Most different integers that may be codes; more are counts."""
FEWEST, THIN = 4, 0.05
"""Least number of different integers that can be counts, and largest share of the rows that have the greatest one."""
REPEATS = 5
"""How often, on average, a code must occur."""
LEAST = 10
"""Fewest rows in which an identifier can be recognised."""
WORDS, LENGTH = 4, 40
"""Text of this many words, or more characters, on average, is not an identifier."""
PROFILE = 200
"""Most features of the other columns in the test of order."""
MANY = 0.5
"""Text with a larger share of different cells is categorical only if at least this share has frequent values."""
_ID = re.compile(r"(?i:(^|[\W_])(id|uuid|guid|key|row_?id|row_?names?|index)$|^unnamed)|[a-z]I[dD]$")


def infer_columns(
    frame: Frame,
    declared: Mapping[str, str] | None = None,
    context: Sequence[str] = (),
    ranges: Mapping[str, tuple[End, End]] | None = None,
    least_count: int = 1,
    plain: bool = False,
) -> tuple[Column, ...]:
    """Infer the kind and the categories of each column of a table.

    Args:
        frame: the rows, which are all read once.
        declared: declared kinds of columns by name, which replace inferred kinds; `ignore` leaves a column out.
        context: names of columns that the model is conditional on and does not model.
        ranges: declared ranges of columns by name, with an empty text for an open end.
        least_count: least number of rows with a category that is drawn.
        plain: whether all numbers are real, so that no numbers become categories, counts or dates, or are left out as constant.

    Returns:
        A description of each column of the frame, in order.

    Raises:
        DataError: if a declared kind or a column is unknown, cells do not fit a declared kind or range, a number is
            infinite, a few cells among numbers or dates are something else, or a column of the context is not modelled.

    Examples:
        >>> import pyarrow as pa
        >>> from vaekit.data.readers.libraries import open_frame
        >>> rng = np.random.default_rng(0)
        >>> table = pa.table({"age": rng.integers(0, 90, 500), "city": rng.choice(["Bonn", "Köln", "Ulm"], 500)})
        >>> for column in infer_columns(open_frame(table)):
        ...     print(column.name, column.kind, f"({column.reason})")
        age count (90 whole numbers from 0 to 89)
        city categorical (3 text values)
    """
    kinds, ranges = _checked(dict(declared or {}), frame), ranges or {}
    check_names(ranges, frame.names)
    tallies = tally_columns(frame, {name for name, kind in kinds.items() if kind == IGNORE})
    inference = _Inference(frame, tallies, kinds, plain)
    columns = [
        limit_draws(frame, tally, inference.column(tally), ranges.get(tally.name), least_count) for tally in tallies
    ]
    for name in context:
        _check_context(name, columns)
    return tuple(c.model_copy(update={"context": True}) if c.name in context else c for c in columns)


def _check_context(name: str, columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    if name not in names:
        raise DataError("data.context must name columns of the data", f"'{name}'", did_you_mean(name, names))
    column = columns[names.index(name)]
    if column.kind in LEFT_OUT:
        must = "a column of data.context must vary, and hold numbers, dates or categories"
        mend = "Leave it out of data.context, or declare its kind with data.columns"
        raise DataError(must, f"'{name}' ({column.kind}: {column.reason})", mend)


def _checked(declared: dict[str, str], frame: Frame) -> dict[str, Any]:
    known = [*get_args(ColumnKind), IGNORE]
    names = frozenset(frame.names)
    for name, kind in declared.items():
        if name not in names:
            raise DataError("data.columns must name columns of the data", f"'{name}'", did_you_mean(name, frame.names))
        if kind not in known:
            raise DataError(f"data.columns.{name} must be a kind of column", f"'{kind}'", did_you_mean(kind, known))
    return declared


class _Inference:
    """Infers the kinds of the columns of a table."""

    def __init__(self, frame: Frame, tallies: Sequence[Tally], declared: Mapping[str, Any], plain: bool) -> None:
        self.frame, self.tallies, self.declared, self.plain = frame, tallies, declared, plain
        self.sampled = max((len(tally.sample) for tally in tallies if tally.family != "other"), default=0)

    def column(self, tally: Tally) -> Column:
        """Infer the kind of a column from the summary of its cells."""
        kind = self.declared.get(tally.name)
        if kind in (IGNORE, *LEFT_OUT):
            return make_column(tally, "text" if kind == "text" else "identifier", "declared")
        if tally.family == "other" and kind is None:
            return make_column(tally, "text", f"cells of type {tally.type}, which are not modelled")
        if not tally.rows and tally.family != "other":
            return make_column(tally, "constant", "no cell has a value")
        if tally.huge and kind is None:
            if tally.share > UNIQUE:
                return make_column(tally, "identifier", "whole numbers, almost all different")
            return make_column(tally, "text", "whole numbers too large for a double to tell apart")
        if tally.distinct == 1 and not tally.huge and not (self.plain and tally.family == "number"):
            value = next(iter(tally.counts))
            reason = f"always {write_value(value)}" + (", or empty" if tally.missing else "")
            kept = date_text(value, tally.type) if tally.family == "date" else value
            return make_column(tally, "constant", reason, value=kept)
        if kind is not None:
            return declare(self.frame, tally, kind)
        if tally.family == "number":
            return self._number(tally)
        if tally.family == "text":
            return self._text(tally)
        if tally.family == "truth":
            return make_column(tally, "binary", "true and false", categories=(False, True))
        return make_datetime(tally)

    def _text(self, tally: Tally) -> Column:
        if tally.levels:
            return make_categorical(tally, "ordinal", f"{tally.distinct} text values in the order of their type")
        if is_coded(tally):
            return make_categorical(tally, "binary" if tally.distinct == 2 else "categorical")
        if (forms := date_forms(tally)) is not None and len(forms) == 1:
            return make_text_dates(tally, forms[0])
        check_dates(self.frame, tally)
        check_numbers(self.frame, tally)
        return with_note(self._words(tally), forms)

    def _words(self, tally: Tally) -> Column:
        if tally.distinct == 2:
            return make_categorical(tally, "binary")
        words, length = mean_length(tally)
        enough = tally.rows >= LEAST
        if enough and tally.share > UNIQUE and words < WORDS and length <= LENGTH:
            return make_column(tally, "identifier", f"{write_count(tally)} text values, almost all different")
        if enough and not tally.cut and tally.share > MANY and words < WORDS and length <= LENGTH:
            often = sum(count for count in tally.counts.values() if count >= REPEATS)
            if often < MANY * tally.rows:  # no value occurs often enough to be learned
                reason = f"{write_count(tally)} text values in {tally.rows:,} cells, so few repeat"
                return make_column(tally, "identifier", reason)
        column = make_categorical(tally, "categorical")
        own = sum(tally.counts[value] for value in column.categories)
        if tally.cut or (enough and tally.share > MANY and (words >= WORDS or own < MANY * tally.rows)):
            texts = f"{write_count(tally)} texts of {words:.1f} words on average"
            return make_column(tally, "text", f"texts with more than {LONGEST} characters" if tally.cut else texts)
        return column

    def _number(self, tally: Tally) -> Column:
        if self.plain and not is_coded(tally) and not (tally.integer and _is_identifier(tally)):
            return make_numbers(tally, "real")
        if tally.distinct == 2 and (tally.integer or is_coded(tally) or tally.rows >= LEAST):
            return make_categorical(tally, "binary")
        if is_coded(tally):
            return make_categorical(tally, "ordinal" if tally.levels else "categorical")
        if holds_dates(tally):
            return make_text_dates(tally, WHOLE_DATE)
        if tally.integer and _is_identifier(tally):
            return make_column(tally, "identifier", "whole numbers, almost all different")
        few = tally.exact and tally.distinct <= FEW
        if few and tally.integer and _are_counted(tally):
            return make_numbers(tally, "count")
        if few and tally.integer and tally.rows >= REPEATS * tally.distinct:
            return make_categorical(tally, "ordinal" if self._is_ordered(tally) else "categorical")
        if few and tally.spacing and tally.rows >= 4 * REPEATS * tally.distinct:
            return make_categorical(tally, "ordinal")
        return make_number(tally)

    def _is_ordered(self, tally: Tally) -> bool:
        """Return whether a few integers are ordered levels, judged from their range and from the other columns."""
        if tally.low < 0 or tally.low > 1 or tally.high - tally.low + 1 > 1.5 * tally.distinct:
            return True
        return shows_order(tally.numbers, self._profile(tally))

    def _profile(self, without: Tally) -> Array:
        """Return features of the sampled rows, from all columns except `without`."""
        features, room = [np.empty((self.sampled, 0))], PROFILE
        for tally, feature in self._features:
            if tally is not without and room > 0:
                features.append(feature)
                room -= feature.shape[1]
        return np.concatenate(features, 1)

    @cached_property
    def _features(self) -> list[tuple[Tally, Array]]:
        """Return the features of the first columns, one array for each column.

        They are enough for the test of order, even without those of the tested column.
        """
        found, room = [], PROFILE + FEW
        for tally in self.tallies:
            if room > 0 and tally.rows and (feature := self._feature(tally)).shape[1]:
                found.append((tally, feature))
                room -= feature.shape[1]
        return found

    def _feature(self, tally: Tally) -> Array:
        few = tally.exact and tally.distinct <= FEW
        if tally.family in ("number", "date") and not (tally.monotone and tally.integer):
            return normal_scores(tally.numbers)[:, None]
        if tally.family in ("text", "truth") and few:
            return indicators(tally.sample.to_pylist(), list(tally.counts))
        return np.empty((self.sampled, 0))


def _are_counted(tally: Tally) -> bool:
    """Return whether a few integers are counts: 0, 1, 2, …, each rarer than the one before, and the last one rare."""
    counts = [tally.counts[value] for value in sorted(tally.counts)]
    gapless = tally.low == 0 and tally.high == tally.distinct - 1
    falls = all(after <= before for before, after in itertools.pairwise(counts))
    return gapless and falls and tally.distinct >= FEWEST and counts[-1] <= THIN * tally.rows


def _is_identifier(tally: Tally) -> bool:
    """Return whether the integers of a column only identify its rows.

    They do if they number the rows, are monotone, or hardly repeat in a column that is unnamed or called `id`.
    """
    if (tally.seen.nameless or not tally.name) and tally.share == 1 and tally.rows >= LEAST:
        return True
    rows, gapless = tally.rows, tally.high - tally.low == tally.rows - 1
    if rows < LEAST:
        return False
    if tally.monotone and (gapless or rows >= REPEATS * LEAST):
        return True
    return (gapless and tally.share == 1) or (tally.share > UNIQUE and bool(_ID.search(tally.name)))
