"""The form of a text file: the separator of its cells, and whether its first line names the columns."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vaekit.data.readers.shards import Shard
from vaekit.data.tables.columns import CATEGORICAL, LEFT_OUT, Column, are_numbered, numbered_names
from vaekit.data.tables.dates import looks_like_date
from vaekit.data.tables.written import MISSING
from vaekit.errors import DataError

HEAD, HEAD_BYTES = 100, 1 << 20
"""Most rows after the first, and most characters, from which the form of a file is inferred."""
EARLIEST, LATEST = 1900, 2100
"""First and last year that can name a column."""
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas", " ": "spaces"}
"""Separators of cells, and their names."""
SEPARATED = "Separate the cells by commas, semicolons or tabs, and put the column names on the first line"


@dataclass(frozen=True)
class Form:
    """Describes the form of a CSV file: its separator, column names and first row.

    Args:
        shard: the file.
        delimiter: the separator of cells.
        names: names of the columns.
        named: whether the names come from the file.
        skip: number of lines before the first row.
        nameless: whether only the first column is unnamed.
        doubtful: whether a name also occurs as a cell of its column.
        empty: whether only a line of names is there.
    """

    shard: Shard
    delimiter: str
    names: tuple[str, ...]
    named: bool
    skip: int
    nameless: bool = False
    doubtful: bool = False
    empty: bool = False

    @property
    def said(self) -> str:
        """Describe the form of a CSV file in words, such as 'line 1 names the columns'."""
        line = f"line {self.skip} names the columns" if self.named else "no line names the columns"
        cells = f", cells are separated by {SEPARATORS.get(self.delimiter, repr(self.delimiter))}"
        return line + (cells if len(self.names) > 1 else "")

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes for the user if it is doubtful that the first line names the columns."""
        told = f"Line {self.skip} was read as column names, although some names also occur as cells"
        return (f"{told}. To read it as a row, set data.header=false.",) if self.doubtful else ()


def find_forms(shards: Sequence[Shard], header: bool | None = None, known: Sequence[Column] = ()) -> list[Form]:
    """Infer the separator, the column names and the first row of CSV files that belong to one table.

    The form of the first file is inferred from its first lines, and from those of further files if it has few; the others must
    have the same.

    Args:
        shards: the files, each gzipped if its name ends in `.gz`.
        header: whether the first lines name the columns; by default it is inferred.
        known: the columns, if they are known.

    Returns:
        The form of each file that has lines.

    Raises:
        DataError: if a file cannot be read, none has rows, first lines differ in form, or a file lacks a column.
    """
    first, *others = shards
    lines = _first_lines(first)
    if not others:
        return [_find_form(first, lines, header, known)]
    more = (_first_lines(shard) for shard in others)
    title, seen = lines[0], list(lines)
    while len(seen) < HEAD and (following := next(more, None)) is not None:
        seen += following[following[0] == title :]
    form = _find_form(first, seen, header, known)
    return [form, *(_same_form(shard, form) for shard in others)]


def _same_form(shard: Shard, form: Form) -> Form:
    """Return the form of a CSV file that belongs to a table of known form."""
    lines = _first_lines(shard)
    above = 1 if re.fullmatch(r"\s*sep=[\t;|, ]\s*", lines[0]) else 0
    while above < min(form.skip, len(lines)) and lines[above].startswith("#") and not form.names[0].startswith("#"):
        above += 1
    reader = csv.reader(lines[above:], delimiter=form.delimiter)
    cells = [cell.strip() for cell in next((row for row in reader if row), [])]
    if len(cells) != len(form.names) and not form.named:
        fault = f"the files of a table must have as many columns as '{form.shard.name}', {len(form.names)}"
        raise DataError(fault, f"{len(cells)} in '{shard.address}'")
    if not form.named:
        return replace(form, shard=shard, skip=above, empty=False)
    skip = above + reader.line_num
    try:
        empty = len(cells) > 1 and not any(reader)
    except csv.Error:  # a row that cannot be read is a row
        empty = False
    return replace(form, shard=shard, skip=skip, names=_named(cells), empty=empty)


def _find_form(shard: Shard, lines: list[str], header: bool | None, known: Sequence[Column]) -> Form:
    """Infer the form of a CSV file from its first lines."""
    path = shard.address
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
        raise DataError(f"The source '{path}' holds no examples") from None
    except csv.Error as error:  # a cell that is too long
        raise DataError("a CSV file must have cells of a reasonable length", f"'{path}' ({error})") from error
    _check_first(path, first, rows, skip)
    cells = [cell.strip() for cell in first]
    if not _names_columns(cells, rows, header, known):
        start = above if len(cells) == 1 else start  # in a single column, empty lines are rows
        return Form(shard, delimiter, numbered_names(len(cells)), False, start)
    doubtful = (
        header is None
        and not known
        and any(cell and cell in {row[i] for row in rows if i < len(row)} for i, cell in enumerate(cells))
    )
    nameless, empty = not cells[0] and len(cells) > 1, not rows and len(cells) > 1
    return Form(shard, delimiter, _named(cells), True, skip, nameless, doubtful, empty)


def _named(cells: list[str]) -> tuple[str, ...]:
    """Return the names of columns, with a name for each column without one."""
    return tuple(
        cell or next(n for n in (f"column{i}", f"column{i}_") if n not in cells) for i, cell in enumerate(cells)
    )


def _first_lines(shard: Shard) -> list[str]:
    """Read the first lines of a CSV file; the last line may be incomplete."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    with shard.open("gzip" if shard.name.lower().endswith(".gz") else None) as file:
        raw: bytes = file.read(HEAD_BYTES)
    try:
        text = decoder.decode(raw, len(raw) < HEAD_BYTES)
    except UnicodeDecodeError as error:
        raise bad_encoding(shard.address, error) from error
    lines = list(itertools.islice(io.StringIO(text, newline=""), 10 * HEAD))
    if not any(line.strip() for line in lines):
        raise DataError(f"The source '{shard.address}' is an empty file")
    return lines[:-1] if len(raw) == HEAD_BYTES and len(lines) > 1 else lines


def bad_encoding(path: str, error: Exception) -> DataError:
    """Return the error for a CSV file that is not encoded in UTF-8."""
    return DataError("a CSV file must be encoded in UTF-8", f"'{path}' ({error})", "Save it as UTF-8")


def _above(lines: list[str], known: Sequence[Column]) -> tuple[int, str]:
    """Return the number of lines above the table (`sep=;` or comments), and the separator of cells."""
    if told := re.fullmatch(r"\s*sep=([\t;|, ])\s*", lines[0]):
        return 1, told[1]
    comments = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("#"), lines))
    if not comments or comments == len(lines):
        return 0, _delimiter(lines, known)
    delimiter = _delimiter(lines[comments:], known)
    width = len(next(_rows(lines[comments:], delimiter), []))
    last = len(next(_rows(lines[comments - 1 : comments], delimiter), []))
    return comments - (last == width and width > 1), delimiter  # a line of names may begin with #


def _rows(lines: list[str], mark: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(lines, delimiter=mark) if row)


def _delimiter(lines: list[str], known: Sequence[Column]) -> str:
    """Find the separator that gives all lines equally many cells; try commas last, as numbers may contain commas."""
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
    return " " if len(tables[found][0]) == 1 and _separated_by_spaces(lines) else found


def _separated_by_spaces(lines: list[str]) -> bool:
    """Return whether single spaces give all lines equally many cells, and one column holds only numbers."""
    rows = [line.split() for line in lines[: HEAD + 1] if line.strip()]
    if len(rows) < 2 or len(rows[0]) < 2 or {len(row) for row in rows} != {len(rows[0])}:
        return False
    if not any(all(map(_is_number, cells)) for cells in zip(*rows[1:], strict=True)):
        return False
    if any(line.strip().split(" ") != row for line, row in zip(filter(str.strip, lines), rows, strict=False)):
        raise DataError(f"The cells in '{lines[0].strip():.100}' are separated by several spaces", mend=SEPARATED)
    return True


def _check_first(path: str, first: list[str], rows: list[list[str]], line: int) -> None:
    """Refuse a CSV file with a title above the table: a first line with fewer cells than each later line."""
    widths = {len(row) for row in rows}
    if len(rows) > 1 and len(widths) == 1 and len(first) < min(widths):
        raise DataError(
            f"The number of cells is {len(first)} in line {line} of '{path}' ('{first[0]:.100}'), but {min(widths)} in the lines after it",
            mend=f"Remove line {line} if it is a title. {SEPARATED}",
        )


def _names_columns(cells: list[str], rows: list[list[str]], header: bool | None, known: Sequence[Column]) -> bool:
    """Return whether the first line names the columns, judged from the known columns and the cells below."""
    if known and {column.name for column in known if column.kind not in LEFT_OUT} <= set(cells):
        return True
    if known and len(cells) == len(known):
        others = (*CATEGORICAL, *LEFT_OUT, "datetime")
        numbers = [cell for cell, column in zip(cells, known, strict=True) if column.kind not in others]
        read = all(_is_number(cell) or cell in ("", *MISSING) for cell in numbers)
        if read and (are_numbered(known) or any(numbers)):
            return False
    return is_header(cells, rows) if header is None else header


def is_header(cells: list[str], rows: list[list[str]]) -> bool:
    """Return whether the first line of a table names the columns, judged from the cells below it.

    It does if a name stands above numbers, or if its numbers are consecutive (0, 1, 2, … or years). It does not if any
    other number stands above numbers, or a date above dates. Otherwise it does if it has a name.

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
    """Return whether the cells of a first line are consecutive integers that can be column names, such as years."""
    if not _ascends(cells) or all(map(_ascends, rows)):
        return False
    first, last = int(cells[0]), int(cells[-1])
    return EARLIEST <= first <= last <= LATEST or (first in (0, 1) and len(cells) > 2)


def _ascends(cells: list[str]) -> bool:
    """Return whether cells are two or more consecutive integers."""
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
    """Return whether a cell can be the name of a column: it is not missing, and not a number, a date or a truth value."""
    text = text.strip()
    if text in ("", *MISSING) or text.lower() in ("true", "false") or _is_number(text):
        return False
    return not looks_like_date(text)
