"""On a device every recipe trains, and every method gives the CPU's figures.

Everywhere this is tested on a card that is not there (`card.py`), and on a graphics card where there is one. The file has a
process of its own (`test_devices.py`), because torch takes a new device only before its first gradient.
"""

from __future__ import annotations

import os
import signal

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

import card
import ranks
import vaekit
from processes import work
from test_recipes import data_for, short_for
from vaekit.data import Rows
from vaekit.errors import Interrupted
from vaekit.evaluation import inference_gap, rate_distortion
from vaekit.recipe import load_recipe, recipe_names
from vaekit.reporters import Reporter
from vaekit.training import loop
from vaekit.training.state import GOOD

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no graphics card")


class OneProcess:
    """What training asks of Accelerate, for a device that Accelerate does not know."""

    trackers = ()

    def __init__(self, device):
        self.device = torch.device(device)

    def log(self, *_, **__):
        pass


@pytest.fixture(params=["card", pytest.param("cuda", marks=needs_cuda)])
def device(request, monkeypatch):
    if request.param == "card":
        card.install(monkeypatch)
        monkeypatch.setattr(loop, "make_accelerator", lambda *_: OneProcess("card:0"))
    return request.param


def close(a, b, within=2e-3):
    """Whether float32 results of two devices agree."""
    if isinstance(a, pa.Table):
        return all(close(x, y, within) for x, y in zip(a.columns, b.columns, strict=True))
    if isinstance(a, pa.ChunkedArray):
        if not pa.types.is_floating(a.type):
            return np.mean(np.array(a.to_pylist(), object) == np.array(b.to_pylist(), object)) > 0.95
        a, b = (column.to_numpy(zero_copy_only=False) for column in (a, b))
    return np.allclose(a, b, rtol=within, atol=within, equal_nan=True)


def train(name, folder):
    recipe = load_recipe(name)
    size = {"layers": [3, 2], "latent_dim": "auto"} if recipe.layers else {}
    settings = short_for(recipe) | size | {"training.precision": "float32", "training.compile": False}
    return vaekit.train(data_for(name, folder), recipe=name, settings=settings, out=folder / "run")


FEW = ("table", "conditional-vae", "autoencoder", "convolutional")
RECIPES = [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in recipe_names()]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_on_the_device_and_its_methods_give_the_figures_of_the_cpu(tmp_path, device, name):
    there = train(name, tmp_path)
    assert next(there.model.parameters()).device.type == device
    here = vaekit.load(tmp_path / "run")
    here.model.cpu()
    takes_source = there.reads_tables or there.schema.context
    X = data_for(name, tmp_path) if takes_source else there.split().test.take(0, 20)
    given = {"label": 1} if there.schema.context else {}
    verbs = ["encode", "reconstruct", "score_samples"] + ["impute", "explain", "uncertainty"] * there.reads_tables
    within = 2e-2 if name == "linear" else 2e-3  # its data lie in a plane, so its variances nearly vanish
    for verb in verbs:
        assert close(getattr(there, verb)(X), getattr(here, verb)(X), within), verb
    z = np.zeros((4, here.recipe.latent_dim), np.float32)
    assert close(there.decode(z, given), here.decode(z, given))
    there.sample(5, given=given)
    measured, expected = there.evaluate(), here.evaluate()
    if there.model.has_likelihood:
        assert measured.log_likelihood.value == pytest.approx(expected.log_likelihood.value, rel=2e-3)
    if there.reads_tables:
        there.impute_draws(X, 2)
        there.sample(3, given={"b": "x"})
        there.evaluate(tables=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "flow-posterior", "vamp-prior", "conditional-vae", "sigma-vae"])
def test_the_slow_figures_can_be_measured_on_the_device(tmp_path, device, name):
    there = train(name, tmp_path)
    here = vaekit.load(tmp_path / "run")
    here.model.cpu()
    annealed = [run.evaluate(temperatures=3, examples=4).annealed for run in (there, here)]
    assert annealed[0].value == pytest.approx(annealed[1].value, rel=0.05)
    rows = Rows(there.split().test.crop(0, 3), there.transform)
    gaps = [inference_gap(run.model, rows, samples=5, steps=3).best_elbo for run in (there, here)]
    assert close(*gaps)
    curves = [rate_distortion(run.model, rows, [1.0], samples=5, steps=3).points[0] for run in (there, here)]
    assert curves[0].rate == pytest.approx(curves[1].rate, rel=0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_of_the_device_resumes_on_the_cpu_and_back(tmp_path, device, monkeypatch, optimizer):
    settings = {"training.epochs": 1, "training.batch_size": 100, "training.validations": 2, "latent_dim": 4}
    settings |= {
        "encoder.hidden": [16],
        "decoder.hidden": [16],
        "optimizer": optimizer,
        "training.precision": "float32",
    }
    with pytest.raises(Interrupted):
        vaekit.train("digits", settings=settings, out=tmp_path / "run", reporter=StopAt(7))
    with monkeypatch.context() as patched:
        patched.setattr(loop, "make_accelerator", lambda *_: OneProcess("cpu"))
        with pytest.raises(Interrupted):
            vaekit.train(resume=tmp_path / "run", reporter=StopAt(12))
    assert np.isfinite(vaekit.train(resume=tmp_path / "run").evaluate().log_likelihood.value)


class StopAt(Reporter):
    """Asks training to stop after a step."""

    def __init__(self, step):
        self.step, self.said = step, []

    def advance(self, step):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)

    def say(self, text):
        self.said.append(text)


def test_the_estimator_fits_on_the_device(device):
    X = np.random.default_rng(0).normal(size=(200, 5))
    X[::7, 1] = np.nan
    model = vaekit.VAE(epochs=2, random_state=0).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.impute(X)).all()


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_that_was_stopped_on_the_card_resumes_bit_for_bit(tmp_path, compiled, precision):
    settings = {"training.compile": compiled, "training.precision": precision, "training.epochs": 2, "latent_dim": 4}
    whole = vaekit.train("digits", settings=settings, out=tmp_path / "whole")
    reporter = StopAt(7)
    with pytest.raises(Interrupted):
        vaekit.train("digits", settings=settings, out=tmp_path / "part", reporter=reporter)
    assert not [text for text in reporter.said if "not compiled" in text]
    resumed = vaekit.train(resume=tmp_path / "part")
    for (name, a), b in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@needs_cuda
def test_two_processes_take_the_steps_of_one_on_cards(tmp_path):
    """On one card they share it, and add by gloo; on two they add by nccl."""
    ended = ranks.together([work.__file__, "train", tmp_path])
    assert [each.code for each in ended] == [0, 0], ended
    (tmp_path / "one").mkdir()
    work.train_all(tmp_path / "one")
    for name in (*work.RECIPES, "table"):
        one, two = (load_file(folder / name / GOOD) for folder in (tmp_path / "one", tmp_path))
        for key, expected in one.items():
            torch.testing.assert_close(
                two[key], expected, rtol=1e-2, atol=1e-3, msg=lambda text, key=key: f"{key}: {text}"
            )
