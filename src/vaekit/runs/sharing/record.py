"""The record of a shared run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from vaekit import html
from vaekit.evaluation import Figures
from vaekit.evaluation.record import Record, to_json

NOTABLE = 0.01
"""Smaller changes of a score are not counted, in nats."""


@dataclass(frozen=True)
class Item(Record):
    """Hold one line of the record.

    Args:
        what: a file, a column or a part of the model.
        said: what happened to it, or what it holds.
    """

    what: str
    said: str


@dataclass(frozen=True)
class ScoreChange(Record):
    """Hold how the scores of the same rows changed, in nats for a model with a likelihood.

    Args:
        rows: the number of rows measured.
        rows_from: which rows these are.
        before: mean score of the run.
        after: mean score of the shared run.
        difference: mean of after − before over the rows.
        error: its standard error; None for a single row.
        affected: the number of rows whose score changed by more than 0.01.
    """

    rows: int
    rows_from: str
    before: float
    after: float
    difference: float
    error: float | None
    affected: int

    def __str__(self) -> str:
        if not self.affected:
            return f"the score of none of {self.rows:,} {self.rows_from} changed by more than {NOTABLE} nats"
        error = "–" if self.error is None else f"{self.error:.3f}"
        counted = f"{self.affected:,} of {self.rows:,} {self.rows_from} changed by more than {NOTABLE}"
        return f"mean {self.before:.3f} → {self.after:.3f} nats ({self.difference:+.3f} ± {error}); {counted}"


@dataclass(frozen=True, repr=False)
class Sharing(Record):
    """Hold what a shared run has, what was left out of it, and what that changed.

    Args:
        folder: the folder, or the address on the Hub.
        files: names of the shared files.
        least_count: no value of a column of categories that fewer rows have was shared.
        blunt: whether extremes were moved inwards and pseudo-inputs replaced.
        left_out: files and keys that were left out, and what they hold.
        changed: what is different in the shared run.
        remaining: which values of training rows the shared run still holds.
        change: how the scores of held-out rows changed; None if no rows were at hand, or nothing was changed.
        figures: the figures of the shared run on these rows; None if no rows were at hand.
    """

    folder: str
    files: tuple[str, ...]
    least_count: int
    blunt: bool
    left_out: tuple[Item, ...]
    changed: tuple[Item, ...]
    remaining: tuple[Item, ...]
    change: ScoreChange | None = None
    figures: Figures | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON values; the figures are those of `vaekit evaluate --json`."""
        found = {each.name: to_json(getattr(self, each.name)) for each in fields(self) if each.name != "figures"}
        return found | {"figures": None if self.figures is None else self.figures.as_json()}

    def sections(self) -> Iterator[tuple[str, tuple[Item, ...]]]:
        """Yield the title and the lines of each part of the record that is not empty."""
        yield "Left out", self.left_out
        if self.changed:
            yield "Changed in the shared run", self.changed
        if self.remaining:
            yield "Still in the shared run, from training rows", self.remaining
        yield "log p(x)", (Item("change", self.describe_change()),)

    def describe_change(self) -> str:
        """Say in words how the scores changed."""
        if self.change is not None:
            return str(self.change)
        if not self.changed:
            return "none: the shared run is the same model"
        return "not measured: no rows were at hand. Pass rows to measure it"

    def __repr__(self) -> str:
        lines = [f"Shared: {self.folder}", f"Files: {', '.join(self.files)}"]
        for title, items in self.sections():
            lines += [f"{title}:", *(f"  {line}" for line in html.aligned([(item.what, item.said) for item in items]))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        made = (html.pairs([(item.what, item.said) for item in items], title) for title, items in self.sections())
        return html.notes([f"Shared: {self.folder}", f"Files: {', '.join(self.files)}"]) + "".join(made)
