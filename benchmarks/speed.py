"""Training speed: contestants train the same network on MNIST in interleaved rounds of one run (A B C A B C …).

Every contestant has its own process, which waits between turns. In a round all contestants train for the same number of
steps. Figures are medians over rounds of images per second after warm-up, with the minimum and the maximum. Ratios
compare neighbours within a round, so that drifts of the machine's speed matter less.

- vaekit: the ordinary `vaekit.train`; the time includes its checks, averages and bookkeeping.
- hand: the fastest loop that we could write by hand for this one model, without any of these; `compiled` is the loss as
  one graph, `graph` the whole step with Adam.
- tutorial: a loop as in PyTorch's tutorials, with a DataLoader of floats, and the loss read at every step.
- pythae: Pythae 0.1.2, its VAE and its trainer. jax: one compiled scan over the steps of a round.
- products: only the matrix products of a step, which are the limit.

vaekit, hand and jax binarise the pictures anew at every step; tutorial and pythae use grey values as probabilities.

`docs/benchmarks.md` compares mixed tables with TVAE: 10.3 to 14.5 times faster at its quality, interleaved.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from common import HERE, RESULTS, data_folder, machine, markdown_table, peers_python

NETWORKS = {
    "small": ({"name": "mlp", "hidden": [400], "block": "plain", "activation": "relu"}, 20),
    "residual": ({"name": "mlp", "hidden": [512, 512], "block": "residual", "activation": "silu"}, 40),
    "convolutional": ({"name": "convolutional", "channels": [32, 64], "activation": "silu"}, 40),
}
ABOUT = {
    "small": "784-400-20, ReLU",
    "residual": "784, two residual blocks 512 wide, z of 40, and back",
    "convolutional": "residual convolutions of 32 and 64 channels, z of 40",
}
OURS = ["vaekit", "vaekit-bf16", "vaekit-bf16-compiled"]
PEERS = ["hand", "hand-bf16", "hand-bf16-compiled", "hand-bf16-graph", "tutorial", "pythae", "jax"]
LIMITS = ["products", "products-bf16"]
PICTURES_PER_ROUND = 20_480


class Process:
    """The process of a contestant.

    Args:
        name: name of the contestant.
        job: file that describes the task.
    """

    def __init__(self, name: str, job: Path) -> None:
        python = str(peers_python()) if name in ("pythae", "jax") else sys.executable
        source = str(HERE.parent / "src")
        self.name, self.failure = name, ""
        self.rates: list[float] = []
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it lives as long as the process
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "contestants.py"), name, str(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        self.start_up = self.answer("seconds")
        self.preparation = self.mebibytes = float("nan")

    def ask(self, words: str, key: str) -> float:
        if self.failure:
            return float("nan")
        if self.process.stdin is None:
            raise RuntimeError("a contestant must have a standard input")
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.answer(key)

    def answer(self, key: str) -> float:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if line:
            return float(json.loads(line)[key])
        self.process.wait()
        self.log.seek(0)
        message = self.log.read().strip().splitlines() or ["no message"]
        self.failure = f"{message[-1]} (exit status {self.process.returncode})"
        return float("nan")


@dataclasses.dataclass(frozen=True)
class Case:
    """The task of a comparison: a network and a batch size."""

    network: str
    batch: int

    def compete(self, names: Iterable[str], rounds: int, pictures: Path) -> list[dict]:
        """Run interleaved rounds of all contestants."""
        network, latent_dim = NETWORKS[self.network]
        pictures_per_round = PICTURES_PER_ROUND // (10 if self.network == "convolutional" else 1)
        steps = max(4, pictures_per_round // self.batch)
        with tempfile.TemporaryDirectory() as folder:
            job = Path(folder) / "job.json"
            content = {"network": network, "latent_dim": latent_dim, "batch": self.batch, "data": str(pictures)}
            job.write_text(json.dumps(content))
            processes = []
            for name in names:
                process = Process(name, job)
                process.preparation = process.ask(f"prepare {steps}", "seconds")
                processes.append(process)
                say(f"{self.network} {self.batch} {name}: {process.failure or 'ready'}")
            for _ in range(rounds):
                for process in processes:
                    process.rates.append(steps * self.batch / process.ask(f"run {steps}", "seconds"))
            for process in processes:
                process.mebibytes = process.ask("end", "mebibytes")
        return [self.record(process, steps) for process in processes]

    def record(self, process: Process, steps: int) -> dict:
        if process.failure:
            return {"network": self.network, "batch": self.batch, "name": process.name, "failure": process.failure}
        usual = steps * self.batch / statistics.median(process.rates)
        return {
            "network": self.network,
            "batch": self.batch,
            "name": process.name,
            "rates": [round(rate, 1) for rate in process.rates],
            "start_up": process.start_up,
            "preparation": max(0.0, process.preparation - usual),
            "mebibytes": process.mebibytes,
        }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def ratio(records: dict[str, dict], ours: str, other: str) -> float:
    """Return the median over rounds of the ratio of speeds; NaN if a speed is missing."""
    both = [records.get(name, {}) for name in (ours, other)]
    if not all("rates" in record for record in both) or both[0]["run"] != both[1]["run"]:
        return float("nan")
    pairs = zip(records[ours]["rates"], records[other]["rates"], strict=True)
    return statistics.median(a / b for a, b in pairs)


def table(records: list[dict]) -> str:
    """Return the table of one case."""
    by_name = {record["name"]: record for record in records}
    limit = "products-bf16"
    rows = []
    for record in records:
        if "failure" in record:
            rows.append([record["name"], f"failed: {record['failure']}", *["–"] * 5])
            continue
        rates = record["rates"]
        rows.append(
            [
                record["name"],
                f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
                *(f"{ratio(by_name, record['name'], other):.2f}" for other in ("products", limit)),
                f"{record['start_up']:.1f}",
                f"{record['preparation']:.1f}",
                f"{record['mebibytes']:,.0f}",
            ]
        )
    header = [
        "",
        "images/s",
        "share of the float32 limit",
        "of the bfloat16 limit",
        "start-up, s",
        "first steps and compiling, s",
        "memory, MiB",
    ]
    return markdown_table(header, rows)


def targets(cases: dict[tuple[str, int], dict[str, dict]]) -> str:
    """Return the targets and the results, as ratios of neighbours within rounds."""
    aims = [
        ("vaekit against Pythae, batch 512", 512, "best", "pythae", 3.0),
        ("vaekit against Pythae, its own batch of 64", 64, "best", "pythae", 2.5),
        ("vaekit against the tutorial's loop, batch 512", 512, "best", "tutorial", 2.2),
        ("vaekit against the best loop by hand, batch 512", 512, "best", "best hand", 0.95),
        ("share of the bfloat16 limit, batch 512", 512, "best", "products-bf16", 0.4),
    ]
    rows = []
    for text, batch, ours, other, aim in aims:
        found = []
        for network in NETWORKS:
            records = cases.get((network, batch))
            if records:
                chosen = [best(records, kind) for kind in (ours, other)]
                if (value := ratio(records, *chosen)) == value:
                    found.append(f"{value:.2f} ({network}, {chosen[0]})")
        rows.append([text, f"≥ {aim:g}", "; ".join(found) or "–"])
    return markdown_table(["", "to reach", "measured"], rows)


def best(records: dict[str, dict], kind: str) -> str:
    """Return the fastest contestant of a kind."""
    names = {"best": OURS, "best hand": [n for n in PEERS if n.startswith("hand")]}.get(kind, [kind])
    known = [name for name in names if "rates" in records.get(name, {})]
    return max(known, key=lambda name: statistics.median(records[name]["rates"])) if known else kind


def write_pictures(folder: Path) -> Path:
    """Write the training pictures as bytes, shape (60,000, 28, 28, 1)."""
    from vaekit.data import open_source

    source = open_source(data_folder() / "mnist")
    path = folder / "mnist.npy"
    np.save(path, np.asarray(source.values, np.uint8).reshape(-1, 28, 28, 1))
    return path


def report(records: list[dict]) -> str:
    """Return the report with the tables of all cases."""
    cases: dict[tuple[str, int], dict[str, dict]] = {}
    for record in records:
        cases.setdefault((record["network"], record["batch"]), {})[record["name"]] = record
    plot(cases)
    parts = [
        f"# Speed\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{targets(cases)}\n\n![Images per second](speed.png)\n"
    ]
    for (network, batch), found in sorted(cases.items()):
        where = next(iter(found.values())).get("machine", "not recorded")
        parts.append(
            f"## {network}, batch {batch}\n\n{ABOUT[network]}. Machine: {where}.\n\n{table(list(found.values()))}\n"
        )
    return "\n".join(parts)


def plot(cases: dict[tuple[str, int], dict[str, dict]]) -> None:
    """Plot images per second as bars, with a panel for each case and the limits as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.6 * len(cases)), layout="constrained")
    for axes, ((network, batch), found) in zip(
        figure.subplots(len(cases), 1, squeeze=False).flat, sorted(cases.items()), strict=True
    ):
        known = [record for record in found.values() if "rates" in record]
        bars = [record for record in known if record["name"] not in LIMITS][::-1]
        middle = [statistics.median(record["rates"]) for record in bars]
        spread = [
            [m - min(r["rates"]) for m, r in zip(middle, bars, strict=True)],
            [max(r["rates"]) - m for m, r in zip(middle, bars, strict=True)],
        ]
        colours = ["#1f5fa8" if record["name"] in OURS else "#a9b4c0" for record in bars]
        axes.barh([record["name"] for record in bars], middle, xerr=spread, color=colours, ecolor="#555555")
        for record in known:
            if record["name"] in LIMITS:
                limit = statistics.median(record["rates"])
                axes.axvline(limit, color="#b03a2e", linestyle="--" if "bf16" in record["name"] else ":")
                height = len(bars) - (0.45 if "bf16" in record["name"] else 0.8)
                axes.text(limit, height, record["name"], color="#b03a2e", fontsize=8, ha="right")
        axes.set_ylim(-0.6, len(bars) + 0.1)
        axes.set_title(f"{network}, batch {batch}", loc="left", fontsize=10)
        axes.set_xlabel("images per second in training")
    figure.savefig(HERE / "speed.png", dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--batches", nargs="*", type=int, default=[], help="(64, 128, 512; convolutional 128)")
    parser.add_argument("--contestants", nargs="*", default=[*OURS, *PEERS, *LIMITS], choices=[*OURS, *PEERS, *LIMITS])
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    path, run = RESULTS / "speed.jsonl", datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder))
        for network in chosen.networks:
            for batch in chosen.batches or ([128] if network == "convolutional" else [64, 128, 512]):
                found = Case(network, batch).compete(chosen.contestants, chosen.rounds, pictures)
                found = [record | {"run": run, "machine": machine()} for record in found]
                with path.open("a") as file:
                    file.writelines(json.dumps(record) + "\n" for record in found)
                print(table(found), flush=True)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    latest = {(r["network"], r["batch"]): r["run"] for r in records}
    records = [r for r in records if r["run"] == latest[r["network"], r["batch"]]]
    (HERE / "RESULTS.md").write_text(report(records))


if __name__ == "__main__":
    main()
