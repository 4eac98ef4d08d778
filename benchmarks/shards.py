"""Training from a folder of many Parquet files, beside training on a tenth of the same rows in memory, in one process.

The files are made first: numbers of 50 columns without a pattern that compresses, so that their size is that of the rows. Then
one run is made on the folder, and one on the rows of its first files in memory; both take blocks of steps in turn. Memory is
that of the process itself, without files that are mapped, which the kernel may drop at any time.

    python benchmarks/shards.py [FILES] [ROWS OF A FILE] [FOLDER]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import machine

import vaekit
from vaekit.folder import RunFolder
from vaekit.recipe import load_recipe
from vaekit.reporters import Reporter
from vaekit.runs.begin import Given, begin
from vaekit.runs.pace import make_trainer
from vaekit.training import Trainer

COLUMNS, PART, BLOCK, TURNS = 50, 10, 20, 15
"""Columns; share of the files that is held in memory, as 1/PART; steps of a block; blocks of each."""
SETTINGS = {"training.epochs": 1, "training.validations": 1, "training.batch_size": 512}


def make_files(folder: Path, files: int, rows: int) -> int:
    """Write the files that are not there yet, and return the bytes of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(files):
        path = folder / f"{i:04d}.parquet"
        if not path.exists():
            rng = np.random.default_rng([3, i])
            cells = rng.normal(size=(rows, 6)) @ np.random.default_rng(1).normal(size=(6, COLUMNS))
            cells += 0.5 * rng.normal(size=cells.shape)
            pq.write_table(pa.table({f"x{j}": column for j, column in enumerate(cells.T)}), path)
    return sum(path.stat().st_size for path in folder.glob("*.parquet"))


def own_memory() -> float:
    """Return the memory of this process in MiB that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


class Peak(threading.Thread):
    """Notes the greatest memory of this process, ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_at, self.most = own_memory(), 0.0

    def run(self) -> None:
        while True:
            self.most = max(self.most, own_memory())
            time.sleep(0.1)


def make(source: object, place: str) -> Trainer:
    """Make a run on a source, and return its trainer."""
    recipe = load_recipe("table", SETTINGS.items())
    run = begin(RunFolder(Path(place) / "run"), Given(source, None, None, None), recipe, [], 0, {})
    trainer = make_trainer(run, run.split(), Reporter())
    trainer.model.train()
    return trainer


def main() -> None:
    files, rows = int(sys.argv[1]), int(sys.argv[2])
    folder = Path(sys.argv[3])
    size = make_files(folder, files, rows)
    peak = Peak()
    peak.start()
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        shards = make(str(folder), one)
        took, busy, most = time.perf_counter() - begun, time.process_time() - cpu, peak.most
        paths = sorted(folder.glob("*.parquet"))[: max(1, files // PART)]
        memory = make(pa.concat_tables(map(pq.read_table, paths)), other)
        seconds: dict[str, list[float]] = {"shards": [], "memory": []}
        for turn in range(TURNS):
            for name, trainer in (("shards", shards), ("memory", memory)):
                start = time.perf_counter()
                for step in range(turn * BLOCK, (turn + 1) * BLOCK):
                    trainer._step(step)
                seconds[name].append(time.perf_counter() - start)
    rates = {name: 512 * BLOCK / statistics.median(each) for name, each in seconds.items()}
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    found = {
        **{"machine": machine(), "vaekit": vaekit.__version__, "files": files, "rows": files * rows, "bytes": size},
        **{"seconds to read and encode": round(took), "processor seconds": round(busy)},
        **{"MiB before": round(peak.start_at), "MiB at most, from shards": round(most)},
        **{"rows per second": rates, "shards against memory": ratio},
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
