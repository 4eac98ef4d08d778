"""Decide what a shared run holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vaekit.data import Column, Part, Rows, Schema, Transform
from vaekit.data.steps import Affine
from vaekit.data.tables.cells import Categories, Cells
from vaekit.data.tables.marginals import Marginal
from vaekit.errors import DataError
from vaekit.folder import NOT_SHARED, RunFolder
from vaekit.recipe import Recipe
from vaekit.runs.load import make_run
from vaekit.runs.missing import make_pattern
from vaekit.runs.run import Run
from vaekit.runs.sharing.categories import Pruned, count_values, find_rare, prune
from vaekit.runs.sharing.numbers import blunt_dates, blunt_marginal, is_linear
from vaekit.runs.sharing.prior import as_mixture, can_replace, has_pseudo_inputs, mixture_weights
from vaekit.runs.sharing.rebuild import rebuild
from vaekit.runs.sharing.record import Item
from vaekit.runs.sharing.rules import prune_rules

Array = npt.NDArray[np.float64]
PRIVATE = (
    *(
        "source",
        "test_source",
        "fingerprint",
        "validation_fingerprint",
        "test_fingerprint",
        "command",
        "start",
        "choices",
    ),
    *("launch", "threads", "processes", "library", "pattern"),
)
"""Keys of provenance.json that are not shared."""
TEXTS: dict[str, Any] = {"reason": "", "note": "", "draws": "", "missing": (), "value": None}
"""What the columns of a shared run do not say: why they have their kind, and how cells were written."""


@dataclass
class Plan:
    """Collect what is shared of a run.

    Args:
        run: the run.
        least: least number of rows of a value that stays.
        blunt: whether extremes move inwards, and pseudo-inputs are replaced.
        counted: codes of all rows of the data (n, C) and of their context; None if the data are not at hand.
        pruned: the columns with values left out, by name.
        changed: what is different in the shared run.
        remaining: which values of rows are still in it.
    """

    run: Run
    least: int
    blunt: bool
    counted: tuple[Array, Array | None] | None
    pruned: dict[str, Pruned] = field(default_factory=dict)
    changed: list[Item] = field(default_factory=list)
    remaining: list[Item] = field(default_factory=list)

    def make(self, folder: RunFolder) -> Run:
        """Return the run as it is shared."""
        run = self.run
        schema, transform = self._describe()
        recipe, weights = self._model()
        self.remaining.append(Item("weights", "fitted to the training rows; what they reveal is not measured here"))
        kept = {key: value for key, value in run.provenance.items() if key not in PRIVATE}
        hidden: dict[str, Any] = {
            "fingerprint": None,
            "validation_fingerprint": None,
            "test_source": None,
            "choices": [],
        }
        if self.blunt:
            kept["blunted"] = max(self.least, run.provenance.get("blunted", 0))
        shared = make_run(folder, recipe, schema, transform, {"source": NOT_SHARED, **hidden, **kept}, run.objects)
        shared.model.load_state_dict(weights)
        if run.missing is not None:
            shared.missing = make_pattern(schema, transform, run.missing.order)
            shared.missing.load_state_dict(run.missing.state_dict())
        shared.recalibration, shared.history = run.recalibration, run.read_history()
        return shared

    def recode(self, rows: Rows, transform: Transform) -> Rows:
        """Return rows of the run as rows of the shared run."""
        part, schema = rows.part, self.run.schema
        values, context = part.take(0, len(part)), part.take_context()
        if self.pruned:
            values = self._recode(values, schema.modelled)
            context = None if context is None else self._recode(context, schema.context)
        fresh = Part(values, np.arange(len(part)), part.classes(), part.weight(), context)
        return Rows(fresh, transform, rows.seed)

    def _recode(self, codes: Any, columns: tuple[Column, ...]) -> Any:
        """Return codes (n, columns) with those of the shared run; the values of pictures and arrays are no codes."""
        if not columns:
            return codes
        own = [
            self.pruned[column.name].recode(code) if column.name in self.pruned else code
            for column, code in zip(columns, codes.T, strict=True)
        ]
        return np.stack(own, 1)

    def _model(self) -> tuple[Recipe, Mapping[str, Tensor]]:
        """Return the recipe and the weights, without pseudo-inputs if they can be replaced."""
        run, recipe = self.run, _plain(self.run.recipe)
        if self.blunt and can_replace(run):
            count = run.recipe.prior.values()["components"]
            self.changed.append(
                Item("VampPrior", f"its {count} pseudo-inputs became the Gaussians q(z|u), the same p(z)")
            )
            return as_mixture(recipe), mixture_weights(run)
        if has_pseudo_inputs(run):
            self.remaining.append(
                Item("pseudo-inputs", "the VampPrior keeps learned inputs that started as training rows")
            )
        return recipe, run.model.state_dict()

    def _describe(self) -> tuple[Schema, Transform]:
        """Return the schema and the transform of the shared run."""
        run, schema, transform = self.run, self.run.schema, self.run.transform
        table = {column.name: column for column in schema.table}
        steps = tuple(self._step(step, schema.modelled, 0, table) for step in transform.steps)
        context = tuple(self._step(step, schema.context, 1, table) for step in transform.context)
        columns = tuple(self._quiet(table[column.name]) for column in schema.table)
        before, after = schema.modelled, tuple(c for c in columns if c.modelled)
        rules = prune_rules(schema.rules, before, after, self.pruned, self.least, self.blunt) if schema.rules else ()
        if rules != schema.rules:
            self.changed.append(Item("rules", f"combinations of fewer than {self.least} rows were left out"))
        if schema.rules:
            self.remaining.append(Item("rules", ", ".join(rule.text for rule in rules) or "none"))
        if schema.constant:
            self.remaining.append(
                Item("constant columns", f"the value that all rows have in {len(schema.constant)} columns")
            )
        if run.recipe.data.ranges:
            self.remaining.append(Item("declared ranges", ", ".join(run.recipe.data.ranges)))
        return rebuild(schema, table=columns, rules=rules), Transform(steps=steps, context=context)

    def _step(self, step: Any, columns: tuple[Column, ...], which: int, table: dict[str, Column]) -> Any:
        """Return a step of the transform; the columns in `table` are replaced by those that are shared."""
        if isinstance(step, Affine) and len(step.shift) > 1:
            self.remaining.append(Item("means and spreads", f"of {len(step.shift):,} features of the training rows"))
        if not isinstance(step, Cells):
            return step
        counted = None if self.counted is None else self.counted[which]
        found = []
        for i, (column, how) in enumerate(zip(columns, step.columns, strict=True)):
            codes = None if counted is None else counted[:, i]
            shared, part = (
                self._categories(column, how, codes) if isinstance(how, Categories) else self._numbers(column, how)
            )
            table[column.name] = shared
            found.append(part)
        return rebuild(step, columns=tuple(found))

    def _categories(self, column: Column, how: Categories, codes: Array | None) -> tuple[Column, Categories]:
        counts = None if codes is None else count_values(column, codes)
        left = find_rare(column, counts, self.least, self.blunt)
        kept = sum(value is not None for value in column.listed) - len(left)
        if kept:
            self.remaining.append(Item(f"column '{column.name}'", f"{kept} of its values"))
        if not left:
            return column, how
        pruned = self.pruned[column.name] = prune(column, how, left)
        few = f"fewer than {self.least} rows" if codes is not None else "few rows"
        told = f"{len(left)} of {len(left) + kept} values, of {few} each, were left out"
        self.changed.append(Item(f"column '{column.name}'", told))
        return pruned.column, pruned.categories

    def _numbers(self, column: Column, how: Marginal) -> tuple[Column, Marginal]:
        name, before = f"column '{column.name}'", self.run.provenance.get("blunted", 0)
        blunted = how if before else blunt_marginal(how, self.least) if self.blunt else None
        masses = f", and {len(how.point_masses)} values that many rows have" if how.point_masses else ""
        if blunted is None:
            few = " (too few rows to move them inwards)" if self.blunt else ""
            self.remaining.append(Item(name, f"its least and greatest value{few}, quantiles{masses}"))
            return column, how
        self.remaining.append(Item(name, "mean and spread" if is_linear(how) else f"quantiles{masses}"))
        if column.kind == "datetime" and not before:
            column, blunted = blunt_dates(column, blunted)
        if blunted != how:
            moved = f"its extremes moved inwards; about {self.least} rows or more lie at or beyond each end"
            self.changed.append(Item(name, moved))
        return column, blunted

    def _quiet(self, column: Column) -> Column:
        """Return a column without texts about its cells, and without structural blanks of values that were left out."""
        update = dict(TEXTS)
        if column.value is not None:
            self.changed.append(Item(f"column '{column.name}'", "its constant value was left out"))
        if column.blank_where is not None:
            other, values = column.blank_where
            kept = values
            if other in self.pruned:
                kept = tuple(value for value in values if value in self.pruned[other].column.categories)
            update["blank_where"] = (other, kept) if kept else None
        return rebuild(column, **update)


def _plain(recipe: Recipe) -> Recipe:
    """Return a recipe without its free texts: the query, the description and the reference."""
    data = recipe.data.model_copy(update={"query": ""})
    return recipe.model_copy(update={"data": data, "description": "", "reference": ""})


def count_rows(run: Run) -> tuple[Array, Array | None] | None:
    """Return the codes of all rows of a run's data and of their context; None if the data are not at hand."""
    try:
        run.split()
    except DataError:
        return None
    source = run.source[0].in_order(run.schema.columns)
    return source.values, source.context
