"""A step that is compiled is the step that is not: the same weights, averages, moments and sums, within rounding."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import pytest
import torch
from safetensors.torch import load_file

import vaekit
from vaekit.objectives import NegativeELBO
from vaekit.reporters import Reporter
from vaekit.training.optimizers import Muon
from vaekit.training.optimizers.adamw import FusedAdamW
from vaekit.training.state import GOOD

SETTINGS = {
    "latent_dim": 3,
    "encoder.hidden": [32, 32],
    "decoder.hidden": [32],
    "optimizer.weight_decay": 0.1,
    "training.epochs": 2,
    "training.batch_size": 300,
    "training.validations": 2,
    "training.gradient_clip": 5.0,
    "training.kl_warmup": 0.5,
    "training.precision": "float32",
}


class Said(Reporter):
    def __init__(self):
        self.texts = []

    def say(self, text):
        self.texts.append(text)


@pytest.fixture
def traced(monkeypatch):
    """Trace the step as the compiler does, but run its operations one by one, which needs no C++ compiler."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(import_module("vaekit.recipe.pace"), "can_compile", lambda: True)


def train(folder, compiled, source="digits", reporter=None, **settings):
    content = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    run = vaekit.train(
        source, settings=content | {"training.compile": compiled}, out=folder / str(compiled), reporter=reporter
    )
    return load_file(run.path / GOOD), run.folder.read_metrics()


def compare(folder, **settings):
    said = Said()
    (plain, plain_rows), (graph, graph_rows) = (train(folder, c, reporter=said, **settings) for c in (False, True))
    assert not [text for text in said.texts if "is not compiled" in text]
    assert plain.keys() == graph.keys()
    for name, values in plain.items():
        torch.testing.assert_close(
            graph[name], values, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    for a, b in zip(plain_rows, graph_rows, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-4, nan_ok=True)


def test_a_convolution_is_trained_as_by_torch(tmp_path):
    """The gradient of a convolution may lie in memory in another order than its weight, which our kernel would not see."""
    settings = {"encoder": "convolutional", "decoder": "convolutional", "optimizer.weight_decay": 0.01}
    settings = {k: v for k, v in SETTINGS.items() if "hidden" not in k} | settings
    ours = vaekit.train("digits", settings=settings | {"optimizer": "adamw"}, out=tmp_path / "ours")
    del settings["optimizer.weight_decay"]
    theirs = vaekit.train("digits", settings=settings, optimizer=torch.optim.AdamW, out=tmp_path / "theirs")
    for (name, found), expected in zip(
        ours.model.state_dict().items(), theirs.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw"},
        {"optimizer": "muon"},
        {"model": "autoencoder", "training__kl_warmup": 0.0},
        {"objective": "iwae", "objective__samples": 5, "training__draws_warmup": 0.5},
        {"data__binarize": "dynamic", "likelihood": "bernoulli"},
        {"objective": "piwae", "objective__samples": 4, "objective__groups": 2},
        {"prior": "flow"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_the_traced_step_is_the_step(tmp_path, traced, settings):
    compare(tmp_path, **settings)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler
@pytest.mark.parametrize(("optimizer", "latent_dim"), [("adamw", 3), ("muon", 33), ("adamw", 40)])
def test_the_compiled_step_is_the_step(tmp_path, optimizer, latent_dim):
    compare(tmp_path, optimizer=optimizer, latent_dim=latent_dim, data__binarize="dynamic", likelihood="bernoulli")


class Untraceable(NegativeELBO):
    """The evidence lower bound, with a branch that depends on the values of a tensor."""

    def terms(self, draws, beta):
        found = super().terms(draws, beta)
        return found if found.rate.sum() < 1e9 else found._replace(loss=found.rate)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"optimizer": torch.optim.SGD}, "SGD is not a `StepOptimizer`"),
        ({"objective": Untraceable()}, "Data-dependent"),
    ],
)
def test_what_cannot_be_compiled_is_trained_uncompiled_with_a_message(tmp_path, traced, parts, reason):
    said = Said()
    content = SETTINGS | {"optimizer.weight_decay": 0.0, "training.learning_rate": 1e-4, "training.kl_warmup": 0.0}
    for compiled in (True, False):
        vaekit.train(
            "digits",
            settings=content | {"training.compile": compiled},
            out=tmp_path / str(compiled),
            reporter=said,
            **parts,
        )
    (message,) = [text for text in said.texts if text.startswith("The training step is not compiled: ")]
    assert reason in message
    first, second = (load_file(tmp_path / str(compiled) / GOOD) for compiled in (True, False))
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_a_resumed_compiled_run_has_the_same_bytes(tmp_path, traced):
    class Stop(Reporter):
        def advance(self, step):
            if step == 6:
                raise KeyboardInterrupt

    whole, _ = train(tmp_path / "whole", True)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", True, reporter=Stop())
    run = vaekit.train(resume=tmp_path / "cut" / "True")
    resumed = load_file(run.path / GOOD)
    assert all(torch.equal(resumed[name], values) for name, values in whole.items())


@pytest.mark.parametrize("kind", [FusedAdamW, Muon])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_traced_update_is_the_update(kind, decay):
    """`traced_update` against `update`, which for AdamW is torch's own kernel."""
    torch.manual_seed(0)
    plain, graph = (torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.Linear(40, 3)) for _ in range(2))
    graph.load_state_dict(plain.state_dict())
    make = (
        (lambda m: FusedAdamW(list(m.parameters()), 1e-2, decay))
        if kind is FusedAdamW
        else (lambda m: Muon(m, 1e-2, decay))
    )
    first, second = make(plain), make(graph)
    (moved, states), (turned, others) = (
        (list(m.parameters()), list(o.state.values())) for m, o in ((plain, first), (graph, second))
    )
    for step in range(5):
        gradients, rate = [torch.randn_like(p) for p in moved], 0.01 / (step + 1)
        with torch.no_grad():
            first.update(moved, [g.clone() for g in gradients], states, rate)
            numbers = second.factors(others, rate)
            second.traced_update(turned, [g.clone() for g in gradients], others, list(numbers))
    for a, b in zip(plain.parameters(), graph.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    for index, state in first.state_dict()["state"].items():
        for key, value in state.items():
            if key != "step" or "exp_avg" in state:
                torch.testing.assert_close(second.state_dict()["state"][index][key], value, rtol=1e-5, atol=1e-7)
