"""The rows that an explorer shows: those of the user, those of the run, or rows drawn from the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Part, Rows, Source
from vaekit.errors import DataError
from vaekit.runs.run import Run

Values = npt.NDArray[Any]
MOST_ROWS = 60_000
"""Most rows that are shown; of more rows, a seeded subset is shown."""
DRAWN = 2000
"""Rows that are drawn from the model if no data are at hand."""


@dataclass(frozen=True)
class ShownRows:
    """Hold the rows that are shown, in one or more sets, without copying them.

    Args:
        run: the run.
        parts: the rows of each set, by the name of the set (`training`, `validation`, `held out`, `given` or `drawn`).
        note: which rows these are, as a sentence.
    """

    run: Run
    parts: dict[str, Part]
    note: str

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @property
    def drawn(self) -> bool:
        """Return whether the rows are drawn from the model."""
        return "drawn" in self.parts

    def sets(self) -> Values:
        """Return the name of the set of each row, shape (n,)."""
        return np.repeat(list(self.parts), [len(part) for part in self.parts.values()])

    def prepared(self) -> list[Rows]:
        """Return the rows of each set as inputs of the model."""
        return [self._prepare(part) for part in self.parts.values()]

    def number(self, position: int) -> str:
        """Return the number in the data of the row at a position, as text."""
        kept, local = self._find(position)
        return f"row {self.parts[kept].index[local]:,}"

    def name(self, position: int) -> str:
        """Return the number of the row at a position, with its set."""
        return f"{self.number(position)} ({self._find(position)[0]})"

    def pick(self, positions: Sequence[int]) -> Part:
        """Return the rows at some positions, in this order, as a new part."""
        found = [self._find(position) for position in positions]
        values = np.concatenate([self.parts[name].take(at, at + 1) for name, at in found])
        context = None
        if self.run.schema.context:
            crops = (self.parts[name].crop(at, at + 1).take_context() for name, at in found)
            context = np.concatenate([crop for crop in crops if crop is not None])
        return Part(values, np.arange(len(found)), context=context)

    def pick_rows(self, positions: Sequence[int]) -> Rows:
        """Return the rows at some positions as inputs of the model."""
        return self._prepare(self.pick(positions))

    def column(self, index: int) -> Values:
        """Return one modelled column of all rows, shape (n,)."""
        blocks = (block[:, index] for part in self.parts.values() for _, block in part.blocks())
        return np.concatenate(list(blocks))

    def labels(self) -> Values | None:
        """Return the label of each row, or None if the rows have no labels."""
        found = [part.classes() for part in self.parts.values()]
        known = [each for each in found if each is not None]
        return np.concatenate(known) if len(known) == len(found) else None

    def context(self) -> Values | None:
        """Return the codes of the context of each row, shape (n, columns); None if the model is not conditional."""
        known = [given for part in self.parts.values() if (given := part.take_context()) is not None]
        return np.concatenate(known) if known else None

    def _prepare(self, part: Part) -> Rows:
        return Rows(part, self.run.transform, self.run.recipe.seed)

    def _find(self, position: int) -> tuple[str, int]:
        """Return the set of the row at a position, and its position in the set."""
        for name, part in self.parts.items():
            if position < len(part):
                return name, int(position)
            position -= len(part)
        raise IndexError(position)


def gather(run: Run, X: object | None = None, most: int = MOST_ROWS) -> ShownRows:
    """Gather the rows that an explorer shows.

    Args:
        run: the run.
        X: rows as `Run.encode` takes them; by default all rows of the run's own data or, if these are not at hand, rows
            drawn from the model.
        most: most rows that are shown.

    Raises:
        DataError: if X does not fit the schema.
    """
    if X is not None:
        source = run.check(run.open(X))
        if not run.attach(source):
            return _thin(run, {"given": run.as_rows(source).part}, "The map shows {n} given rows", most)
    try:
        split = run.split()
    except DataError as error:
        note = f"The map shows {{n}} rows drawn from the model, not data. {error} To see data, pass the rows"
        return _thin(run, {"drawn": draw_part(run, min(DRAWN, most))}, note, most)
    named = {"training": split.train, "validation": split.validation, "held out": split.test}
    parts = {name: part for name, part in named.items() if len(part)}
    return _thin(run, parts, "The map shows {n} rows of the data that the run was trained on", most)


def _thin(run: Run, parts: dict[str, Part], note: str, most: int) -> ShownRows:
    """Choose a seeded subset of each part if there are too many rows, and say so."""
    total = sum(map(len, parts.values()))
    if not total:
        raise DataError("There are no rows to explore", mend="Pass at least one row")
    if total > most:
        parts = {
            name: part.subset(math.ceil(len(part) * most / total), run.recipe.seed) for name, part in parts.items()
        }
        shown = sum(map(len, parts.values()))
        return ShownRows(run, parts, f"{note.format(n=f'{shown:,} of {total:,}')}, chosen at random.")
    return ShownRows(run, parts, f"{note.format(n=f'{total:,}')}.")


def draw_part(run: Run, n: int) -> Part:
    """Draw rows from the model; a conditional model is given each category of its context in turn."""
    codes = repeat_context(run, n)
    cells = {column.name: column.decode(codes[:, i]).to_pylist() for i, column in enumerate(run.schema.context)}
    drawn = run.sample(n, given=cells)
    if run.reads_tables:
        return run.as_rows(run.check(run.open(drawn))).part
    if run.schema.discrete:  # an autoencoder has means and no draws
        drawn = drawn.round().clip(0, run.schema.levels - 1 if run.schema.levels else None)
    context = codes if cells else None
    source = run.check(Source(drawn, columns=run.schema.columns, picture=run.schema.picture))
    return run.as_rows(replace(source, context=context)).part


def repeat_context(run: Run, n: int) -> Values:
    """Return n contexts for a conditional model, shape (n, columns): each category in turn, and typical numbers."""
    codes = torch.zeros(1, len(run.schema.context), dtype=torch.float64)
    layout = run.transform.context_layout
    if layout is not None:
        codes = torch.zeros(1, layout.slots, dtype=torch.float64)
        for step in reversed(run.transform.context):
            codes = step.inverse(codes)
    found = codes.numpy().repeat(n, 0)
    for i, column in enumerate(run.schema.context):
        if column.categories:
            found[:, i] = np.arange(n) % len(column.categories)
    return found
