"""A process that is killed: the others end, the launcher starts all again, and the end has the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ranks
from processes import work

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--monitor-interval", "0.05")
SMALL = work.DROPOUT | {"training.epochs": 40, "training.validations": 20, "training.patience": 0}
FILES = ("weights.safetensors", "metrics.csv", "state/good.safetensors")


def train(folder, *options):
    """Start two processes that train on digits by the launcher of torch."""
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    return subprocess.Popen(
        [*TORCHRUN, "--standalone", *options, "-m", "vaekit", "train", "digits", "--out", folder, *settings],
        env=os.environ | ranks.ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ranks.own_signals,
    )


def workers(launcher):
    """The processes that a launcher has started."""
    listed = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text()
    return [int(number) for number in listed.split()]


def wait_for(path, launcher):
    """Wait until a file is there, or the launcher has ended."""
    while not path.exists() and launcher.poll() is None:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    launcher = train(folder)
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, err
    assert out == f"Trained: {folder}\n"
    return [(folder / name).read_bytes() for name in FILES]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes of a launcher in /proc"),
]


@pytest.mark.parametrize("seed", range(4))
def test_killed_processes_are_started_again_and_end_with_the_same_bytes(tmp_path, whole, seed):
    rng = random.Random(seed)
    launcher = train(tmp_path / "run", "--max-restarts", "3")
    for _ in range(2):
        wait_for(tmp_path / "run" / "metrics.csv", launcher)
        time.sleep(rng.uniform(0, 3))
        if found := workers(launcher):
            os.kill(rng.choice(found), signal.SIGKILL)
            time.sleep(5)  # until all are started again
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, err
    assert out == f"Trained: {tmp_path / 'run'}\n"
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == whole


def test_without_restarts_the_others_end_and_the_run_can_be_resumed(tmp_path, whole):
    launcher = train(tmp_path / "run")
    wait_for(tmp_path / "run" / "metrics.csv", launcher)
    second = workers(launcher)[1]
    os.kill(second, signal.SIGKILL)
    killed = time.monotonic()
    _, err = launcher.communicate(timeout=120)
    assert launcher.returncode == 1
    assert time.monotonic() - killed < 60
    assert "vaekit: Another process of this training has ended, or does not answer." in err
    ended = ranks.together(["-m", "vaekit", "train", "--resume", tmp_path / "run"])
    assert [each.code for each in ended] == [0, 0], ended
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launcher_that_is_asked_to_stop_stops_a_run_that_can_be_resumed(tmp_path, whole, number):
    launcher = train(tmp_path / "run")
    wait_for(tmp_path / "run" / "metrics.csv", launcher)
    launcher.send_signal(number)
    _, err = launcher.communicate(timeout=120)
    assert f"Continue with `vaekit train --resume {tmp_path / 'run'}`." in err
    ended = ranks.together(["-m", "vaekit", "train", "--resume", tmp_path / "run"])
    assert [each.code for each in ended] == [0, 0], ended
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == whole


@pytest.mark.skipif(shutil.which("accelerate") is None, reason="needs the launcher of Accelerate")
def test_the_launcher_of_accelerate_starts_two_processes(tmp_path, whole):
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    command = ["accelerate", "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1", "-m", "vaekit"]
    done = subprocess.run(
        [*command, "train", "digits", "--out", tmp_path / "run", *settings],
        env=os.environ | ranks.ALONE, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == whole
