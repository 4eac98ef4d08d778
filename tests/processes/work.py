"""What several processes do in the tests, and one process for comparison: `python work.py FOLDER`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import vaekit
from vaekit.errors import Interrupted
from vaekit.processes.group import rank, together
from vaekit.training import Trainer
from vaekit.training.state import LATEST

SETTINGS = {
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "latent_dim": 2,
    "training.epochs": 2,
    "training.batch_size": 33,
    "training.validations": 2,
    "training.compile": False,
}
DIGITS = SETTINGS | {"training.batch_size": 301}
RECIPES = {
    "auto": {},
    "autoencoder": {},
    "beta-tc-vae": {},
    "capacity-vae": {},
    "factor-vae": {},
    "free-bits": {"objective.free_bits": 0.3},
    "info-vae": {"objective.mmd_weight": 1000.0},
    "iwae": {},
}
"""Recipes for digits: those that take rows one by one, and all that compare the rows of a batch."""
DROPOUT = DIGITS | {"encoder.dropout": 0.2, "training.epochs": 4, "training.validations": 4}
"""Settings with noise of each process, for tests of equal bytes."""


def table():
    """A mixed table: a number with missing cells, a category and an integer."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=200)
    columns = {"b": rng.choice(["x", "y"], 200), "c": rng.integers(0, 9, 200)}
    return pa.table({"a": np.where(numbers > 1, np.nan, numbers), **columns})


def write_shards(folder):
    """Write the table as files of unequal sizes."""
    folder.mkdir()
    for i, (start, rows) in enumerate([(0, 20), (20, 97), (117, 83)]):
        pq.write_table(table().slice(start, rows), folder / f"{i}.parquet")


def send_signal(at_step):
    """Make this process send itself a signal before a step."""
    original = Trainer._step

    def step(self, number):
        if number == at_step:
            signal.raise_signal(signal.SIGTERM)
        return original(self, number)

    Trainer._step = step


def train_all(folder):
    """Train every recipe, and measure two runs; the table is in memory, or in the files of the folder `rows`."""
    rows = folder / "rows"
    for name, own in RECIPES.items():
        vaekit.train("digits", recipe=name, settings=DIGITS | own, out=folder / name)
    run = vaekit.train(rows if rows.exists() else table(), recipe="table", settings=SETTINGS, out=folder / "table")
    figures = {}
    with together():
        for name, measured in (("table", run), ("autoencoder", vaekit.load(folder / "autoencoder"))):
            figures[name] = measured.evaluate(table() if name == "table" else None).as_json()
        (folder / f"figures-{rank()}.json").write_text(json.dumps(figures))


def stop_and_resume(folder):
    """Train without and with an interruption that only the last process is asked for."""
    vaekit.train("digits", settings=DROPOUT, out=folder / "whole")
    signal.signal(signal.SIGTERM, lambda *_: None)
    rank = int(os.environ["RANK"])
    if rank:
        send_signal(at_step=5)
    try:
        vaekit.train("digits", settings=DROPOUT, out=folder / "cut")
    except Interrupted as stopped:
        saved = (folder / "cut" / LATEST).exists()
        (folder / f"stopped-{rank}.json").write_text(json.dumps([stopped.signal, str(stopped), saved]))
    vaekit.train(resume=folder / "cut")


if __name__ == "__main__":
    {"train": train_all, "stop": stop_and_resume}[sys.argv[1]](Path(sys.argv[2]))
