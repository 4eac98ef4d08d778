"""Retrain a run with the first remedy that its figures suggest, and compare both runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit.errors import DataError, RunError
from vaekit.evaluation import Estimate, Figures, Remedy, first_remedy
from vaekit.folder import RunFolder
from vaekit.reporters import Reporter, choose_reporter
from vaekit.runs.run import Run
from vaekit.runs.train import train


@dataclass(frozen=True)
class Trial:
    """A run before and after retraining with a remedy.

    Args:
        remedy: the change of settings that was tried.
        runs: the run without the remedy, and the run with it.
        figures: figures of both runs on the same held-out rows.
    """

    remedy: Remedy
    runs: tuple[Run, Run]
    figures: tuple[Figures, Figures]

    def gain(self) -> Estimate:
        """Return the mean gain in log-likelihood per row from the remedy, in nats, with its standard error."""
        before, after = (figures.measured.score for figures in self.figures)
        return Estimate.of(after - before)

    def command(self) -> str:
        """Return the shell command that trains the run again with the remedy."""
        run = self.runs[0]
        source, test = _sources(run)
        settings = [part for key, value in self.remedy.settings.items() for part in ("--set", f"{key}={value}")]
        words = [source, *(["--test", test] if test else []), "--recipe", run.path / "recipe.toml", *settings]
        return shlex.join(["vaekit", "train", *map(str, words)])


def remedy(run: Run, *, out: str | Path | None = None, reporter: Reporter | None = None) -> Trial:
    """Retrain a run with the first remedy that its figures suggest, and measure both runs.

    Args:
        run: a variational autoencoder; its source must still exist.
        out: the run folder to make; by default the run's own folder with `-remedy` added to its name.
        reporter: as in `vaekit.train`.

    Returns:
        Both runs with their figures on the same held-out rows.

    Raises:
        DataError: if the run's source cannot be opened, has changed, or has weighted rows.
        RunError: if the figures suggest no change of settings, or the folder cannot be written.

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
    before = run.evaluate()
    chosen = first_remedy(before.readings)
    if chosen is None:
        raise RunError(
            f"The metrics of '{run.path}' do not suggest a change of settings",
            mend="Evaluate the run to see them",
        )
    if run.source[0].weights is not None:
        raise DataError(
            f"`remedy` cannot retrain '{run.path}', because it was trained on weighted rows",
            mend="Use `train` with the same weights",
        )
    reporter = reporter or choose_reporter()
    reporter.say(f"Trying {chosen}.")
    source, test = _sources(run)
    trained = train(source, test=test, recipe=run.recipe, settings=chosen.settings, out=folder.path, reporter=reporter)
    return Trial(chosen, (run, trained), (before, trained.evaluate()))


def _sources(run: Run) -> tuple[Any, Any]:
    """Return the names of a run's training and test sources, or the opened sources if one was in memory."""
    origins = run.provenance["source"], run.provenance["test_source"]
    if "memory" not in origins:
        return origins
    source, test = run.source
    return source.frame or source, test and (test.frame or test)
