"""The page of an explorer, made with Panel: each page keeps what is chosen on it."""

from __future__ import annotations

from typing import Any

import panel as pn
from markupsafe import Markup

from vaekit.explorer.condition_view import ConditionView
from vaekit.explorer.explorer import Explorer
from vaekit.explorer.map_view import MapView
from vaekit.explorer.panes import html
from vaekit.explorer.strange_view import StrangeView
from vaekit.models import VariationalAutoEncoder

TABS = ".bk-tab.bk-active { color: inherit; font-weight: 600; }"
"""The name of the chosen tab is as dark or light as the page's text."""


class View:
    """Show a run on one page.

    Args:
        explorer: what is shown; several pages may share it.
        served: whether the page is served by the command line, so that it links to its dark and light form.
    """

    def __init__(self, explorer: Explorer, served: bool = False) -> None:
        self.map = MapView(explorer)
        self.strange = StrangeView(explorer, self._show)
        named = [("Map", self.map.layout), ("Strangest rows", self.strange.layout)]
        self.condition = None
        if explorer.run.reads_tables and isinstance(explorer.run.model, VariationalAutoEncoder):
            self.condition = ConditionView(explorer)
            named.insert(1, ("Set columns", self.condition.layout))
        self.tabs = pn.Tabs(*named, sizing_mode="stretch_width", stylesheets=[TABS])
        self.tabs.param.watch(self._open, "active")
        theme = "light" if pn.config.theme == "dark" else "dark"
        link = Markup(' · <a href="?theme={}">{} page</a>').format(theme, theme) if served else ""
        head = Markup('<h1>{}</h1><p class="quiet">{}{}</p>').format(
            f"Explorer of {explorer.run.path.resolve().name}", explorer.rows.note, link
        )
        self.layout = pn.Column(html(head), self.tabs, sizing_mode="stretch_width", max_width=1360)

    def _open(self, _: Any) -> None:
        shown = self.tabs[self.tabs.active]
        if shown is self.strange.layout:
            self.strange.fill()
        elif self.condition is not None and shown is self.condition.layout:
            self.condition.fill()

    def _show(self, position: int) -> None:
        """Choose a row on the map, and turn to the map."""
        self.map.choose_row(position)
        self.tabs.active = 0
