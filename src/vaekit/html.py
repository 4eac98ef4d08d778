"""Tables and lists for people: aligned text, and HTML for notebooks, in which all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

SIGNS = {"good": "✓", "note": "·", "warning": "!"}
"""The sign before a conclusion of each level."""


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of a table as lines of text with aligned columns.

    Examples:
        >>> aligned([("a", "1"), ("bcd", "2")])
        ['a    1', 'bcd  2']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def pairs(rows: Iterable[tuple[str, str]], title: str = "") -> Markup:
    """Return a table of names and values.

    Examples:
        >>> pairs([("rows", "< 5")])
        Markup('<table><tr><th style="text-align:left">rows</th><td style="text-align:left">&lt; 5</td></tr></table>')
    """
    made = (Markup("<tr>{}{}</tr>").format(_head(name), _cell(value)) for name, value in rows)
    return Markup("<table>{}{}</table>").format(_caption(title), Markup("").join(made))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Markup:
    """Return a table with a line of titles."""
    top = Markup("<tr>{}</tr>").format(Markup("").join(map(_head, head)))
    made = (Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows)
    return Markup("<table>{}<thead>{}</thead><tbody>{}</tbody></table>").format(
        _caption(title), top, Markup("").join(made)
    )


def notes(texts: Iterable[str]) -> Markup:
    """Return a list of sentences, or nothing if there are none; words between backquotes are set as code.

    Examples:
        >>> print(notes(["`a < b` holds in all rows"]))
        <ul><li><code>a &lt; b</code> holds in all rows</li></ul>
    """
    items = [Markup("<li>{}</li>").format(_with_code(text)) for text in texts]
    return Markup("<ul>{}</ul>").format(Markup("").join(items)) if items else Markup("")


def _with_code(text: str) -> Markup:
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def picture(source: str, width: int, label: str) -> Markup:
    """Return a picture that is part of the page, at most as wide as the page."""
    style = f"width:{width}px;max-width:100%;image-rendering:pixelated"
    return Markup(
        '<figure style="margin:0"><img src="{}" style="{}" alt="{}"><figcaption>{}</figcaption></figure>'
    ).format(source, style, label, label)


def _caption(title: str) -> Markup:
    return Markup('<caption style="text-align:left">{}</caption>').format(title) if title else Markup("")


def _head(text: str) -> Markup:
    return Markup('<th style="text-align:left">{}</th>').format(escape(text))


def _cell(text: str) -> Markup:
    return Markup('<td style="text-align:left">{}</td>').format(escape(text))
