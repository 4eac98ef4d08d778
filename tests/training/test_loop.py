import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import vaekit
from vaekit.errors import Interrupted, RunError, TrainingError
from vaekit.training import loop, validation
from vaekit.training.state import GOOD, LATEST
from vaekit.training.step import Step

TINY = {
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "latent_dim": 2,
    "training.epochs": 6,
    "training.batch_size": 64,
    "training.validations": 4,
}


def table(rows=300, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rows, 2)) @ rng.normal(size=(2, columns)) + 0.3 * rng.normal(size=(rows, columns))).astype(
        np.float64
    )


class Watcher(vaekit.reporters.Reporter):
    """Calls a function after each step, and keeps what is said."""

    def __init__(self, at_step=lambda step: None):
        self.at_step, self.said, self.rows = at_step, [], []

    def say(self, text):
        self.said.append(text)

    def advance(self, step):
        self.at_step(step)

    def validated(self, row):
        self.rows.append(row)


def content(run, name="weights.safetensors"):
    return (run.path / name).read_bytes()


@pytest.fixture
def survive():
    """A handler of SIGTERM that lets the process live; it notes what it was told."""
    told = []
    former = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    yield told
    signal.signal(signal.SIGTERM, former)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    X = table()
    runs = [vaekit.train(X, settings=TINY, out=tmp_path / str(i), seed=s) for i, s in enumerate((1, 1, 2))]
    assert content(runs[0]) == content(runs[1])
    assert content(runs[0], "metrics.csv") == content(runs[1], "metrics.csv")
    assert content(runs[0], GOOD) == content(runs[1], GOOD)
    assert content(runs[0]) != content(runs[2])


def test_training_leaves_the_global_generator_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    vaekit.train(table(), settings=TINY, out=tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("model", "optimizer"), [("vae", "muon"), ("autoencoder", "adamw")])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path, survive, number, model, optimizer):
    settings = TINY | {"model": model, "encoder.dropout": 0.1, "training.kl_warmup": 0.5}
    settings |= {"optimizer.name": optimizer, "encoder.hidden": [32, 32]}
    whole = vaekit.train("digits", settings=settings, out=tmp_path / "whole")

    def stop(step):
        if step in (7, 50, 51):
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"Continue with `resume='.*cut'`") as caught:
        vaekit.train("digits", settings=settings, out=tmp_path / "cut", reporter=Watcher(stop))
    assert caught.value.signal == number
    assert not isinstance(caught.value, Exception)  # which loops over settings catch
    assert (tmp_path / "cut" / LATEST).exists()
    for _ in range(2):
        with pytest.raises(Interrupted):
            vaekit.train(resume=tmp_path / "cut", reporter=Watcher(stop))
    cut = vaekit.train(resume=tmp_path / "cut")
    for name in ("weights.safetensors", GOOD, "metrics.csv"):
        assert content(cut, name) == content(whole, name)
    assert not (tmp_path / "cut" / LATEST).exists()


def test_draws_rise_in_training_and_every_held_out_bound_has_them_all(tmp_path, monkeypatch):
    settings = TINY | {"objective": "iwae", "objective.samples": 6, "training.draws_warmup": 0.5}
    trained, measured = [], []
    evaluate, draw = validation.measure, vaekit.models.VariationalAutoEncoder.draw

    def counted(model, x, samples=None, noise=None, posterior=None):
        drawn = draw(model, x, samples, noise, posterior)
        if model.training:
            trained.append(len(drawn.z))
        return drawn

    monkeypatch.setattr(vaekit.models.VariationalAutoEncoder, "draw", counted)
    monkeypatch.setattr(validation, "measure", lambda *given: measured.append(given[-1]) or evaluate(*given))
    run = vaekit.train(table(), settings=settings, out=tmp_path / "run")
    half = len(trained) // 2
    assert sorted(set(trained[:half])) == [1, 4]
    assert set(trained[half:]) == set(measured) == {run.model.samples} == {6}
    short = settings | {"training.epochs": 1, "training.batch_size": 300, "training.draws_warmup": 0.9}
    assert vaekit.train(table(), settings=short, out=tmp_path / "short").model.samples == 6  # though no step had six


def test_a_killed_process_resumes_bit_for_bit(tmp_path):
    settings = [f"{key}={value}" for key, value in (TINY | {"training.epochs": 40}).items()]
    arguments = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-c", "from vaekit.cli import main; main()", "train"]
    whole = vaekit.train("digits", settings=settings, out=tmp_path / "whole")
    process = subprocess.Popen(
        [*command, "digits", *arguments, "--out", str(tmp_path / "cut")], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "cut" / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    cut = vaekit.train(resume=tmp_path / "cut")
    assert content(cut) == content(whole)
    assert content(cut, "metrics.csv") == content(whole, "metrics.csv")


def test_a_run_killed_before_its_first_state_starts_anew(tmp_path):
    whole = vaekit.train("digits", settings=TINY, out=tmp_path / "whole")
    vaekit.train("digits", settings=TINY, out=tmp_path / "cut")
    for name in ("weights.safetensors", "metrics.csv", GOOD):
        (tmp_path / "cut" / name).unlink()
    assert content(vaekit.train(resume=tmp_path / "cut")) == content(whole)


def test_a_state_left_over_from_before_the_last_validation_is_ignored(tmp_path):
    whole = vaekit.train("digits", settings=TINY, out=tmp_path / "whole")

    def stop(step):
        if step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        vaekit.train("digits", settings=TINY, out=tmp_path / "cut", reporter=Watcher(stop))
    old = (tmp_path / "cut" / LATEST).read_bytes()
    vaekit.train(resume=tmp_path / "cut")
    (tmp_path / "cut" / LATEST).write_bytes(old)
    assert content(vaekit.train(resume=tmp_path / "cut")) == content(whole)


def test_resuming_on_other_data_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", table())
    vaekit.train(tmp_path / "x.npy", settings=TINY, out=tmp_path / "run")
    np.save(tmp_path / "x.npy", table(seed=1))
    with pytest.raises(vaekit.VaekitError, match="trained on"):
        vaekit.train(resume=tmp_path / "run")


def poison(monkeypatch, bad_steps, name="distortion"):
    """Make the named term of these steps NaN, as many times as each is listed."""
    left = list(bad_steps)
    original = loop.Trainer._step

    def step(self, number):
        if number in left:
            left.remove(number)
            objective = self.step.loss
            bad = torch.tensor(math.nan)
            self.step.loss = lambda *batch: objective(*batch)._replace(
                **{name: objective(*batch).distortion * bad, "loss": objective(*batch).loss * bad}
            )
            try:
                return original(self, number)
            finally:
                self.step.loss = objective
        return original(self, number)

    monkeypatch.setattr(loop.Trainer, "_step", step)


def test_a_number_gone_bad_is_named_and_training_goes_back_with_a_smaller_step(tmp_path, monkeypatch):
    poison(monkeypatch, [20])
    watcher = Watcher()
    run = vaekit.train("digits", settings=TINY, out=tmp_path / "run", reporter=watcher)
    said = [text for text in watcher.said if "not finite" in text]
    assert len(said) == 1
    assert "Step 20: the distortion" in said[0]
    metrics = run.folder.read_metrics()
    clean = vaekit.train(
        "digits", settings=TINY | {"training.learning_rate": 1e-3}, out=tmp_path / "clean"
    ).folder.read_metrics()
    assert metrics[-1]["learning_rate"] == pytest.approx(clean[-1]["learning_rate"])  # half of 2e-3
    assert all(math.isfinite(row["train_elbo"]) for row in metrics)


def test_recovery_is_remembered_by_a_resumed_run(tmp_path, monkeypatch):
    poison(monkeypatch, [40])
    whole = vaekit.train("digits", settings=TINY, out=tmp_path / "whole")
    poison(monkeypatch, [40])

    def stop(step):
        if step == 60:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        vaekit.train("digits", settings=TINY, out=tmp_path / "cut", reporter=Watcher(stop))
    assert content(vaekit.train(resume=tmp_path / "cut")) == content(whole)


def test_a_number_that_goes_bad_every_time_ends_training_with_its_name(tmp_path, monkeypatch):
    poison(monkeypatch, [10] * 4, name="rate")
    with pytest.raises(
        TrainingError,
        match=r"Training fails at step 10: the rate was not finite, even with 0\.125 times the learning rate",
    ):
        vaekit.train("digits", settings=TINY, out=tmp_path / "run")


def test_a_bad_gradient_is_named_by_its_parameter(tmp_path, monkeypatch):
    original = Step._gradients

    def gradients(self, loss):
        found = original(self, loss)
        found[0][:] = math.inf
        return found

    monkeypatch.setattr(Step, "_gradients", gradients)
    with pytest.raises(TrainingError, match=r"the gradient of encoder\.network\.layers\.0\.weight"):
        vaekit.train("digits", settings=TINY, out=tmp_path / "run")


def test_a_full_disk_leaves_the_run_so_far(tmp_path, monkeypatch):
    import errno

    from vaekit.folder import run_folder

    whole = vaekit.train("digits", settings=TINY, out=tmp_path / "whole")
    original, calls = run_folder.save_file, []

    def save(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*arguments)

    monkeypatch.setattr(run_folder, "save_file", save)
    with pytest.raises(RunError, match="disk is full"):
        vaekit.train("digits", settings=TINY, out=tmp_path / "cut")
    assert content(vaekit.train(resume=tmp_path / "cut")) == content(whole)


def test_the_chosen_weights_are_those_of_the_best_true_bound(tmp_path):
    """Whatever β training uses, and however noisy it is, the choice goes by the held-out bound with weight 1."""
    settings = TINY | {
        "objective.kl_weight": 4.0,
        "training.learning_rate": 0.05,
        "training.epochs": 20,
        "training.validations": 10,
    }
    run = vaekit.train("digits", settings=settings, out=tmp_path / "run")
    metrics = run.folder.read_metrics()
    best = max(metrics, key=lambda row: row["elbo"])
    _, metadata = run.folder.read_tensors("weights.safetensors")
    assert int(metadata["step"]) == best["step"]
    split = run.split()
    measured = vaekit.evaluation.measure(run.model, vaekit.data.Rows(split.validation, run.transform, run.recipe.seed))
    assert measured.elbo.mean() == pytest.approx(best["elbo"], abs=1e-9)
    assert best["elbo"] == pytest.approx(-(best["distortion"] + best["rate"]))


def test_training_stops_when_the_held_out_bound_has_not_risen(tmp_path):
    settings = TINY | {
        "training.epochs": 200,
        "training.validations": 100,
        "training.patience": 2,
        "training.learning_rate": 0.05,
    }
    watcher = Watcher()
    run = vaekit.train(table(60), settings=settings, out=tmp_path / "run", reporter=watcher)
    metrics = run.folder.read_metrics()
    bounds = [row["bound"] for row in metrics]
    assert len(metrics) < 100
    assert len(bounds) - 1 - int(np.argmax(bounds)) == 2
    assert any("has not risen" in text for text in watcher.said)


def test_without_validation_rows_the_last_weights_are_taken(tmp_path):
    run = vaekit.train(table(), settings=TINY | {"data.validation": 0.0}, out=tmp_path / "run")
    metrics = run.folder.read_metrics()
    assert all(math.isnan(row["elbo"]) for row in metrics)
    assert int(run.folder.read_tensors("weights.safetensors")[1]["step"]) == metrics[-1]["step"]


def test_kl_warmup_is_logged_and_ends_at_its_value(tmp_path):
    run = vaekit.train(
        "digits", settings=TINY | {"training.kl_warmup": 0.5, "objective.kl_weight": 2.0}, out=tmp_path / "run"
    )
    weights = [row["kl_weight"] for row in run.folder.read_metrics()]
    assert weights[0] < 2.0
    assert weights[-1] == 2.0


def test_averaged_weights_are_the_exponential_average(tmp_path):
    run = vaekit.train(table(), settings=TINY | {"training.average": 0.0, "data.validation": 0.0}, out=tmp_path / "run")
    tensors, _ = run.folder.read_tensors(GOOD)
    for name, value in run.model.named_parameters():
        assert torch.equal(tensors[f"model.{name}"], value)  # decay 0: the average is the weights themselves


def test_a_second_run_may_use_another_precision(tmp_path):
    first = vaekit.train("digits", settings=TINY | {"training.precision": "bfloat16"}, out=tmp_path / "a")
    second = vaekit.train("digits", settings=TINY, out=tmp_path / "b")
    assert content(first) != content(second)
    assert first.evaluate().elbo == pytest.approx(second.evaluate().elbo, rel=0.02)


def test_a_missing_tracker_is_named(tmp_path):
    with pytest.raises(TrainingError, match="pip install aim"):
        vaekit.train("digits", settings=TINY | {"training.trackers": ["aim"]}, out=tmp_path / "run")


@pytest.mark.parametrize("cycles", [1, 4])
def test_weights_are_chosen_only_where_beta_has_its_value(tmp_path, cycles):
    """Else the figures would be shown beside a β with which the chosen weights were never trained."""
    settings = TINY | {
        "training.kl_warmup": 0.6,
        "training.kl_cycles": cycles,
        "training.epochs": 20,
        "training.validations": 10,
        "training.patience": 1,
    }
    run = vaekit.train("digits", settings=settings, out=tmp_path / "run")
    step = int(run.folder.read_tensors("weights.safetensors")[1]["step"])
    chosen = next(row for row in run.folder.read_metrics() if row["step"] == step)
    assert chosen["kl_weight"] == 1.0


def test_gradients_are_clipped_to_the_norm_and_left_alone_below_it(tmp_path, monkeypatch):
    seen = {}

    def steps(limit):
        from vaekit.training.optimizers.adamw import FusedAdamW as AdamW

        original = AdamW.update

        def update(self, parameters, gradients, states, rate):
            seen.setdefault(limit, [gradient.clone() for gradient in gradients])
            return original(self, parameters, gradients, states, rate)

        monkeypatch.setattr(AdamW, "update", update)
        settings = TINY | {"training.gradient_clip": limit, "training.epochs": 1}
        vaekit.train("digits", settings=settings, out=tmp_path / str(limit))
        monkeypatch.setattr(AdamW, "update", original)
        return seen[limit]

    free, loose, tight = steps(0.0), steps(1e9), steps(0.5)
    norm = torch.cat([g.flatten() for g in free]).norm()
    assert norm > 0.5
    for a, b, c in zip(free, loose, tight, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(c, a * (0.5 / norm))


def test_long_training_says_how_long_it_takes(tmp_path, monkeypatch):
    said = []
    for least in (math.inf, -1.0):
        monkeypatch.setattr(loop, "LONG_SECONDS", least)
        watcher = Watcher()
        vaekit.train(table(60), settings=TINY | {"training.epochs": 40}, out=tmp_path / str(least), reporter=watcher)
        said.append([text for text in watcher.said if "min on this machine" in text])
    assert said == [[], ["Training takes about 1 min on this machine; it may end earlier."]]
