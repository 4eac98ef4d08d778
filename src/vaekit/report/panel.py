"""The parts of a page: sections, panels, and what a panel can contain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vaekit.evaluation.calibration import Verdict
from vaekit.pictures import Strip


@dataclass(frozen=True)
class Card:
    """Hold a key number of a run, shown in large type at the top of the page.

    Args:
        name: what the number is.
        value: the number.
        note: its unit, and how it was measured.
    """

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """Hold a row of the report's table: the name of a quantity, its value for each run, and its meaning.

    Args:
        name: the quantity.
        values: one for each run.
        meaning: what the quantity says, with its unit.
    """

    name: str
    values: list[str]
    meaning: str


@dataclass(frozen=True)
class Key:
    """Hold an entry of a chart's legend: a class with its marker and colour."""

    label: str
    sign: str
    colour: int


@dataclass(frozen=True)
class Line:
    """Hold a sentence about held-out or generated rows, shown after a marker in the colour of these rows."""

    rows: Literal["real", "generated"]
    text: str


@dataclass(frozen=True)
class Bar:
    """Hold two bars for one value of a column: its share of the held-out cells and of the generated cells.

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
    """Hold a number in a table, drawn with a bar that shows how large the number is.

    Args:
        text: the number.
        length: the length of the bar, from 0 to 1.
        bad: whether to mark the number as a warning.
    """

    text: str
    length: float
    bad: bool = False


@dataclass(frozen=True)
class Grid:
    """Hold a table of a panel: the titles of its columns, and its rows of texts and numbers.

    Args:
        head: titles of the columns; the first column has names from the data.
        rows: for each row, a name, and a text or a number for each further column.
    """

    head: list[str]
    rows: list[list[str | Meter]]


@dataclass(frozen=True)
class Panel:
    """Hold a panel of the page: charts, strips of pictures, bars or a table, with a title and a caption.

    Args:
        title: what is shown.
        caption: what a good model looks like here.
        charts: SVG elements, from top to bottom.
        strips: pictures.
        legend: the classes in the charts.
        wide: whether the panel takes the whole width of the page.
        lines: sentences about held-out and generated rows, above the charts.
        bars: bars below the charts.
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
    """Hold the panels of the page under one heading.

    Args:
        title: the heading.
        panels: the panels.
        text: a sentence about all of them.
        names: lists of names from the data, each after its introduction.
        dense: whether panels are small.
        verdicts: conclusions, above the panels.
    """

    title: str
    panels: list[Panel] = field(default_factory=list)
    text: str = ""
    names: list[tuple[str, list[str]]] = field(default_factory=list)
    dense: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
