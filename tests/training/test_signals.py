"""A signal ends what it is meant to end: loops over fits, scripts, verbs; after the state is saved."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import vaekit
from vaekit.errors import Interrupted
from vaekit.training import loop
from vaekit.training.state import GOOD, LATEST

ENDLESS = {
    "encoder.hidden": [4],
    "decoder.hidden": [4],
    "latent_dim": 1,
    "data.kind": "real",
    "training.epochs": 1_000_000,
    "training.validations": 10_000,
    "training.patience": 0,
    "training.compile": False,
}
SHORT = ENDLESS | {"training.epochs": 3, "training.validations": 1}
X = np.random.default_rng(0).normal(size=(200, 2))
PREAMBLE = f"""
import logging, sys
import numpy as np, vaekit
class Told(logging.Handler):
    def emit(self, record):
        if "training.epochs" in record.getMessage() or "precision" in record.getMessage():
            print("fitting", flush=True)
logging.getLogger("vaekit").setLevel(logging.INFO)
logging.getLogger("vaekit").addHandler(Told())
settings = {ENDLESS!r}
X = np.random.default_rng(0).normal(size=(200, 2))
"""


def stopped(script, number, begun, *arguments):
    """Run a script, send it a signal once it has begun: its status, how many fits it began, and what it said."""
    command = [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    while not begun() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    return process.returncode, (first + out).count("fitting"), err


def test_ctrl_c_ends_a_search_over_settings():
    script = """
    from sklearn.model_selection import GridSearchCV
    GridSearchCV(vaekit.VAE(settings=settings), {"latent_dim": [1, 2, 3]}, cv=2).fit(X)
    """
    status, fits, err = stopped(script, signal.SIGINT, lambda: True)
    assert (status, fits) == (-signal.SIGINT, 1)
    assert err.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_loop_that_goes_on_after_failures_does_not_go_on_after_a_signal(tmp_path, number, status):
    """Python itself gives the status 1 to a kind of KeyboardInterrupt that nobody catches."""
    script = """
    for trial in range(3):
        try:
            vaekit.VAE(settings=settings, out=f"{sys.argv[1]}/{trial}").fit(X)
        except Exception:
            continue
    """
    saved = tmp_path / "0" / "metrics.csv"
    found, fits, err = stopped(script, number, saved.exists, tmp_path)
    assert (found, fits) == (status, 1)
    assert not (tmp_path / "1").exists()
    assert (tmp_path / "0" / GOOD).exists()
    if number == signal.SIGINT:
        assert "Interrupted: training was asked to stop and has saved its state" in err
        assert f"`resume='{tmp_path / '0'}'`" in err
    else:
        assert err == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_line_says_how_to_go_on(tmp_path, number, status):
    np.save(tmp_path / "x.npy", X)
    options = [part for key, value in ENDLESS.items() for part in ("--set", f"{key}={value}")]
    script = """
    from vaekit.cli import main
    print("ready", flush=True)
    sys.argv[0] = "vaekit"
    main()
    """
    out = tmp_path / "run"
    arguments = ("train", tmp_path / "x.npy", "--out", out, *options)
    found, _, err = stopped(script, number, (out / "metrics.csv").exists, *arguments)
    assert found == status
    assert "Traceback" not in err
    assert err.rstrip().endswith(f"Continue with `vaekit train --resume {out}`.")
    assert "has saved its state at step" in err


class AtStep(vaekit.reporters.Reporter):
    """Calls a function after the fourth step."""

    def __init__(self, act):
        self.act = act

    def advance(self, step):
        if step == 4:
            self.act()


def test_the_second_ctrl_c_does_not_wait_for_the_step(tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    settings = SHORT | {"training.batch_size": 32}
    with pytest.raises(KeyboardInterrupt) as caught:
        vaekit.train(X, settings=settings, out=tmp_path / "run", reporter=AtStep(twice))
    assert not isinstance(caught.value, Interrupted)
    assert not (tmp_path / "run" / LATEST).exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_caller_ignores_stays_ignored(tmp_path, number):
    former = signal.signal(number, signal.SIG_IGN)
    settings = SHORT | {"training.batch_size": 32}
    try:
        act = AtStep(lambda: signal.raise_signal(number))
        run = vaekit.train(X, settings=settings, out=tmp_path / "run", reporter=act)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, former)
    assert run.folder.read_metrics()[-1]["step"] == 15


def test_the_handler_of_the_caller_is_called_after_saving(tmp_path):
    told = []
    former = signal.signal(signal.SIGTERM, lambda *_: told.append((tmp_path / "run" / LATEST).exists()))
    settings = SHORT | {"training.batch_size": 32}
    act = AtStep(lambda: signal.raise_signal(signal.SIGTERM))
    try:
        with pytest.raises(Interrupted, match="step 4 of 15"):
            vaekit.train(X, settings=settings, out=tmp_path / "run", reporter=act)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert told == [True]


def test_an_estimator_catches_signals_only_where_something_is_kept(tmp_path, monkeypatch):
    seen, original = [], loop.Trainer._step

    def step(self, number):
        seen.append([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)])
        return original(self, number)

    monkeypatch.setattr(loop.Trainer, "_step", step)
    own = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    vaekit.VAE(settings=SHORT).fit(X)
    assert all(handlers == own for handlers in seen)
    seen.clear()
    vaekit.VAE(settings=SHORT, out=tmp_path / "run").fit(X)
    assert not any(handler in own for handlers in seen for handler in handlers)
