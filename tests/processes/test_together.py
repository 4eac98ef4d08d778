"""Two processes take the steps of one, give the figures of all rows, stop together, and speak with one voice."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ranks
import vaekit
from processes import work
from vaekit.training.state import GOOD, LATEST

WORK = Path(work.__file__)
TRAIN = ("-m", "vaekit", "train", "digits")
BY_MEANS = ("mutual_information", "marginal_kl")
"""Estimates whose noise depends on all bits of the posterior means, which differ in the last."""
SMALL = [part for key, value in work.DIGITS.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def folders(fork_server, tmp_path_factory):
    """The same trainings by one process and by two, which read the table from three files."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    work.write_shards(two / "rows")
    ended = ranks.together([WORK, "train", two], server=fork_server)
    assert [each.code for each in ended] == [0, 0], ended
    work.train_all(one)
    return one, two


@pytest.mark.parametrize("name", [*work.RECIPES, "table"])
def test_two_processes_take_the_steps_of_one(folders, name):
    """Each has rows of its own: 150 and 151 of the digits, 16 and 17 of the table."""
    one, two = (load_file(folder / name / GOOD) for folder in folders)
    assert one.keys() == two.keys()
    for key, expected in one.items():
        torch.testing.assert_close(two[key], expected, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    rows = [vaekit.load(folder / name).folder.read_metrics() for folder in folders]
    for expected, found in zip(*rows, strict=True):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)


def test_measured_shares_are_the_figures_of_all_rows_in_every_process(folders):
    one, two = folders
    told = [(two / f"figures-{rank}.json").read_text() for rank in (0, 1)]
    assert told[0] == told[1]
    expected, found = json.loads((one / "figures-0.json").read_text()), json.loads(told[0])
    for name in ("table", "autoencoder"):
        for key, value in expected[name].items():
            if isinstance(value, float) and key not in BY_MEANS:
                assert found[name][key] == pytest.approx(value, rel=1e-5), (name, key)
        assert found[name]["examples"] == expected[name]["examples"]


def test_all_processes_stop_at_the_step_at_which_one_is_asked_to_and_resume_to_the_same_bytes(fork_server, tmp_path):
    ended = ranks.together([WORK, "stop", tmp_path], server=fork_server)
    assert [each.code for each in ended] == [0, 0], ended
    told = [json.loads((tmp_path / f"stopped-{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0] == told[1]
    assert told[0][::2] == [signal.SIGTERM, True]
    assert "has saved its state at step 6 of 16" in told[0][1]
    for name in ("weights.safetensors", "metrics.csv", GOOD):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut" / LATEST).exists()


def test_the_command_line_trains_in_two_processes_and_only_one_of_them_speaks(fork_server, tmp_path):
    first, second = ranks.together(
        [*TRAIN, "--out", tmp_path / "run", *SMALL, "--set", "objective=elbo"], server=fork_server
    )
    assert (first.code, first.out) == (0, f"Trained: {tmp_path / 'run'}\n"), first
    assert "100 %  bound" in first.err
    assert (second.code, second.out, second.err) == (0, "", "")
    said = []

    class Listener(vaekit.reporters.Reporter):
        def say(self, text):
            said.append(text)

    run = vaekit.train(resume=tmp_path / "run", reporter=Listener())
    assert [text.partition(".")[0] for text in said] == ["The run began with 2 processes and continues with 1 process"]
    assert np.isfinite(run.evaluate(samples=2).elbo)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "training.batch_size=1"], "training.batch_size must be at least the number of processes"),
        (["--set", "latent_dimm=3"], "Did you mean 'latent_dim'?"),
    ],
)
def test_a_refusal_is_told_once(fork_server, tmp_path, arguments, sentence):
    first, second = ranks.together([*TRAIN, "--out", tmp_path / "run", *SMALL, *arguments], server=fork_server)
    assert (first.code, second.code) == (2, 2)
    assert first.err.splitlines()[-1].startswith("vaekit: ")
    assert sentence in first.err
    assert "Traceback" not in first.err
    assert second.err == ""
    assert not (tmp_path / "run").exists()
