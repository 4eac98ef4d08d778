"""Set some columns of a table, and see the distributions of the others."""

from __future__ import annotations

from typing import Any

import panel as pn
from markupsafe import Markup

from vaekit.errors import VaekitError
from vaekit.explorer import pieces
from vaekit.explorer.conditions import DRAWS, Conditional, condition_on
from vaekit.explorer.explorer import Explorer
from vaekit.explorer.panes import CellWidgets, html

MOST_CHARTS = 40
"""Most columns that are shown; those that change most come first."""
FEW = 100
"""A smaller effective sample size gets a warning."""


class ConditionView:
    """Show widgets for the columns of a table, and the distributions of the columns that are not set.

    Args:
        explorer: what is shown.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer, self.run = explorer, explorer.run.as_table_run()
        self.context = CellWidgets(self.run.schema.context, self.show, explorer.default_context)
        self.cells = CellWidgets(self.run.schema.modelled, self.show, {})
        self.clear = pn.widgets.Button(label="Clear all", width=100, margin=(22, 8))
        self.clear.on_click(self._clear)
        self.said, self.charts = html(), html()
        guide = "Set one column or more: the charts then show the other columns of rows that the model draws with these values."
        widgets = (*self.context.widgets.values(), *self.cells.widgets.values(), self.clear)
        self.layout = pn.Column(html(guide), pn.FlexBox(*widgets), self.said, self.charts, sizing_mode="stretch_width")

    def _clear(self, _: Any) -> None:
        self.cells.clear()
        self.show()

    def fill(self) -> None:
        """Show the distributions, if they are not shown yet."""
        if not self.charts.object:
            self.show()

    def show(self, *_: Any) -> None:
        """Show the distributions for the values that are set, or what is wrong with these values."""
        try:
            found = condition_on(self.run, self.cells.read(), self.context.read())
        except VaekitError as error:
            self.said.object = str(Markup("<p><b>{}</b></p>").format(error))
            return
        self.said.object = str(_say(found))
        charts = (pieces.distribution(changed, bool(found.given)) for changed in found.changed[:MOST_CHARTS])
        self.charts.object = str(Markup('<div class="charts">{}</div>').format(Markup("").join(charts)))


def _say(found: Conditional) -> Markup:
    if found.size is None:
        return pieces.keys([(pieces.WITHOUT, f"{DRAWS:,} rows drawn from the model")])
    shown = ", ".join(f"{name} = {value}" for name, value in found.given.items())
    few = " This is little, so the charts are uncertain." if found.size < FEW else ""
    size = f"Effective sample size: {found.size:,.0f}. The charts count {DRAWS:,} rows drawn from these codes.{few}"
    legend = pieces.keys([(pieces.WITHOUT, "without the condition"), (pieces.WITH, f"given {shown}")])
    notes = Markup("").join(Markup("<p>{}</p>").format(note) for note in found.notes)
    hidden = len(found.changed) - MOST_CHARTS
    more = f" {hidden} further columns change less and are not shown." if hidden > 0 else ""
    return Markup("<p>{}{}</p>{}{}").format(size, more, notes, legend)
