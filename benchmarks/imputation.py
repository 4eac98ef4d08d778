"""Missing cells: how close each method's imputed cells are to the hidden ones, a fifth of all cells.

The hidden cells of adult and default_credit were published with these tables, so the seed only affects the method. For
the other tables the seed draws the hidden cells. Cells that are missing in the table itself stay missing and are not
scored. Every method gets the whole table with its missing cells, and a list of the categorical columns. Ordinal columns
count as categories.

- NRMSE: root mean squared error over the hidden cells of a number column, divided by the standard deviation of the
  column.
- error: share of the hidden cells of a categorical column that are filled wrongly.
- average: the mean over all columns of the NRMSE or the error.
- log score: log probability (for fractions, log density) of the hidden cells' true values given the row's known
  cells, in nats per cell; higher is better. For mean/mode it comes from single columns: frequencies, or a histogram
  between quantiles.

mean/mode fills with the mean or mode of the column. iterative is scikit-learn's IterativeImputer with its defaults, on
standardised numbers and indicators of all categories except the most frequent; the likeliest category is taken.
missforest follows the package of that name: a random forest for each column in turn, categories as codes, at most 5
rounds, and a stop when the change grows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from common import (
    TABLES,
    Measure,
    Table,
    Trials,
    arguments,
    as_codes,
    by_table,
    data_folder,
    load_table,
    run_peer,
    stopwatch,
)

METHODS = ["vaekit", "mean/mode", "iterative", "missforest"]
MEASURES = [
    Measure("nrmse", "NRMSE ↓"),
    Measure("error", "error ↓"),
    Measure("average", "average ↓"),
    Measure("log_score", "log score ↑"),
    Measure("minutes", "minutes", 2),
]


def hidden_cells(table: Table, seed: int) -> np.ndarray:
    """Return a mask of the cells to hide, without cells that are missing anyway."""
    given = data_folder() / table.name / "missing20_1.csv.gz"
    hidden = np.zeros(table.frame.shape, dtype=bool)
    if given.exists():
        rows, columns = pd.read_csv(given, header=None).to_numpy().T - 1  # the published indices count from 1
        hidden[rows, columns] = True
    else:
        hidden = np.random.default_rng(seed).random(table.frame.shape) < 0.2
    return hidden & table.frame.notna().to_numpy()


def fill(method: str, table: Table, masked: pd.DataFrame, seed: int, trees: int) -> tuple[pd.DataFrame, dict, object]:
    """Return the filled table, the time that it took, and the model if it has a log score."""
    if method == "vaekit":
        from vaekit import VAE

        with stopwatch() as took:
            model = VAE(columns=table.declared, random_state=seed).fit(masked)
            filled = model.impute(masked)
        return filled, took, model
    if method == "mean/mode":
        with stopwatch() as took:
            model = Marginals(masked)
            filled = model.impute(masked)
        return filled, took, model
    return *run_peer(method, {"masked": masked}, table.kinds, seed, {"trees": trees}), None


def trial(name: str, method: str, seed: int, trees: int) -> dict:
    table = load_table(name)
    hidden = hidden_cells(table, seed)
    full = table.frame.astype(
        {c: float for c in table.kinds if c not in table.discrete}
    )  # missing cells turn integers into floats
    masked = full.mask(hidden)
    filled, took, model = fill(method, table, masked, seed, trees)
    errors = column_errors(table, filled, hidden)
    record = {"column_errors": errors, "average": float(np.mean(list(errors.values())))}
    for key, columns in {"error": table.discrete, "nrmse": [c for c in table.kinds if c not in table.discrete]}.items():
        if columns:
            record[key] = float(np.mean([errors[c] for c in columns]))
    if model is not None:
        gain = np.asarray(model.score_samples(full)) - np.asarray(model.score_samples(masked))
        record["log_score"] = float(gain.sum() / hidden.sum())
    return {**record, "minutes": took["seconds"] / 60, **took, "rows": len(masked)}


def column_errors(table: Table, filled: pd.DataFrame, hidden: np.ndarray) -> dict[str, float]:
    """Return the normalised root mean squared error, or the share of wrong categories, of each column."""
    filled = filled[table.frame.columns].reset_index(drop=True)
    filled = filled.astype({c: table.frame[c].dtype for c in table.discrete})
    truth, told = as_codes(table.frame), as_codes(filled)
    errors = {}
    for place, column in enumerate(truth):
        wrong = told[column][hidden[:, place]] - truth[column][hidden[:, place]]
        if wrong.isna().any():
            raise ValueError(f"`{column}` must be filled. Got {wrong.isna().sum()} missing cells instead.")
        if column in table.discrete:
            errors[column] = float((wrong != 0).mean())
        else:
            errors[column] = float(np.sqrt((wrong**2).mean()) / truth[column].std())
    return errors


class Marginals:
    """The baseline mean/mode, with the log score of independent columns.

    Args:
        frame: the table, with missing cells.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.score = {c: frequencies(frame[c]) if frame[c].dtype == "category" else Histogram(frame[c]) for c in frame}

    def impute(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.apply(lambda c: c.fillna(c.mode()[0] if c.dtype == "category" else c.mean()))

    def score_samples(self, frame: pd.DataFrame) -> np.ndarray:
        scores = [frame[column].astype(object).map(score).astype(float) for column, score in self.score.items()]
        return np.nansum(scores, axis=0)


def frequencies(column: pd.Series) -> dict[object, float]:
    """Return log probabilities of categories, with one added to every count."""
    counts = column.value_counts() + 1  # categories that were not seen get a count, too
    return dict(np.log(counts / counts.sum()))


class Histogram:
    """The log density of a number column, in bins between quantiles that are no narrower than its last decimal.

    Args:
        column: the numbers, with missing cells.
        quantiles: number of quantiles at which a bin has an edge.
    """

    def __init__(self, column: pd.Series, quantiles: int = 100) -> None:
        known = column.dropna().to_numpy()
        decimals = next((d for d in range(6) if np.allclose(known, known.round(d), rtol=0, atol=1e-9)), 6)
        half = 0.5 * 10.0**-decimals
        points = np.quantile(known, np.linspace(0, 1, quantiles + 1), method="nearest")
        self.edges = np.unique(np.concatenate([points - half, points + half]).round(decimals + 1))
        counts = np.histogram(known, self.edges)[0] + 0.5
        self.log_density = np.log(counts / counts.sum() / np.diff(self.edges))

    def __call__(self, value: float) -> float:
        if np.isnan(value):
            return np.nan
        place = np.searchsorted(self.edges, value) - 1
        return float(self.log_density[np.clip(place, 0, len(self.log_density) - 1)])


def main() -> None:
    parser = arguments(__doc__, TABLES, METHODS)
    parser.add_argument("--trees", type=int, default=100, help="trees in each forest of missforest (100)")
    chosen = parser.parse_args()
    trials = Trials("imputation", chosen)
    small = f"missforest ({chosen.trees} trees)" if chosen.trees != 100 else "missforest"
    trials.run(lambda *of: trial(*of, trees=chosen.trees), lambda method: small if method == "missforest" else method)
    about = __doc__.split("\n", 2)[2].strip()
    trials.write(f"# Missing cells\n\n{about}\n\n{by_table(trials, TABLES, METHODS, MEASURES)}")


if __name__ == "__main__":
    main()
