"""Run folders that were damaged, or changed by someone who means harm: no other number without a word, no traceback, no hang.

A case takes one of three small runs (a table with holes, pictures, an autoencoder), damages one file, and reads, scores,
resumes and reports. What is only damaged must be refused, or give the numbers that it gave; what has new digests may give
other numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import tomli_w
import torch
from common import FAULT, damaged, fuzz

import vaekit
from vaekit.errors import VaekitError
from vaekit.folder import RunFolder
from vaekit.report import write_report
from vaekit.reporters import Reporter
from vaekit.training.state import GOOD, LATEST

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders import write_sealed

TINY = {"training.epochs": 3, "training.batch_size": 32, "training.validations": 3, "latent_dim": 2}
TINY |= {"encoder.hidden": [6], "decoder.hidden": [6], "evaluation.samples": 3}
TEXTS = ("provenance.json", "schema.json", "recipe.toml", "metrics.csv")
TENSORS = ("weights.safetensors", "rows.safetensors", GOOD, LATEST)
STRANGE = (
    None,
    True,
    -1,
    0,
    -5,
    10**20,
    10**400,
    1e308,
    43.5,
    "",
    "x",
    "\0",
    "\ud800",
    100_000 * "a",
    [],
    {},
    [[]],
    "nan",
    "../x",
)


class Stop(Reporter):
    """A reporter that ends the training after some steps."""

    def advance(self, step: int) -> None:
        if step == 9:
            raise KeyboardInterrupt


def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=120), rng.integers(0, 3, 120), rng.gamma(2, 3, 120)])
    return np.where(rng.random(values.shape) < 0.1, np.nan, values)


def pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (120, 4, 4, 1)).astype(np.uint8)


class Subject:
    """A run to be damaged: finished, and interrupted, with the numbers that it gives."""

    def __init__(self, place: Path, rows: np.ndarray, settings: dict) -> None:
        self.rows, self.finished, self.begun = rows, place / "finished", place / "begun"
        np.save(place / "rows.npy", rows)
        vaekit.train(place / "rows.npy", settings=TINY | settings, out=self.finished)
        try:
            vaekit.train(place / "rows.npy", settings=TINY | settings, out=self.begun, reporter=Stop())
        except KeyboardInterrupt:
            shutil.copy(self.begun / GOOD, self.begun / LATEST)
        self.score = vaekit.load(self.finished).score_samples(rows)
        self.resumed = self.resume(self.copied(place / "copy", begun=True))

    def copied(self, folder: Path, begun: bool) -> Path:
        return shutil.copytree(self.begun if begun else self.finished, folder)

    def resume(self, folder: Path) -> str:
        vaekit.train(resume=folder)
        tensors = vaekit.load(folder).model.state_dict().values()
        return hashlib.sha256(b"".join(value.numpy().tobytes() for value in tensors)).hexdigest()

    def compare(self, folder: Path, begun: bool) -> str:
        """Whether the damaged folder gives the numbers of the whole one."""
        if begun:
            return "resumed alike" if self.resume(folder) == self.resumed else f"{FAULT} other weights"
        run = vaekit.load(folder)
        if not np.array_equal(run.score_samples(self.rows), self.score):
            return f"{FAULT} other numbers"
        if repr(run.folder.read_metrics()) != repr(RunFolder(self.finished).read_metrics()):
            return f"{FAULT} other metrics"
        return "scored alike"


def check(rng: np.random.Generator, folder: Path) -> str:
    subject = SUBJECTS[rng.integers(len(SUBJECTS))]
    begun = bool(rng.random() < 0.3)
    copy = subject.copied(folder / "run", begun)
    files = [name for name in (*TEXTS, *TENSORS) if (copy / name).exists()]
    path = copy / files[rng.integers(len(files))]
    kind = rng.random()
    if kind < 0.6:
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        return _named(lambda: subject.compare(copy, begun), path)
    if kind < 0.7:
        path.write_bytes(damaged(path.read_bytes(), rng))
        return _named(lambda: subject.compare(copy, begun), path)
    if kind < 0.75:
        _replace(path, rng)
        return subject.compare(copy, begun)
    hostile = copy / TEXTS[rng.integers(len(TEXTS))] if rng.random() < 0.8 else copy / TENSORS[rng.integers(3)]
    if not hostile.exists():
        return "nothing to change"
    _change(copy, hostile, rng)
    if begun:
        subject.resume(copy)
        return "resumed after a change"
    run = vaekit.load(copy)
    run.folder.read_metrics()
    run.score_samples(subject.rows)
    run.sample(3)
    run.encode(subject.rows)
    if rng.random() < 0.25:
        write_report(run, rows=subject.rows)
        return "reported after a change"
    return "scored after a change"


def _named(compare, path: Path) -> str:
    try:
        return compare()
    except VaekitError as error:
        if path.name not in str(error):
            return f"{FAULT} refused without a name: {path.name}: {error}"
        raise


def _replace(path: Path, rng: np.random.Generator) -> None:
    """Something that is no file, or a file that is too long, in the place of a file."""
    content = path.read_bytes()
    path.unlink()
    kind = rng.integers(6)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.symlink_to("/dev/zero")
    elif kind == 3:
        (path.parent / "elsewhere").write_bytes(content)
        path.symlink_to("elsewhere")
    elif kind == 4:
        path.symlink_to(path.name)
    else:
        path.touch()
        os.truncate(path, 20 << 30)


def _change(copy: Path, path: Path, rng: np.random.Generator) -> None:
    """Another content with a digest that is right."""
    folder = RunFolder(copy)
    if path.suffix == ".safetensors":
        name = str(path.relative_to(copy))
        tensors, noted = folder.read_tensors(name)
        _change_tensors(tensors, noted, rng)
        folder.write_tensors(name, tensors, noted)
        return
    text = path.read_text()
    if rng.random() < 0.15:
        deep = [
            "[" * 100_000,
            '{"a":' * 100_000,
            "a = " + "[" * 100_000,
            ".".join("a" * 200_000) + " = 1",
            "",
            "\n",
            "9" * 5000,
        ]
        text = deep[rng.integers(len(deep))]
        write_sealed(path, '{\n"x": ' + text if path.suffix == ".json" else text)
    elif path.suffix == ".csv":
        write_sealed(path, _change_cells(text, rng))
    elif rng.random() < 0.3:
        write_sealed(path, damaged(text.encode(), rng).decode(errors="replace"))
    else:
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        for _ in range(int(rng.integers(1, 3))):
            _change_one(content, rng)
        try:
            made = json.dumps(content, indent=2) if path.suffix == ".json" else tomli_w.dumps(_told(content))
            write_sealed(path, made)
        except (TypeError, ValueError):
            write_sealed(path, "")


def _told(value):
    """What TOML can say."""
    if isinstance(value, dict):
        return {key: _told(inner) for key, inner in value.items() if inner is not None}
    return [_told(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _change_one(content, rng: np.random.Generator) -> None:
    """One value somewhere in nested dictionaries and lists is another, gone or doubled."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        inner = content[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.85:
            content = inner
            continue
        kind = rng.integers(5)
        if kind == 0:
            del content[key]
        elif kind == 1 and isinstance(inner, int | float):
            content[key] = inner * float(rng.choice([-1, 0, 1e9, 1e-9, 1.5, 1e300]))
        elif kind == 2 and isinstance(inner, list):
            content[key] = inner * int(rng.choice([2, 1000]))
        else:
            content[key] = STRANGE[rng.integers(len(STRANGE))]
        return


def _change_cells(text: str, rng: np.random.Generator) -> str:
    lines = text.splitlines()[:-1]
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(",")
    strange = (
        "",
        "x",
        "-5",
        "9" * 400,
        "a" * 200_000,
        "nan",
        "inf",
        "1e38",
        "1e308",
        "1e-320",
        "0",
        "1_000",
        "٣",
        '"',
        "#",
    )
    kind = rng.integers(4)
    if kind == 0:
        cells.append("1")
    elif kind == 1:
        cells.pop()
    else:
        cells[rng.integers(len(cells))] = strange[rng.integers(len(strange))]
    lines[row] = ",".join(cells)
    return "\n".join(lines) + "\n"


def _change_tensors(tensors: dict, noted: dict, rng: np.random.Generator) -> None:
    if noted and rng.random() < 0.5:
        key = list(noted)[rng.integers(len(noted))]
        strange = (
            "",
            "x",
            "-1",
            "43.5",
            "9" * 400,
            "{}",
            "null",
            '{"step": -5}',
            '{"step": 43.5}',
            '{"step": 9000000}',
            "[" * 100_000,
        )
        noted[key] = strange[rng.integers(len(strange))]
        return
    key = list(tensors)[rng.integers(len(tensors))]
    value, kind = tensors[key], rng.integers(6)
    if kind == 0:
        del tensors[key]
    elif kind == 1:
        tensors[f"{key}.x"] = value.clone()
    elif kind == 2:
        tensors[key] = value.reshape(-1)[:1].clone()
    elif kind == 3:
        tensors[key] = value.double() if value.is_floating_point() else value.float()
    else:
        for name in tensors:
            if tensors[name].is_floating_point():
                numbers = (float("nan"), float("inf"), 1e38, 0.0, 1.0, -1e38)
                tensors[name] = torch.full_like(tensors[name], numbers[rng.integers(len(numbers))])


torch.set_num_threads(1)
with tempfile.TemporaryDirectory(prefix="vaekit-fuzz-") as name:
    place = Path(name)
    SUBJECTS = []
    for i, (rows, settings) in enumerate(
        [(table(), {"data.kind": "mixed"}), (pictures(), {}), (table()[:, 1:2].repeat(3, 1), {"model": "autoencoder"})]
    ):
        (place / str(i)).mkdir()
        whole = np.nan_to_num(rows) + np.arange(3) if settings.get("model") else rows
        SUBJECTS.append(Subject(place / str(i), whole, settings))
    fuzz(check)
