"""The strangest rows, with the reasons."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
from markupsafe import Markup

from vaekit.explorer import pieces
from vaekit.explorer.explorer import Explorer
from vaekit.explorer.panes import box, html
from vaekit.explorer.strange import StrangeRow, find_strange
from vaekit.plots.numbers import nats, significant


class StrangeView:
    """Show the strangest rows. They are looked for when the page first shows them.

    Args:
        explorer: what is shown.
        show: called with the position of a row that is to be shown on the map.
    """

    def __init__(self, explorer: Explorer, show: Callable[[int], None]) -> None:
        self.explorer, self.show = explorer, show
        self.rows: list[StrangeRow] = []
        self.layout = pn.Column(html("The rows are scored …"), sizing_mode="stretch_width")

    def fill(self) -> None:
        """Find the strangest rows and show them, if they are not shown yet."""
        if not self.rows:
            self.rows = find_strange(self.explorer)
            shown = pn.FlexBox(*map(self._show_row, self.rows), gap="8px", sizing_mode="stretch_width")
            self.layout.objects = [html(self._explain()), shown]

    def _explain(self) -> Markup:
        run = self.explorer.run
        draws = f"log p(x) is estimated with {run.recipe.evaluation.samples} draws"
        order = (
            f"The rows with the lowest log p(x) come first; {draws}."
            if run.model.has_likelihood
            else ("The rows with the largest squared error come first.")
        )
        drawn = (
            " These rows are drawn from the model, so they are not strange data." if self.explorer.rows.drawn else ""
        )
        training = " Scores of training rows are optimistic." if "training" in self.explorer.rows.parts else ""
        return Markup('<p class="quiet">{}{}{}</p>').format(order, drawn, training)

    def _show_row(self, row: StrangeRow) -> pn.Column:
        explorer = self.explorer
        score = (
            f"log p(x) ≥ {nats(row.score)} nats"
            if explorer.run.model.has_likelihood
            else f"squared error {significant(-row.score)}"
        )
        reasons = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in row.reasons)
        body = (
            Markup("<ul>{}</ul>").format(reasons)
            if row.reasons
            else Markup("" if explorer.run.schema.picture else '<p class="quiet">No single value stands out.</p>')
        )
        given, name = explorer.example(row.position), explorer.rows.name(row.position)
        if explorer.run.schema.picture:
            both = pieces.picture(explorer, [given, row.reconstruction], f"{name}, and its reconstruction", 2, 240)
            body += Markup('{}<p class="quiet">as given, and reconstructed</p>').format(both)
        elif len(given.ravel()) <= pieces.MOST_CELLS or explorer.run.reads_tables:
            cells = {"as given": explorer.texts(given), "reconstructed": explorer.texts(row.reconstruction)}
            body += Markup("<details><summary>All cells</summary>{}</details>").format(
                pieces.columns_table(explorer.features(), cells)
            )
        else:
            body += pieces.profile(row.reconstruction, given, "as given")
        button = pn.widgets.Button(label="Show on the map", width=140, margin=(0, 8, 10, 8))
        button.on_click(lambda _: self.show(row.position))
        text = Markup('<div class="strange"><b>{}</b><br>{}{}</div>').format(name, score, body)
        return box(html(text), button, width=290, most=430)
