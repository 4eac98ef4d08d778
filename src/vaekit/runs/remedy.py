"""Try a remedy: retrain a run with the settings that the readings of its figures suggest, and compare both runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit.errors import DataError, RunError
from vaekit.evaluation import Estimate, Figures, Remedy, diagnose, first_remedy
from vaekit.folder import RunFolder
from vaekit.runs.run import Run
from vaekit.runs.train import train
from vaekit.training import Reporter, SilentReporter


@dataclass(frozen=True)
class Trial:
    """Hold a run and the same run with a remedy.

    Args:
        remedy: what was tried.
        runs: without the remedy, and with it.
        figures: of both runs, on the same held-out rows.
    """

    remedy: Remedy
    runs: tuple[Run, Run]
    figures: tuple[Figures, Figures]

    def gain(self) -> Estimate:
        """Return how much the remedy raises the log-likelihood, in nats; the error is that of differences row by row."""
        before, after = (figures.measured.score for figures in self.figures)
        return Estimate.of(after - before)

    def command(self) -> str:
        """Return the command that trains the second run again, where the source has a name."""
        run = self.runs[0]
        source, test = _sources(run)
        settings = [part for key, value in self.remedy.settings.items() for part in ("--set", f"{key}={value}")]
        words = [source, *(["--test", test] if test else []), "--recipe", run.path / "recipe.toml", *settings]
        return shlex.join(["vaekit", "train", *map(str, words)])


def remedy(run: Run, *, out: str | Path | None = None, reporter: Reporter | None = None) -> Trial:
    """Retrain a run with the first remedy that the readings of its figures suggest.

    Args:
        run: a variational autoencoder; its source must still be in its place.
        out: the run folder to make; the name of the run with `-remedy` by default.
        reporter: as in `vaekit.train`.

    Returns:
        Both runs with their figures on the same held-out rows.

    Raises:
        DataError: if the source of the run cannot be opened, or has changed, or its rows have weights.
        RunError: if no reading suggests a remedy that has settings, or the folder cannot be written.

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
    before = run.evaluate()
    chosen = first_remedy(diagnose(before, run.accepts))
    if chosen is None:
        raise RunError(f"The figures of '{run.path}' do not suggest a fix by settings", mend="Evaluate it to see them")
    if run.source[0].weights is not None:
        raise DataError(
            f"'{run.path}' was trained on weighted rows", mend="Retrain it with `train` and the same weights"
        )
    reporter = reporter or SilentReporter()
    reporter.say(f"Trying {chosen}.")
    source, test = _sources(run)
    trained = train(source, test=test, recipe=run.recipe, settings=chosen.settings, out=folder.path, reporter=reporter)
    return Trial(chosen, (run, trained), (before, trained.evaluate()))


def _sources(run: Run) -> tuple[Any, Any]:
    """Return what a run was trained on and its separate test rows, by name where they have one."""
    origins = run.provenance["source"], run.provenance["test_source"]
    if "memory" not in origins:
        return origins
    source, test = run.source
    return source.frame or source, test and (test.frame or test)
