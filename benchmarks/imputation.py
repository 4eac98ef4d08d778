"""Missing cells: how near the truth each method fills what was hidden, a fifth of all cells.

The hidden cells of adult and default_credit are those published with them (the seed is the method's alone); of the
others, they are drawn by the seed. Cells that the table itself lacks stay missing and are not judged. Every method is
given the whole table with its holes and is told which columns are categories. Ordinal columns count as categories
here.

- NRMSE: root mean squared error over the hidden cells of a number column, divided by the standard deviation of the
  column.
- error: share of the hidden cells of a categorical column that are filled wrongly.
- average: over all columns, of the one or the other.
- log score: log probability (for fractions, log density) of the hidden cells' true values given the row's known
  cells, in nats a cell; higher is better. Of mean/mode, what columns by themselves give: frequencies, and a histogram
  of quantiles.

mean/mode fills with the column's own. iterative is scikit-learn's IterativeImputer with its defaults, numbers
standardised, categories as indicators of all but the most frequent, the likeliest taken. missforest is the scheme of
that package: a random forest for each column in turn, categories as codes, at most 5 rounds, stopped when the change
grows.
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
    """A mask of the cells to hide, without those that are missing anyway."""
    given = data_folder() / table.name / "missing20_1.csv.gz"
    hidden = np.zeros(table.frame.shape, dtype=bool)
    if given.exists():
        rows, columns = pd.read_csv(given, header=None).to_numpy().T - 1  # they count from 1
        hidden[rows, columns] = True
    else:
        hidden = np.random.default_rng(seed).random(table.frame.shape) < 0.2
    return hidden & table.frame.notna().to_numpy()


def fill(method: str, table: Table, masked: pd.DataFrame, seed: int, trees: int) -> tuple[pd.DataFrame, dict, object]:
    """The filled table, what it took, and the model if it has a log score."""
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
    )  # as holes make of whole numbers
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
    """Of each column, the normalised root mean squared error, or the share of wrong categories."""
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
    """Mean and mode, and the log score of columns that know nothing of each other.

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
    """Log probabilities, one added to every category's count."""
    counts = column.value_counts() + 1  # categories that were not seen are counted too
    return dict(np.log(counts / counts.sum()))


class Histogram:
    """Log density of a number column, in bins between its quantiles that are no narrower than its last decimal.

    Args:
        column: the numbers, with missing cells.
        quantiles: at how many of them there is a bin's edge.
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
    parser.add_argument("--trees", type=int, default=100, help="in each forest of missforest (100)")
    chosen = parser.parse_args()
    trials = Trials("imputation", chosen)
    small = f"missforest ({chosen.trees} trees)" if chosen.trees != 100 else "missforest"
    trials.run(lambda *of: trial(*of, trees=chosen.trees), lambda method: small if method == "missforest" else method)
    about = __doc__.split("\n", 2)[2].strip()
    trials.write(f"# Missing cells\n\n{about}\n\n{by_table(trials, TABLES, METHODS, MEASURES)}")


if __name__ == "__main__":
    main()
