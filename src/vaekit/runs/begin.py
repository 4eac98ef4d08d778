"""Make a run from data: what its recipe, schema, transform and first weights are, before any training."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from vaekit.data import (
    KnownRows,
    Part,
    Rows,
    Schema,
    Source,
    Split,
    Transform,
    add_rules,
    choose_transforms,
    make_notes,
    make_schema,
    open_both,
    split_source,
)
from vaekit.data.batches import to_tensor
from vaekit.data.options import DataOptions
from vaekit.data.tables.blur import MOST_ROWS, choose_scale
from vaekit.data.tables.cells import fit_cells
from vaekit.errors import RecipeError, shorten
from vaekit.folder import RunFolder
from vaekit.recipe import Recipe, check_fit, check_kind, is_density, load_recipe, make_plan, resolve
from vaekit.recipe.objects import adapt_model
from vaekit.runs.load import make_run
from vaekit.runs.missing import fit_pattern
from vaekit.runs.pace import fit_budget
from vaekit.runs.run import Run

FIT_ROWS, FIT_NUMBERS = 20_000, 1 << 25
"""Most training rows, and most numbers in them, that determine shifts, scales and the initial model."""


@dataclass(frozen=True)
class Given:
    """Hold the rows that `vaekit.train` is given.

    Args:
        source: training data; None if a resumed run opens its own.
        test: held-out data of the same form.
        weights: weight of each row of the source, shape (n,).
        start: a run on the same columns, whose schema, transform and weights are used.
    """

    source: object
    test: object
    weights: npt.ArrayLike | None
    start: Run | None

    def open_as(self, run: Run) -> tuple[Source, Source | None]:
        """Open the rows as those of a run that is begun."""
        opened, held_out = open_both(self.source, self.test, run.recipe.data, columns=run.schema.table)
        return self._weighted(opened), held_out

    def open_new(self, data: DataOptions, mixed: bool | None) -> tuple[Source, Source | None]:
        """Open the rows for a new run.

        Args:
            data: how they are read.
            mixed: whether a table is a mixed table; None if its columns decide.
        """
        columns = self.start.schema.table if self.start else None
        opened, held_out = open_both(self.source, self.test, data, mixed, columns)
        return self._weighted(opened), held_out

    def _weighted(self, opened: Source) -> Source:
        opened = opened if self.weights is None else opened.weighted(self.weights)
        return opened.in_order(self.start.schema.columns) if self.start else opened


def begin(
    folder: RunFolder,
    rows: Given,
    recipe: str | Path | Mapping[str, Any] | Recipe,
    settings: Iterable[Any],
    seed: int | None,
    objects: dict[str, Any],
) -> Run:
    """Make a run from data, with an initialised model; nothing is written.

    Args:
        folder: the folder that the run will have.
        rows: the data.
        recipe: the recipe, as `vaekit.train` takes it.
        settings: dotted keys and values that replace the recipe's.
        seed: replaces the recipe's seed.
        objects: the parts that are given as Python objects, by section.

    Returns:
        The run, which holds its rows.

    Raises:
        DataError: if the data cannot be used.
        RecipeError: if the recipe has errors, or does not fit the data or the run in `start`.
    """
    plan = load_recipe(recipe, settings, seed)
    start = rows.start
    mixed = False if objects.keys() & {"likelihood", "model"} else plan.mixed  # custom ones are not for mixed tables
    opened, held_out = rows.open_new(plan.data, mixed)
    if opened.frame is not None and recipe == "auto":
        plan = load_recipe("table", settings, seed)
    split = split_source(opened, held_out, plan.seed, plan.data)
    rules = plan.data.rules
    schema = (
        add_rules(start.schema, split.train, rules)
        if start
        else make_schema(opened, split.train, plan.data.kind, rules)
    )
    if not plan.has_parts("encoder") or "model" in objects:
        schema = schema.model_copy(update={"constant": {}})  # a custom model has an input for each column
    objects = adapt_model(objects, schema)
    parts = (split.train, split.validation, split.test)
    for part in parts if start else parts[1:]:
        schema.check_part(part)
    asked = plan
    plan, choices = resolve(plan, schema, len(split.train), objects)
    transform = start.transform if start else _fit_transform(split.train, schema, plan, objects)
    plan, choices = _choose_blur(plan, split.train, transform, choices)
    run = make_run(folder, plan, schema, transform, {"source": opened.origin}, objects)
    start_model(run, split, start)
    if asked.training.budget:
        run.recipe, choices = fit_budget(run, split, asked)
    notes = [*make_notes(opened, schema), *choices]
    run.provenance |= _provenance(opened, held_out, split, schema.dtype, notes) | {
        "start": str(start.path) if start else None
    }
    run.known = KnownRows.of(split.train, schema.dtype)
    run.record_types(opened, start)
    if schema.kind == "mixed" and (found := fit_pattern(split, schema, transform, plan.seed)):
        run.missing = found
        run.provenance["incomplete"] = [schema.columns[j] for j in found.order]
    run.keep_rows((opened, held_out), split)
    return run


def _sample_rows(part: Part, seed: int) -> Part:
    """Return the subset of training rows that determines shifts, scales and the initial model."""
    return part.subset(max(2, min(FIT_ROWS, FIT_NUMBERS // math.prod(part.event_shape))), seed)


def start_model(run: Run, split: Split, start: Run | None = None) -> None:
    """Initialise a run's model from the data, or with the weights of another run."""
    if start is not None:
        try:
            run.model.load_state_dict(start.model.state_dict())
        except RuntimeError as error:
            told = f"The run in `start=` has different networks: {shorten(str(error))}"
            raise RecipeError(told, mend="Use the recipe of that run") from error
        return
    x = Rows(_sample_rows(split.train, run.recipe.seed), run.transform, run.recipe.seed).tensor()
    if "model" not in run.objects:
        run.model.start(x)
    if run.objects:
        check_kind(run.model, run.schema, run.transform.binarizes)
    if run.objects and not run.schema.context:
        check_fit(run.model, x[:2])


def _fit_transform(train_part: Part, schema: Schema, recipe: Recipe, objects: Mapping[str, Any]) -> Transform:
    density = is_density(recipe, make_plan(recipe, schema, 0, objects))
    some = _sample_rows(train_part, recipe.seed)
    rows = to_tensor(some.take(0, FIT_ROWS)).double()
    data = recipe.data
    transform = choose_transforms(
        schema, rows, binarize=data.binarize, scaling=data.scaling, density=density, linear=data.blurs
    )
    if (given := some.take_context()) is None:
        return transform
    return transform.model_copy(update={"context": (fit_cells(schema.context, given),)})


def _choose_blur(recipe: Recipe, train_part: Part, transform: Transform, notes: list[str]) -> tuple[Recipe, list[str]]:
    """Replace `data.blur=auto` by the scale that rows left out choose, and add a note."""
    if recipe.data.blur != "auto" or transform.cells is None:
        return recipe, notes
    x = Rows(train_part.subset(MOST_ROWS, recipe.seed), transform, recipe.seed).tensor()
    scale = choose_scale(x, transform.cells.layout)
    data = recipe.data.model_copy(update={"blur": scale})
    return recipe.model_copy(update={"data": data}), [
        *notes,
        f"data.blur={scale:g}: each row is likeliest among the blurred others.",
    ]


def _provenance(source: Source, test: Source | None, split: Split, dtype: str, notes: list[str]) -> dict[str, Any]:
    packages = ("vaekit", "torch", "numpy", "accelerate", "safetensors")
    return {
        "command": [_in_unicode(word) for word in sys.argv],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "threads": torch.get_num_threads(),
        "source": _in_unicode(source.origin),
        "test_source": _in_unicode(test.origin) if test else None,
        "fingerprint": split.train.fingerprint(dtype),
        "validation_fingerprint": split.validation.fingerprint(dtype),
        "test_fingerprint": split.test.fingerprint(dtype),
        "rows": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "choices": notes,
    }


def _in_unicode(text: str) -> str:
    """Replace invalid UTF-8 bytes in a string from the operating system."""
    return os.fsencode(text).decode(errors="replace")
