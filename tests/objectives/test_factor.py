"""FactorVAE: a penalty on the total correlation as a discriminator tells it, and who learns from what."""

from __future__ import annotations

import math
import os
import signal

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

import oracles
import vaekit
from builders import linear_vae
from vaekit.errors import Interrupted, RunError
from vaekit.objectives import FactorPenalty, Loss, NegativeELBO
from vaekit.objectives.factor import shuffled
from vaekit.training.state import GOOD

TINY = {
    "objective": "factor",
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "latent_dim": 3,
    "training.epochs": 4,
    "training.validations": 3,
}


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    torch.manual_seed(0)
    model = linear_vae(oracle, rng.normal(size=(2, 5)), rng.normal(size=2), np.array([0.4, 1.7]))
    return model, torch.from_numpy(oracle.sample(8, rng))


def gradients(objective, x, beta=1.0, seed=3):
    """Terms of the loss, and the gradient of its mean by the name of the parameter."""
    torch.manual_seed(seed)
    objective.zero_grad()
    found = objective(x, torch.tensor(beta, dtype=x.dtype))
    found.loss.mean().backward()
    return found, {name: p.grad for name, p in objective.named_parameters()}


def layers(network, z):
    """silu(W₁z + b₁) … by hand."""
    *hidden, last = [module for module in network.modules() if isinstance(module, nn.Linear)]
    value = z
    for layer in hidden:
        value = value @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        value = value * expit(value)
    return (value @ last.weight.detach().numpy().T + last.bias.detach().numpy())[:, 0]


def test_the_loss_by_hand(parts):
    model, x = parts
    plain, _ = gradients(Loss(model, NegativeELBO()), x, 0.7)
    objective = Loss(model, FactorPenalty(2, 5.0)).double()
    found, _ = gradients(objective, x, 0.7)
    torch.manual_seed(3)
    z = model.draw(x).z[0].detach().numpy()
    penalty = 5 * layers(objective.objective.discriminator, z)
    np.testing.assert_allclose(found.loss.detach().numpy(), plain.loss.detach().numpy() + penalty, rtol=1e-10)
    assert np.abs(penalty).min() > 1e-3
    torch.testing.assert_close(found.distortion, plain.distortion)
    torch.testing.assert_close(found.rate, plain.rate)


@pytest.mark.parametrize("weight", [0.0, 5.0])
def test_the_model_learns_from_its_loss_alone_and_the_discriminator_from_the_cross_entropy_alone(parts, weight):
    model, x = parts
    objective = Loss(model, FactorPenalty(2, weight)).double()
    _, own = gradients(objective, x, 0.7)
    own = {name: gradient.clone() for name, gradient in own.items()}
    objective.zero_grad()
    torch.manual_seed(3)
    joint = model.draw(x)
    z, mixed = joint.z[0], shuffled(joint.z[0].detach())
    network = objective.objective.discriminator
    loss = joint.distortion() + 0.7 * joint.rate() + weight * network(z).squeeze(-1)
    by_model = torch.autograd.grad(loss.mean(), list(model.parameters()), retain_graph=True)
    for (name, _), wanted in zip(model.named_parameters(), by_model, strict=True):
        torch.testing.assert_close(own[f"model.{name}"], wanted)
    # codes are of class 1, shuffled ones of class 0
    told, classes = network(torch.cat([z.detach(), mixed])).squeeze(-1), torch.arange(2).repeat_interleave(8).flip(0)
    entropy = nn.functional.binary_cross_entropy_with_logits(told, classes.double())
    by_entropy = torch.autograd.grad(entropy, list(network.parameters()))
    for (name, _), wanted in zip(network.named_parameters(), by_entropy, strict=True):
        torch.testing.assert_close(own[f"objective.discriminator.{name}"], wanted)
        assert wanted.norm() > 1e-6


def test_without_weight_the_model_has_the_gradient_of_the_bound(parts):
    model, x = parts
    _, wanted = gradients(Loss(model, NegativeELBO()), x)
    wanted = {name: gradient.clone() for name, gradient in wanted.items()}
    _, own = gradients(Loss(model, FactorPenalty(2, 0.0)).double(), x)
    for name, gradient in wanted.items():
        torch.testing.assert_close(own[name], gradient, rtol=0, atol=0)


def test_shuffling_keeps_each_dimension_and_parts_them():
    torch.manual_seed(0)
    z = torch.randn(5000, 1).expand(5000, 3).contiguous()  # three times the same number
    mixed = shuffled(z)
    assert torch.equal(mixed.sort(0).values, z.sort(0).values)
    # z-test of three pairs at |z| < 4.5: false alarm 2e-5
    assert (torch.corrcoef(mixed.T) - torch.eye(3)).abs().max() * math.sqrt(5000) < 4.5
    assert not torch.equal(shuffled(z), mixed)


@pytest.mark.parametrize("correlation", [0.0, -0.8])
def test_the_discriminator_finds_the_total_correlation_of_a_gaussian(correlation):
    """q(z) = N(0, Σ) as mixture over rows: posteriors N(x, I/8), x ~ N(0, Σ − I/8); TC = −½ log(1 − ρ²)."""
    torch.manual_seed(0)
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]])
    root = torch.linalg.cholesky(covariance - 0.125 * torch.eye(2))
    oracle = oracles.LinearGaussian(np.eye(2), np.zeros(2), 1.0)
    model = linear_vae(oracle, np.eye(2), np.zeros(2), np.full(2, math.sqrt(0.125))).float()
    objective = Loss(model, FactorPenalty(2, 1.0))
    adam = torch.optim.AdamW(objective.objective.discriminator.parameters(), lr=3e-3, weight_decay=0.0)
    steps, one = 300, torch.ones(())
    for step in range(steps):
        adam.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        adam.zero_grad()
        objective(torch.randn(256, 2) @ root.T, one).loss.mean().backward()
        adam.step()
    with torch.no_grad():
        found = objective(torch.randn(50_000, 2) @ root.T, one)
    told = (found.loss - found.distortion - found.rate).mean().item()
    assert told == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.04)


def test_the_discriminator_is_trained_but_is_no_part_of_the_model(tmp_path):
    run = vaekit.train("digits", settings=TINY, out=tmp_path / "run")
    plain = vaekit.train("digits", settings=TINY | {"objective": "elbo"}, out=tmp_path / "plain")
    weights, _ = run.folder.read_tensors("weights.safetensors")
    assert weights.keys() == plain.folder.read_tensors("weights.safetensors")[0].keys()
    state, _ = run.folder.read_tensors(GOOD)
    others, _ = plain.folder.read_tensors(GOOD)
    layers = ("0.0", "1.0", "2")
    own = {f"objective.discriminator.layers.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert {n for n in state if not n.startswith("optimizer")} == {
        n for n in others if not n.startswith("optimizer")
    } | own
    moments = [name for name in state if name.startswith("optimizer") and name.endswith("exp_avg")]
    assert len(moments) == len(list(run.model.parameters())) + len(own)
    assert all(state[name].abs().max() > 0 for name in moments)


def test_the_discriminator_starts_from_the_seed_and_resumes_bit_for_bit(tmp_path):
    torch.manual_seed(1)
    whole = vaekit.train("digits", settings=TINY, out=tmp_path / "whole")

    class Stopping(vaekit.reporters.Reporter):
        def advance(self, step):
            if step in (7, 30):
                os.kill(os.getpid(), signal.SIGINT)

    torch.manual_seed(2)
    with pytest.raises(Interrupted):
        vaekit.train("digits", settings=TINY, out=tmp_path / "cut", reporter=Stopping())
    with pytest.raises(Interrupted):
        vaekit.train(resume=tmp_path / "cut", reporter=Stopping())
    cut = vaekit.train(resume=tmp_path / "cut")
    for name in ("weights.safetensors", GOOD, "metrics.csv"):
        assert (cut.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_a_state_without_the_discriminator_is_refused_with_its_name(tmp_path):
    plain = vaekit.train("digits", settings=TINY | {"objective": "elbo"}, out=tmp_path / "plain")
    run = vaekit.train("digits", settings=TINY, out=tmp_path / "run")
    (run.path / GOOD).write_bytes((plain.path / GOOD).read_bytes())
    with pytest.raises(RunError, match=rf"(?s){GOOD}' does not belong to this run.*discriminator.layers.2.bias"):
        vaekit.train(resume=run.path)
