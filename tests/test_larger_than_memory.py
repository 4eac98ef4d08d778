"""A Parquet file that is larger than the memory a process may have goes through every verb."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

ROWS, COLUMNS, PIECE = 4_000_000, 30, 100_000
ALLOWED = 600 << 20
"""Bytes of private memory beyond what the imports need: the table has 960 MB, and its codes as many again."""

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
CAPPED = """
import resource, sys
import torch, accelerate, pyarrow, pyarrow.parquet, pyarrow.csv, vaekit.runs.train, vaekit.cli.writing, vaekit.training.loop
pyarrow.array([1.0])
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[1]),) * 2)
sys.argv[:2] = ["vaekit"]
from vaekit.cli import main
main()
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("large") / "large.parquet", np.random.default_rng(0)
    names = [f"x{i}" for i in range(COLUMNS)]
    with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names])) as writer:
        for _ in range(ROWS // PIECE):
            z = rng.normal(size=PIECE)
            cells = [np.where(rng.random(PIECE) < 0.02, np.nan, z + rng.normal(size=PIECE)) for _ in names]
            writer.write_table(pa.table([pa.array(c, from_pandas=True) for c in cells], names=names))
    return path


def capped(*arguments):
    command = [sys.executable, "-c", CAPPED, str(ALLOWED), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_file_larger_than_memory(large, tmp_path):
    run = tmp_path / "run"
    quick = {"training.epochs": 1, "training.batch_size": 2048, "training.validations": 1, "objective.samples": 1,
             "encoder.hidden": [16], "decoder.hidden": [16], "data.validation": 0.001, "evaluation.samples": 1,
             "latent_dim": 2}  # fmt: skip
    capped(
        "train", large, "--out", run, *(part for key, value in quick.items() for part in ("--set", f"{key}={value}"))
    )
    for verb in ("encode", "score", "impute"):
        capped(verb, run, large, "--out", tmp_path / f"{verb}.parquet")
        with pq.ParquetFile(tmp_path / f"{verb}.parquet") as file:
            assert file.metadata.num_rows == ROWS
    filled = pq.read_table(tmp_path / "impute.parquet", columns=["x0"])["x0"]
    assert filled.null_count == 0


def test_the_cap_is_below_what_the_table_needs(large):
    command = CAPPED.rpartition("sys.argv[:2]")[0] + f"print(pyarrow.parquet.read_table({str(large)!r}).nbytes)"
    done = subprocess.run(
        [sys.executable, "-c", command, str(ALLOWED)], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode != 0
    assert "alloc" in done.stderr
