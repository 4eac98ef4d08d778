"""Rates of one processor core on a table of 50 columns: rows per second of training, scores, codes, filled cells and draws.

The table is made: 25 numbers (three tenths rounded to whole ones) and 25 categories of 2 to 20 values, all of which depend on
six numbers that are not in it; a tenth of the cells is missing. Seconds are those of the processor with one thread, so other
work on the machine matters little. `docs/scale.md` multiplies the rates.

    python benchmarks/rates.py [ROWS]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import machine

import vaekit
from vaekit.reporters import Reporter
from vaekit.runs.verbs import Draw, Encode, Impute, Reconstruct, RowVerb, Score

COLUMNS, HIDDEN, MISSING = 50, 6, 0.1
RECIPES = ("table", "autoregressive-table")


def make_rows(n: int, seed: int = 0) -> pa.Table:
    """Make a table of 50 columns."""
    rng = np.random.default_rng(seed)
    hidden, weights = rng.normal(size=(n, HIDDEN)), np.random.default_rng(1).normal(size=(HIDDEN, COLUMNS))
    values, columns = hidden @ weights + 0.3 * rng.normal(size=(n, COLUMNS)), {}
    for i in range(COLUMNS):
        gone = rng.random(n) < MISSING
        if i % 2:
            edges = np.linspace(-3, 3, 1 + i * 18 // COLUMNS)
            cells = np.char.add("v", np.digitize(values[:, i], edges).astype(str))
            columns[f"c{i}"] = pa.array(cells, mask=gone)
        else:
            columns[f"x{i}"] = pa.array(np.round(10 * values[:, i]) if i % 3 == 0 else values[:, i], mask=gone)
    return pa.table(columns)


class Pace(Reporter):
    """Notes the processor time at each step, to leave out what comes before and after the steps."""

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:  # noqa: ARG002
        self.rows_per_step, self.times = rows_per_step, [time.process_time()]

    def advance(self, step: int) -> None:  # noqa: ARG002
        self.times.append(time.process_time())

    def rate(self) -> float:
        """Return rows per second: by the median time between steps, since validations fall between some."""
        return self.rows_per_step / float(np.median(np.diff(self.times)))


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of some work, after it was done once."""
    work()
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(recipe: str, n: int, place: Path) -> dict[str, float]:
    """Train on n rows, and return rows per second of each verb."""
    rows, pace = make_rows(n), Pace()
    steps = {"training.epochs": 3, "training.validations": 1}
    run = vaekit.train(rows, recipe=recipe, settings=steps, out=place / recipe, reporter=pace)
    some, draws = rows.slice(0, 2048), run.recipe.evaluation.samples
    verbs: dict[str, tuple[RowVerb, object]] = {
        "encode": (Encode(), some),
        "reconstruct": (Reconstruct(), some),
        "score, K = 1": (Score(1), some),
        f"score, K = {draws}": (Score(), some),
        "impute, K = 10": (Impute(10), some),
        f"impute, K = {draws}": (Impute(), some),
        "sample": (Draw(), range(2048)),
    }
    found = {"train": pace.rate()}
    for name, (verb, given) in verbs.items():
        prepared = verb.prepare(run)
        found[name] = 2048 / seconds(lambda v=verb, p=prepared, g=given: v.table(p, g))
    pq.write_table(rows, path := place / "rows.parquet")
    found["read and encode a Parquet file"] = n / seconds(lambda: vaekit.load(run.path).rows(path))
    return found


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    warnings.simplefilter("ignore", UserWarning)  # short training
    with tempfile.TemporaryDirectory() as place:
        found = {recipe: measure(recipe, n, Path(place)) for recipe in RECIPES}
    print(json.dumps({"machine": machine(), "rows": n, "rows per second": found}, indent=1))


if __name__ == "__main__":
    main()
