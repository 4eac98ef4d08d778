"""The widgets and panes that all parts of the page share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import panel as pn
from markupsafe import Markup

from vaekit.data import Column
from vaekit.explorer.pieces import STYLE
from vaekit.plots.numbers import cut, write_value

UNSET = object()
"""The value of a choice of categories that sets nothing."""


def html(content: Markup | str = "", **options: Any) -> pn.pane.HTML:
    """Return a part of the page that shows HTML."""
    shown = {"sizing_mode": "stretch_width", "margin": (4, 8)} | options
    return pn.pane.HTML(str(content), stylesheets=[STYLE], **shown)


def box(*parts: Any, width: int, most: int) -> pn.Column:
    """Return a column of the page that is `width` to `most` pixels wide, and narrower only if the screen is."""
    styles = {"flex": f"1 1 {width}px", "max-width": f"min({most}px, 100%)", "min-width": "0"}
    return pn.Column(*parts, styles=styles, sizing_mode="stretch_width", margin=0)


class CellWidgets:
    """Hold a widget for each of some columns, and read the values that a user sets.

    Args:
        columns: the columns.
        changed: called after each change by the user.
        values: values to begin with, by column. A column without one may stay unset.
    """

    def __init__(self, columns: tuple[Column, ...], changed: Callable[[Any], None], values: Mapping[str, Any]) -> None:
        self.widgets = {column.name: _make_widget(column, values.get(column.name)) for column in columns}
        self.choices = {column.name: bool(column.categories) for column in columns}
        self._quiet = False
        for widget in self.widgets.values():
            widget.param.watch(lambda event: None if self._quiet else changed(event), "value")

    def read(self) -> dict[str, Any]:
        """Return the values that are set, by column; texts are read as a cell of a text file is."""
        found = {name: widget.value for name, widget in self.widgets.items()}
        return {name: value for name, value in found.items() if value is not UNSET and (self.choices[name] or value)}

    def write(self, values: Mapping[str, Any]) -> None:
        """Set widgets to some values, which does not count as a change by the user."""
        self._quiet = True
        for name, value in values.items():
            self.widgets[name].value = value if self.choices[name] else str(value)
        self._quiet = False

    def clear(self) -> None:
        """Set no column, which does not count as a change by the user."""
        self.write({name: UNSET if chosen else "" for name, chosen in self.choices.items()})


def _make_widget(column: Column, value: Any) -> Any:
    name, options = cut(column.name), {"width": 200, "margin": (4, 8)}
    if column.categories:
        cells = column.decode(np.arange(len(column.categories), dtype=np.float64)).to_pylist()
        named = ({} if value is not None else {"(any)": UNSET}) | {cut(str(cell)): cell for cell in cells}
        chosen = UNSET if value is None else value
        return pn.widgets.Select(label=name, options=named, value=chosen, **options)
    ends = [limit for limit in column.bounds if limit is not None]
    hint = "year-month-day" if column.kind == "datetime" else " to ".join(write_value(column, end) for end in ends)
    text = "" if value is None else str(value)
    return pn.widgets.TextInput(label=name, value=text, placeholder=hint if len(ends) != 1 else "a number", **options)
