"""A budget of time becomes a number of epochs, which the recipe of the run records."""

import numpy as np
import pytest

import vaekit
from vaekit.errors import RecipeError
from vaekit.recipe import load_recipe
from vaekit.training import Trainer

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "training.validations": 4, "latent_dim": 2}


@pytest.fixture
def clocked(monkeypatch):
    """A machine on which a step takes half a second, and a validation two seconds."""
    monkeypatch.setattr(Trainer, "measure_speed", lambda _: (0.5, 2.0))


@pytest.mark.parametrize(("budget", "epochs"), [("1min", 9), ("90s", 14), ("0.02h", 11), ("10s", 1), ("1s", 1)])
def test_the_epochs_are_those_that_fit(tmp_path, clocked, budget, epochs):
    run = vaekit.train("digits", settings=SMALL | {"training.budget": budget}, out=tmp_path / "run")
    per_epoch = 1455 // 128
    assert run.provenance["rows"]["train"] == 1455
    assert run.recipe.training.epochs == epochs
    assert (epochs == 1) or per_epoch * 0.5 * epochs + 4 * 2 <= {"1min": 60, "90s": 90, "0.02h": 72}[budget]
    assert run.recipe.training.budget == ""  # the epochs say it
    assert f"training.budget={budget}: {epochs} epochs of 11 steps, 0.5 s each." in run.provenance["choices"]
    assert load_recipe(run.path / "recipe.toml") == run.recipe


def test_a_run_with_a_budget_is_that_with_its_epochs(tmp_path, clocked):
    run = vaekit.train("digits", settings=SMALL | {"training.budget": "15s"}, out=tmp_path / "run")
    same = vaekit.train("digits", settings=SMALL | {"training.epochs": 1}, out=tmp_path / "same")
    for name in ("weights.safetensors", "metrics.csv"):
        assert (run.path / name).read_bytes() == (same.path / name).read_bytes()


def test_the_speed_is_measured_without_a_trace(tmp_path):
    run = vaekit.train("digits", settings=SMALL | {"training.budget": "0.1s"}, out=tmp_path / "run")
    epochs = run.recipe.training.epochs
    same = vaekit.train("digits", settings=SMALL | {"training.epochs": epochs}, out=tmp_path / "same")
    np.testing.assert_array_equal(run.encode("digits"), same.encode("digits"))


def test_budgets_that_cannot_be(tmp_path):
    with pytest.raises(RecipeError, match=r"training.budget=1min and training.epochs=3 contradict"):
        vaekit.train("digits", settings={"training.budget": "1min", "training.epochs": 3}, out=tmp_path / "a")
    for wrong in ("10", "min", "10 minutes", "-5s"):
        with pytest.raises(RecipeError, match=r"training\.budget"):
            vaekit.train("digits", settings={"training.budget": wrong}, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()
