"""Two threads share torch's global generator; each gets what it would get alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data import seeded
from vaekit.reporters import Reporter

X = np.random.default_rng(0).normal(size=(120, 3))
SETTINGS = {
    "encoder.hidden": [8],
    "decoder.hidden": [8],
    "encoder.dropout": 0.2,
    "latent_dim": 2,
    "data.kind": "real",
    "training.epochs": 4,
    "training.batch_size": 30,
    "training.validations": 2,
}


class Together(Reporter):
    """Lets each thread take one step in turn with the others."""

    def __init__(self, barrier):
        self.barrier = barrier

    def advance(self, step):
        self.barrier.wait(timeout=60)


def weights(run):
    return (run.path / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("prior", ["standard_normal", "mixture"])
def test_two_trainings_at_once_end_as_each_would_alone(tmp_path, prior):
    settings = SETTINGS | {"prior": prior}
    alone = [weights(vaekit.train(X, settings=settings, seed=s, out=tmp_path / f"alone{s}")) for s in (1, 2)]
    barrier = threading.Barrier(2)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)

    def train(seed):
        out = tmp_path / f"together{seed}"
        return vaekit.train(X, settings=settings, seed=seed, out=out, reporter=Together(barrier))

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(train, (1, 2)))
    assert [weights(run) for run in runs] == alone
    assert torch.equal(torch.rand(3), expected)


def test_a_sample_drawn_while_another_thread_trains_is_that_of_its_seed(tmp_path):
    run = vaekit.train(X, settings=SETTINGS, out=tmp_path / "run")
    expected, found = run.sample(50, seed=3), []

    class Sampling(Reporter):
        def advance(self, step):
            with ThreadPoolExecutor(1) as pool:
                found.append(pool.submit(run.sample, 50, 3).result())

    again = vaekit.train(X, settings=SETTINGS, out=tmp_path / "again", reporter=Sampling())
    assert all(np.array_equal(sample, expected) for sample in found)
    assert weights(again) == weights(run)


def test_another_thread_waits_until_all_is_drawn():
    inside, order = threading.Event(), []

    def draw():
        inside.wait(timeout=60)
        with seeded(1):
            torch.rand(5)
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(draw)
        with seeded(0):
            first = torch.rand(2)
            inside.set()
            assert not other.done()
            second = torch.rand(2)
            order.append("first")
        other.result()
    assert order == ["first", "second"]
    with seeded(0):
        assert torch.equal(torch.cat([first, second]), torch.cat([torch.rand(2), torch.rand(2)]))
