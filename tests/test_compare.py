"""Runs are compared row by row where they were measured on the same rows."""

import numpy as np
import pytest

import vaekit
from vaekit.errors import RunError, VaekitError

SMALL = {
    "encoder.hidden": [8],
    "decoder.hidden": [8],
    "training.epochs": 2,
    "training.validations": 2,
    "evaluation.samples": 3,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        vaekit.train("digits", settings=SMALL | {"latent_dim": size}, out=folder / f"size{size}") for size in (2, 6)
    ]


def test_differences_are_those_of_the_same_rows(runs):
    found = vaekit.compare(runs)
    scores = [run.evaluate().measured.score for run in runs]
    gain = scores[1] - scores[0]
    assert found.paired
    assert found.differences()[1].value == pytest.approx(gain.mean())
    assert found.differences()[1].standard_error == pytest.approx(gain.std(ddof=1) / np.sqrt(180))
    assert found.settings() == {"latent_dim": (2, 6)}
    rows = {name: values for name, *values in found.rows()}
    assert rows["latent_dim"] == ["2", "6"]
    assert rows["measured on"] == ["180 held-out rows"] * 2
    assert rows["log-likelihood, nats"] == [f"≥ {run.evaluate().log_likelihood}" for run in runs]
    assert found.as_table().column_names == ["", "size2", "size6"]
    assert repr(found).splitlines()[0].split() == ["size2", "size6"]
    assert "<th" in found._repr_html_()


def test_other_splits_have_no_paired_difference(runs, tmp_path):
    other = vaekit.train("digits", settings=SMALL | {"latent_dim": 2}, seed=5, out=tmp_path / "seed5")
    found = vaekit.compare([runs[0].path, other])
    assert not found.paired
    assert found.differences() == [None, None]
    assert {name: values for name, *values in found.rows()}["better than the first by"] == ["–", "other rows"]
    assert vaekit.compare([runs[0], other], X=vaekit.data.open_source("digits").values[:50]).paired
    plain = vaekit.train("digits", recipe="autoencoder", settings={"training.epochs": 1}, out=tmp_path / "plain")
    assert vaekit.compare([runs[0], plain]).differences()[1] is None


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    other = vaekit.train(np.random.default_rng(0).normal(size=(60, 3)), settings=SMALL, out=tmp_path / "other")
    with pytest.raises(RunError, match="Only one of the two runs was trained on a mixed table"):
        vaekit.compare([runs[0], other])
    with pytest.raises(VaekitError, match=r"must be two or more runs"):
        vaekit.compare(runs[:1])
    with pytest.raises(VaekitError, match=r"must be a list of runs.*Pass \[first, second\]"):
        vaekit.compare(str(runs[0].path))


def test_on_the_command_line(runs, call):
    done = call("compare", *(run.path for run in runs))
    assert done.code == 0
    assert "size6" in done.out
    assert "better than the first by" in done.out
