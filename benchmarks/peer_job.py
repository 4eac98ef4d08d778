"""What the methods of other packages share: their input, and the conversion of tables to numbers and back."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def plain(frame: pd.DataFrame, discrete: list[str]) -> pd.DataFrame:
    """Convert categories to plain strings, and numbers to floats."""
    return pd.DataFrame({c: frame[c].astype(object if c in discrete else float) for c in frame})


def codes(column: pd.Series) -> pd.Series:
    """Convert a column to floats with NaN, and a category to its position in the list of categories."""
    if column.dtype == "category":
        return column.cat.codes.astype(float).replace(-1.0, np.nan)
    return column.astype(float)


def fit_argn(job: Job, frame: pd.DataFrame, numbers: str = "TABULAR_NUMERIC_AUTO") -> Any:
    """Fit MOSTLY AI's TabularARGN with its defaults, but without the protection that replaces rare values."""
    from mostlyai.engine import TabularARGN

    kinds = {c: "TABULAR_CATEGORICAL" if c in job.discrete else numbers for c in frame}
    chosen = {key: value for key, value in job.options.items() if key == "max_epochs"}
    model = TabularARGN(tgt_encoding_types=kinds, value_protection=False, random_state=job.seed, **chosen)
    with job.fitting():
        model.fit(plain(frame, job.discrete))
    return model


def decode(values: np.ndarray, like: pd.Series) -> pd.Series:
    """Convert codes back to categories, and leave numbers unchanged."""
    if like.dtype == "category":
        place = np.round(values).astype(int).clip(0, len(like.cat.categories) - 1)
        return pd.Series(pd.Categorical.from_codes(place, dtype=like.dtype))
    return pd.Series(values)
