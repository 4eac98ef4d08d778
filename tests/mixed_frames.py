"""A table of columns of all kinds with hostile names, and settings with which a model of it is trained in seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vaekit.data import Column
from vaekit.evaluation.tables.rows import ComparedRows

SMALL = {
    "training.epochs": 12,
    "training.batch_size": 64,
    "training.patience": 0,
    "latent_dim": 3,
    "encoder.hidden": [32],
    "decoder.hidden": [32],
    "evaluation.samples": 20,
}
HOSTILE = "<script>alert(1)</script>"
QUOTED = '"it\'s" <b>'
LONG = "a name that goes on " * 20


def numbers(**parts):
    return Column(**({"name": "x", "kind": "real", "type": "double"} | parts))


def words(count=3, kind="categorical", rare=()):
    return Column(name="w", kind=kind, type="string", categories=tuple(f"v{i}" for i in range(count)), rare=rare)


def table_rows(columns, real, generated, train=None):
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    return ComparedRows(tuple(columns), real, generated, real if train is None else train, ((),) * len(columns))


def make_frame(n=600, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            HOSTILE: z,
            "quoted": rng.choice([QUOTED, "plain", ""], n, p=[0.5, 0.3, 0.2]),
            "温度": np.round(20 + 5 * z, 1),
            "group": np.where(z > 0, "up", "down"),
            "stars": np.clip(np.round(3 + z), 1, 5),
            "amount": np.where(rng.random(n) < 0.6, 0.0, np.round(np.exp(5 + 2 * z), 2)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(100 * z), unit="D"),
            LONG: rng.normal(size=n),
            "steady": "always",
            "empty": np.full(n, np.nan),
            "id": [f"u{i:05d}" for i in range(n)],
        }
    )
    frame.loc[rng.random(n) < 0.25, "温度"] = np.nan
    return frame
