"""A search for settings with Optuna, which stops poor trials early by their held-out bound.

pip install optuna
python examples/optuna_study.py
"""

from __future__ import annotations

import sys

import optuna

import vaekit
from vaekit.reporters import Reporter


class Pruner(Reporter):
    """A reporter that passes the bound of each validation to a trial, and ends training if the trial is pruned."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def validated(self, row: dict[str, float]) -> None:
        """Report the bound of a validation to the trial."""
        self.trial.report(row["elbo"], int(row["step"]))
        if self.trial.should_prune():
            raise optuna.TrialPruned


def main(folder: str = "runs/study", epochs: int = 20, trials: int = 10) -> None:
    """Search for learning rate, width and number of latent dimensions."""

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_categorical("width", [64, 128, 256])
        settings = {
            "latent_dim": trial.suggest_int("latent_dim", 4, 32, log=True),
            "encoder.hidden": [width],
            "decoder.hidden": [width],
            "training.learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
            "training.epochs": epochs,
            "training.validations": 10,
        }
        run = vaekit.train("digits", settings=settings, out=f"{folder}/{trial.number}", reporter=Pruner(trial))
        return max(row["elbo"] for row in run.read_history().validations)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler, pruner = optuna.samplers.TPESampler(seed=0), optuna.pruners.MedianPruner(n_startup_trials=2)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=trials)
    print(f"Best held-out ELBO {study.best_value:.2f} nats with {study.best_params}")
    print(vaekit.load(f"{folder}/{study.best_trial.number}").evaluate())  # on rows that were not used for the search


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
