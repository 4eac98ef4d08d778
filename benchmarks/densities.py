"""Densities: log p(x) of held-out complete rows, in nats per row, in the units of the data.

Every method is trained on the same 80 % of the rows and scored on the rest; rows with missing cells are left out.
`NAME numbers` is a table without its categories. A category and a number on a grid have a probability, other numbers a
density; `units.py` says which, from the training rows, and all methods are compared in these units. Higher is better.

- vaekit: a lower bound, by importance weights of the recipe's number of draws.
- independent: frequencies of categories and histograms between quantiles, column by column.
- spline-flow: a neural spline flow by zuko, five transforms, for tables of numbers. Numbers on a grid get uniform noise
  within their interval, so its figure is a lower bound of the log-probability of the intervals (32 draws of the noise).
- argn: MOSTLY AI's TabularARGN, where all numbers lie on a grid: numbers are predicted digit by digit, which gives the
  probability of the exact value.

The standard error is that of the mean over the test rows; `gain` is the log p(x) above that of independent columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from common import Measure, run_peer
from marginals import IndependentColumns
from sklearn.model_selection import train_test_split
from table_data import Table, load_table, some_rows
from trials import Contestant, Trials, arguments, by_table
from units import Units, find_units

MIXED = ["adult", "default_credit", "magic", "beijing", "shoppers", "diamonds", "wage", "default"]
NUMBERS = ["magic numbers", "beijing numbers", "diamonds numbers"]
TABLES = [*NUMBERS, *MIXED]
METHODS = ["vaekit", "vaekit autoregressive-table", "independent", "spline-flow", "argn"]
FRACTIONS = ["shoppers", "wage", "default"]
"""Tables with numbers that lie on no decimal grid, so that their exact values have no probability by digits."""
MEASURES = [
    Measure("log_prob", "log p(x) ↑", 2),
    Measure("standard_error", "standard error", 2),
    Measure("gain", "gain ↑", 2),
    Measure("minutes", "minutes to train", 2),
]


def log_probs(
    method: str, table: Table, frames: tuple[pd.DataFrame, pd.DataFrame], units: Units, seed: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Return log p(x) of each test row, and the time that fitting took."""
    contestant, (train, test) = Contestant.parse(method), frames
    if contestant.name == "vaekit":
        model, took = contestant.fit(train, table.declared, seed)
        return model.score_samples(test) + units.correction(model.run_.transform.cells), took
    if contestant.name == "independent":
        return IndependentColumns(units.train, units.categories, units.widths).log_prob(units.test), {}
    if contestant.name == "argn":
        rows = {"train": train, "test": test}
        answer, took = run_peer("argn-density", rows, table.kinds, seed, contestant.options)
    else:
        widths = [1.0 if count else width for count, width in zip(units.categories, units.widths, strict=True)]
        rows = {
            name: pd.DataFrame(codes).rename(columns=str)
            for name, codes in [("train", units.train), ("test", units.test)]
        }
        options = {"widths": widths, "max_epochs": 200, **contestant.options}
        answer, took = run_peer(contestant.name, rows, seed=seed, options=options)
    return answer["log_prob"].to_numpy(), took


def read_table(name: str, most: int | None) -> Table:
    """Read the complete rows of a table."""
    table = load_table(name.split()[0])
    table = table.only_numbers() if name.endswith(" numbers") else table
    table = table.take(np.flatnonzero(table.frame.notna().all(axis=1)))
    return table.take(some_rows(table, most))


def trial(table: str, method: str, seed: int, most: int | None) -> dict[str, Any]:
    data = read_table(table, most)
    train, test = (f.reset_index(drop=True) for f in train_test_split(data.frame, test_size=0.2, random_state=seed))
    units = find_units(train, test, data.declared)
    found, took = log_probs(method, data, (train, test), units, seed)
    independent = IndependentColumns(units.train, units.categories, units.widths).log_prob(units.test)
    return {
        "log_prob": float(found.mean()),
        "standard_error": float(found.std(ddof=1) / np.sqrt(len(found))),
        "gain": float((found - independent).mean()),
        **({"minutes": took["seconds"] / 60} if took else {}),
        **took,
        "rows": len(train),
        "test_rows": len(test),
    }


def tasks(trials: Trials) -> Iterator[dict[str, Any]]:
    """Yield the trials of methods that can score the table."""
    for task in trials.tasks():
        name = Contestant.parse(task["method"]).name
        unable = {"spline-flow": task["table"] in MIXED, "argn": task["table"] in FRACTIONS}
        if not unable.get(name, False):
            yield task


def main() -> None:
    chosen = arguments(__doc__, TABLES, METHODS).parse_args()
    trials = Trials("densities", chosen)
    trials.run(partial(trial, most=chosen.rows), tasks(trials))
    about = __doc__.split("\n", 2)[2].strip()
    trials.write(f"# Densities\n\n{about}\n\n{by_table(trials, TABLES, METHODS, MEASURES)}")


if __name__ == "__main__":
    main()
