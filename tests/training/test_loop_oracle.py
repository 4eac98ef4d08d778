"""The training loop against a plain one, written down from what is documented of a step and sharing no code with it."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import softplus

import vaekit
from vaekit.data import RowNoise, RowStream
from vaekit.objectives import Loss
from vaekit.reporters import Reporter
from vaekit.training.state import GOOD

STEPS, BATCH, SEED, RATE, FINAL, DECAY, CLIP, BETA, DRAWS, AVERAGE, VARIANCE = 20, 16, 5, 0.05, 0.1, 0.2, 8.0, 2.0, 3, 0.5, 0.4  # fmt: skip
SETTINGS = {
    "encoder.hidden": [],
    "decoder.hidden": [],
    "latent_dim": 2,
    "likelihood": "gaussian",
    "likelihood.variance": VARIANCE,
    "data.scaling": "standardize",
    "data.test": 0.2,
    "data.validation": 0.2,
    "objective.kl_weight": BETA,
    "objective.samples": DRAWS,
    "training.epochs": 10,
    "training.batch_size": BATCH,
    "training.validations": 4,
    "training.patience": 0,
    "training.learning_rate": RATE,
    "training.final_rate": FINAL,
    "training.warmup": 0.2,
    "optimizer.weight_decay": DECAY,
    "training.gradient_clip": CLIP,
    "training.average": AVERAGE,
    "training.kl_warmup": 0.6,
}


def counts():
    """Correlated whole numbers, shape (60, 4), which a density sees with uniform noise added: log|det| is not zero."""
    rng = np.random.default_rng(0)
    X = 4 + 2 * rng.normal(size=(60, 2)) @ rng.normal(size=(2, 4)) + rng.normal(size=(60, 4))
    return np.round(X).clip(0, 9).astype(np.int64)


class Beginning(Reporter):
    """Keeps the weights with which training begins."""

    def __init__(self, path):
        self.path, self.weights = path, {}

    def begin(self, step, steps, rows_per_step):
        state = load_file(self.path / GOOD)
        self.weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}


def terms(w, x, epsilon):
    """Distortion and rate of each row, q(z|x) = N(Ax + a, diag σ²), p(x|z) = N(s(Wz + b + c), λ)."""
    seen = (x - w["encoder.rescale.shift"]) / w["encoder.rescale.scale"]
    mean, raw = (seen @ w["encoder.network.layers.0.weight"].T + w["encoder.network.layers.0.bias"]).chunk(2, -1)
    std = (-9 + softplus(raw + 9) - softplus(raw - 5)).exp()
    z = mean + std * epsilon
    network = z @ w["decoder.network.layers.0.weight"].T + w["decoder.network.layers.0.bias"]
    location = w["decoder.likelihood.reference"] * (network + w["decoder.likelihood.offset"][:, 0])
    log_x = -0.5 * ((x - location) ** 2 / VARIANCE + math.log(2 * math.pi * VARIANCE)).sum(-1)
    rate = 0.5 * (std**2 + mean**2 - 1 - 2 * std.log()).sum(-1)
    return -log_x.mean(0), rate, mean


def mixed(number):
    """The finalizer of splitmix64, in Python's integers."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) % 2**64
    return number ^ (number >> 31)


def hashed(epoch, position, stream, count):
    """Hashes of a position in an epoch, 32 bits each, in Python's integers."""
    golden, numbers = 0x9E3779B97F4A7C15, []
    key = mixed((SEED + golden) % 2**64)
    for part in (epoch, position, stream):
        key = mixed((key + (part + 1) * golden) % 2**64)
    for element in range(count):
        x = (key + element * 0x9E3779B9) % 2**32
        x = ((x ^ (x >> 16)) * 0x21F0AAAD) % 2**32 ^ (key >> 32)
        x = ((x ^ (x >> 15)) * 0x735A2D97) % 2**32
        numbers.append(x ^ (x >> 15))
    return numbers


def halves(number):
    """Two uniform numbers, of the lower and the upper 16 bits of a hash; zero is in the middle of the signed integers."""
    return [((half ^ 2**15) + 0.5) / 2**16 for half in (number % 2**16, number >> 16)]


def batch_noise(epoch, positions):
    """Uniform noise of the data, shape (B, 4), and normal noise of the draws, shape (M, B, 2)."""
    uniform = torch.tensor([[u for x in hashed(epoch, row, 0, 2) for u in halves(x)] for row in positions])
    numbers = [[((x >> 9) + 0.5) / 2**23 for x in hashed(epoch, row, 2, 4 * DRAWS)] for row in positions]
    first, second = torch.tensor(numbers).chunk(2, 1)
    normal = (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()
    return uniform, normal.reshape(BATCH, DRAWS, 2).movedim(1, 0)


def plain_loop(w, train, validation, seen, log_det):
    """The weights, their average, all rows of metrics.csv, and the norms of the gradients."""
    names = [name for name in w if not name.endswith(("shift", "scale", "reference"))]
    average, moments = {n: w[n].clone() for n in names}, dict.fromkeys(names, (0.0, 0.0))
    sums, metrics, norms, averages = np.zeros(3), [], [], {}
    for step in range(STEPS):
        epoch, place = divmod(step, len(train) // BATCH)
        positions = range(place * BATCH, (place + 1) * BATCH)
        uniform, epsilon = batch_noise(epoch, positions)
        x = seen(train[np.random.default_rng([SEED, 2, epoch]).permutation(len(train))[positions]], uniform)
        rise = (step + 1) / 4 if step < 4 else FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * (step - 4) / 16))
        rate, beta = RATE * rise, BETA * min(1.0, step / 12)
        for name in names:
            w[name] = w[name].detach().requires_grad_()
        distortion, divergence, _ = terms(w, x, epsilon)
        gradients = torch.autograd.grad((distortion + beta * divergence).mean(), [w[n] for n in names])
        norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        for name, gradient in zip(names, gradients, strict=True):
            gradient = gradient * min(1.0, CLIP / norms[-1])
            first, second = moments[name]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            moments[name] = first, second
            unbiased = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
            w[name] = w[name].detach() * (1 - rate * DECAY) - rate * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
            decay = min(AVERAGE, (1 + step) / (10 + step))
            average[name] = decay * average[name] + (1 - decay) * w[name]
        sums += [float(distortion.detach().sum()), float(divergence.detach().sum()), BATCH]
        if step + 1 in (5, 10, 15, 20):
            noise = RowNoise(validation, SEED)
            x = seen(validation, noise.uniform((4,), RowStream.TRANSFORM))
            epsilon = noise.normal((1, 2), RowStream.POSTERIOR).movedim(1, 0)
            D, R, mean = terms({**w, **average}, x, epsilon)
            D, R = float(D.double().mean()) - log_det, float(R.double().mean())
            trained = {"train_distortion": sums[0] / sums[2] - log_det, "train_rate": sums[1] / sums[2]}
            active = int((mean.var(0, correction=0) > 0.01).sum())
            measured = {"elbo": -(D + R), "distortion": D, "rate": R, "active_units": active, "bound": -(D + R)}
            train_elbo = -(trained["train_distortion"] + trained["train_rate"])
            begun = {"step": step + 1, "epoch": (step + 1) / 2, "train_elbo": train_elbo}
            metrics.append({**begun, **trained, **measured, "kl_weight": beta, "learning_rate": rate})
            averages[step + 1], sums = dict(average), np.zeros(3)
    return w, averages, metrics, norms


def test_the_loop_is_the_plain_one(tmp_path):
    beginning = Beginning(tmp_path / "run")
    run = vaekit.train(counts(), settings=SETTINGS, seed=SEED, out=tmp_path / "run", reporter=beginning)
    split, (_, affine) = run.split(), run.transform.steps
    train, validation = (part.take(0, len(part)) for part in (split.train, split.validation))
    shift, scale = (torch.tensor(numbers, dtype=torch.float64) for numbers in (affine.shift, affine.scale))

    def seen(rows, uniform):
        return ((torch.from_numpy(rows).double() + uniform - shift) / scale).float()

    log_det = -float(scale.log().sum())
    assert abs(log_det) > 1
    w, averages, metrics, norms = plain_loop(beginning.weights, train, validation, seen, log_det)
    assert min(norms) < CLIP < max(norms)
    state = load_file(run.path / GOOD)
    for name, average in averages[STEPS].items():
        torch.testing.assert_close(state[f"model.{name}"], w[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state[f"average.{name}"], average, rtol=1e-4, atol=1e-5)
    found = run.folder.read_metrics()
    assert [list(row) for row in found] == [list(row) for row in metrics]
    for row, expected in zip(found, metrics, strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-5)
    best = max((row for row in metrics if row["kl_weight"] == BETA), key=lambda row: row["bound"])["step"]
    chosen = run.folder.read_tensors("weights.safetensors")[0]
    for name, average in averages[best].items():
        torch.testing.assert_close(chosen[name], average, rtol=1e-4, atol=1e-5)


def test_rows_with_hidden_cells_do_not_count_in_the_figures_of_training(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.normal(size=200), "b": rng.normal(size=200), "c": rng.choice(["x", "y"], 200)})
    original, counted, hidden = Loss.forward, [], []

    def forward(self, x, *others):
        found = original(self, x, *others)
        unhidden = len(x) - int(0.3 * len(x))
        counted.append((found.distortion[:unhidden].detach(), found.rate[:unhidden].detach()))
        hidden.append(torch.isnan(x[:, : x.shape[1] // 2]).any(1))
        return found

    monkeypatch.setattr(Loss, "forward", forward)
    settings = {"encoder.hidden": [8], "decoder.hidden": [8], "latent_dim": 2, "data.hide": 0.3, "objective": "elbo"}
    settings |= {"training.epochs": 2, "training.batch_size": 30, "training.validations": 1, "training.compile": False}
    run = vaekit.train(table, recipe="table", settings=settings, out=tmp_path / "run")
    assert all(row[:21].sum() == 0 and row[21:].sum() > 0 for row in hidden)
    distortion, rate = (float(torch.cat(part).double().mean()) for part in zip(*counted, strict=True))
    (row,) = run.folder.read_metrics()
    log_det = run.transform.log_det()
    assert row["train_distortion"] == pytest.approx(distortion - log_det, rel=1e-6)
    assert row["train_rate"] == pytest.approx(rate, rel=1e-6)
    assert row["train_elbo"] == pytest.approx(log_det - distortion - rate, rel=1e-6)
