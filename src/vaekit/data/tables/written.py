"""Cells of a text file: which cells are missing, and which types the columns have.

Text that looks like numbers is converted only if nothing is lost. Codes such as 007 keep all their digits.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.dates import forms_of, in_calendar

MISSING = ("NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "?", "#N/A", "-", "<NA>")
"""Default words for a missing cell; an empty cell is always missing."""
LADDERS = (
    (pa.int64(), pa.float64()),
    (pa.bool_(),),
    (pa.date32(), pa.timestamp("s"), pa.timestamp("us")),
    (pa.timestamp("us", "UTC"),),
)
"""Types that text is converted to: the first type of a ladder that fits all cells. Other text stays text."""
EXACT = 2**53
"""A double holds every integer up to this one."""
FEW, COUNTED = 20, 1000
"""Most different cells of a column for 1.10 and 1.1 to be two codes, and most different cells that are examined."""


def present(cells: Any, marks: tuple[str, ...]) -> Any:
    """Trim spaces around cells of text, and set missing cells to null.

    Args:
        cells: an Arrow array of text.
        marks: words for a missing cell; an empty cell is always missing.
    """
    text = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(text, value_set=pa.array(["", *marks])), pa.scalar(None, pa.string()), text)


def as_type(cells: Any, kind: Any) -> Any:
    """Convert text to an Arrow type, or return None if a cell does not fit."""
    if kind == pa.bool_() and not pc.all(pc.is_in(pc.utf8_lower(cells), value_set=pa.array(["true", "false", None]))).as_py():  # fmt: skip
        return None
    if kind == pa.int64() and pc.any(pc.match_substring(cells, "0x", ignore_case=True)).as_py():
        return None
    try:
        found = cells.cast(kind)
    except pa.ArrowInvalid:
        return None
    return None if pa.types.is_temporal(kind) and not in_calendar(found) else found


class Survey:
    """Surveys a text column, block by block, to infer its type and the form of its cells.

    Args:
        marks: words for a missing cell.

    Examples:
        >>> survey = Survey(MISSING)
        >>> survey.add(pa.array(["02116", "10001", "NA"]))
        >>> str(survey.type), survey.missing
        ('string', (('NA', 1),))
    """

    def __init__(self, marks: tuple[str, ...]) -> None:
        self.marks, self._kind = marks, pa.null()
        self._missing: Counter[str] = Counter()
        self._coded = self._minus = self._plus = self._power = self._point = False
        self._written: set[str] = set()

    def add(self, cells: Any) -> None:
        """Add a block of the column's cells, given as an Arrow array of text."""
        found = present(cells, self.marks)
        if found.null_count:
            counts = pc.value_counts(pc.utf8_trim_whitespace(cells.filter(found.is_null())))
            self._missing.update({count["values"].as_py(): count["counts"].as_py() for count in counts})
        self._kind = _widened(self._kind, found)
        if self._kind != pa.string():
            different = pc.unique(found.drop_null())
            if self._kind in LADDERS[0]:
                self._look_at_numbers(different)
            if len(self._written) <= COUNTED:
                self._written.update(different.slice(0, COUNTED).to_pylist())

    def _look_at_numbers(self, cells: Any) -> None:
        def some(pattern: str) -> bool:
            return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())

        long = cells.filter(pc.match_substring_regex(cells, r"^[+-]?\d{16,}$")).to_pylist()
        self._coded |= some(r"^[+-]?0\d") or any(abs(int(cell)) > EXACT for cell in long)
        self._plus |= some(r"^\+")
        self._minus |= some(r"^-")
        self._power |= some(r"^\d+[eE]\d+$")
        self._point |= some(r"\.")

    @property
    def type(self) -> Any:
        """Return the Arrow type that holds all cells of the column without loss."""
        if self._kind == pa.null():
            return pa.string()
        if self._kind not in LADDERS[0]:
            return self._kind
        coded = self._coded or (self._plus and not self._minus) or (self._power and not self._point)
        return pa.string() if coded or (self._doubled and len(self._written) <= FEW) else self._kind

    @property
    def form(self) -> str:
        """Return the format of the dates or truth values (see `Column.form`); empty if no single format fits."""
        if self._kind == pa.bool_():
            style = min(self._written, default="true")
            return "TRUE" if style.isupper() else "True" if style[0].isupper() else "true"
        return next(iter(forms_of(sorted(self._written))), "") if pa.types.is_temporal(self._kind) else ""

    @property
    def remark(self) -> str:
        """Return a remark for the user if two cells write the same number differently, else an empty text."""
        if not self._doubled or self.type == pa.string():
            return ""
        return f"{' and '.join(self._doubled)} are the same number"

    @property
    def _doubled(self) -> tuple[str, ...]:
        """Return two differently written cells that are the same number, or nothing if there are no such cells."""
        if self._kind not in LADDERS[0]:
            return ()
        seen: dict[float, str] = {}
        for cell in sorted(
            cell for cell in self._written if float(cell)
        ):  # zeros are left out: -0.0 and 0.0 differ by rounding
            other = seen.setdefault(float(cell), cell)
            if other != cell:
                return other, cell
        return ()

    @property
    def missing(self) -> tuple[tuple[str, int], ...]:
        """Return the words that mark missing cells, each with its count, the most frequent first."""
        return tuple(self._missing.most_common())


def _widened(kind: Any, cells: Any) -> Any:
    """Return a column's type, widened if necessary so that new cells fit too."""
    if cells.null_count == len(cells) or kind == pa.string():
        return kind
    ladders = LADDERS if kind == pa.null() else [ladder[ladder.index(kind) :] for ladder in LADDERS if kind in ladder]
    fits = (step for ladder in ladders for step in ladder if as_type(cells, step) is not None)
    return next(fits, pa.string())
