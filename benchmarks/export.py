"""Exported parts beside the methods of their run: largest difference, size of the file, and time for 300 rows."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

import vaekit
from vaekit.row_noise import noise_inputs

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from export.test_export import SMALL, K, people, rows_of

ROWS, REPEATS = 300, 5
ONLY = sys.argv[1:]
"""The parts to compare; all by default."""


def clock(function):
    """Milliseconds of processor time, the least of several."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = function()
        found.append(1000 * (time.process_time() - start))
    return result, min(found)


def compare(name, run, X, given, parts):
    inputs = rows_of(run, X) | {"z": np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)}
    for part in parts:
        if ONLY and part not in ONLY:
            continue
        path = run.export(Path(tempfile.mkdtemp()) / f"{part}.onnx", part, samples=K)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options)
        described = json.loads(session.get_modelmeta().custom_metadata_map["vaekit"])
        noise = noise_inputs(described, inputs["x"])
        fed = {each.name: (inputs | noise)[each.name] for each in session.get_inputs()}
        found, fast = clock(lambda session=session, fed=fed: session.run(None, fed)[0])
        verb = {
            "encode": lambda: run.encode(X),
            "decode": lambda: run.decode(inputs["z"], given=given),
            "score": lambda: run.score_samples(X, samples=K),
            "impute": lambda: run.impute(X, samples=K),
        }[part]
        expected, slow = clock(verb)
        if not isinstance(expected, np.ndarray):
            expected = rows_of(run, expected)["x"]
        if part == "impute":
            far_cells = np.nanmean(np.abs(found - expected) > 1e-4 * np.nanstd(expected, 0))
            print(f"impute: {far_cells:.2%} of the cells are not within 1e-4", file=sys.stderr)
        spread = np.maximum(np.nanstd(expected, 0), 1e-3 * np.nanmax(np.abs(expected)))
        far = np.abs(found - expected) / spread
        print(
            f"| {part} | {name} | {np.nanmax(far):.0e} | {path.stat().st_size / 1000:.0f} kB | {fast:.1f} ms | {slow:.1f} ms |",
            flush=True,
        )


def main():
    place = Path(tempfile.mkdtemp())
    print("| part | model | largest difference | file | onnxruntime | vaekit |\n|---|---|---|---|---|---|")
    digits = vaekit.data.open_source("digits").values[:ROWS]
    compare("digits", vaekit.train(digits, settings=SMALL, out=place / "a"), digits, {}, ("encode", "decode", "score"))
    table = people(ROWS)
    run = vaekit.train(table, settings=SMALL, out=place / "b")
    compare("table with missing cells", run, table, {}, ("encode", "decode", "score", "impute"))
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, 5))))
    settings = SMALL | {"likelihood": "negative_binomial", "data.kind": "counts"}
    compare(
        "counts", vaekit.train(counts, settings=settings, out=place / "c"), counts, {}, ("encode", "decode", "score")
    )
    labels = rng.choice([2, 7], ROWS)
    pictures = (rng.random((ROWS, 4, 4)) < np.where(labels == 7, 0.8, 0.2)[:, None, None]).astype(np.uint8)
    np.savez(place / "halves.npz", X=pictures, labels=labels)
    source = str(place / "halves.npz")
    run = vaekit.train(source, settings=SMALL | {"data.context": ["label"]}, out=place / "d")
    compare("pictures given a label", run, source, {"label": labels.tolist()}, ("encode", "decode", "score"))


if __name__ == "__main__":
    main()
