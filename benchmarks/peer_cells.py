"""Methods of other packages that fill missing cells.

Each returns a stack of tables: first the fill, then the draws, if the method has any.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import scipy.stats
from peer_job import Job, codes, decode, fit_argn, plain


def iterative(job: Job) -> pd.DataFrame:
    """Impute by scikit-learn's IterativeImputer with its defaults, on standardised numbers and indicators.

    The most frequent category has no indicator. With an indicator for every category, each would be predicted exactly by
    the others, which are missing together with it, and every missing cell would keep the mode. Draws come from the same
    imputer with `sample_posterior`: it is fitted once, and every draw is one more pass through its regressions.
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    masked = job.table("masked")
    blocks = [indicators(masked[c])[0] if c in job.discrete else codes(masked[c]).to_numpy()[:, None] for c in masked]
    wide = np.hstack(blocks)
    mean, scale = np.nanmean(wide, axis=0), np.nanstd(wide, axis=0)
    scale[scale == 0] = 1.0
    wide, ends = (wide - mean) / scale, np.cumsum([b.shape[1] for b in blocks])[:-1]

    def table(filled: np.ndarray) -> pd.DataFrame:
        parts = np.split(filled * scale + mean, ends, axis=1)
        return pd.DataFrame({c: likeliest(part, masked[c]) for c, part in zip(masked, parts, strict=True)})

    with job.fitting():
        tables = [table(IterativeImputer(random_state=job.seed).fit_transform(wide))]
    sampler = IterativeImputer(sample_posterior=True, random_state=job.seed).fit(wide)
    return pd.concat([*tables, *(table(sampler.transform(wide)) for _ in range(job.options["draws"]))])


def likeliest(part: np.ndarray, column: pd.Series) -> pd.Series:
    """Convert a filled block back to a column: of indicators, the greatest one decides."""
    if column.dtype == "category":
        part = np.insert(part, indicators(column)[1], 1 - part.sum(axis=1), axis=1).argmax(axis=1)
    return decode(part.ravel(), column)


def miceforest(job: Job) -> pd.DataFrame:
    """Impute by MICE with gradient-boosted trees, with the package's defaults for numbers: predictive mean matching.

    Categories are drawn from their predicted probabilities, since the package's search for neighbours fails where a
    probability is 0. One chain: after five rounds, the table after each further round is a draw. The fill is the mean or
    the most frequent value of the draws.
    """
    from miceforest import ImputationKernel

    masked = job.table("masked")
    given = masked.astype({c: float for c in masked if c not in job.discrete})
    how = {c: "fast" if c in job.discrete else "normal" for c in masked}
    with job.fitting():
        kernel = ImputationKernel(given, random_state=job.seed, mean_match_strategy=how, save_all_iterations_data=False)
        kernel.mice(5)
        draws = []
        for _ in range(job.options["draws"]):
            kernel.mice(1)
            draws.append(kernel.complete_data(0))
    return with_summary(masked, draws)


def argn_cells(job: Job) -> pd.DataFrame:
    """Impute by TabularARGN, whose draws are made one by one; the fill is their mean or their most frequent value."""
    masked = job.table("masked")
    model = fit_argn(job, masked)
    given = plain(masked, job.discrete)
    draws = [model.impute(given) for _ in range(job.options["draws"])]
    return with_summary(masked, draws)


def with_summary(masked: pd.DataFrame, draws: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean or the most frequent value of the draws of each cell, followed by the draws."""
    draws = [pd.DataFrame({c: draw[c].astype(masked[c].dtype).to_numpy() for c in masked}) for draw in draws]
    draws = [draw.astype(masked.dtypes) for draw in draws]
    summary = {}
    for c in masked:
        values = np.stack([codes(draw[c]).to_numpy() for draw in draws])
        most = scipy.stats.mode(values, axis=0).mode if masked[c].dtype == "category" else values.mean(axis=0)
        summary[c] = decode(most, masked[c])
    return pd.concat([pd.DataFrame(summary), *draws])


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
