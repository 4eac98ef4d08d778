"""Draw charts with matplotlib and convert them to inline SVG in the page's colours.

The same chart always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np
from cycler import cycler
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

P = ParamSpec("P")

WIDTH = 4.6
"""Inches, or 442 pixels: nearly the width of a phone, so that text is hardly scaled there."""

INK = "#00ff01"
FIRST, SECOND, THIRD = "#00ff02", "#00ff03", "#00ff04"
CLASSES = [f"#00ff{i:02x}" for i in range(0x10, 0x18)]
VARIABLES = {INK: "--ink", FIRST: "--first", SECOND: "--second", THIRD: "--third"} | {
    colour: f"--class{i}" for i, colour in enumerate(CLASSES)
}
"""Placeholder colours, which the page replaces with those of its light or dark theme."""

LARGEST = 1e30
"""Larger numbers are not drawn: their sums and squares overflow the axes."""
NOT_DRAWN = Markup('<p class="soft">This chart is not drawn: some numbers are missing, infinite or above 1e30.</p>')

STYLE = {
    "svg.hashsalt": "vaekit",
    "svg.fonttype": "path",
    "text.usetex": False,
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.labelsize": 10.0,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "lines.linewidth": 2.0,
    "hatch.color": INK,
    "axes.prop_cycle": cycler(color=[FIRST, SECOND, THIRD, *CLASSES]),
}


def chart(
    height: float, columns: int = 1, width: float = WIDTH, gaps: bool = False
) -> Callable[[Callable[Concatenate[Any, P], str]], Callable[P, Markup]]:
    """Decorate a function that paints a chart, so that it returns inline SVG.

    The function itself paints on matplotlib axes, and returns a description of what they show.

    Args:
        height: of the chart in inches.
        columns: the number of axes side by side; the function gets an array of them if there are several.
        width: of the chart in inches; a smaller width makes the text of small charts larger.
        gaps: whether arrays may hold NaN; if not, a chart with NaN is not drawn. Numbers above 1e30 are never drawn.
    """

    def decorate(paint: Callable[Concatenate[Any, P], str]) -> Callable[P, Markup]:
        @wraps(paint)
        def painted(*args: P.args, **kwargs: P.kwargs) -> Markup:
            if not all(_drawable(value, gaps) for value in (*args, *kwargs.values())):
                return NOT_DRAWN
            with rc_context(STYLE):  # the only way to set the salt of names in an SVG; undone at the end
                figure = Figure(figsize=(width, height), layout="constrained")
                described = paint(figure.subplots(1, columns), *args, **kwargs)
                return to_svg(figure, described)

        return painted

    return decorate


def _drawable(value: object, gaps: bool) -> bool:
    """Tell whether a chart can draw all numbers in a value that was passed to it."""
    if isinstance(value, Mapping):
        return all(_drawable(inner, gaps) for inner in value.values())
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(((np.abs(value) <= LARGEST) | (gaps & np.isnan(value))).all())
    return not isinstance(value, float) or abs(value) <= LARGEST


def to_svg(figure: Any, described: str) -> Markup:
    """Turn a matplotlib figure into an inline SVG element.

    Args:
        figure: a matplotlib figure, painted with the placeholder colours.
        described: what the figure shows, for readers who cannot see it.

    Returns:
        The element. It shares no names with different figures of the page and refers to nothing outside itself.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r"#00ff[01][0-9a-f]", lambda match: f"var({VARIABLES[match[0]]})", svg)
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    opening = Markup('<svg class="chart" role="img" aria-label="{}"').format(described)
    return Markup(svg.replace("<svg", str(opening), 1))


def rename_equal_charts(page: str) -> str:
    """Give the second and later ones of equal charts of a page names of their own."""
    seen: Counter[str] = Counter()

    def rename(chart: re.Match[str]) -> str:
        seen[chart[1]] += 1
        return chart[0] if seen[chart[1]] == 1 else chart[0].replace(chart[1], f"{chart[1]}x{seen[chart[1]]}")

    return re.sub(r'<svg class="chart"[^>]*>.*?\bid="(f[0-9a-f]{8})-.*?</svg>', rename, page, flags=re.DOTALL)
