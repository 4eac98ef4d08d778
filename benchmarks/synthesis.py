"""New rows: how well the generated rows of each method can replace the real table.

Every method is trained on the same 80 % of the rows with a list of the categorical columns, and generates the same
number of rows. Rows with missing cells are left out. `real` is the training rows resampled with replacement, which is
what a perfect copier would reach. tvae is CTGAN's TVAE with its defaults (`tvae epochs=50` is faster); copula is a
Gaussian copula with parametric marginals. Their numbers are clipped to the range of the training rows and rounded to
their decimals, as in SDV; the rows of the other methods are not changed. rank-copula is a Gaussian copula on ranks, with
the marginals of the training rows (`copula.py`). argn is MOSTLY AI's TabularARGN.

- xgboost: AUC of XGBoost that tells new rows from training rows, out of fold; 0.5 is best. Copies lower it, since a row
  and its copies fall into different folds.
- boosting: the same with scikit-learn's histogram gradient boosting.
- utility: macro F1, on real test rows, of a gradient-boosting classifier trained on the new rows, averaged over every
  categorical column as the target; the value of `real` is best.
- rare: of the categories with fewer than 5 % of the training rows, but at least ten rows, the share of the new rows
  divided by the share of the training rows, or its inverse where that is smaller, averaged. A category that is never
  drawn counts 0; `real` shows what chance leaves of 1.
- nearest: median distance of a new row to the nearest training row (standardised numbers, one-hot categories),
  divided by the same for real test rows; near 1 is best, near 0 is copying. A dash means that most test rows
  equal a training row.
- copies: share of the new rows that equal a training row, in per cent, and the same for real test rows.

Scores of columns and of pairs of columns, and detection by a linear classifier, are left out: independent columns or a
copula already reach the values of real rows there, so they decide nothing. `vaekit latent_dim=6 training.epochs=6
training.learning_rate=0.004 training.average=0.99 training.validations=2` is vaekit in a hurry.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from common import Measure, run_peer, stopwatch
from copula import RankCopula
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neighbors import NearestNeighbors
from table_data import Table, as_codes, load_table, some_rows
from trials import Contestant, Trials, arguments, by_table

TABLES = ["adult", "default_credit", "magic", "beijing", "shoppers", "diamonds", "health_insurance", "wage"]
METHODS = ["real", "vaekit", "vaekit autoregressive-table", "argn", "tvae", "rank-copula", "copula"]
RARE, LEAST = 0.05, 10
"""Greatest share and least number of training rows of a rare category."""
MEASURES = [
    Measure("xgboost", "xgboost → 0.5"),
    Measure("boosting", "boosting → 0.5"),
    Measure("utility", "utility ↑"),
    Measure("rare", "rare → 1"),
    Measure("nearest", "nearest → 1", 2),
    Measure("copies", "copies, %", 2),
    Measure("copies_real", "copies among test rows, %", 2),
    Measure("minutes", "minutes to train", 2),
]


def new_rows(method: str, table: Table, train: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, dict]:
    """Return as many new rows as there are training rows, and the time that fitting took."""
    contestant = Contestant.parse(method)
    if contestant.name == "real":
        return train.sample(len(train), replace=True, random_state=seed).reset_index(drop=True), {}
    if contestant.name == "vaekit":
        model, took = contestant.fit(train, table.declared, seed)
        return model.sample(len(train)), took
    if contestant.name == "rank-copula":
        with stopwatch() as took:
            model = RankCopula(train, seed)
        return model.sample(len(train)), took
    return run_peer(contestant.name, {"train": train}, table.kinds, seed, {"rows": len(train), **contestant.options})


def trial(table: str, method: str, seed: int, most: int | None) -> dict:
    data = load_table(table)
    data = data.take(some_rows(data, most))
    train, test = train_test_split(data.frame.dropna(), test_size=0.2, random_state=seed)
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    new, took = new_rows(method, data, train, seed)
    new = new[train.columns].astype(train.dtypes)
    scores = utility(new, test, data)
    return {
        "xgboost": float(run_peer("xgboost", {"train": train, "new": new}, data.kinds)[0]["auc"][0]),
        "boosting": detection(new, train, data),
        "utility": float(np.mean(list(scores.values()))),
        "utility_of": scores,
        "rare": rare(new, train, data),
        **nearness(new, train, test),
        **({"minutes": took["seconds"] / 60} if took else {}),
        **took,
        "rows": len(train),
    }


def rare(new: pd.DataFrame, train: pd.DataFrame, table: Table) -> float | None:
    """Return how closely the shares of rare categories are kept, from 0 to 1; None without rare categories."""
    kept = []
    for column in table.discrete:
        counts = train[column].value_counts()
        for category in counts.index[(counts >= LEAST) & (counts < RARE * len(train))]:
            p, q = (float((frame[column] == category).mean()) for frame in (train, new))
            kept.append(min(p, q) / max(p, q))
    return float(np.mean(kept)) if kept else None


def utility(new: pd.DataFrame, test: pd.DataFrame, table: Table) -> dict[str, float]:
    """Return the macro F1 on real rows of classifiers that predict each categorical column, trained on new rows."""
    learned, real, scores = as_codes(new), as_codes(test), {}
    for target in table.discrete:
        y, truth = learned.pop(target), real.pop(target)
        single = np.full(len(real), y[0])
        told = classifier(learned, table).fit(learned, y).predict(real) if y.nunique() > 1 else single
        labels = np.unique(truth)
        scores[target] = float(f1_score(truth, told, labels=labels, average="macro", zero_division=0.0))
        learned[target], real[target] = y, truth
    return scores


def classifier(X: pd.DataFrame, table: Table) -> HistGradientBoostingClassifier:
    """Return gradient boosting with its defaults and a penalty, which keeps scores finite for rare classes."""
    categories = [column in table.discrete for column in X]
    return HistGradientBoostingClassifier(
        l2_regularization=1.0, early_stopping=False, categorical_features=categories, random_state=0
    )


def detection(new: pd.DataFrame, train: pd.DataFrame, table: Table) -> float:
    X = as_codes(pd.concat([train, new], ignore_index=True))
    y = np.repeat([0, 1], [len(train), len(new)])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    told = cross_val_predict(classifier(X, table), X, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, told))


def nearness(new: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame, most: int = 5000) -> dict[str, float | None]:
    """Return distances to the nearest training rows (of at most 5,000 new rows), and the share of exact copies."""
    numbers = train.select_dtypes("number").columns
    mean, scale = train[numbers].mean(), train[numbers].std().replace(0, 1)

    def place(frame: pd.DataFrame) -> np.ndarray:
        one_hot = pd.get_dummies(frame.drop(columns=numbers), dtype=float)
        return np.hstack([(frame[numbers] - mean) / scale, one_hot])

    known = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(place(train))
    near, usual = (float(np.median(known.kneighbors(place(f[:most]))[0])) for f in (new, test))
    twins = set(pd.util.hash_pandas_object(train, index=False))
    copies, copies_real = (
        100 * float(pd.util.hash_pandas_object(f, index=False).isin(twins).mean()) for f in (new, test)
    )
    return {"nearest": near / usual if usual > 1e-6 else None, "copies": copies, "copies_real": copies_real}


def main() -> None:
    chosen = arguments(__doc__, TABLES, METHODS).parse_args()
    trials = Trials("synthesis", chosen)
    trials.run(partial(trial, most=chosen.rows))
    about = __doc__.split("\n", 2)[2].strip()
    trials.write(f"# New rows\n\n{about}\n\n{by_table(trials, TABLES, METHODS, MEASURES)}")


if __name__ == "__main__":
    main()
