"""Trials of the benchmarks: the contestants, the options of the command line, and results that a rerun continues."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd
from common import HERE, RESULTS, Measure, cell, circumstances, markdown_table, stopwatch


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A method with its options, written as `NAME [RECIPE] [KEY=VALUE …]`, such as `vaekit table training.epochs=3`.

    Args:
        name: the method.
        recipe: vaekit's recipe.
        options: settings of vaekit's recipe, or options of a peer.
    """

    name: str
    recipe: str = "auto"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, label: str) -> Contestant:
        name, *words = label.split()
        pairs = [word.split("=", 1) for word in words if "=" in word]
        recipe = next((word for word in words if "=" not in word), "auto")
        return cls(name, recipe, {key: _value(text) for key, text in pairs})

    def fit(self, rows: pd.DataFrame, columns: Mapping[str, str], seed: int) -> tuple[Any, dict[str, float]]:
        """Train vaekit, and return the estimator and the time that it took."""
        import accelerate  # noqa: F401  # the peers' imports are not counted either

        from vaekit import VAE

        with stopwatch() as took:
            model = VAE(recipe=self.recipe, columns=columns, settings=self.options, random_state=seed).fit(rows)
        return model, took


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def some_of(known: Iterable[str], options: bool = False) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names that refuses unknown names, with or without options after a name."""
    names = {word.split()[0] if options else word for word in known}

    def parse(text: str) -> list[str]:
        words = [word.strip() for word in text.split(",")]
        unknown = [word for word in words if (word.split(" ")[0] if options else word) not in names]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} unknown; known are {', '.join(sorted(names))}")
        return words

    return parse


def numbers(text: str) -> list[int]:
    """Parse comma-separated whole numbers."""
    return [int(word) for word in text.split(",")]


def arguments(about: str, tables: Iterable[str], methods: Iterable[str]) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has."""
    tables, methods = list(tables), list(methods)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2, 3, 4], help="seeds, as in 0,1,2 (0,1,2,3,4)")
    parser.add_argument("--tables", type=some_of(tables), default=tables, help=f"some of {','.join(tables)} (all)")
    parser.add_argument(
        "--methods",
        type=some_of(methods, options=True),
        default=methods,
        help=f"some of {','.join(methods)} (all); options may follow, as in `vaekit table training.epochs=3`",
    )
    parser.add_argument(
        "--rows", type=int, help="use at most so many rows, for a try; the results get files of their own"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier trials of these tables, methods and seeds")
    return parser


class Trials:
    """The trials of one benchmark, saved as lines of JSON, so that an interrupted benchmark can continue.

    Args:
        name: name of the benchmark, and of its files in the results folder.
        chosen: the command line.
    """

    def __init__(self, name: str, chosen: argparse.Namespace) -> None:
        self.name, self.chosen = name if chosen.rows is None else f"{name}-{chosen.rows}-rows", chosen
        self.path = RESULTS / f"{self.name}.jsonl"
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
        chosen = self.chosen
        return (
            record["table"] in chosen.tables and record["method"] in chosen.methods and record["seed"] in chosen.seeds
        )

    def tasks(self) -> Iterator[dict[str, Any]]:
        """Yield every chosen table with every method and seed, one seed after the other."""
        for seed in self.chosen.seeds:
            for table in self.chosen.tables:
                for method in self.chosen.methods:
                    yield {"table": table, "method": method, "seed": seed}

    def run(self, trial: Callable[..., dict], tasks: Iterable[dict[str, Any]] | None = None) -> None:
        """Run the trials that have no result yet.

        Args:
            trial: measures one task, which it takes as keyword arguments.
            tasks: table, method, seed and whatever else distinguishes trials; by default `tasks()`.
        """
        for task in self.tasks() if tasks is None else tasks:
            if not self.finished(task):
                self.append(dict(task), trial)

    def finished(self, task: Mapping[str, Any]) -> list[dict]:
        """Return the records of a task."""
        return [r for r in self.records if all(r.get(key) == value for key, value in task.items())]

    def append(self, task: dict[str, Any], trial: Callable[..., dict]) -> None:
        before, start = os.getloadavg(), time.perf_counter()
        try:
            record = task | trial(**task)
        except Exception as error:  # a failure of one method must not end the trials of the others
            traceback.print_exc()
            record = task | {"failure": str(error) or type(error).__name__}
        record |= {
            "trial_seconds": time.perf_counter() - start,
            **circumstances(before),
        }
        self.records.append(record)
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(json.dumps(record), file=sys.stderr, flush=True)

    def of(self, table: str, method: str, **further: Any) -> list[dict]:
        return [r for r in self.finished({"table": table, "method": method, **further}) if "failure" not in r]

    def methods(self, order: Iterable[str]) -> list[str]:
        """Return the methods that have results, in the given order, and others after those of the same name."""
        names = [method.split()[0] for method in order]
        found = {r["method"] for r in self.records if "failure" not in r}
        return sorted(found, key=lambda m: (names.index(m.split()[0]), m))

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


def by_mechanism(
    trials: Trials, tables: Iterable[str], methods: Iterable[str], measures: list[Measure], mechanisms: Iterable[str]
) -> str:
    """Return a part for each mechanism that has trials, with the sections of `by_table`."""
    found = {m: by_table(trials, tables, methods, measures, mechanism=m) for m in mechanisms}
    return "\n".join(f"# {mechanism}\n\n{text}" for mechanism, text in found.items() if text)


def by_table(
    trials: Trials, tables: Iterable[str], methods: Iterable[str], measures: list[Measure], **further: Any
) -> str:
    """Return a section for each table, with a row for each method and a column for each measure."""
    sections = []
    for table in tables:
        found = {method: trials.of(table, method, **further) for method in trials.methods(methods)}
        rows = [[m, str(len(of)), *(cell(of, measure) for measure in measures)] for m, of in found.items() if of]
        if rows:
            header = ["method", "seeds", *(measure.heading for measure in measures)]
            sections.append(f"## {table}\n\n{markdown_table(header, rows)}\n")
    return "\n".join(sections)
