"""The parts of the page that are HTML: pictures, tables, profiles, legends and distributions. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from vaekit.explorer.colours import GREY, Colouring
from vaekit.explorer.conditions import Changed
from vaekit.explorer.explorer import Explorer
from vaekit.pictures import embed, tile, to_rgba
from vaekit.plots.numbers import cut, percent, write_value
from vaekit.plots.tables import write_short

Array = npt.NDArray[Any]
WITHOUT, WITH = "#7f9fc4", "#e8791d"
"""Colours of distributions without and with a condition, and of a row and what is decoded."""
MOST_CELLS = 30
"""An array with more features is shown as a profile rather than as a table."""
LONGEST_CELL = 40
"""Most characters of a cell in a table."""


def picture(explorer: Explorer, examples: Sequence[Array], label: str, columns: int, width: int) -> Markup:
    """Return pictures side by side, in one picture of at most `width` pixels."""
    sheet = tile(to_rgba(explorer.scale.bytes(np.stack(examples))), columns, zoom=1, gap=1)  # the browser enlarges it
    style = f"width:min({width}px,100%);image-rendering:pixelated;display:block;margin-bottom:6px"
    return Markup('<img src="{}" style="{}" alt="{}">').format(embed(sheet), style, label)


def columns_table(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Markup:
    """Return a table with a line for each column of the data, and a column for each row of the data."""
    head = Markup("").join(Markup("<th>{}</th>").format(title) for title in columns)
    lines = (
        Markup("<tr><th>{}</th>{}</tr>").format(
            name, Markup("").join(Markup("<td>{}</td>").format(_shorten(cell)) for cell in cells)
        )
        for name, *cells in zip(names, *columns.values(), strict=True)
    )
    return Markup(
        '<div class="scroll"><table><thead><tr><th></th>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, Markup("").join(lines))


def profile(decoded: Array, row: Array, name: str) -> Markup:
    """Return a chart of the features of an array in their order: a decoded example and a row."""
    both = np.stack([row.ravel(), decoded.ravel()]).astype(np.float64)
    low, high = float(both.min()), float(both.max())
    x = np.linspace(0, 300, both.shape[1])
    y = 100 - 100 * (both - low) / max(high - low, 1e-300)
    lines = (
        Markup(
            '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" vector-effect="non-scaling-stroke"/>'
        ).format(" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, each, strict=True)), colour, width)
        for each, colour, width in zip(y, (WITHOUT, WITH), (1.5, 2), strict=True)
    )
    legend = keys([(WITH, "decoded"), (WITHOUT, name)])
    axis = Markup('<div class="ends"><span>feature 0</span><span>feature {}</span></div>').format(both.shape[1] - 1)
    return Markup(
        '{}<div class="ends"><span>{}</span></div><svg viewBox="0 0 300 100" preserveAspectRatio="none" class="profile">{}</svg>'
        '<div class="ends"><span>{}</span></div>{}'
    ).format(legend, write_short(high, high - low), Markup("").join(lines), write_short(low, high - low), axis)


def keys(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Return a legend: colours and what they mean."""
    items = (Markup('<span class="key"><i style="background:{}"></i>{}</span>').format(*pair) for pair in pairs)
    return Markup('<div class="keys">{}</div>').format(Markup("").join(items))


def legend(colouring: Colouring) -> Markup:
    """Return the legend of the map."""
    palette = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colouring.palette()]
    missing = [("#{:02x}{:02x}{:02x}".format(*GREY), "missing")] if colouring.missing else []
    if colouring.classes:
        return keys([*zip(palette, colouring.classes, strict=True), *missing])
    if not colouring.ends[0]:
        return keys(missing)
    scale = Markup(
        '<div class="scale"><span>{}</span><i style="background:linear-gradient(to right,{})"></i><span>{}</span></div>'
    )
    return scale.format(colouring.ends[0], ",".join(palette[::32] + palette[-1:]), colouring.ends[1]) + keys(missing)


def distribution(changed: Changed, conditioned: bool) -> Markup:
    """Return the distributions of a column without and with a condition."""
    found, column = changed.distance, changed.column
    title = Markup("<h4>{}</h4>").format(cut(column.name))
    if not found.cells:
        return Markup(
            '<div class="chart">{}<p class="quiet">The model draws no values of this column.</p></div>'
        ).format(title)
    moved = "changes" if found.distance > 2 * found.by_chance else "changes no more than by chance"
    note = f"{moved} (distance {found.distance:.2f})" if conditioned else ""
    body = Markup("")
    if found.histogram is not None:
        body += _histogram(changed)
    if found.shares:
        body += _shares(changed, found.histogram is not None)
    return Markup('<div class="chart">{}<p class="quiet">{}</p>{}</div>').format(title, note, body)


def _histogram(changed: Changed) -> Markup:
    found, column = changed.distance.histogram, changed.column
    if found is None:
        return Markup("")
    top = max(float(found.held_out.max()), float(found.generated.max()), 1e-12)
    bars = (
        Markup('<b class="without" style="height:{}%"></b><i class="with" style="height:{}%"></i>').format(
            round(100 * a / top, 1), round(100 * b / top, 1)
        )
        for a, b in zip(found.held_out, found.generated, strict=True)
    )
    cells = Markup("").join(Markup("<div>{}</div>").format(bar) for bar in bars)
    inner = [found.edges[0] + column.spacing / 2, found.edges[-1] - column.spacing / 2]  # the outermost grid points
    ends = [write_value(column, float(edge), 3) for edge in inner]
    scale = " (logarithmic)" if found.axis == "log" else ""
    axis = Markup('<div class="ends"><span>{}</span><span>{}</span><span>{}</span></div>').format(
        ends[0], scale, ends[1]
    )
    top_label = Markup('<div class="ends"><span>{}</span></div>').format(percent(top))
    return Markup('{}<div class="histogram">{}</div>{}').format(top_label, cells, axis)


def _shares(changed: Changed, beside: bool) -> Markup:
    column, shares = changed.column, changed.distance.shares
    top = max(max(share.held_out, share.generated) for share in shares) or 1.0
    lines = (
        Markup(
            '<tr><th>{}</th><td class="bars"><b class="without" style="width:{}%"></b><i class="with" style="width:{}%"></i></td><td>{}</td><td>{}</td></tr>'
        ).format(
            ("exactly " if beside else "") + _shorten(write_value(column, share.value))
            if share.value is not None
            else f"{share.others} others",
            round(100 * share.held_out / top, 1),
            round(100 * share.generated / top, 1),
            percent(share.held_out),
            percent(share.generated),
        )
        for share in shares
    )
    return Markup('<table class="shares">{}</table>').format(Markup("").join(lines))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


STYLE = """
:host, div { font-family: system-ui, sans-serif; line-height: 1.4; font-size: 14px; }
h1 { font-size: 1.5em; margin: 0 0 4px; } h3 { font-size: 1.15em; margin: 8px 0 6px; } h4 { font-size: 1.05em; margin: 0; }
p { margin: 0 0 6px; } a { color: inherit; }
.quiet { opacity: .75; font-size: .95em; margin: 0 0 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .95em; }
th { text-align: left; font-weight: 500; } thead th { opacity: .75; vertical-align: bottom; }
th, td { padding: 2px 12px 2px 0; border-bottom: 1px solid rgba(128,128,128,.25); white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 12px; margin-bottom: 6px; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; }
.scale { display: flex; align-items: center; gap: 8px; }
.scale i { flex: 1; height: 11px; border-radius: 2px; max-width: 260px; }
.profile { width: 100%; height: 160px; }
.ends { display: flex; justify-content: space-between; font-size: .9em; opacity: .75; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(290px, 100%), 1fr)); gap: 18px 24px; }
.chart { min-width: 0; }
.histogram { display: flex; height: 90px; align-items: flex-end; border-bottom: 1px solid rgba(128,128,128,.6); }
.histogram div { flex: 1; height: 100%; position: relative; }
.histogram b, .histogram i { position: absolute; bottom: 0; }
.histogram b { left: 0; right: 0; } .histogram i { left: 12%; right: 12%; }
.without { background: #7f9fc4; opacity: .75; } .with { background: #e8791d; opacity: .85; }
.shares { width: 100%; margin-top: 4px; } .shares th { max-width: 9em; overflow: hidden; text-overflow: ellipsis; }
.shares td { text-align: right; padding-right: 4px; }
.shares .bars { width: 45%; } .bars b, .bars i { display: block; height: 7px; }
.strange { border-top: 1px solid rgba(128,128,128,.35); padding: 8px 0; }
.strange ul { margin: 2px 0 6px; padding-left: 1.2em; }
"""
"""Styles of all parts."""
