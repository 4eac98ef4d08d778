"""Measure the cost of the other verbs, and how cost grows: `python scaling.py [SECTION …]`.

- rows: rows per second of encode, score and sample, in turns with the same network in plain PyTorch without per-row
  noise and without checks.
- bounds: the importance-weighted bound with many draws, in turns with the usual way, `x.repeat_interleave(K)` through
  the whole model.
- files: training from a memory-mapped file and from memory, in separate processes, with the memory that does not belong
  to the file.
- growth: a step's time against columns of one kind, draws K and rows.
- precision: the held-out bound after the same steps in bfloat16 and float32.
- quality: seconds of training until a held-out bound is reached, compared with a loop as in tutorials.
- verbs: how long each command of the command line takes on a small run, from the shell and back.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, RESULTS, machine, markdown_table
from speed import NETWORKS, say, write_pictures

Section = Callable[[Path], str]


def settings(network: str, **changes: Any) -> dict[str, Any]:
    """Return a recipe's keys for one of the networks of `speed.py`."""
    options, latent_dim = NETWORKS[network]
    own = {f"{side}.{key}": value for side in ("encoder", "decoder") for key, value in options.items()}
    fixed = {"data.binarize": "dynamic", "likelihood.name": "bernoulli", "latent_dim": latent_dim}
    return {**fixed, **own, "training.batch_size": 512, "training.learning_rate": 1e-3, **changes}


def in_turns(rounds: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each call, in the order A B A B …, after one warm-up."""
    for call in calls:
        call()
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for own, call in zip(seconds, calls, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return seconds


def paired(name: str, work: float, ours: list[float], plain: list[float], target: float) -> list[str]:
    """Return a line with both speeds and the median of the rounds' ratios."""
    ratio = statistics.median(b / a for a, b in zip(ours, plain, strict=True))
    speeds = [f"{work / statistics.median(seconds):,.0f}" for seconds in (ours, plain)]
    return [name, *speeds, f"{ratio:.2f}", f"≥ {target:g}"]


def a_run(folder: Path, network: str, epochs: int = 1) -> Any:
    import vaekit

    changes = {"training.epochs": epochs, "training.validations": 1}
    return vaekit.train(folder / "mnist.npy", settings=settings(network, **changes), out=folder / f"run-{network}")


def rows(folder: Path) -> str:
    """Measure encode, score and sample."""
    import torch

    pictures = np.load(folder / "mnist.npy")[:20_000]
    lines = []
    for network in NETWORKS:
        run, few = a_run(folder, network), pictures[: 20_000 if network != "convolutional" else 1000]
        model = run.model.eval()

        def plain(job: Callable[[torch.Tensor], object], few: np.ndarray = few) -> None:
            with torch.no_grad():
                for start in range(0, len(few), 1000):
                    grey = torch.from_numpy(few[start : start + 1000]).float() / 255
                    job((torch.rand(grey.shape) < grey).float())

        def score(x: torch.Tensor, model: Any = model) -> None:
            q, p = model.encoder(x), model.prior()
            z = q.rsample((10,))
            weights = model.decoder(z).log_prob(x) + p.log_prob(z) - q.log_prob(z)
            torch.logsumexp(weights, 0)

        def sample(x: torch.Tensor, model: Any = model) -> None:
            model.decoder(model.prior().sample((len(x),))).sample()

        for name, ours, other in (
            ("encode", lambda run=run, few=few: run.encode(few), lambda x, model=model: model.encoder(x).mean),
            ("score, K = 10", lambda run=run, few=few: run.score_samples(few, 10), score),
            ("sample", lambda run=run, few=few: run.sample(len(few)), sample),
        ):
            seconds = in_turns(5, ours, lambda other=other: plain(other))
            lines.append(paired(f"{name}, {network}", len(few), *seconds, 1))
    return markdown_table(["rows per second", "vaekit", "plain PyTorch", "ratio", "to reach"], lines)


def bounds(folder: Path, draws: int = 5000) -> str:
    """Measure the importance-weighted bound of a few pictures."""
    import torch

    run = a_run(folder, "residual")
    model = run.model.eval()
    pictures = np.load(folder / "mnist.npy")[:20]

    def naive() -> None:
        with torch.no_grad():
            for picture in pictures:
                x = (torch.rand(28, 28, 1) < torch.from_numpy(picture).float() / 255).float()
                x = x[None].repeat_interleave(draws, 0)
                q, p = model.encoder(x), model.prior()
                z = q.rsample()
                weights = model.decoder(z).log_prob(x) + p.log_prob(z) - q.log_prob(z)
                torch.logsumexp(weights, 0)

    seconds = in_turns(5, lambda: run.score_samples(pictures, draws), naive)
    line = paired(f"IWAE-{draws}, residual", len(pictures), *seconds, 2)
    hours = 10_000 * statistics.median(seconds[0]) / len(pictures) / 60
    table = markdown_table(["pictures per second", "vaekit", "repeat_interleave", "ratio", "to reach"], [line])
    return f"{table}\n\nAll 10,000 test pictures would take {hours:.0f} minutes."


FILE_TRAINING = """
import json, os, re, sys, time
import numpy as np, vaekit
from vaekit.reporters import Reporter
source, out, steps, settings = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
class Clock(Reporter):
    marks, most = [], 0
    def begin(self, step, steps, rows): self.marks = [time.perf_counter()]
    def advance(self, step):
        self.marks.append(time.perf_counter())
        if step % 20 == 0:
            own = int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
            self.most = max(self.most, own)
        if step == steps:
            print(json.dumps({"step": float(np.median(np.diff(self.marks[20:]))), "mebibytes": self.most}), flush=True)
            os._exit(0)
vaekit.train(np.load(source) if source.endswith("mnist.npy") else source, settings=settings, out=out, reporter=Clock())
"""


def files(folder: Path, copies: int = 100) -> str:
    """Measure memory-mapped training on a file that repeats the training pictures many times."""
    pictures = np.load(folder / "mnist.npy")
    large = folder / "large.npy"
    mapped = np.lib.format.open_memmap(large, "w+", np.uint8, (copies * len(pictures), *pictures.shape[1:]))
    for copy in range(copies):
        mapped[copy * len(pictures) : (copy + 1) * len(pictures)] = pictures
    del mapped
    lines, given = [], settings("small", **{"training.epochs": 50, "training.validations": 1, "data.validation": 0.0})
    found: dict[str, list[dict[str, float]]] = {"memory": [], "file": []}
    for turn in range(3):
        for name, path in (("memory", folder / "mnist.npy"), ("file", large)):
            command = [sys.executable, "-c", FILE_TRAINING, str(path), str(folder / f"{name}-{turn}"), "300"]
            done = subprocess.run([*command, json.dumps(given)], capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
    for name, results in found.items():
        size = (large if name == "file" else folder / "mnist.npy").stat().st_size / 2**20
        step = statistics.median(r["step"] for r in results)
        most = max(r["mebibytes"] for r in results)
        lines.append([name, f"{size:,.0f}", f"{512 / step:,.0f}", f"{most:,.0f}"])
    ratio = statistics.median(a["step"] / b["step"] for a, b in zip(found["memory"], found["file"], strict=True))
    table = markdown_table(["training from", "data, MiB", "images per second", "memory of its own, MiB"], lines)
    return f"{table}\n\nFile against memory: {ratio:.2f} (to reach: 0.8). The file was in the page cache."


def growth(folder: Path) -> str:
    """Measure the median time of a step as one size grows."""
    import pyarrow as pa

    import vaekit
    from vaekit.reporters import Reporter

    rng = np.random.default_rng(0)

    class Clock(Reporter):
        def __init__(self) -> None:
            self.marks: list[float] = []

        def advance(self, step: int) -> None:  # noqa: ARG002
            self.marks.append(time.perf_counter())

    def step(table: Any, **changes: Any) -> float:
        clock, out = Clock(), Path(tempfile.mkdtemp(dir=folder)) / "run"
        fixed = {"data.kind": "mixed", "training.epochs": max(1, 80 * 256 // len(table)), "training.validations": 1}
        vaekit.train(table, settings={**fixed, **changes}, out=out, reporter=clock)
        return 1000 * float(np.median(np.diff(clock.marks[10:])))

    def reals(n: int, columns: int) -> np.ndarray:
        return rng.normal(size=(n, columns))

    def lists(n: int, columns: int) -> pa.Table:
        return pa.table({f"c{i}": rng.choice(["a", "b", "c", "d", "e"], n) for i in range(columns)})

    sizes = (5, 10, 20, 40, 80)
    lines = [
        ["columns", *map(str, sizes)],
        ["real columns, ms a step", *(f"{step(reals(5000, c)):.1f}" for c in sizes)],
        ["columns of categories", *(f"{step(lists(5000, c)):.1f}" for c in sizes)],
        ["draws K", *map(str, (1, 2, 4, 8, 16))],
        [
            "20 real columns, ms a step",
            *(f"{step(reals(5000, 20), **{'objective.samples': k}):.1f}" for k in (1, 2, 4, 8, 16)),
        ],
        ["rows", *(f"{n:,}" for n in (5000, 20_000, 80_000, 320_000, 1_280_000))],
        [
            "20 real columns, ms a step",
            *(f"{step(reals(n, 20)):.1f}" for n in (5000, 20_000, 80_000, 320_000, 1_280_000)),
        ],
    ]
    return markdown_table(["", *[""] * 5], lines)


def precision(folder: Path) -> str:
    """Compare the held-out bound after the same steps in bfloat16 and float32."""
    import vaekit

    found = {}
    for seed in range(2):
        for name in ("float32", "bfloat16"):
            changes = {"training.epochs": 12, "training.validations": 3, "training.precision": name, "seed": seed}
            out = folder / f"{name}-{seed}"
            run = vaekit.train(folder / "mnist.npy", settings=settings("residual", **changes), out=out)
            test = np.load(folder / "mnist.npy")[run.split().test.index[:2000]]
            found[name, seed] = float(np.mean(run.score_samples(test, 50)))
    lines = [[str(s), *(f"{found[n, s]:.3f}" for n in ("float32", "bfloat16"))] for s in range(2)]
    lines = [[*line, f"{float(line[2]) - float(line[1]):+.3f}"] for line in lines]
    return markdown_table(["seed", "float32, nats", "bfloat16", "difference (to reach: within 0.1)"], lines)


BOUNDS = (-115.0, -110.0, -105.0, -102.0)


def quality(folder: Path) -> str:
    """Measure the seconds until 2,000 held-out pictures, binarised once, reach a bound."""
    pictures = np.load(folder / "mnist.npy")
    held_out = pictures[-2000:]
    contestants = {"vaekit": vaekit_marks, "tutorial": tutorial_marks}
    marks = {name: train(pictures[:-2000], held_out, folder) for name, train in contestants.items()}
    lines = []
    for name, found in marks.items():
        reached = [next((t for t, elbo in found if elbo >= bound), float("nan")) for bound in BOUNDS]
        best = max(elbo for _, elbo in found)
        lines.append([name, *(f"{t:.0f}" if t == t else "not" for t in reached), f"{best:.1f} in {found[-1][0]:.0f} s"])
    return markdown_table(["seconds to an ELBO of", *(f"{b:g}" for b in BOUNDS), "best, and all the time"], lines)


Marks = list[tuple[float, float]]


def held_out_elbo(
    encode: Callable[[Any], tuple[Any, Any]], logits: Callable[[Any], Any], pictures: np.ndarray
) -> float:
    """Return the mean ELBO of binarised pictures with one draw each, and the same noise at every call."""
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        grey = torch.from_numpy(pictures).float() / 255
        x = (torch.rand(grey.shape, generator=generator) < grey).float()
        mean, std = encode(x)
        z = mean + std * torch.randn(mean.shape, generator=generator)
        distortion = F.binary_cross_entropy_with_logits(logits(z).reshape(x.shape), x, reduction="sum")
        rate = (0.5 * (std.square() + mean.square() - 1) - std.log()).sum()
        return -float(distortion + rate) / len(x)


def vaekit_marks(pictures: np.ndarray, held_out: np.ndarray, folder: Path) -> Marks:
    """Return (seconds, ELBO of the averaged weights) of the small network over 30 epochs in batches of 256."""
    import vaekit
    from vaekit.reporters import Reporter
    from vaekit.training import Trainer

    begun, found = 0.0, []
    measure = Trainer._measure

    def watch(trainer: Any) -> Any:
        nonlocal begun
        stopped, model = time.perf_counter(), trainer.model

        def encode(x: Any) -> tuple[Any, Any]:
            q = model.encoder(x)
            return q.mean, q.stddev

        elbo = held_out_elbo(encode, lambda z: model.decoder(z).base_dist.logits, held_out)
        found.append((stopped - begun, elbo))
        begun += time.perf_counter() - stopped
        return measure(trainer)

    class Clock(Reporter):
        def begin(self, step: int, steps: int, rows_per_step: int) -> None:  # noqa: ARG002
            nonlocal begun
            begun = time.perf_counter()

    changes = {"training.batch_size": 256, "training.learning_rate": 2e-3, "data.validation": 0.0}
    given = settings("small", **{"training.epochs": 30, "training.validations": 30}) | changes
    Trainer._measure = watch  # type: ignore[method-assign]
    try:
        vaekit.train(pictures, settings=given, out=folder / "quality", reporter=Clock())
    finally:
        Trainer._measure = measure  # type: ignore[method-assign]
    return found


def tutorial_marks(pictures: np.ndarray, held_out: np.ndarray, folder: Path) -> Marks:
    """Return (seconds, ELBO) of the tutorials' loop: Adam at 1e-3, batches of 128, grey values as probabilities."""
    from contestants import Job, tutorial

    np.save(folder / "rest.npy", pictures)
    network, latent_dim = NETWORKS["small"]
    content = {"network": network, "latent_dim": latent_dim, "batch": 128, "data": str(folder / "rest.npy")}
    (folder / "job.json").write_text(json.dumps(content))
    job = Job(str(folder / "job.json"))
    encoder, decoder = job.networks()
    job.networks = lambda: (encoder, decoder)  # type: ignore[method-assign]  # the same ones, so that they can be judged

    def encode(x: Any) -> tuple[Any, Any]:
        mean, log_variance = encoder(x).chunk(2, -1)
        return mean, (0.5 * log_variance).exp()

    steps, seconds, found = tutorial(job), 0.0, []
    for _ in range(30):
        start = time.perf_counter()
        steps(len(pictures) // 128)
        seconds += time.perf_counter() - start
        found.append((seconds, held_out_elbo(encode, decoder, held_out)))
    return found


def verbs(folder: Path) -> str:
    """Measure the median seconds of each command over three calls."""
    vaekit, run = str(Path(sys.executable).parent / "vaekit"), str(folder / "digits")
    short = ["--set", "training.epochs=1"]
    commands: dict[str, list[str]] = {
        "--help": ["--help"],
        "recipes": ["recipes"],
        "describe digits": ["describe", "digits"],
        "train, one epoch of digits": ["train", "digits", *short, "--out", str(folder / "again")],
        "encode digits": ["encode", run, "digits", "--out", str(folder / "z.csv")],
        "score digits": ["score", run, "digits", "--out", str(folder / "s.csv")],
        "sample 100": ["sample", run, "-n", "100", "--out", str(folder / "x.npy")],
        "evaluate": ["evaluate", run],
        "report": ["report", run],
    }
    subprocess.run([vaekit, "train", "digits", *short, "--out", run], check=True, capture_output=True)
    lines = []
    for name, command in commands.items():
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            done = subprocess.run([vaekit, *command], capture_output=True, text=True)
            seconds.append(time.perf_counter() - start)
            if "train" in command:
                subprocess.run(["rm", "-r", str(folder / "again")], check=False)
        lines.append([f"vaekit {name}", f"{statistics.median(seconds):.2f}" + (" (failed)" if done.returncode else "")])
    return markdown_table(["command", "seconds"], lines)


SECTIONS: dict[str, Section] = {
    "rows": rows,
    "bounds": bounds,
    "files": files,
    "growth": growth,
    "precision": precision,
    "quality": quality,
    "verbs": verbs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    chosen = parser.parse_args().sections or list(SECTIONS)
    path = RESULTS / "scaling.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for name in chosen:
        say(f"{name} …")
        with tempfile.TemporaryDirectory() as folder:
            write_pictures(Path(folder))
            known[name] = SECTIONS[name](Path(folder))
        print(known[name], flush=True)
        path.write_text(json.dumps(known, indent=1))
    parts = [f"## {name}\n\n{known[name]}\n" for name in SECTIONS if name in known]
    head = f"# Costs\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\nMachine: {machine()}.\n\n"
    (HERE / "SCALING.md").write_text(head + "\n".join(parts))


if __name__ == "__main__":
    main()
