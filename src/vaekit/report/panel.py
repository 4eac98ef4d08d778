"""The parts of a page: sections, panels, and what a panel can contain."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from vaekit.report.pictures import Strip

LONGEST = 80
"""Characters of a name from the data that are shown, at most."""


def cut(name: str) -> str:
    """Shorten a name from the data to a line or two, without control characters; say so where it is empty or blank.

    Examples:
        >>> cut("a\\tb"), cut(""), cut(" "), cut("x" * 100)[-3:]
        ('a b', '(empty)', '(blank)', 'xx…')
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in name[: LONGEST + 1])
    if not clean.strip():
        return "(blank)" if name else "(empty)"
    return clean if len(name) <= LONGEST else f"{clean[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Card:
    """Show a large number.

    Args:
        name: what the number is.
        value: the number.
        note: its unit, and what it rests on.
    """

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """Show a figure in the table.

    Args:
        name: the figure.
        values: one for each run.
        meaning: what the figure says, with its unit.
    """

    name: str
    values: list[str]
    meaning: str


@dataclass(frozen=True)
class Key:
    """Name a class in a legend, with its sign and colour."""

    label: str
    sign: str
    colour: int


@dataclass(frozen=True)
class Line:
    """Say something about held-out or generated rows, after the sign that they have in charts."""

    rows: Literal["real", "generated"]
    text: str


@dataclass(frozen=True)
class Bar:
    """Draw two bars after a name from the data, for held-out and for generated rows.

    Args:
        label: the name.
        real: length of the first bar, from 0 to 1.
        generated: length of the second bar, from 0 to 1.
        texts: both values as texts.
        name: whether the label is a name from the data, rather than the report's own words.
    """

    label: str
    real: float
    generated: float
    texts: tuple[str, str]
    name: bool = True


@dataclass(frozen=True)
class Meter:
    """Show a number in a table after a bar.

    Args:
        text: the number.
        length: of the bar, from 0 to 1.
        bad: whether it deserves caution.
    """

    text: str
    length: float
    bad: bool = False


@dataclass(frozen=True)
class Grid:
    """Lay out a table.

    Args:
        head: titles of the columns; the first column has names from the data.
        rows: a name, and a text or number for each further column.
    """

    head: list[str]
    rows: list[list[str | Meter]]


@dataclass(frozen=True)
class Panel:
    """Lay out a chart, strips of pictures, bars or a table.

    Args:
        title: what is shown.
        caption: what a good model looks like here.
        charts: SVG elements, from top to bottom.
        strips: pictures.
        legend: of classes.
        wide: whether it takes the whole width.
        lines: sentences about held-out and generated rows, above the chart.
        bars: under the chart.
        grid: a table.
        note: a remark after the title.
        numbered: names from the data that charts refer to by number, from 1.
    """

    title: str
    caption: str
    charts: list[str] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    legend: list[Key] = field(default_factory=list)
    wide: bool = False
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    grid: Grid | None = None
    note: str = ""
    numbered: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """Put panels under one heading.

    Args:
        title: the heading.
        panels: the panels.
        text: a sentence about all of them.
        names: lists of names from the data, each after its introduction.
        dense: whether panels are small.
    """

    title: str
    panels: list[Panel] = field(default_factory=list)
    text: str = ""
    names: list[tuple[str, list[str]]] = field(default_factory=list)
    dense: bool = False
