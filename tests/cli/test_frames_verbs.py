"""The command line writes files from runs that were trained on data frames and arrays in Python."""

import numpy as np
import pandas as pd
import pytest

import vaekit

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "training.epochs": 1, "training.validations": 1, "latent_dim": 1}


@pytest.mark.parametrize("form", ["frame", "array"])
def test_every_verb_writes_files(call, tmp_path, form):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2)).round(3)
    rows[::4, 0] = np.nan
    frame = pd.DataFrame(rows, columns=["column0", "column1"])
    given = frame if form == "frame" else rows
    run = vaekit.train(given, settings=SMALL | {"data.kind": "mixed"}, out=tmp_path / "run")
    source = tmp_path / ("x.csv" if form == "frame" else "x.npy")
    frame.to_csv(source, index=False) if form == "frame" else np.save(source, rows)
    out = {name: tmp_path / f"{name}.csv" for name in ("sample", "score", "impute", "spread")}
    for words in (
        ["sample", run.path, "-n", "5", "--out", out["sample"]],
        ["score", run.path, source, "--explain", "--out", out["score"]],
        ["impute", run.path, source, "--out", out["impute"], "--uncertainty", out["spread"]],
    ):
        done = call(*words)
        assert done.code == 0, done.err
    sampled = run.sample(5)
    np.testing.assert_allclose(pd.read_csv(out["sample"]), np.asarray(sampled), atol=1e-9)
    np.testing.assert_allclose(pd.read_csv(out["impute"]), np.asarray(run.impute(given)), atol=1e-9)
    np.testing.assert_allclose(pd.read_csv(out["spread"]), np.asarray(run.uncertainty(given)), rtol=1e-5)
    reasons = np.asarray(run.explain(given))
    np.testing.assert_allclose(pd.read_csv(out["score"]).filter(like="surprise_"), reasons, rtol=1e-4, atol=1e-6)
