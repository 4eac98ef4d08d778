"""Intervals of missing cells: the share of hidden cells of new rows that they hold, before and after recalibration.

A fifth of the cells is hidden, at random (MCAR) or depending on other columns (MAR), as in `imputation.py`. Four fifths of
the rows train the model; the hidden cells of the others are looked for in their intervals and sets. *Before* are the levels of
the model's own distributions, *after* those that were recalibrated on validation rows which neither trained the model nor
chose its weights; test rows take no part in that.

- numbers 90 %: share of hidden numbers, dates and ordered levels inside intervals of level 90 %, with borders drawn at
  random where single values have probability; 90 is best.
- categories 90 %: the same for sets of categories.
- returned: the share inside the intervals and sets as they are returned. It is higher where values are discrete.
- worst column: the column whose intervals or sets hold a share furthest from 90 %, of columns with at least 100 cells.
- width: mean width of intervals of 90 % after recalibration in standard deviations of their column; mean size of the sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from common import Measure
from masks import hidden_cells
from table_data import load_table, some_rows
from trials import Contestant, Trials, arguments, by_mechanism, some_of

TABLES = [
    "adult",
    "default_credit",
    "wage",
    "health_insurance",
    "diamonds",
    "loans",
    "ames",
    "weather",
    "nmes",
    "default",
]
METHODS = ["vaekit", "vaekit autoregressive-table"]
MECHANISMS = ["MCAR", "MAR"]
LEVELS = (0.5, 0.9, 0.99)
TRAINED, LEAST = 0.8, 100
"""Share of the rows that train, and least hidden cells of a column that is named."""
MOST_TESTED, MOST_SHOWN = 4000, 500
"""Most test rows, and most of them whose intervals are measured for their width."""
MEASURES = [
    Measure(f"{form}_{when}_90", f"{form} {when}, 90 % → .90", 3)
    for form in ("numbers", "categories")
    for when in ("before", "after", "returned")
]
MEASURES += [
    Measure("worst_before", "worst column before", 3),
    Measure("worst_after", "worst column after", 3),
    Measure("width", "width ↓", 2),
    Measure("size", "size ↓", 2),
    Measure("minutes", "minutes", 2),
]


def trial(table: str, method: str, seed: int, mechanism: str, most: int | None) -> dict[str, Any]:
    data = load_table(table)
    some = some_rows(data, most)
    hidden = hidden_cells(data, mechanism, seed)[some]
    data = data.take(some)
    full = data.frame.astype({c: float for c, kind in data.kinds.items() if kind == "number"})  # for missing cells
    masked = full.mask(hidden)
    order = np.random.default_rng(seed).permutation(len(full))
    train, test = np.split(order, [int(TRAINED * len(full))])
    test = test[:MOST_TESTED]
    model, took = Contestant.parse(method).fit(masked.iloc[train].reset_index(drop=True), data.declared, seed)
    run = model.run_.as_table_run()
    found = coverage(run, masked.iloc[test].reset_index(drop=True), full.iloc[test].reset_index(drop=True))
    return {**found, "minutes": took["seconds"] / 60, **took, "rows": len(train), "tested": len(test)}


def coverage(run: Any, masked: pd.DataFrame, full: pd.DataFrame) -> dict[str, Any]:
    """Return the shares of hidden cells inside intervals and sets, before and after recalibration."""
    from vaekit.evaluation.calibration.cells import score_positions
    from vaekit.evaluation.calibration.recalibration import is_unordered
    from vaekit.evaluation.tables.predictive import judge

    rows, truth = run.rows(masked), np.asarray(run.open(full).values, np.float64)
    gone = np.isnan(np.asarray(rows.part.take(0, len(rows)), np.float64)) & ~np.isnan(truth)
    columns, kept = run.schema.modelled, run.recalibration
    judged = judge(run._table_model(None), rows, truth)
    below, reached = (np.where(gone, part, np.nan) for part in (judged.below, judged.reached))
    sets = np.array([is_unordered(column) for column in columns])
    border = np.random.default_rng(0).random(below.shape)
    _, drawn, returned = score_positions(below, reached, border, sets)
    record: dict[str, Any] = {"cells": int(gone.sum()), "recalibrated_rows": kept.rows if kept else 0}
    for level in LEVELS:
        own = np.full(len(columns), level)
        after = np.array([kept.level(i, level) if kept else level for i in range(len(columns))])
        for when, levels, scores in (("before", own, drawn), ("after", after, drawn), ("returned", after, returned)):
            inside = np.where(gone, scores < levels, np.nan)
            for form, chosen in (("numbers", ~sets), ("categories", sets)):
                if gone[:, chosen].any():
                    record[f"{form}_{when}_{100 * level:.0f}"] = float(np.nanmean(inside[:, chosen]))
            if level == 0.9 and when != "returned":
                there = [i for i in range(len(columns)) if gone[:, i].sum() >= LEAST]
                each = {columns[i].name: float(np.nanmean(inside[:, i])) for i in there}
                record |= {f"columns_{when}": each}
                if each:
                    record[f"worst_{when}"] = max(each.values(), key=lambda share: abs(share - level))
    return record | sharpness(run, masked.iloc[:MOST_SHOWN], np.nanstd(truth, 0))


def sharpness(run: Any, masked: pd.DataFrame, scale: np.ndarray) -> dict[str, float]:
    """Return the mean width of intervals of 90 % in units of `scale`, and the mean size of sets."""
    from vaekit.evaluation.tables.predictive import find_intervals

    kept, columns = run.recalibration, run.schema.modelled
    levels = np.array([kept.level(i, 0.9) if kept else 0.9 for i in range(len(columns))])
    found, record = find_intervals(run._table_model(None), run.rows(masked), levels), {}
    widths = (found.upper - found.lower) / np.where(scale > 0, scale, 1.0)
    widths = np.delete(widths, list(found.sets), 1)
    sizes = [own.sum(1)[own.any(1)] for own in found.sets.values()]
    if not np.isnan(widths).all():
        record["width"] = float(np.nanmean(widths))
    if sum(map(len, sizes)):
        record["size"] = float(np.concatenate(sizes).mean())
    return record


def tasks(trials: Trials, mechanisms: list[str]) -> Iterator[dict[str, Any]]:
    """Yield every trial with every mechanism."""
    for task in trials.tasks():
        for mechanism in mechanisms:
            yield task | {"mechanism": mechanism}


def report(trials: Trials) -> str:
    about = __doc__.split("\n", 2)[2].strip()
    found = by_mechanism(trials, TABLES, METHODS, MEASURES, MECHANISMS)
    return f"# Intervals of missing cells\n\n{about}\n\n{found}"


def main() -> None:
    parser = arguments(__doc__, TABLES, METHODS)
    parser.set_defaults(seeds=[0])
    parser.add_argument("--mechanisms", type=some_of(MECHANISMS), default=MECHANISMS, help="some of MCAR,MAR (all)")
    chosen = parser.parse_args()
    trials = Trials("calibration", chosen)
    trials.run(partial(trial, most=chosen.rows), tasks(trials, chosen.mechanisms))
    trials.write(report(trials))


if __name__ == "__main__":
    main()
