"""Methods of other packages that draw new rows, and the classifier that tells new rows from real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from peer_job import Job, codes, fit_argn, plain


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


def argn_rows(job: Job) -> pd.DataFrame:
    train = job.table("train")
    new = fit_argn(job, train).sample(job.options["rows"])
    return pd.DataFrame({c: new[c].astype(train[c].dtype) for c in train})


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
