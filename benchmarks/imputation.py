"""Missing cells: how close each method's imputed cells are to the hidden ones, and how well its draws are calibrated.

A fifth of the cells are hidden in one of three ways.

- MCAR: at random. For adult and default_credit, seed 0 hides the cells that were published with these tables.
- MAR: a third of the columns are never hidden. In each other column, the probability that a cell is hidden depends on
  the row's value in one of these columns: its logit is linear in the standardised rank, with slope 2 and a mean
  probability of 20 %.
- MNAR: the same, with the value of the hidden cell itself.

MAR and MNAR have the first seed only. Cells that are missing in the table itself stay missing and are not scored. Every
method gets the whole table with its missing cells, and a list of the categorical columns. Ordinal columns count as
categories. Peers get dates as days.

- NRMSE: root mean squared error over the hidden cells of a number column, divided by the standard deviation of the
  column.
- error: share of the hidden cells of a categorical column that are filled wrongly.
- average: the mean over all columns of the NRMSE or the error.
- energy: the energy score of 19 draws of the hidden cells of a row, averaged over rows; numbers count in standard
  deviations of their column, and a wrong category counts 1. A method without draws (marked †) has only its fill, which
  is scored as a point: that is the distance of the fill from the truth.
- coverage: share of hidden numbers between the least and the greatest of the 19 draws, averaged over columns; 0.90 is
  best. With ties, the expectation is the same (`scores.py`).
- log score: log probability (for fractions without point masses, log density) of the hidden cells' true values given
  the row's known cells, in nats per cell; higher is better. For mean/mode it comes from single columns: frequencies, or
  a histogram between quantiles, in vaekit's units (`units.py`). The autoregressive recipe has none: its log p of a row
  with missing cells is not exactly the marginal of the whole row's.

mean/mode fills with the mean or mode of the column. iterative is scikit-learn's IterativeImputer with its defaults, on
standardised numbers and indicators of all categories except the most frequent; the likeliest category is taken, and
draws come from its option `sample_posterior`. missforest follows the package of that name: a random forest for each
column in turn, categories as codes, at most 5 rounds, and a stop when the change grows; `missforest trees=10` is
faster. miceforest is MICE with gradient-boosted trees and predictive mean matching. argn is MOSTLY AI's TabularARGN.
The fills of the last two are the means or the most frequent values of their draws. Minutes are those of fitting and
filling once, of miceforest those of all draws.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from common import Measure, run_peer, stopwatch
from marginals import IndependentColumns
from masks import MECHANISMS, hidden_cells
from scores import DRAWS, coverage, energy_score
from table_data import TABLES, Table, as_codes, dates_as_days, load_table, some_rows
from trials import Contestant, Trials, arguments, by_mechanism, some_of
from units import find_units

METHODS = ["vaekit", "vaekit autoregressive-table", "mean/mode", "iterative", "missforest", "miceforest", "argn"]
POINTS = ["mean/mode", "missforest"]
"""Methods without draws."""
MEASURES = [
    Measure("average", "average ↓"),
    Measure("energy", "energy ↓"),
    Measure("coverage", "coverage → 0.90", 2),
    Measure("nrmse", "NRMSE ↓"),
    Measure("error", "error ↓"),
    Measure("log_score", "log score ↑"),
    Measure("minutes", "minutes", 2),
]


@dataclasses.dataclass
class Imputed:
    """The filled table, the draws (none for methods that have only a fill), the log score, and the time that it took."""

    filled: pd.DataFrame
    draws: list[pd.DataFrame]
    took: dict[str, float]
    log_score: float | None = None


def impute(method: str, table: Table, full: pd.DataFrame, masked: pd.DataFrame, seed: int) -> Imputed:
    """Fill the missing cells of `masked`; `full` is only used for the log score."""
    contestant = Contestant.parse(method)
    hidden = int((full.notna() & masked.isna()).to_numpy().sum())
    if contestant.name == "vaekit":
        model, took = contestant.fit(masked, table.declared, seed)
        with stopwatch() as filling:
            filled = model.impute(masked)
        gain = model.score_samples(full) - model.score_samples(masked) if contestant.recipe == "auto" else None
        took = {key: took[key] + filling[key] for key in took}
        return Imputed(filled, model.impute(masked, draws=DRAWS), took, None if gain is None else gain.sum() / hidden)
    if contestant.name == "mean/mode":
        with stopwatch() as took:
            filled = masked.apply(lambda c: c.fillna(c.mode()[0] if c.dtype == "category" else c.mean()))
        units = find_units(masked, full, table.declared)
        model = IndependentColumns(units.train, units.categories, units.widths)
        gain = model.log_prob(units.test) - model.log_prob(units.train)
        return Imputed(filled, [], took, gain.sum() / hidden)
    options = {"draws": DRAWS, **contestant.options}
    name = "argn-cells" if contestant.name == "argn" else contestant.name
    answer, took = run_peer(name, {"masked": dates_as_days(masked)}, table.kinds, seed, options)
    filled, *draws = (answer.iloc[at : at + len(masked)] for at in range(0, len(answer), len(masked)))
    return Imputed(filled, draws, took)


def trial(table: str, method: str, seed: int, mechanism: str, most: int | None) -> dict[str, Any]:
    data = load_table(table)
    some = some_rows(data, most)
    hidden = hidden_cells(data, mechanism, seed)[some]
    data = data.take(some)
    full = data.frame.astype({c: float for c, kind in data.kinds.items() if kind == "number"})  # for missing cells
    found = impute(method, data, full, full.mask(hidden), seed)
    errors = column_errors(data, found.filled, hidden)
    record = {"column_errors": errors, "average": float(np.mean(list(errors.values())))}
    for key, columns in {"error": data.discrete, "nrmse": data.numbers}.items():
        if of := [errors[c] for c in columns if c in errors]:
            record[key] = float(np.mean(of))
    if found.log_score is not None:
        record["log_score"] = float(found.log_score)
    return {
        **record,
        **draw_scores(data, [aligned(data, f) for f in found.draws or [found.filled]], hidden),
        "minutes": found.took["seconds"] / 60,
        **found.took,
        "rows": len(full),
        "hidden": float(hidden.mean()),
    }


def aligned(table: Table, filled: pd.DataFrame) -> pd.DataFrame:
    """Return a filled table with the columns and categories of the true one, as numbers."""
    filled = filled[table.frame.columns].reset_index(drop=True)
    return as_codes(filled.astype({c: table.frame[c].dtype for c in table.discrete}))


def column_errors(table: Table, filled: pd.DataFrame, hidden: np.ndarray) -> dict[str, float]:
    """Return the normalised root mean squared error, or the share of wrong categories, of each column with hidden cells."""
    truth, told = as_codes(table.frame), aligned(table, filled)
    errors = {}
    for place, column in enumerate(truth):
        if not hidden[:, place].any():
            continue
        wrong = told[column][hidden[:, place]] - truth[column][hidden[:, place]]
        if wrong.isna().any():
            raise ValueError(f"`{column}` must be filled. Got {wrong.isna().sum()} missing cells instead.")
        if column in table.discrete:
            errors[column] = float((wrong != 0).mean())
        else:
            errors[column] = float(np.sqrt((wrong**2).mean()) / (truth[column].std() or 1.0))
    return errors


def draw_scores(table: Table, draws: list[pd.DataFrame], hidden: np.ndarray) -> dict[str, Any]:
    """Return the energy score, and the coverage of each column of numbers if there are draws."""
    truth, stack = as_codes(table.frame), np.stack([draw.to_numpy() for draw in draws])
    scale = np.array([np.nan if c in table.discrete else truth[c].std() or 1.0 for c in truth])
    record: dict[str, Any] = {"energy": energy_score(stack, truth.to_numpy(), hidden, scale), "draws": len(draws)}
    if len(draws) == DRAWS:
        covered = {
            c: coverage(stack[:, hidden[:, i], i], truth[c].to_numpy()[hidden[:, i]])
            for i, c in enumerate(truth)
            if c in table.numbers and hidden[:, i].any()
        }
        if covered:
            record |= {"coverage": float(np.mean(list(covered.values()))), "column_coverage": covered}
    return record


def tasks(trials: Trials, mechanisms: list[str]) -> Iterator[dict[str, Any]]:
    """Yield all trials: the first seed with every mechanism, the other seeds with MCAR alone."""
    for task in trials.tasks():
        for mechanism in mechanisms:
            if mechanism == "MCAR" or task["seed"] == trials.chosen.seeds[0]:
                yield task | {"mechanism": mechanism}


def report(trials: Trials) -> str:
    about = __doc__.split("\n", 2)[2].strip()
    found = by_mechanism(trials, TABLES, METHODS, MEASURES, MECHANISMS)
    text = f"# Missing cells\n\n{about}\n\n{found}"
    return re.sub(rf"^\| ({'|'.join(POINTS)})\b", r"| \1 †", text, flags=re.MULTILINE)


def main() -> None:
    parser = arguments(__doc__, TABLES, METHODS)
    parser.add_argument(
        "--mechanisms", type=some_of(MECHANISMS), default=MECHANISMS, help="some of MCAR,MAR,MNAR (all)"
    )
    chosen = parser.parse_args()
    trials = Trials("imputation", chosen)
    trials.run(partial(trial, most=chosen.rows), tasks(trials, chosen.mechanisms))
    trials.write(report(trials))


if __name__ == "__main__":
    main()
