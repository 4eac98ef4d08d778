"""Train a run, or resume one that was interrupted."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from vaekit.errors import RecipeError, RunError, VaekitError
from vaekit.evaluation import measure, measure_shares
from vaekit.folder import WEIGHTS, RunFolder
from vaekit.processes import launch_name, leads, restarts
from vaekit.processes.group import count, from_first, in_turn, rank, together
from vaekit.recipe import Recipe
from vaekit.recipe.objects import sort_parts
from vaekit.reporters import Mute, Reporter, choose_reporter
from vaekit.runs.begin import Given, begin, start_model
from vaekit.runs.load import read_recalibration, read_run
from vaekit.runs.pace import make_trainer
from vaekit.runs.run import Run
from vaekit.training.state import GOOD, mend_states, read_state

FIT_ROWS, FIT_NUMBERS = 20_000, 1 << 25
"""Most training rows, and most numbers in them, that determine shifts, scales and the initial model."""

ONE = {"threads": "thread", "processes": "process"}
DIFFERS = {
    "threads": "The last digits may differ.",
    "processes": "The last digits may differ, and so do dropout and what parts draw by themselves.",
}
"""What may differ if a run continues with another number of threads or processes."""


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
        settings: dotted keys, or sections as in a TOML file, with values that replace the recipe's.
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
    if resume is not None and named:
        raise VaekitError(
            f"A resumed run keeps its own parts, so {', '.join(named)} cannot be changed",
            mend="Resume without these arguments",
        )
    if resume is None and source is None:
        raise VaekitError("There is no data to train on", mend="Give a file, a folder or 'digits', or a run to resume")
    reporter = (reporter or choose_reporter(progress)) if leads() else Mute()
    rows = Given(source, test, weights, start)
    with together():
        if begun := from_first(lambda: str(resume or _find_own(out) or "")):
            run = in_turn(lambda: read_run(RunFolder(begun), objects))
            with _hold(run.folder):
                return _resume(run, rows, reporter)
        launched: dict[str, Any] = {"processes": count(), "launch": launch_name()}
        chosen = [*(settings.items() if isinstance(settings, Mapping) else settings), *named.items()]

        def make() -> Run:
            folder = RunFolder(out) if out is not None else _new_folder(source)
            folder.check_free("out", overwrite)
            made = begin(folder, rows, recipe, chosen, seed, objects)
            _check_batch(made, launched["processes"])
            made.provenance |= launched
            if overwrite:
                folder.clear()
            made.write(folder)
            return made

        run = _share(make, rows, objects)
        for note in run.provenance["choices"]:
            reporter.say(note)
        with _hold(run.folder):
            return _fit(run, reporter, resume=False)


def _share(make: Callable[[], Run], rows: Given, objects: Mapping[str, Any]) -> Run:
    """Return the run that the first process makes; the others read it from its folder."""
    made: list[Run] = []

    def keep() -> str:
        made.append(make())
        return str(made[0].path)

    path = from_first(keep)
    if made:
        return made[0]
    run = read_run(RunFolder(path), objects)
    run.source = rows.open_as(run)
    return run


def _find_own(out: str | Path | None) -> str | Path | None:
    """Return the folder `out` if the run in it was begun by these processes, before their launcher restarted them."""
    if out is None or not restarts() or not os.path.lexists(RunFolder(out).path / "provenance.json"):
        return None
    return out if RunFolder(out).open().get("launch") == launch_name() else None


def _new_folder(source: object) -> RunFolder:
    """Return the first free folder of runs/NAME, runs/NAME-2, …"""
    name = "run"
    if isinstance(source, str | Path):
        fixed = re.split(r"[*?\[]", str(source))[0]  # of a pattern, the folder before it
        name = Path(fixed if fixed == str(source) else fixed.rpartition("/")[0]).expanduser().resolve().stem or name
    candidates = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 10_000))]
    return RunFolder(next(path for path in candidates if not path.exists()))


def _check_batch(run: Run, processes: int) -> None:
    """Raise a `RecipeError` if a batch has too few rows for the processes that divide it."""
    batch = min(int(run.recipe.training.batch_size), run.provenance["rows"]["train"])
    if batch < processes:
        raise RecipeError(
            "training.batch_size must be at least the number of processes, which divide each batch",
            f"{batch} for {processes} processes",
            "Choose a larger batch, or start fewer processes",
        )


@contextlib.contextmanager
def _hold(folder: RunFolder) -> Iterator[None]:
    """Lock a run folder for training, in the first process only."""
    with contextlib.ExitStack() as held:
        from_first(lambda: held.enter_context(folder.hold()) or "")
        yield


def _resume(run: Run, rows: Given, reporter: Reporter) -> Run:
    """Resume the training of a locked run."""
    folder = run.folder
    if said := from_first(lambda: mend_states(folder)):
        reporter.say(said)
    several = count()
    begun = in_turn(lambda: _reopen(run, rows, several))
    for what, now in (("threads", torch.get_num_threads()), ("processes", count())):
        if (before := run.provenance.get(what, 1)) != now:
            began, goes_on = (f"{n} {what if n > 1 else ONE[what]}" for n in (before, now))
            reporter.say(f"The run began with {began} and continues with {goes_on}. {DIFFERS[what]}")
    return _fit(run, reporter, resume=begun)


def _reopen(run: Run, rows: Given, processes: int) -> bool:
    """Open the rows of a run that is resumed, check its files, and return whether it has a state."""
    folder = run.folder
    _check_batch(run, processes)
    if rows.source is not None:
        run.source = rows.open_as(run)
    split = run.split()
    begun = (folder.path / GOOD).exists()
    if begun and read_state(folder, GOOD)[1].best_step:  # training reads the weights only at its end: check them now
        folder.read_tensors(WEIGHTS, like=run.model.state_dict())
    if not begun:  # otherwise the state holds everything
        if run.provenance.get("start") and rows.start is None:
            raise RunError(
                f"'{folder.path}' was interrupted before its first step",
                mend=f"Start it again from '{run.provenance['start']}'",
            )
        start_model(run, split, rows.start)
    return begun


def _fit(run: Run, reporter: Reporter, resume: bool) -> Run:
    split = run.split()
    trainer = make_trainer(run, split, reporter)
    trainer.run(resume)
    codes = partial(measure_shares, partial(measure, run.model), trainer.train)
    if run.model.finish(lambda: torch.from_numpy(codes().mean)) and rank() == 0:
        chosen = run.folder.read_tensors(WEIGHTS)[1]
        run.folder.write_tensors(WEIGHTS, run.model.state_dict(), chosen)
    if run.reads_tables and run.model.has_likelihood:
        from_first(lambda: run.as_table_run().recalibrate(split))
        run.recalibration = read_recalibration(run)
    return run
