"""Models that were built by hand: measured and trained as they are, and read again with their owner's help."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal

import oracles
import vaekit
from builders import bernoulli_vae, exact_vae
from vaekit.errors import RecipeError, RunError, VaekitError
from vaekit.models import LatentModel, ModelFamily
from vaekit.models.by_hand import TorchGaussian, as_latent_model, is_density

SHORT = {"training.epochs": 2, "training.validations": 2, "training.batch_size": 32}
BITS = (np.random.default_rng(0).random((200, 4)) < 0.4).astype(np.uint8)


class Torch(nn.Module):
    """Encoder, decoder and prior of plain torch, for four bits."""

    class Map(nn.Module):
        def __init__(self, network, make):
            super().__init__()
            self.network, self.make = network, make

        def forward(self, *inputs):
            return self.make(*(self.network(x) for x in inputs))

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = self.Map(nn.Linear(4, 2), lambda mean: Independent(Normal(mean, torch.full_like(mean, 0.7)), 1))
        self.decoder = self.Map(nn.Linear(2, 4), lambda logits: Independent(Bernoulli(logits=logits), 1))
        self.prior = self.Map(nn.Identity(), lambda: Independent(Normal(torch.zeros(2), torch.ones(2)), 1))


def linear_gaussian():
    W = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0] * [2.0, 1.0]
    return oracles.LinearGaussian(W, np.array([3.0, -1.0, 0.0, 8.0, 2.0]), 0.6)


def test_the_exact_posterior_is_measured_at_the_exact_likelihood():
    oracle = linear_gaussian()
    X = oracle.sample(400, np.random.default_rng(2))
    figures = vaekit.evaluate(exact_vae(oracle).float(), X, samples=3)
    exact = oracle.log_prob(X)
    assert figures.elbo == pytest.approx(exact.mean(), abs=0.1)  # D by draws, R in closed form
    assert figures.log_likelihood.value == pytest.approx(exact.mean(), abs=1e-3)
    assert figures.log_likelihood.standard_error == pytest.approx(exact.std(ddof=1) / 20, rel=1e-3)
    assert (figures.examples, figures.log_likelihood.samples, figures.train_elbo) == (400, 3, None)


def test_a_gaussian_of_torch_s_is_the_same_distribution():
    model, x = Torch(), torch.rand(6, 4)
    theirs, ours = model.encoder(x), TorchGaussian(model.encoder)(x)
    z = torch.randn(6, 2)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    assert isinstance(as_latent_model(model, x), LatentModel)
    assert not is_density(as_latent_model(model, x))
    assert is_density(exact_vae(linear_gaussian()).float())


def test_a_model_is_trained_in_place_and_read_with_its_owner_s_help(tmp_path):
    model = Torch()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run = vaekit.fit(model, BITS, settings=SHORT, out=tmp_path / "run")
    assert any((model.state_dict()[key] != value).any() for key, value in before.items())
    again = vaekit.load(tmp_path / "run", model=Torch(seed=9))
    np.testing.assert_array_equal(again.score_samples(BITS), run.score_samples(BITS))
    figures = run.evaluate(samples=20)
    assert figures.elbo <= figures.log_likelihood.value
    assert figures.baselines.ppca is not None
    assert (run.recipe.model.name, run.recipe.latent_dim, run.recipe.objective.name) == ("object", 2, "elbo")
    with pytest.raises(
        RunError, match=r"trained with parts that were passed as objects: model \(test_by_hand\.Torch\).*model=…"
    ):
        vaekit.load(tmp_path / "run")
    with pytest.raises(RunError, match=r"weights.safetensors"):
        vaekit.load(tmp_path / "run", model=bernoulli_vae())


def test_a_model_begins_with_the_weights_that_it_has(tmp_path):
    """A model that cannot be better is still the best after training."""
    oracle = linear_gaussian()
    X = oracle.sample(1000, np.random.default_rng(3)).astype(np.float32)
    settings = {**SHORT, "training.learning_rate": 1e-8, "training.average": 0.0}
    run = vaekit.fit(exact_vae(oracle).float(), X, settings=settings, out=tmp_path / "run")
    held_out = run.split().test
    exact = oracle.log_prob(held_out.take(0, len(held_out)).astype(float)).mean()
    assert run.evaluate(samples=5).log_likelihood.value == pytest.approx(exact, abs=0.01)


def test_a_constant_column_stays_where_the_model_has_an_input_for_it(tmp_path):
    X = np.hstack([BITS[:, :3], np.ones((200, 1), np.uint8)])
    run = vaekit.fit(Torch(), X, settings=SHORT, out=tmp_path / "run")
    assert run.sample(3).shape == (3, 4)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(VaekitError, match="`encoder`, `decoder` and `prior`"):
        vaekit.fit(nn.Linear(4, 2), BITS, out=tmp_path / "run")
    with pytest.raises(RecipeError, match=r"The encoder does not take rows of shape \(3,\)"):
        vaekit.fit(Torch(), BITS[:, :3], out=tmp_path / "run")
    with pytest.raises(RecipeError, match="`prior` must be a name, options of a part, or a torch module"):
        vaekit.train(BITS, prior=3, out=tmp_path / "run")
    with pytest.raises(RecipeError, match=r"options for `prior` must belong to that section. Got objective=iwae"):
        vaekit.train(BITS, prior=vaekit.Recipe().objective.part.known["iwae"].Options(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_family_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(ModelFamily, "known", dict(ModelFamily.known))

    class Four(ModelFamily):
        name = "four-bits"

        @classmethod
        def build(cls, options, plan):  # noqa: ARG003
            return as_latent_model(Torch(), torch.zeros(1, *plan.event_shape))

    run = vaekit.train(BITS, model="four-bits", settings={**SHORT, "latent_dim": 2}, out=tmp_path / "run")
    again = vaekit.load(tmp_path / "run")
    np.testing.assert_array_equal(again.score_samples(BITS), run.score_samples(BITS))


def test_a_likelihood_of_other_values_is_refused(tmp_path):
    from vaekit.models import Decoder, Diagonal, Encoder, VariationalAutoEncoder
    from vaekit.models.likelihoods import Bernoulli
    from vaekit.networks import MLP

    def build(**options):
        encoder = Encoder(MLP((8, 8, 1), (8,), [8]), Diagonal(4))
        return VariationalAutoEncoder(
            encoder, Decoder(MLP((4,), (8, 8, 1, 1), [8]), Bernoulli((8, 8, 1))), 4, **options
        )

    wrong = r"likelihood is bernoulli, for binary data, but the data are levels"
    with pytest.raises(RecipeError, match=wrong):
        vaekit.fit(build(), "digits", settings={"training.epochs": 1}, out=tmp_path / "run")
    with pytest.raises(RecipeError, match=wrong):
        vaekit.evaluate(build(), "digits", samples=2)
    run = vaekit.fit(
        build(kl_weight=5.0),
        "digits",
        settings={"training.epochs": 1, "data.binarize": "dynamic"},
        out=tmp_path / "run",
    )
    assert run.evaluate(samples=2).log_likelihood.value < 0
    assert run.recipe.objective.kl_weight == 5.0  # the model's own
    settings = {"training.epochs": 1, "data.binarize": "dynamic", "objective.kl_weight": 2.0}
    run = vaekit.fit(build(kl_weight=5.0), "digits", settings=settings, out=tmp_path / "other")
    assert run.recipe.objective.kl_weight == 2.0
    with pytest.raises(RecipeError, match=r"The model has a prior of its own, so `prior=` cannot be given too"):
        vaekit.fit(build(), "digits", prior="flow", out=tmp_path / "third")
