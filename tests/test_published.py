"""What the documentation claims of recipes, measured: minutes long, and MNIST comes from the data folder."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data import Rows
from vaekit.errors import Interrupted
from vaekit.evaluation import measure
from vaekit.models import ProbabilisticPCA
from vaekit.reporters import Reporter

DATA = Path(os.environ.get("VAEKIT_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"no data folder at '{DATA}': set VAEKIT_DATA")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),  # torch's compiler uses what torch deprecates
]


def gap_to_the_optimum(run):
    """Closed-form maximum minus trained ELBO, and minus trained likelihood, per training row."""
    part = run.split().train
    rows = np.delete(part.take(0, len(part)).reshape(len(part), -1), list(run.schema.constant), axis=1)
    _, best = ProbabilisticPCA.fit(rows, run.recipe.latent_dim)
    measured = measure(run.model, Rows(part, run.transform, run.recipe.seed), samples=200)
    return best - measured.elbo.mean(), best - measured.log_likelihood.mean()


@pytest.mark.parametrize(
    ("name", "latent_dim"),
    [("load_wine", 3), ("load_breast_cancer", 5), ("load_iris", 2), ("load_diabetes", 4), ("load_digits", 10)],
)
def test_the_linear_recipe_reaches_probabilistic_pca(tmp_path, name, latent_dim):
    from sklearn import datasets

    np.save(tmp_path / "x.npy", getattr(datasets, name)().data.astype(np.float64))
    run = vaekit.train(tmp_path / "x.npy", recipe="linear", settings={"latent_dim": latent_dim}, out=tmp_path / "run")
    elbo, likelihood = gap_to_the_optimum(run)
    assert -0.005 < elbo < 0.02
    assert -0.005 < likelihood < 0.02


def test_linear_maps_started_at_random_learn_probabilistic_pca(tmp_path):
    rng = np.random.default_rng(0)
    np.save(
        tmp_path / "x.npy", rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 10)) + 0.5 * rng.normal(size=(2000, 10))
    )
    settings = {
        f"{side}.{key}": value for side in ("encoder", "decoder") for key, value in (("network", "mlp"), ("hidden", []))
    }
    settings |= {"latent_dim": 3, "training.learning_rate": 5e-3}
    run = vaekit.train(tmp_path / "x.npy", recipe="linear", settings=settings, out=tmp_path / "run")
    elbo, likelihood = gap_to_the_optimum(run)
    assert -0.005 < elbo < 0.02
    assert -0.005 < likelihood < 0.02


@needs_data
def test_mnist_is_better_than_the_published_figure(tmp_path):
    """Burda et al. (2016), one stochastic layer, N(0, I), dynamic binarisation: 86.76 nats."""
    run = vaekit.train(DATA / "mnist", recipe="mnist", out=tmp_path / "run")
    estimate = run.evaluate().log_likelihood
    assert estimate.samples >= 500
    assert estimate.examples == 10_000
    assert -estimate.value <= 86.76


@needs_data
def test_mnist_resumes_bit_for_bit_with_compiled_steps(tmp_path):
    settings = {"training.epochs": 1, "training.validations": 4, "training.compile": True}

    class StopOnce(Reporter):
        def advance(self, step):
            if step == 100:
                signal.raise_signal(signal.SIGINT)

    whole = vaekit.train(DATA / "mnist", recipe="mnist", settings=settings, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        vaekit.train(DATA / "mnist", recipe="mnist", settings=settings, out=tmp_path / "cut", reporter=StopOnce())
    cut = vaekit.train(resume=tmp_path / "cut")
    weights = [run.folder.read_tensors("weights.safetensors")[0] for run in (whole, cut)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
