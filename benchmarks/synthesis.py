"""New rows: how well the generated rows of each method can replace the real table.

Every method is trained on the same 80 % of the rows with a list of the categorical columns, and generates the same
number of rows. Rows with missing cells are left out. `real` is the training rows resampled with replacement, which is
what a perfect copier would reach. tvae is CTGAN's TVAE with its defaults; copula is a Gaussian copula with parametric
marginals. Their numbers are clipped to the range of the training rows and rounded to their decimals, as in SDV;
vaekit's rows are not changed. vaekit-autoregressive is the recipe autoregressive-table. vaekit-quick is trained for
only 6 passes, with a higher learning rate.

- utility: macro F1, on real test rows, of a gradient-boosting classifier trained on the new rows, averaged over every
  categorical column as the target; the value of `real` is best.
- quality: the overall score of SDMetrics' QualityReport; 1 is best.
- detection: AUC of a gradient-boosting classifier that tells new rows from training rows, out of fold; 0.5 is best.
  Copies lower it, since a row and its copies fall into different folds. The second column is XGBoost's.
- nearest: median distance of a new row to the nearest training row (standardised numbers, one-hot categories),
  divided by the same for real test rows; near 1 is best, near 0 is copying. A dash means that most test rows
  equal a training row.
- copies: share of the new rows that equal a training row, in per cent, and the same for real test rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from common import TABLES, Measure, Table, Trials, arguments, as_codes, by_table, load_table, run_peer, stopwatch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neighbors import NearestNeighbors

METHODS = ["real", "vaekit", "vaekit-autoregressive", "vaekit-quick", "tvae", "copula"]
QUICK = {
    "latent_dim": 6,
    "training.epochs": 6,
    "training.learning_rate": 4e-3,
    "training.average": 0.99,
    "training.validations": 2,
}
MEASURES = [
    Measure("utility", "utility ↑"),
    Measure("quality", "quality ↑"),
    Measure("detection", "detection → 0.5"),
    Measure("xgboost", "detection by XGBoost → 0.5"),
    Measure("nearest", "nearest → 1", 2),
    Measure("copies", "copies, %", 2),
    Measure("copies_real", "copies among test rows, %", 2),
    Measure("minutes", "minutes to train", 2),
]


def new_rows(method: str, table: Table, train: pd.DataFrame, seed: int, epochs: int) -> tuple[pd.DataFrame, dict]:
    """Return as many new rows as there are training rows, and the time that fitting took."""
    if method == "real":
        return train.sample(len(train), replace=True, random_state=seed).reset_index(drop=True), {}
    if method.startswith("vaekit"):
        import accelerate  # noqa: F401  # the peers' imports are not counted either

        from vaekit import VAE

        settings = QUICK if method == "vaekit-quick" else {}
        recipe = "autoregressive-table" if method == "vaekit-autoregressive" else "auto"
        with stopwatch() as took:
            model = VAE(recipe=recipe, columns=table.declared, settings=settings, random_state=seed).fit(train)
        return model.sample(len(train)), took
    return run_peer(method, {"train": train}, table.kinds, seed, {"rows": len(train), "epochs": epochs})


def trial(name: str, method: str, seed: int, epochs: int) -> dict:
    table = load_table(name)
    train, test = train_test_split(table.frame.dropna(), test_size=0.2, random_state=seed)
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    new, took = new_rows(method, table, train, seed, epochs)
    new = new[train.columns].astype(train.dtypes)
    scores = utility(new, test, table)
    return {
        "utility": float(np.mean(list(scores.values()))),
        "utility_of": scores,
        "quality": float(run_peer("quality", {"train": train, "new": new}, table.kinds)[0]["score"][0]),
        "detection": detection(new, train, table),
        "xgboost": float(run_peer("xgboost", {"train": train, "new": new}, table.kinds)[0]["auc"][0]),
        **nearness(new, train, test),
        **({"minutes": took["seconds"] / 60} if took else {}),
        **took,
        "rows": len(train),
    }


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
    parser = arguments(__doc__, TABLES, METHODS)
    parser.add_argument("--epochs", type=int, default=300, help="epochs of TVAE (300, its default)")
    chosen = parser.parse_args()
    trials = Trials("synthesis", chosen)
    short = f"tvae ({chosen.epochs} epochs)" if chosen.epochs != 300 else "tvae"
    trials.run(lambda *of: trial(*of, epochs=chosen.epochs), lambda method: short if method == "tvae" else method)
    trials.write(
        f"# New rows\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{by_table(trials, TABLES, METHODS, MEASURES)}"
    )


if __name__ == "__main__":
    main()
