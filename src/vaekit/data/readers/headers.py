"""How a text file is to be read: what separates its cells, and whether its first line names the columns."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaekit.data.tables.columns import CATEGORICAL, LEFT_OUT, Column, are_numbered, numbered_names
from vaekit.data.tables.dates import looks_like_date
from vaekit.data.tables.written import MISSING
from vaekit.errors import DataError

HEAD, HEAD_BYTES = 100, 1 << 20
"""Rows after the first, and characters, by which a file is judged."""
EARLIEST, LATEST = 1900, 2100
"""Years that name columns."""
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas", " ": "blanks"}
"""What may separate cells, and what it is called."""
SEPARATED = "Separate the cells by commas, semicolons or tabs, and put nothing above the line of names"


@dataclass(frozen=True)
class Form:
    """How a file is to be read.

    Args:
        path: the file.
        delimiter: what separates cells.
        names: names of the columns.
        named: whether these come from the file.
        skip: lines before the first row.
        nameless: whether the first column has no name among others that have one.
        doubtful: whether a name is a cell of its column, too.
    """

    path: Path
    delimiter: str
    names: tuple[str, ...]
    named: bool
    skip: int
    nameless: bool = False
    doubtful: bool = False

    @property
    def said(self) -> str:
        """The form in words."""
        line = f"line {self.skip} names the columns" if self.named else "no line names the columns"
        cells = f", cells are separated by {SEPARATORS.get(self.delimiter, repr(self.delimiter))}"
        return line + (cells if len(self.names) > 1 else "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it."""
        if not self.doubtful:
            return ()
        return (
            f"Line {self.skip} names the columns, though some names are cells, too. data.header=false takes it for a row.",
        )


def find_form(path: Path, header: bool | None = None, known: Sequence[Column] = ()) -> Form:
    """Find separator, names and first row, from the first lines of a file.

    Args:
        path: the file, packed by gzip where its name ends in `.gz`.
        header: whether the first line names the columns; by default it is looked at.
        known: the columns, where they are known already.

    Raises:
        DataError: if the file cannot be read, holds no rows, or its first lines do not go together.
    """
    lines = _first_lines(path)
    if not any(line.strip() for line in lines):
        raise DataError("the source must hold examples", f"an empty file, '{path}'")
    try:
        above, delimiter = _above(lines, known)
        reader, start = csv.reader(lines[above:], delimiter=delimiter), above
        first: list[str] = []
        while not first:
            start = above + reader.line_num
            first = next(reader)
        skip = above + reader.line_num
        rows = [row for row in itertools.islice(reader, HEAD) if row]
    except StopIteration:
        raise DataError("the source must hold examples", f"none in '{path}'") from None
    except csv.Error as error:  # a cell without an end
        raise DataError("a CSV file must have cells of a reasonable length", f"'{path}': {error}") from error
    _check_first(path, first, rows, skip)
    cells = [cell.strip() for cell in first]
    named = _names_columns(cells, rows, header, known)
    if not named:
        start = above if len(cells) == 1 else start  # of a single column, empty lines are rows
        return Form(path, delimiter, numbered_names(len(cells)), False, start)
    if not rows and len(cells) > 1:
        raise DataError("the source must hold examples", f"a header without rows in '{path}'")
    names = tuple(
        cell or next(n for n in (f"column{i}", f"column{i}_") if n not in cells) for i, cell in enumerate(cells)
    )
    doubtful = (
        header is None
        and not known
        and any(cell and cell in {row[i] for row in rows if i < len(row)} for i, cell in enumerate(cells))
    )
    return Form(path, delimiter, names, True, skip, not cells[0] and len(cells) > 1, doubtful)


def _first_lines(path: Path) -> list[str]:
    """The first lines of a file, the last of which may be cut."""
    packed = path.suffix.lower() == ".gz"
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if packed
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            text = file.read(HEAD_BYTES)
    except UnicodeDecodeError as error:
        raise bad_encoding(path, error) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("a CSV file must be whole", f"'{path}': {error}") from error
    lines = list(itertools.islice(io.StringIO(text, newline=""), 10 * HEAD))
    return lines[:-1] if len(text) == HEAD_BYTES and len(lines) > 1 else lines


def bad_encoding(path: Path, error: Exception) -> DataError:
    """The refusal of a file that is not UTF-8."""
    return DataError("a CSV file must be encoded in UTF-8", f"'{path}': {error}", "Save it as UTF-8")


def _above(lines: list[str], known: Sequence[Column]) -> tuple[int, str]:
    """How many lines stand above the table, and what separates cells: `sep=;` says it, comments are passed over."""
    if told := re.fullmatch(r"\s*sep=([\t;|, ])\s*", lines[0]):
        return 1, told[1]
    comments = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("#"), lines))
    if not comments or comments == len(lines):
        return 0, _delimiter(lines, known)
    delimiter = _delimiter(lines[comments:], known)
    width = len(next(_rows(lines[comments:], delimiter), []))
    last = len(next(_rows(lines[comments - 1 : comments], delimiter), []))
    return comments - (last == width and width > 1), delimiter  # a line of names may begin with the sign of a comment


def _rows(lines: list[str], mark: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(lines, delimiter=mark) if row)


def _delimiter(lines: list[str], known: Sequence[Column]) -> str:
    """What separates cells: a mark that divides all lines alike; the comma last, as it may stand within numbers too."""
    tables = {mark: list(itertools.islice(_rows(lines, mark), HEAD)) or [[]] for mark in "\t;|,"}
    names = {column.name for column in known}
    for mark, rows in tables.items():
        if len(known) > 1 and len({cell.strip() for cell in rows[0]} & names) > 1:
            return mark
    for mark, rows in tables.items():
        widths = {len(row) for row in rows}
        if mark != "," and len(widths) == 1 and widths != {1}:
            return mark
    found = max(",;\t|", key=lambda mark: len(tables[mark][0]))
    return " " if len(tables[found][0]) == 1 and _in_blanks(lines) else found


def _in_blanks(lines: list[str]) -> bool:
    """Whether blanks divide all lines alike, and a column of numbers shows that this is no text of several words."""
    rows = [line.split() for line in lines[: HEAD + 1] if line.strip()]
    if len(rows) < 2 or len(rows[0]) < 2 or {len(row) for row in rows} != {len(rows[0])}:
        return False
    if not any(all(map(_is_number, cells)) for cells in zip(*rows[1:], strict=True)):
        return False
    if any(line.strip().split(" ") != row for line, row in zip(filter(str.strip, lines), rows, strict=False)):
        raise DataError(
            "cells must be separated by a single sign", f"several blanks in '{lines[0].strip()}'", SEPARATED
        )
    return True


def _check_first(path: Path, first: list[str], rows: list[list[str]], line: int) -> None:
    """Refuse a title above the table: a first line that is shorter than all others."""
    widths = {len(row) for row in rows}
    if len(rows) > 1 and len(widths) == 1 and len(first) < min(widths):
        raise DataError(
            "a CSV file must have as many cells in each line",
            f"{len(first)} in line {line} of '{path}' ('{first[0]}') and {min(widths)} in the lines after it",
            f"Remove line {line} if it is a title. {SEPARATED}",
        )


def _names_columns(cells: list[str], rows: list[list[str]], header: bool | None, known: Sequence[Column]) -> bool:
    """Whether the first line names the columns; where these are known, it does if it has all of their names."""
    if known and {column.name for column in known if column.kind not in LEFT_OUT} <= set(cells):
        return True
    if known and len(cells) == len(known):
        numbers = [cell for cell, column in zip(cells, known, strict=True) if _holds_numbers(column)]
        if all(_is_number(cell) or cell in ("", *MISSING) for cell in numbers) and (
            are_numbered(known) or any(numbers)
        ):
            return False
    return is_header(cells, rows) if header is None else header


def _holds_numbers(column: Column) -> bool:
    return column.kind not in (*CATEGORICAL, *LEFT_OUT, "datetime")


def is_header(cells: list[str], rows: list[list[str]]) -> bool:
    """Whether a first line names columns.

    A name over numbers says that it does, and so do numbers that count: 0, 1, 2, … or years. Another number over numbers, or
    a date over dates, says that it does not. Where nothing speaks, it does.

    Args:
        cells: the cells of the first line.
        rows: the cells of some lines after it.

    Examples:
        >>> is_header(["city", "size"], [["Bonn", "1"]]), is_header(["Bonn", "7"], [["Bonn", "1"], ["Ulm", "2"]])
        (True, False)
    """
    numbered = [str(i) for i in range(len(cells))]
    if cells in (numbered, ["", *numbered[:-1]]):
        return True
    below = [{row[i].strip() for row in rows if i < len(row)} - {"", *MISSING} for i in range(len(cells))]
    names = [_is_name(cell) for cell in cells]
    values = [bool(seen) and not any(map(_is_name, seen)) for seen in below]
    if any(name and value for name, value in zip(names, values, strict=True)):
        return True
    over = [i for i, cell in enumerate(cells) if values[i] and cell not in ("", *MISSING)]
    return any(names) and (not over or _counts([cells[i] for i in over], [[row[i] for i in over] for row in rows if len(row) == len(cells)]))  # fmt: skip


def _counts(cells: list[str], rows: list[list[str]]) -> bool:
    """Whether whole numbers go up by one, as the names of years or of many columns do, and do not in the rows below."""
    if not _ascends(cells) or all(map(_ascends, rows)):
        return False
    first, last = int(cells[0]), int(cells[-1])
    return EARLIEST <= first <= last <= LATEST or (first in (0, 1) and len(cells) > 2)


def _ascends(cells: list[str]) -> bool:
    """Whether two whole numbers or more go up by one."""
    if len(cells) < 2 or not all(cell.isdecimal() for cell in cells):
        return False
    return all(int(after) == int(before) + 1 for before, after in itertools.pairwise(cells))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    """Whether a cell could be the name of a column: no number, date or truth value, and not missing."""
    text = text.strip()
    if text in ("", *MISSING) or text.lower() in ("true", "false") or _is_number(text):
        return False
    return not looks_like_date(text)
