"""Shared code of the benchmarks: the data folder, the peers' environment, resumable trials, and Markdown."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def data_folder() -> Path:
    folder = Path(os.environ.get("VAEKIT_DATA", HERE.parent.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"The data folder '{folder}' does not exist. Set VAEKIT_DATA to its path.")
    return folder


# The peers.


def peers_python() -> Path:
    """Return the Python interpreter of the peers' environment, which is made on first use."""
    folder, wanted = HERE / ".venv", HERE / "requirements.txt"
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        print(f"Making the peers' environment in {folder} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
        subprocess.run(pip, check=True)
        # mostlyai-engine asks for these two, whose usual wheels do not load beside the torch for processors alone
        subprocess.run([*pip[:3], "uninstall", "--quiet", "--yes", "torchvision", "torchaudio"], check=True)
        stamp.write_text(wanted.read_text())
    return python


def run_peer(
    method: str,
    tables: Mapping[str, pd.DataFrame],
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
    options: Mapping[str, object] | None = None,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Run a method of `peers.py` in the peers' environment.

    Args:
        method: the method's name in `peers.py`.
        tables: the tables that the method reads, by name.
        kinds: the kind of each column.
        seed: the method's seed.
        options: further options of the method.

    Returns:
        The method's result, and the wall-clock and processor seconds that fitting took.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for table, frame in tables.items():
            frame.to_parquet(folder / f"{table}.parquet")
        job = {"kinds": dict(kinds or {}), "seed": seed, "options": dict(options or {})}
        (folder / "job.json").write_text(json.dumps(job))
        answer = folder / "answer.parquet"
        command = [str(peers_python()), "-W", "ignore", str(HERE / "peers.py"), method, str(folder), str(answer)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{method} ended with {done.returncode}: {done.stderr[-2000:]}")
        return pd.read_parquet(answer), json.loads(answer.with_suffix(".json").read_text())


@contextlib.contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Yield a dictionary that receives the wall-clock and processor seconds of the block."""
    took: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


# Machines.


def circumstances(before: tuple[float, float, float]) -> dict[str, object]:
    """Return what a timing depends on: the machine's load before and now, threads, date, machine and version."""
    return {
        "load": [*before[:1], *os.getloadavg()[:1]],
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "vaekit": version("vaekit"),
    }


def machine() -> str:
    model, flags = platform.processor() or platform.machine(), ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        model, flags = told.get("model name", model), told.get("flags", told.get("Features", ""))
    arithmetic = f", {'with' if 'bf16' in flags else 'without'} bfloat16" if flags else ""
    return f"{model}, {os.cpu_count()} cores{arithmetic}"


# Markdown.


@dataclasses.dataclass(frozen=True)
class Measure:
    """A column of a report: its key in the records, its heading, and its number of digits."""

    key: str
    heading: str
    digits: int = 3


def cell(records: list[dict], measure: Measure) -> str:
    """Return the median over seeds with the range, or a dash without values."""
    values = [r[measure.key] for r in records if r.get(measure.key) is not None]
    if not values:
        return "–"
    text = [f"{value:.{measure.digits}f}" for value in (statistics.median(values), min(values), max(values))]
    mark = star(records) if measure.key == "minutes" else ""
    return text[0] + mark + (f" ({text[1]} to {text[2]})" if len(values) > 1 else "")


def star(records: list[dict]) -> str:
    """Return a star for times that other work on the machine made longer."""
    cores = os.cpu_count() or 1
    held_back = any((r["threads"] or str(cores)) != str(cores) for r in records)
    return "\\*" if held_back or any(max(r["load"]) > 1.2 * cores for r in records) else ""


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])
