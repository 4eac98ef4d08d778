"""One process trains by itself, whatever a container left in its environment."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

import vaekit
from vaekit.errors import TrainingError
from vaekit.processes import LAUNCHED
from vaekit.processes.group import count, together

X = np.random.default_rng(0).normal(size=(100, 3))
SETTINGS = {"encoder.hidden": [4], "decoder.hidden": [4], "latent_dim": 1, "training.epochs": 1, "data.kind": "real"}


@pytest.fixture
def environment(monkeypatch):
    """Set variables of a launcher before Accelerate has looked at them."""
    AcceleratorState._reset_state(reset_partial_state=True)
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)

    def set_them(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    yield set_them
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    "values",
    [
        {"LOCAL_RANK": "0"},
        {"LOCAL_RANK": "3", "RANK": "3"},
        {"LOCAL_RANK": "", "WORLD_SIZE": ""},
        {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1"},
        {"LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
        {"WORLD_SIZE": "4"},
        {"RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
    ],
)
def test_a_rank_in_the_environment_of_one_process_changes_nothing(tmp_path, environment, values):
    environment(**values)
    before = {name: os.environ.get(name) for name in LAUNCHED}
    run = vaekit.train(X, settings=SETTINGS, out=tmp_path / "run")
    with together():
        assert count() == 1
    assert not torch.distributed.is_initialized()
    assert {name: os.environ.get(name) for name in LAUNCHED} == before
    assert np.isfinite(run.score_samples(X)).all()


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "MASTER_PORT", "RANK"])
def test_several_processes_that_cannot_find_each_other_are_refused_in_a_sentence(tmp_path, environment, missing):
    told = {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    del told[missing]
    environment(**told)
    with pytest.raises(TrainingError, match=f"WORLD_SIZE=2, LOCAL_RANK=0.*does not set {missing}.*unset LOCAL_RANK"):
        vaekit.train(X, settings=SETTINGS, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
