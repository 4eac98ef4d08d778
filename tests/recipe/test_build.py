import numpy as np
import pytest
import torch

from vaekit.data import Schema, Transform
from vaekit.models import Autoencoder, Likelihood
from vaekit.recipe import build_model, load_recipe, resolve

SCHEMAS = {
    "binary": Schema(kind="binary", shape=(6,), levels=2),
    "levels": Schema(kind="levels", shape=(4, 3, 1), levels=17, picture=True, dtype="uint8"),
    "counts": Schema(kind="counts", shape=(5,)),
    "real": Schema(kind="real", shape=(5,)),
}
SMALL = ["encoder.hidden=[8]", "decoder.hidden=[8]", "latent_dim=2"]


def data(kind, n=200):
    rng = np.random.default_rng(0)
    shape = (n, *SCHEMAS[kind].shape)
    values = {
        "binary": lambda: rng.random(shape) < 0.3,
        "levels": lambda: rng.integers(0, 17, shape),
        "counts": lambda: rng.poisson(4, shape),
        "real": lambda: rng.normal(size=shape) * 3 + 7,
    }[kind]()
    return torch.from_numpy(values.astype(np.float32))


def build(kind, *settings, recipe="auto"):
    complete, _ = resolve(load_recipe(recipe, [*SMALL, *settings]), SCHEMAS[kind], 200)
    torch.manual_seed(0)
    return build_model(complete, SCHEMAS[kind], Transform())


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_kind_of_data_is_given_a_model_of_its_own_likelihood(kind):
    model = build(kind)
    x = data(kind)
    model.start(x)
    y, loss = model(x)
    assert y.shape == x.shape
    assert torch.isfinite(loss)
    name = {"binary": "bernoulli", "levels": "discretized_logistic", "counts": "negative_binomial", "real": "gaussian"}
    assert type(model.decoder.likelihood) is Likelihood.known[name[kind]]
    assert model.encode(x).shape == (200, 2)


def test_options_reach_the_model():
    model = build("real", "objective.kl_weight=0.25", "objective.samples=3", "latent_dim=4", "encoder.hidden=[8, 16]")
    assert (model.kl_weight, model.samples) == (0.25, 3)
    assert model.encode(data("real")).shape == (200, 4)
    widths = {m.out_features for m in model.encoder.modules() if isinstance(m, torch.nn.Linear)}
    assert {8, 16} <= widths


def test_constant_columns_are_not_modelled():
    schema = Schema(kind="real", shape=(5,), constant={1: 0.0})
    complete, _ = resolve(load_recipe("auto", SMALL), schema, 200)
    assert build_model(complete, schema, Transform()).decoder.likelihood.event_shape == (4,)


def test_binarised_levels_are_two():
    model = build("levels", "data.binarize=dynamic")
    assert type(model.decoder.likelihood).__name__ == "Bernoulli"
    assert build("levels", "likelihood=categorical").decoder.likelihood.levels == 17


@pytest.mark.parametrize("kind", SCHEMAS)
def test_what_the_network_sees_has_mean_zero_and_unit_spread(kind):
    model = build(kind)
    x = data(kind)
    model.start(x)
    seen = model.encoder.rescale(x)
    assert abs(float(seen.mean())) < 1e-4
    assert float(seen.std()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_training_starts_where_knowing_nothing_of_z_would_end(kind):
    """The first bound is within a few nats of the best model of independent features."""
    model = build(kind)
    x = data(kind)
    model.start(x)
    with torch.no_grad():
        bound = -float(model.draw(x, 1).distortion().mean())
    flat = x.flatten(1).double().numpy()
    if kind == "real":
        best = -0.5 * (np.log(2 * np.pi * flat.var(0)) + 1).sum()
    else:  # the entropy of each column's own frequencies is a bound on what independence can reach
        frequencies = [np.unique(column, return_counts=True)[1] / len(column) for column in flat.T]
        best = sum(float((p * np.log(p)).sum()) for p in frequencies)
    assert best - 4 - 0.05 * abs(best) < bound < best + 0.05 * abs(best) + 1


def test_a_start_does_not_divide_by_nothing():
    model = build("real")
    model.start(torch.ones(10, 5))
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_an_autoencoder_is_built_and_started():
    model = build("levels", recipe="autoencoder")
    assert isinstance(model, Autoencoder)
    x = data("levels") / 16
    model.start(x)
    seen = model.rescale(x)
    assert float(seen.std()) == pytest.approx(1.0, abs=1e-4)
    assert model(x)[0].shape == x.shape


def test_the_same_seed_gives_the_same_weights():
    first, second = (build("real").state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
