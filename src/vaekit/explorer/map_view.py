"""The map of codes, the sliders of the latent space, and what is decoded at the code that they choose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import panel as pn
from bokeh.events import RangesUpdate, Reset, Tap
from bokeh.models import ColumnDataSource, PlainText, Range1d, WheelZoomTool
from bokeh.plotting import figure
from markupsafe import Markup

from vaekit.errors import VaekitError
from vaekit.explorer import pieces
from vaekit.explorer.explorer import Explorer
from vaekit.explorer.panes import CellWidgets, box, html
from vaekit.explorer.plane import Window, bin_points

Array = npt.NDArray[Any]
MOST_SLIDERS = 16
"""Most latent dimensions with a slider."""
NEIGHBOURS, NEIGHBOURS_IN_A_TABLE = 8, 3
"""Nearest rows that are shown."""
LEAST_CELLS, MOST_CELLS = 45, 150
"""Cells of the map in each direction: fewer for few rows, so that a single row can be seen."""
MIDDLE = "#888888"
"""The colour of axes, which can be read on light and on dark pages."""
ROW, POINT = "the nearest row", "this point"
"""What a click chooses."""


class MapView:
    """Show codes on a map, sliders that move a code, and the decoded example with the nearest rows.

    Args:
        explorer: what is shown.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer, self._setting = explorer, False
        self.z: Array = explorer.codes[0].copy()
        size = {"width": 200, "margin": (4, 8)}
        self.planes = pn.widgets.Select(label="Map", options={v: k for k, v in explorer.planes().items()}, **size)
        axes = {d.label: d.index for d in explorer.dimensions}
        first = list(axes.values())[:2]
        self.x = pn.widgets.Select(label="From left to right", options=axes, value=first[0], **size)
        self.y = pn.widgets.Select(label="From bottom to top", options=axes, value=first[-1], **size)
        self.colours = pn.widgets.Select(label="Colour", options=explorer.colourings(), **size)
        self.clicks = pn.widgets.RadioButtonGroup(label="A click chooses", options=[ROW, POINT], margin=(4, 8))
        self.sliders = {d.index: _make_slider(d, self.z) for d in explorer.dimensions[:MOST_SLIDERS]}
        self.context = CellWidgets(explorer.run.schema.context, self._moved, explorer.default_context)
        self.legend, self.decoded, self.near = html(), html(), html()
        self._make_figure()
        self.layout = self._arrange()
        for widget in (self.planes, self.x, self.y):
            widget.param.watch(lambda _: self._choose_plane(), "value")
        self.colours.param.watch(lambda _: self._colour(), "value")
        for slider in self.sliders.values():
            slider.param.watch(self._moved, "value")
        self._choose_plane()
        self._colour()
        self._decode()

    def choose_row(self, position: int) -> None:
        """Choose the code and the context of a row."""
        self._choose(self.explorer.codes[position].copy(), self.explorer.context_of(position))

    def click(self, x: float, y: float) -> None:
        """Choose what a click at a point of the map chooses: the nearest row, or the code at this point."""
        point = np.array([x, y])
        if self.clicks.value == ROW:
            self.choose_row(self.plane.nearest(point, self._window()))
        else:
            self._choose(self.plane.move(self.z, point), {})

    def _choose(self, z: Array, context: dict[str, Any]) -> None:
        self.z, self._setting = z, True  # the widgets move once, and not again for each of them
        for index, slider in self.sliders.items():
            slider.value = float(np.clip(z[index], slider.start, slider.end))
        self._setting = False
        self.context.write(context)
        self._decode()

    def _moved(self, _: Any) -> None:
        if self._setting:
            return
        for index, slider in self.sliders.items():
            if slider.value != np.clip(self.z[index], slider.start, slider.end):
                self.z[index] = slider.value
        self._decode()

    def _decode(self) -> None:
        """Show what is decoded at the chosen code, and the nearest rows; mark the code on the map."""
        explorer = self.explorer
        try:
            made = explorer.decode(self.z, self.context.read())
        except VaekitError as error:
            self.decoded.object = str(Markup("<p>{}</p>").format(error))
            return
        picture = explorer.run.schema.picture
        table = (not picture and len(made.ravel()) <= pieces.MOST_CELLS) or explorer.run.reads_tables
        near = explorer.nearest(self.z, NEIGHBOURS_IN_A_TABLE if table else NEIGHBOURS)
        names = [f"{explorer.rows.name(i)}, distance {distance:.2f}" for i, distance in near]
        rows = [explorer.example(i) for i, _ in near]
        if picture:
            shown = pieces.picture(explorer, [made], "decoded picture", 1, 260)
            beside = pieces.picture(explorer, rows, "nearest rows, in reading order", 4, 420)
        elif table:
            columns = {"decoded": explorer.texts(made)}
            columns |= {explorer.rows.number(i): explorer.texts(row) for (i, _), row in zip(near, rows, strict=True)}
            shown, beside = pieces.columns_table(explorer.features(), columns), Markup("")
        else:
            shown, beside = pieces.profile(made, rows[0], names[0]), Markup("")
        what = "typical row at this code" if explorer.run.reads_tables else "mean of p(x|z)"
        what = what if explorer.run.model.has_likelihood else "decoded"
        self.decoded.object = str(Markup("<h3>Decoded ({})</h3>{}").format(what, shown))
        listed = Markup("").join(Markup("<li>{}</li>").format(name) for name in names)
        self.near.object = str(Markup('<h3>Nearest rows</h3>{}<ol class="quiet">{}</ol>').format(beside, listed))
        at = self.plane.project(self.z)
        y = at[1] if len(at) > 1 else self.plane.points[near[0][0], 1]
        self._marker.data = {"x": [at[0]], "y": [y]}

    def _make_figure(self) -> None:
        self._image = ColumnDataSource(
            {"image": [np.zeros((1, 1), np.uint32)], "x": [0], "y": [0], "dw": [1], "dh": [1]}
        )
        self._marker = ColumnDataSource({"x": [0.0], "y": [0.0]})
        self.figure = figure(
            tools="pan,wheel_zoom,box_zoom,reset", x_range=Range1d(0, 1), y_range=Range1d(0, 1),
            sizing_mode="scale_width", width=600, height=520, background_fill_alpha=0, border_fill_alpha=0,
            outline_line_alpha=0,
        )  # fmt: skip
        self.figure.axis.major_label_text_color = self.figure.axis.axis_label_text_color = MIDDLE
        self.figure.axis.axis_line_color = self.figure.axis.major_tick_line_color = MIDDLE
        self.figure.axis.minor_tick_line_color = None
        self.figure.axis.axis_label_text_font_style = "normal"
        self.figure.grid.grid_line_color, self.figure.grid.grid_line_alpha = MIDDLE, 0.25
        self.figure.toolbar.logo = None
        self.figure.toolbar.active_scroll = self.figure.select_one(WheelZoomTool)
        self.figure.image_rgba(image="image", x="x", y="y", dw="dw", dh="dh", source=self._image)
        for radius, colour in ((13, "#ffffff"), (10, "#d62728")):
            self.figure.scatter(
                "x", "y", source=self._marker, size=radius, fill_alpha=0, line_width=3, line_color=colour
            )
        self.figure.on_event(Tap, lambda event: self.click(event.x, event.y))
        self.figure.on_event(RangesUpdate, lambda _: self._paint())
        self.figure.on_event(Reset, lambda _: self._paint())

    def _choose_plane(self) -> None:
        pair = self.planes.value == "pair"
        self.x.visible = self.y.visible = pair
        self.plane = self.explorer.plane(self.planes.value, self.x.value, self.y.value)
        left, right, bottom, top = self.plane.window()
        self.figure.x_range.update(start=left, end=right, reset_start=left, reset_end=right)
        self.figure.y_range.update(start=bottom, end=top, reset_start=bottom, reset_end=top)
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = (
            PlainText(text=text) for text in self.plane.labels
        )
        if hasattr(self, "colouring"):
            self._paint()
            self._decode()

    def _colour(self) -> None:
        self.colouring = self.explorer.colouring(self.colours.value)
        self.legend.object = str(pieces.legend(self.colouring))
        self._paint()

    def _window(self) -> Window:
        x, y = self.figure.x_range, self.figure.y_range
        return float(x.start), float(x.end), float(y.start), float(y.end)

    def _paint(self) -> None:
        """Count and colour the codes in the window."""
        window = self._window()
        cells = int(np.clip(1.5 * np.sqrt(len(self.explorer.rows)), LEAST_CELLS, MOST_CELLS))
        bins = bin_points(self.plane.points, self.colouring.values, window, cells, len(self.colouring.classes))
        image = np.ascontiguousarray(self.colouring.paint(bins)).view(np.uint32)[..., 0]
        left, right, bottom, top = window
        self._image.data = {"image": [image], "x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}

    def _arrange(self) -> pn.FlexBox:
        more = len(self.explorer.dimensions) - len(self.sliders)
        left_out = (
            f"The other {more} latent dimensions have smaller values and stay as in the chosen row." if more > 0 else ""
        )
        unit = self.explorer.dimensions[0].unit
        order = "mean KL to the prior" if unit == "nats" else "variance of their codes"
        controls = pn.FlexBox(self.planes, self.x, self.y, self.colours)
        chosen = pn.Row(html("A click chooses", sizing_mode=None, width=120), self.clicks)
        left = box(
            controls, chosen, pn.pane.Bokeh(self.figure, sizing_mode="scale_width"), self.legend, width=560, most=680
        )
        middle = box(self.decoded, self.near, width=380, most=460)
        title = html(
            Markup(
                '<h3>Latent dimensions</h3><p class="quiet">The dimensions with the largest {} come first. {}</p>'
            ).format(order, left_out)
        )
        context = [html("<h3>Given</h3>"), *self.context.widgets.values()] if self.context.widgets else []
        right = box(*context, title, *self.sliders.values(), width=260, most=460)
        return pn.FlexBox(left, middle, right, gap="8px", sizing_mode="stretch_width")


def _make_slider(dimension: Any, z: Array) -> Any:
    low, high = dimension.low, dimension.high
    return pn.widgets.FloatSlider(
        label=dimension.label, start=low, end=high, step=(high - low) / 400, format="0.00", sizing_mode="stretch_width",
        value=float(np.clip(z[dimension.index], low, high)), margin=(2, 8),
    )  # fmt: skip
