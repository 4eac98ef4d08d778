"""What a page is made of: sections of panels, and what a panel can hold."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from vaekit.report.pictures import Strip

LONGEST = 80
"""Characters of a name from the data that are shown."""


def cut(name: str) -> str:
    """A name from the data without control characters, and no longer than a line or two; where nothing is to be seen, that is said.

    Examples:
        >>> cut("a\\tb"), cut(""), cut(" "), cut("x" * 100)[-3:]
        ('a b', '(empty)', '(blank)', 'xx…')
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in name[: LONGEST + 1])
    if not clean.strip():
        return "(blank)" if name else "(empty)"
    return clean if len(name) <= LONGEST else f"{clean[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Key:
    """A line of a legend: a class with its sign, colour and number of points."""

    label: str
    sign: str
    colour: int


@dataclass(frozen=True)
class Line:
    """A sentence of held-out or of generated rows, after the sign that they have in charts."""

    rows: Literal["real", "generated"]
    text: str


@dataclass(frozen=True)
class Bar:
    """Two bars after a name from the data, one of held-out and one of generated rows.

    Args:
        label: the name.
        real: length of the first bar, from 0 to 1.
        generated: length of the second.
        texts: the two in numbers.
        name: whether the label is a name from the data, rather than the report's own words.
    """

    label: str
    real: float
    generated: float
    texts: tuple[str, str]
    name: bool = True


@dataclass(frozen=True)
class Meter:
    """A number in a table with a bar before it.

    Args:
        text: the number.
        length: of the bar, from 0 to 1.
        bad: whether it is one to be wary of.
    """

    text: str
    length: float
    bad: bool = False


@dataclass(frozen=True)
class Grid:
    """A table.

    Args:
        head: what stands above each column; the first is of names from the data.
        rows: a name and then as many texts or numbers as there are further columns.
    """

    head: list[str]
    rows: list[list[str | Meter]]


@dataclass(frozen=True)
class Panel:
    """A chart, strips of pictures, bars or a table.

    Args:
        title: what is shown.
        caption: what one should see if all is well.
        charts: SVG elements, under each other.
        strips: pictures.
        legend: of classes.
        wide: whether it takes the whole width.
        lines: sentences of held-out and of generated rows, above the chart.
        bars: under the chart.
        grid: a table.
        note: a soft word after the title.
        numbered: names from the data that charts call by their numbers, from 1.
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
    """Panels under one heading.

    Args:
        title: the heading.
        panels: what stands under it.
        text: a sentence for all of them.
        names: sentences that hold names from the data: what is said before each list of them, and the list.
        dense: whether panels are small.
    """

    title: str
    panels: list[Panel] = field(default_factory=list)
    text: str = ""
    names: list[tuple[str, list[str]]] = field(default_factory=list)
    dense: bool = False
