"""Make the trainer of a run, and fit its epochs into a budget of time."""

from __future__ import annotations

import copy
from dataclasses import replace

from vaekit.data import Rows, Split, seeded
from vaekit.errors import RecipeError
from vaekit.recipe import Recipe, build_part, load_recipe, make_plan, resolve
from vaekit.recipe.objects import optimizer_maker
from vaekit.reporters import Reporter
from vaekit.runs.run import Run
from vaekit.training import Trainer

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
MOST_VALIDATIONS = 50
"""Validations for which a budget leaves time, unless the recipe says how many there are."""


def make_trainer(run: Run, split: Split, reporter: Reporter) -> Trainer:
    """Return the trainer of a run.

    Args:
        run: the run.
        split: its rows.
        reporter: receives progress.
    """
    hide, blur = (0.0 if share == "auto" else share for share in (run.recipe.data.hide, run.recipe.data.blur))
    train_rows = Rows(split.train, run.transform, run.recipe.seed, hide, blur)
    choosing = split.divide_validation()[0] if run.reads_tables else split.validation
    plan = make_plan(run.recipe, run.schema, len(train_rows), run.objects)
    with seeded(run.recipe.seed):  # the objective may have weights of its own
        objective = build_part(plan, "objective")
    return Trainer(
        run.model,
        objective,
        run.recipe.objective.kl_weight,
        int(run.recipe.objective.samples),
        optimizer_maker(run.recipe, run.objects),
        train_rows,
        Rows(choosing, run.transform, run.recipe.seed, blur=blur),
        run.recipe.training,
        run.recipe.seed,
        run.folder,
        reporter,
    )


def fit_budget(run: Run, split: Split, asked: Recipe) -> tuple[Recipe, list[str]]:
    """Choose as many epochs as `training.budget` has time for.

        epochs = (budget − validations · seconds of one) / (steps per epoch · seconds of a step)

    Args:
        run: the run before its training; it is not changed.
        split: its rows.
        asked: the recipe before its `auto` values were chosen.

    Returns:
        The complete recipe, with these epochs and without the budget, and a sentence for each choice.

    Raises:
        RecipeError: if the recipe also gives epochs.
    """
    if asked.training.epochs != "auto":
        raise RecipeError(
            f"training.budget={asked.training.budget} and training.epochs={asked.training.epochs} contradict each other",
            mend="Leave out one of them",
        )
    digits = asked.training.budget.rstrip("sminh")
    seconds = float(digits) * UNITS[asked.training.budget[len(digits) :]]
    options = run.recipe.training.model_copy(update={"trackers": (), "compile": False})
    trial = replace(run, model=copy.deepcopy(run.model), recipe=run.recipe.model_copy(update={"training": options}))
    trainer = make_trainer(trial, split, Reporter())
    step, validation = trainer.measure_speed()
    validations = MOST_VALIDATIONS if asked.training.validations == "auto" else int(asked.training.validations)
    left = max(seconds / 2, seconds - validations * validation)
    per_epoch = trainer.order.steps_per_epoch
    epochs = max(1, int(left / (step * per_epoch)))
    found = load_recipe(asked, {"training.epochs": epochs, "training.budget": ""}.items())
    recipe, choices = resolve(found, run.schema, len(split.train), run.objects)
    said = f"training.budget={asked.training.budget}: {epochs} epochs of {per_epoch} steps, {step:.2g} s each."
    return recipe, [*choices, said]
