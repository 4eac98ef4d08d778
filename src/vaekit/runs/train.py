"""Train a run, or resume one that was interrupted."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping
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
from vaekit.data.tables.blur import MOST_ROWS, choose_scale
from vaekit.data.tables.cells import fit_cells
from vaekit.errors import RecipeError, RunError, VaekitError, shorten
from vaekit.evaluation import measure
from vaekit.folder import WEIGHTS, RunFolder
from vaekit.recipe import Recipe, check_fit, check_kind, is_density, load_recipe, make_plan, resolve
from vaekit.recipe.objects import adapt_model, sort_parts
from vaekit.reporters import Reporter, choose_reporter
from vaekit.runs.load import make_run, read_run
from vaekit.runs.missing import fit_pattern
from vaekit.runs.pace import fit_budget, make_trainer
from vaekit.runs.run import Run
from vaekit.training.accelerator import processes
from vaekit.training.state import GOOD, mend_states, read_state

FIT_ROWS, FIT_NUMBERS = 20_000, 1 << 25
"""Most training rows, and most numbers in them, that determine shifts, scales and the initial model."""


def train(
    source: object = None,
    *,
    test: object = None,
    recipe: str | Path | Mapping[str, Any] | Recipe = "auto",
    settings: Mapping[str, Any] | Iterable[str] = (),
    out: str | Path | None = None,
    seed: int | None = None,
    resume: str | Path | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    progress: bool | None = None,
    weights: npt.ArrayLike | None = None,
    start: Run | None = None,
    model: object = None,
    encoder: object = None,
    decoder: object = None,
    likelihood: object = None,
    posterior: object = None,
    prior: object = None,
    objective: object = None,
    optimizer: object = None,
) -> Run:
    """Train a model on data, or continue an interrupted run.

    Args:
        source: `digits`, a path, an array (n, *shape), a data frame or a `Source`; a run on a path resumes without it.
        test: held-out data of the same form; by default the source's own test part, or a share of its rows.
        recipe: a bundled recipe's name, a TOML file, a mapping or a `Recipe`.
        settings: dotted keys and values that replace the recipe's.
        out: the run folder to make; by default a new one under `runs/`.
        seed: replaces the recipe's seed.
        overwrite: whether to replace the run that is in the folder `out`.
        resume: the run folder to continue; the result is what it would have been without the interruption.
        reporter: receives progress; by default `progress` decides.
        progress: whether to draw a bar; by default in a terminal or a notebook. Elsewhere messages go to the logger
            `vaekit`.
        weights: weight of each row of the source, ≥ 0, shape (n,): batches are drawn in proportion to it.
        start: a run on the same columns; training starts from its schema, transform and weights.
        model: a family's name (`vae`, `autoencoder`, …) or `Options`, or a model built by hand, as in `vaekit.fit`.
        encoder: network of the encoder: a name, `Options` of a network, or a module from (B, *event) to (B, features).
        decoder: network of the decoder: a name, `Options`, or a module from (..., latent_dim) to (..., *event, parameters).
        likelihood: p(x|z): a name, `Options`, or a `Likelihood`.
        posterior: q(z|x): a name, `Options`, or a `Posterior`.
        prior: p(z): a name, `Options`, or a module with a forward that returns a distribution.
        objective: what is minimised: a name, `Options`, or an `Objective`.
        optimizer: a name, `Options`, a class of `torch.optim`, or a function from a module and the peak learning rate
            to an optimiser.

    The run folder does not describe a part that is passed as an object. Pass it again to load or resume the run.

    Returns:
        The trained run.

    Raises:
        DataError: if the data cannot be used.
        RecipeError: if the recipe has errors, or does not fit the data or the run in `start`.
        RunError: if the folder holds a run already, or cannot be written or read.
        TrainingError: if losses or gradients are repeatedly not finite.
        Interrupted: on Ctrl-C, after saving. SIGTERM ends the process, after saving, unless the caller handles it.

    Examples:
        >>> import tempfile
        >>> run = train("digits", settings={"training.epochs": 1}, out=tempfile.mkdtemp())
        >>> run.sample(2).shape
        (2, 8, 8, 1)
    """
    if reporter is None:
        reporter = choose_reporter(progress)
    if not processes().is_main_process:
        reporter = Reporter()
    named, objects = sort_parts(
        model=model,
        encoder=encoder,
        decoder=decoder,
        likelihood=likelihood,
        posterior=posterior,
        prior=prior,
        objective=objective,
        optimizer=optimizer,
    )
    if resume is not None:
        if named:
            raise VaekitError(
                f"A resumed run keeps its own parts, so {', '.join(named)} cannot be changed",
                mend="Resume without these arguments",
            )
        run = read_run(RunFolder(resume), objects)
        with _hold(run.folder):
            return _resume(run, source, test, reporter, weights)
    if source is None:
        raise VaekitError("There is no data to train on", mend="Give a file, a folder or 'digits', or a run to resume")
    chosen = [*(settings.items() if isinstance(settings, Mapping) else settings), *named.items()]
    plan = load_recipe(recipe, chosen, seed)
    folder = RunFolder(out) if out is not None else _new_folder(source)
    folder.check_free("out", overwrite)
    columns = start.schema.table if start else None
    mixed = False if objects.keys() & {"likelihood", "model"} else plan.mixed  # custom ones are not for mixed tables
    opened, held_out = open_both(source, test, plan.data, mixed, columns)
    opened = opened if weights is None else opened.weighted(weights)
    opened = opened.in_order(start.schema.columns) if start else opened
    if opened.frame is not None and recipe == "auto":
        plan = load_recipe("table", chosen, seed)
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
    _start(run, split, start)
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
    processes().wait_for_everyone()
    if processes().is_main_process:
        if overwrite:
            folder.clear()
        run.write(folder)
    processes().wait_for_everyone()
    for note in notes:
        reporter.say(note)
    run.source = (opened, held_out)
    with _hold(folder):
        return _fit(run, split, reporter, resume=False)


def _new_folder(source: object) -> RunFolder:
    """Return the first free folder of runs/NAME, runs/NAME-2, …"""
    name = Path(source).expanduser().resolve().stem if isinstance(source, str | Path) else "run"
    candidates = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 10_000))]
    return RunFolder(next(path for path in candidates if not path.exists()))


def _sample_rows(part: Part, seed: int) -> Part:
    """Return the subset of training rows that determines shifts, scales and the initial model."""
    return part.subset(max(2, min(FIT_ROWS, FIT_NUMBERS // math.prod(part.event_shape))), seed)


def _start(run: Run, split: Split, start: Run | None = None) -> None:
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


def _hold(folder: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Lock a run folder for training, in the main process only."""
    return folder.hold() if processes().is_main_process else contextlib.nullcontext()


def _resume(
    run: Run,
    source: object,
    test: object,
    reporter: Reporter,
    weights: npt.ArrayLike | None,
) -> Run:
    """Resume the training of a locked run."""
    folder = run.folder
    if processes().is_main_process and (said := mend_states(folder)):
        reporter.say(said)
    processes().wait_for_everyone()
    if source is not None:
        opened, held_out = open_both(source, test, run.recipe.data, columns=run.schema.table)
        run.source = (opened if weights is None else opened.weighted(weights), held_out)
    split = run.split()
    begun = (folder.path / GOOD).exists()
    if begun and read_state(folder, GOOD)[1].best_step:  # training reads the weights only at its end: check them now
        folder.read_tensors(WEIGHTS, like=run.model.state_dict())
    if not begun:  # otherwise the state holds everything
        if run.provenance.get("start"):
            raise RunError(
                f"'{folder.path}' was interrupted before its first step",
                mend=f"Start it again from '{run.provenance['start']}'",
            )
        _start(run, split)
    if torch.get_num_threads() != run.provenance["threads"]:
        reporter.say(
            f"The run began with {run.provenance['threads']} threads and continues with {torch.get_num_threads()}. The last digits may differ."
        )
    return _fit(run, split, reporter, resume=begun)


def _fit(run: Run, split: Split, reporter: Reporter, resume: bool) -> Run:
    trainer = make_trainer(run, split, reporter)
    trainer.run(resume)
    changed = run.model.finish(lambda: torch.from_numpy(measure(run.model, trainer.train).mean))
    if changed and processes().is_main_process:
        chosen = run.folder.read_tensors(WEIGHTS)[1]
        run.folder.write_tensors(WEIGHTS, run.model.state_dict(), chosen)
    return run
