"""Anomalies: how well each method ranks anomalies above normal rows, on 12 data sets of ADBench.

Methods are trained on half of the normal rows without labels, and tested by AUROC on the other half and all anomalies.
Nothing is tuned. The peers are PyOD's detectors with their defaults, on features standardised by the training rows.
vaekit gets the data sets as they are.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np
import pandas as pd
from common import Measure, cell, data_folder, markdown_table, run_peer, star
from sklearn.metrics import roc_auc_score
from trials import Contestant, Trials, arguments

SETS = [
    *("annthyroid", "campaign", "cardio", "letter", "mammography", "musk"),
    *("optdigits", "pendigits", "satimage-2", "shuttle", "thyroid", "vowels"),
]
METHODS = ["vaekit", "pyod-vae", "iforest", "knn", "pca"]


def split(name: str, seed: int, most: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, test rows, and the labels of the test rows; of all rows, at most `most`."""
    with np.load(data_folder() / "adbench" / f"{name}.npz", allow_pickle=False) as file:
        some = np.random.default_rng(0).permutation(len(file["y"]))[:most] if most else slice(None)
        X, y = file["X"][some], file["y"][some].astype(bool)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~y))
    half = len(normal) // 2
    test = np.concatenate([normal[half:], np.flatnonzero(y)])
    return X[normal[:half]], X[test], y[test]


def scores(method: str, train: np.ndarray, test: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, float]]:
    """Return the anomaly score of each test row, and the time that fitting took."""
    contestant = Contestant.parse(method)
    if contestant.name == "vaekit":
        model, took = contestant.fit(train, {}, seed)
        return -np.asarray(model.score_samples(test)), took
    tables = {name: pd.DataFrame(X).rename(columns=str) for name, X in {"train": train, "test": test}.items()}
    answer, took = run_peer(method, tables, seed=seed)
    return answer["score"].to_numpy(), took


def trial(table: str, method: str, seed: int, most: int | None) -> dict:
    train, test, labels = split(table, seed, most)
    score, took = scores(method, train, test, seed)
    finite = np.nan_to_num(score.astype(float), nan=np.nan)  # infinite scores rank highest; NaN is a failed trial
    return {"auroc": float(roc_auc_score(labels, finite)), "minutes": took["seconds"] / 60, **took, "rows": len(train)}


def report(trials: Trials) -> str:
    """Return the table of data sets and methods, with the mean of the medians over sets that all methods have."""
    methods = trials.methods(METHODS)
    sets = [name for name in SETS if all(trials.of(name, method) for method in methods)]
    auroc = Measure("auroc", "AUROC")
    rows = [[name, *(cell(trials.of(name, method), auroc) for method in methods)] for name in SETS]
    medians = {m: [statistics.median(r["auroc"] for r in trials.of(name, m)) for name in sets] for m in methods}
    rows.append([f"mean of {len(sets)} sets", *(f"{statistics.mean(medians[m] or [np.nan]):.3f}" for m in methods)])
    rows.append(["minutes to train, all of them", *(total(trials, sets, method) for method in methods)])
    rows.append(["seeds", *(str(min([len(trials.of(name, m)) for name in sets] or [0])) for m in methods)])
    return f"# Anomalies\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{markdown_table(['AUROC', *methods], rows)}\n"


def total(trials: Trials, sets: list[str], method: str) -> str:
    """Return the median minutes, summed over the data sets."""
    every = [trials.of(name, method) for name in sets]
    minutes = sum(statistics.median(r["minutes"] for r in records) for records in every)
    return f"{minutes:.2f}" + star([r for records in every for r in records])


def main() -> None:
    chosen = arguments(__doc__, SETS, METHODS).parse_args()
    trials = Trials("anomalies", chosen)
    trials.run(partial(trial, most=chosen.rows))
    trials.write(report(trials))


if __name__ == "__main__":
    main()
