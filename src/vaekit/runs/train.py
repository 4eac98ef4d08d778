"""The verbs of the command line as Python functions."""

from __future__ import annotations

import contextlib
import hashlib
import json
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
from torch.overrides import TorchFunctionMode

from vaekit.data import (
    KnownRows,
    Part,
    Rows,
    Schema,
    Source,
    Split,
    Transform,
    choose_transforms,
    seeded,
)
from vaekit.data.batches import to_tensor
from vaekit.data.source import Progress
from vaekit.data.tables.cells import fit_cells
from vaekit.errors import RecipeError, RunError, VaekitError
from vaekit.evaluation import measure
from vaekit.folder import COPY, WEIGHTS, RunFolder
from vaekit.models import LIKELIHOODS
from vaekit.opening import make_notes, make_schema, make_split, open_both
from vaekit.recipe import Recipe, build_model, load_recipe, resolve, start_model
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun
from vaekit.training import Reporter, SilentReporter, Trainer
from vaekit.training.accelerator import processes
from vaekit.training.state import GOOD, mend_states, read_state

LARGEST_WEIGHT = 1e18
"""Squares of greater ones are beyond float32."""
SPARE = 1 << 26
"""Bytes that making a model may take besides the model."""
KNOWN = "rows.safetensors"
DEFINING = ("model", "latent_dim", "layers", "seed", "data", "likelihood", "encoder", "decoder", "prior", "posterior")
"""What in a recipe decides which function the weights are of, and which rows are held out: all that runs without digests note."""
FIT_ROWS, FIT_NUMBERS = 20_000, 1 << 25
"""Training rows, and numbers in them, from which shifts, scales and the start of the model are measured."""


def train(
    source: object = None,
    *,
    test: object = None,
    recipe: str | Path | Mapping[str, Any] | Recipe = "auto",
    settings: Mapping[str, Any] | Iterable[str] = (),
    out: str | Path | None = None,
    seed: int | None = None,
    resume: str | Path | None = None,
    reporter: Reporter | None = None,
    progress: Progress | None = None,
    weights: npt.ArrayLike | None = None,
    start: Run | None = None,
) -> Run:
    """Train a model on data, or go on with a run that was interrupted.

    Args:
        source: `digits`, a path, an array (n, *shape), a data frame or a `Source`; not needed to resume a run from a path.
        test: held-out data of the same form; else the source's own test part, else a share of the rows.
        recipe: a bundled recipe's name, a TOML file, a mapping or a `Recipe`.
        settings: dotted keys and values that replace the recipe's.
        out: the run folder to make; by default a new one under `runs/`.
        seed: replaces the recipe's seed.
        resume: the run folder to go on with; the result is what it would have been without the interruption.
        reporter: who is told of progress; by default sentences go to the logger `vaekit`.
        progress: told how many pictures are decoded.
        weights: how often each row of the source counts, ≥ 0, shape (n,): batches are drawn in proportion to them.
        start: a run on the same columns, whose schema, transform and weights the training starts from.

    Returns:
        The trained run.

    Raises:
        DataError: if the data cannot be used.
        RecipeError: if the recipe has errors, or does not fit the data, or the run that is started from.
        RunError: if the folder holds a run already, or cannot be written or read.
        TrainingError: if numbers keep going bad.
        Interrupted: on Ctrl-C, after saving. SIGTERM ends the process, after saving, unless the caller handles it.

    Examples:
        >>> import tempfile
        >>> run = train("digits", settings={"training.epochs": 1}, out=tempfile.mkdtemp())
        >>> run.sample(2).shape
        (2, 8, 8, 1)
    """
    if reporter is None or not processes().is_main_process:
        reporter = SilentReporter()
    if resume is not None:
        run = _read(RunFolder(resume))
        with _held(run.folder):
            return _resume(run, source, test, reporter, progress, weights)
    if source is None:
        raise VaekitError("a source must be given", "none", "Name a file, a folder or `digits`, or a run to resume")
    plan = load_recipe(recipe, settings, seed)
    folder = RunFolder(out) if out is not None else _new_folder(source)
    folder.check_free()
    opened, held_out = open_both(source, test, plan, progress, start.schema.table if start else None)
    opened = opened if weights is None else opened.weighted(weights)
    opened = opened.in_order(start.schema.columns) if start else opened
    if opened.frame is not None and recipe == "auto":
        plan = load_recipe("table", settings, seed)
    split = make_split(opened, held_out, plan)
    schema = start.schema if start else make_schema(opened, split, plan)
    parts = (split.train, split.validation, split.test)
    for part in parts if start else parts[1:]:
        schema.check_part(part)
    plan, choices = resolve(plan, schema, len(split.train))
    notes = [*make_notes(opened, schema), *choices]
    transform = start.transform if start else _fit_transform(split.train, schema, plan)
    run = _untrained(folder, plan, schema, transform, {"source": opened.origin})
    _start(run, split, start)
    run.provenance |= _provenance(opened, held_out, split, notes) | {"start": str(start.path) if start else None}
    run.known = known = KnownRows.of(split.train, schema.dtype)
    described = {"schema": schema.model_dump(mode="json"), "transform": transform.model_dump(mode="json")}
    processes().wait_for_everyone()
    if processes().is_main_process:
        written = plan.model_dump(mode="json")
        folder.create(written, described, run.provenance, lambda made: write_known(made, known))
    processes().wait_for_everyone()
    for note in notes:
        reporter.say(note)
    run.source = (opened, held_out)
    with _held(folder):
        return _fit(run, split, reporter, resume=False)


def load(path: str | Path) -> Run:
    """Read a run; no code from its folder is run.

    Args:
        path: the run folder.

    Returns:
        The run, with its best weights.

    Raises:
        RunError: if the folder is missing, damaged, from a newer version, or not trained yet.

    Examples:
        >>> load("nowhere")
        Traceback (most recent call last):
        ...
        vaekit.errors.RunError: the run folder must exist. Got 'nowhere' instead.
    """
    run = _read(RunFolder(path))
    weights, _ = run.folder.read_tensors(WEIGHTS, like=run.model.state_dict())
    if bad := [name for name, value in weights.items() if not (value.double().abs() <= LARGEST_WEIGHT).all()]:
        mend = "Train anew with a smaller training.learning_rate"
        raise RunError(
            f"weights must be finite, at most {LARGEST_WEIGHT:g} in size",
            f"others in '{bad[0]}' of '{run.folder.path / WEIGHTS}'",
            mend,
        )
    run.model.load_state_dict(weights)
    return run


def _read(folder: RunFolder) -> Run:
    provenance = folder.open()
    try:
        written = folder.read_toml("recipe.toml")
        if "evaluation" not in written:  # the last section, which every training has written
            raise KeyError("recipe.toml without [evaluation], as if it were cut off")
        recipe = load_recipe(written)
        described = folder.read_json("schema.json")
        schema, transform = Schema.model_validate(described["schema"]), Transform.model_validate(described["transform"])
        if provenance.get("defined_by", _digest(written)) != _digest(written):
            raise ValueError("recipe.toml was changed in what defines the model; other choices need a training anew")
        with _NoLarger(folder.size(WEIGHTS) or folder.size(GOOD)):
            run = _untrained(folder, recipe, schema, transform, provenance)
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        said = str(error).partition("For further information")[0].strip()  # pydantic adds an address
        if isinstance(error, RunError):
            raise
        raise RunError(
            "recipe.toml, schema.json and provenance.json must be as training wrote them",
            f"'{folder.path}': {said}",
            "Restore them from a copy",
        ) from error
    run.known = _read_known(folder)
    return run


class _NoLarger(TorchFunctionMode):
    """Refuse a model that is much larger than what was saved of it, before its memory is touched.

    Args:
        saved: bytes of a file that holds the model; 0 where nothing was saved yet.
    """

    def __init__(self, saved: int) -> None:
        super().__init__()
        self.left = 4 * saved + SPARE if saved else math.inf

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not any(isinstance(value, torch.Tensor) for value in args):
            self.left -= made.nbytes
            if self.left < 0:
                raise ValueError("they describe a model that is larger than the weights")
        return made


def _read_known(folder: RunFolder) -> KnownRows | None:
    if not os.path.lexists(folder.path / KNOWN):
        return None
    tensors, noted = folder.read_tensors(KNOWN)
    try:
        return KnownRows.read(tensors["hashes"].numpy(), noted)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{KNOWN} must be as training wrote it", f"'{folder.path}': {error}", COPY) from error


def write_known(folder: RunFolder, known: KnownRows) -> None:
    """Write by what training rows are known again."""
    hashes, noted = known.content()
    folder.write_tensors(KNOWN, {"hashes": torch.from_numpy(hashes)}, noted)


def _digest(recipe: Mapping[str, Any]) -> str:
    """What tells that a recipe, as written, defines the model that it defined when it was trained."""
    defining = {key: recipe[key] for key in DEFINING if key in recipe}
    return hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()


def _untrained(
    folder: RunFolder, recipe: Recipe, schema: Schema, transform: Transform, provenance: dict[str, Any]
) -> Run:
    with seeded(recipe.seed):
        model = build_model(recipe, schema, transform)
    kind = TableRun if schema.kind == "mixed" else Run
    return kind(folder, recipe, schema, transform, model, provenance)


def _new_folder(source: object) -> RunFolder:
    """The first free of runs/NAME, runs/NAME-2, …"""
    name = Path(source).expanduser().resolve().stem if isinstance(source, str | Path) else "run"
    candidates = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 10_000))]
    return RunFolder(next(path for path in candidates if not path.exists()))


def _some(part: Part, seed: int) -> Part:
    return part.some(max(2, min(FIT_ROWS, FIT_NUMBERS // math.prod(part.event_shape))), seed)


def _start(run: Run, split: Split, start: Run | None = None) -> None:
    """Where training starts: at the weights of another run, or at the first look at the data."""
    if start is not None:
        try:
            run.model.load_state_dict(start.model.state_dict())
        except RuntimeError as error:
            raise RecipeError("a run that training starts from must have the same networks", str(error)) from error
        return
    start_model(run.model, Rows(_some(split.train, run.recipe.seed), run.transform, run.recipe.seed).tensor())


def _fit_transform(train_part: Part, schema: Schema, recipe: Recipe) -> Transform:
    some = _some(train_part, recipe.seed)
    rows = to_tensor(some.take(0, FIT_ROWS)).double()
    density = recipe.model == "vae" and LIKELIHOODS[recipe.likelihood.name].density
    transform = choose_transforms(
        schema, rows, binarize=recipe.data.binarize, scaling=recipe.data.scaling, density=density
    )
    if (given := some.given()) is None:
        return transform
    return transform.model_copy(update={"given": (fit_cells(schema.given, given),)})


def _provenance(source: Source, test: Source | None, split: Split, notes: list[str]) -> dict[str, Any]:
    packages = ("vaekit", "torch", "numpy", "accelerate", "safetensors")
    return {
        "command": [_in_unicode(word) for word in sys.argv],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "threads": torch.get_num_threads(),
        "source": _in_unicode(source.origin),
        "test_source": _in_unicode(test.origin) if test else None,
        "fingerprint": split.train.fingerprint(),
        "validation_fingerprint": split.validation.fingerprint(),
        "rows": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "choices": notes,
    }


def _in_unicode(text: str) -> str:
    """Text from the system with the bytes replaced that are not UTF-8."""
    return os.fsencode(text).decode(errors="replace")


def _held(folder: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Hold a run for training; of several processes that train it together the first one does."""
    return folder.in_training() if processes().is_main_process else contextlib.nullcontext()


def _resume(
    run: Run,
    source: object,
    test: object,
    reporter: Reporter,
    progress: Progress | None,
    weights: npt.ArrayLike | None,
) -> Run:
    """Go on with a run that is held."""
    folder = run.folder
    if processes().is_main_process and (said := mend_states(folder)):
        reporter.say(said)
    processes().wait_for_everyone()
    if source is not None:
        opened, held_out = open_both(source, test, run.recipe, progress, run.schema.table)
        run.source = (opened if weights is None else opened.weighted(weights), held_out)
    split = run.split()
    begun = (folder.path / GOOD).exists()
    if begun and read_state(folder, GOOD)[1].best_step:  # read now, as they are not before the end
        folder.read_tensors(WEIGHTS, like=run.model.state_dict())
    if not begun:  # else the state brings all that the start would set
        if run.provenance.get("start"):
            raise RunError(
                "a run that starts from another's weights must have begun before it can be resumed",
                f"'{folder.path}', which ended before its first step",
                f"Start it anew from '{run.provenance['start']}'",
            )
        _start(run, split)
    if torch.get_num_threads() != run.provenance["threads"]:
        reporter.say(
            f"The run began with {run.provenance['threads']} threads and goes on with {torch.get_num_threads()}: the last digits may differ."
        )
    return _fit(run, split, reporter, resume=begun)


def _fit(run: Run, split: Split, reporter: Reporter, resume: bool) -> Run:
    hide = 0.0 if run.recipe.data.hide == "auto" else run.recipe.data.hide
    train_rows = Rows(split.train, run.transform, run.recipe.seed, hide)
    validation = Rows(split.validation, run.transform, run.recipe.seed)
    trainer = Trainer(
        run.model,
        run.recipe.objective,
        train_rows,
        validation,
        run.recipe.training,
        run.recipe.seed,
        run.folder,
        reporter,
    )
    trainer.run(resume)
    changed = run.model.finish(lambda: torch.from_numpy(measure(run.model, train_rows).mean))
    if changed and processes().is_main_process:
        chosen = run.folder.read_tensors(WEIGHTS)[1]
        run.folder.write_tensors(WEIGHTS, run.model.state_dict(), chosen)
    return run
