"""A remedy that the reading of a run names, tried: the same recipe but for its settings, trained anew on the same data."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit.errors import DataError, RunError
from vaekit.evaluation import Evaluation, Remedy, diagnose, first_remedy
from vaekit.evaluation.gap import mean_and_error
from vaekit.folder import RunFolder
from vaekit.runs.run import Run
from vaekit.runs.train import train
from vaekit.training import Reporter, SilentReporter


@dataclass(frozen=True)
class Trial:
    """Two runs on the same rows, of which the second has the remedy.

    Args:
        remedy: what was tried.
        runs: without it, and with it.
        evaluations: of both, on the same held-out rows.
    """

    remedy: Remedy
    runs: tuple[Run, Run]
    evaluations: tuple[Evaluation, Evaluation]

    def gain(self) -> tuple[float, float | None]:
        """How much greater the log-likelihood is with the remedy, and the standard error of differences row by row; nats."""
        before, after = (e.measured.log_likelihood for e in self.evaluations if e.measured is not None)
        return mean_and_error(after - before)

    def command(self) -> str:
        """The command that trains the second run once more, where the source has a name."""
        run = self.runs[0]
        source, test = _sources(run)
        settings = [part for key, value in self.remedy.settings.items() for part in ("--set", f"{key}={value}")]
        words = [source, *(["--test", test] if test else []), "--recipe", run.path / "recipe.toml", *settings]
        return shlex.join(["vaekit", "train", *map(str, words)])


def remedy(run: Run, *, out: str | Path | None = None, reporter: Reporter | None = None) -> Trial:
    """Train a run anew with the first remedy that the reading of its figures names.

    Args:
        run: a variational autoencoder, whose source is where it was.
        out: the run folder to make; by default one beside the run, with `-remedy` after its name.
        reporter: as of `vaekit.train`.

    Returns:
        Both runs with their figures on the same held-out rows.

    Raises:
        DataError: if the source of the run cannot be opened, or holds other data now, or its rows had weights.
        RunError: if its figures call for no remedy that a setting brings, or the folder cannot be written.

    Examples:
        >>> import tempfile, vaekit
        >>> settings = {"training.epochs": 1, "objective.kl_weight": 1000.0}
        >>> run = vaekit.train("digits", settings=settings, out=f"{tempfile.mkdtemp()}/run")
        >>> trial = remedy(run)
        >>> trial.remedy.settings, trial.runs[1].recipe.objective.kl_weight
        ({'objective.kl_weight': 1.0}, 1.0)
    """
    folder = RunFolder(run.path.with_name(f"{run.path.resolve().name}-remedy") if out is None else out)
    folder.check_free()
    before = run.evaluation()
    chosen = first_remedy(diagnose(before.figures, run.accepts))
    if chosen is None:
        raise RunError(
            "a remedy by settings must be called for by the figures of the run",
            f"none for '{run.path}'",
            f"See `vaekit evaluate {run.path}`",
        )
    if run.source[0].weights is not None:
        raise DataError("a run must have rows without weights to be trained anew", "weights", "Train it by hand")
    reporter = reporter or SilentReporter()
    reporter.say(f"Trying {chosen}.")
    source, test = _sources(run)
    trained = train(source, test=test, recipe=run.recipe, settings=chosen.settings, out=folder.path, reporter=reporter)
    return Trial(chosen, (run, trained), (before, trained.evaluation()))


def _sources(run: Run) -> tuple[Any, Any]:
    """What a run was trained on and its separate test rows, by name where they have one."""
    origins = run.provenance["source"], run.provenance["test_source"]
    if "memory" not in origins:
        return origins
    source, test = run.source
    return source.frame or source, test and (test.frame or test)
