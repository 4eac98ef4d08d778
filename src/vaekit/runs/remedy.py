"""Retraining a run with the first fix that its figures suggest, on the same data."""

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
from vaekit.training import Reporter


@dataclass(frozen=True)
class Trial:
    """Two runs on the same rows, the second one with the remedy.

    Args:
        remedy: the remedy that was tried.
        runs: the run without it, and the run with it.
        evaluations: evaluations of both on the same held-out rows.
    """

    remedy: Remedy
    runs: tuple[Run, Run]
    evaluations: tuple[Evaluation, Evaluation]

    def gain(self) -> tuple[float, float | None]:
        """Return the mean gain in log-likelihood, and its standard error from the differences of rows, in nats."""
        before, after = (e.measured.log_likelihood for e in self.evaluations if e.measured is not None)
        return mean_and_error(after - before)

    def command(self) -> str:
        """Return the command that trains the second run again."""
        run = self.runs[0]
        source, test = _sources(run)
        settings = [part for key, value in self.remedy.settings.items() for part in ("--set", f"{key}={value}")]
        words = [source, *(["--test", test] if test else []), "--recipe", run.path / "recipe.toml", *settings]
        return shlex.join(["vaekit", "train", *map(str, words)])


def remedy(run: Run, *, out: str | Path | None = None, reporter: Reporter | None = None) -> Trial:
    """Retrain a run with the first fix that its figures suggest, and evaluate both runs.

    Args:
        run: a variational autoencoder whose source can still be opened.
        out: the run folder to make; by default one beside the run, with `-remedy` after its name.
        reporter: receives progress, as in `vaekit.train`.

    Returns:
        Both runs with their figures on the same held-out rows.

    Raises:
        DataError: if the source of the run cannot be opened, has changed, or has weighted rows.
        RunError: if the figures suggest no fix by settings, or the folder cannot be written.

    Examples:
        >>> import tempfile, vaekit
        >>> settings = {"training.epochs": 1, "objective.kl_weight": 1000.0}
        >>> run = vaekit.train("digits", settings=settings, out=f"{tempfile.mkdtemp()}/run")
        >>> trial = remedy(run)
        >>> trial.remedy.settings, trial.runs[1].recipe.objective.kl_weight
        ({'objective.kl_weight': 1.0}, 1.0)
    """
    folder = RunFolder(run.path.with_name(f"{run.path.resolve().name}-remedy") if out is None else out)
    folder.check_free("out")
    before = run.evaluation()
    chosen = first_remedy(diagnose(before.figures, run.accepts))
    if chosen is None:
        raise RunError(f"The figures of '{run.path}' do not suggest a fix by settings", mend="Evaluate it to see them")
    if run.source[0].weights is not None:
        raise DataError(
            f"'{run.path}' was trained on weighted rows", mend="Retrain it with `train` and the same weights"
        )
    reporter = reporter or Reporter()
    reporter.say(f"Trying {chosen}.")
    source, test = _sources(run)
    trained = train(source, test=test, recipe=run.recipe, settings=chosen.settings, out=folder.path, reporter=reporter)
    return Trial(chosen, (run, trained), (before, trained.evaluation()))


def _sources(run: Run) -> tuple[Any, Any]:
    """Return the training source of a run and its separate test rows, by name if they have one."""
    origins = run.provenance["source"], run.provenance["test_source"]
    if "memory" not in origins:
        return origins
    source, test = run.source
    return source.frame or source, test and (test.frame or test)
