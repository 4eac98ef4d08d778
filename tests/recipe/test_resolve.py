import sys

import numpy as np
import pytest

from vaekit.data import Column, Schema
from vaekit.errors import RecipeError
from vaekit.models import Likelihood
from vaekit.recipe import load_recipe, make_plan, resolve
from vaekit.recipe.pace import set_pace
from vaekit.recipe.recipe import recipe_keys
from vaekit.training.optimizers import Optimizer

PACE = sys.modules[set_pace.__module__]

BINARY = Schema(kind="binary", shape=(6,), levels=2)
GREY = Schema(kind="levels", shape=(8, 8, 1), levels=17, picture=True, dtype="uint8")
LARGE = Schema(kind="levels", shape=(65, 64, 1), levels=256, picture=True, dtype="uint8")
COUNTS = Schema(kind="counts", shape=(30,))
REAL = Schema(kind="real", shape=(7,))
TABLE = Schema(kind="mixed", shape=(1,), columns=("x",), table=(Column(name="x", kind="real", type="double"),))


def choose(schema, *settings, rows=1000, recipe="auto"):
    return resolve(load_recipe(recipe, settings), schema, rows)


@pytest.mark.parametrize(
    ("schema", "likelihood", "scaling"),
    [
        (BINARY, "bernoulli", "none"),
        (GREY, "discretized_logistic", "none"),
        (COUNTS, "negative_binomial", "none"),
        (REAL, "gaussian", "standardize"),
    ],
)
def test_the_likelihood_follows_the_data_and_is_said_aloud(schema, likelihood, scaling):
    recipe, notes = choose(schema)
    assert (recipe.likelihood.name, recipe.data.scaling, recipe.data.binarize) == (likelihood, scaling, "none")
    assert any(note.startswith(f"likelihood={likelihood}: ") for note in notes)
    assert recipe.objective.name == "elbo"


@pytest.mark.parametrize("schema", [BINARY, GREY, LARGE, COUNTS, REAL])
def test_nothing_is_left_open(schema):
    recipe, notes = choose(schema)
    content = recipe.model_dump()
    for key in set(recipe_keys()) - {"data.size", "data.kind", "data.hide", "data.header"}:
        section, _, name = key.rpartition(".")
        assert (content[section] if section else content).get(name) != "auto", key
    again, silent = resolve(recipe, schema, 1000)
    assert again == recipe  # a complete recipe stays as it is
    assert silent == []
    assert all(note.endswith(".") for note in notes)


@pytest.mark.parametrize(
    ("schema", "latent_dim"),
    [(GREY, 32), (LARGE, 32), (REAL, 3), (COUNTS, 10), (Schema(kind="real", shape=(1,)), 1)],
)
def test_the_latent_dimension(schema, latent_dim):
    assert choose(schema)[0].latent_dim == latent_dim
    assert choose(schema, "latent_dim=5")[0].latent_dim == 5


def test_constant_columns_are_told_and_do_not_count():
    schema = Schema(kind="real", shape=(9,), constant={1: 2.0, 4: 0.0}, columns=tuple("abcdefghi"))
    recipe, notes = choose(schema)
    assert recipe.latent_dim == 3  # of seven columns that vary
    assert any("Left out of the likelihood" in note and "column 'b', column 'e'" in note for note in notes)
    many = Schema(kind="real", shape=(9,), constant=dict.fromkeys(range(8), 0.0))
    (note,) = (note for note in choose(many)[1] if "Left out" in note)
    assert "8 columns (column 0, column 1, column 2, column 3, column 4, …)" in note


@pytest.mark.parametrize(("schema", "network"), [(GREY, "mlp"), (LARGE, "convolutional"), (REAL, "mlp")])
def test_the_network_follows_the_size(schema, network):
    recipe, notes = choose(schema)
    assert (recipe.encoder.name, recipe.decoder.name) == (network, network)
    assert sum(f"coder={network}" in note for note in notes) == 2
    assert choose(schema, "encoder=linear")[0].encoder.name == "linear"


def test_convolutions_over_a_table_are_refused():
    with pytest.raises(RecipeError, match=r"decoder=convolutional takes pictures, not tables.*decoder=mlp"):
        choose(REAL, "decoder=convolutional")


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"),
    [
        *((2000, 128, 400), (2000, 2000, 6000), (60_000, 128, 13), (10**7, 128, 10)),
        *((5, 128, 400), (100, 128, 400), (256, 128, 512), (1000, 128, 571)),  # 400 steps, then 4 steps for each row
    ],
)
def test_the_number_of_epochs_makes_six_thousand_steps_and_fewer_for_few_rows(rows, batch_size, epochs):
    recipe, notes = choose(REAL, f"training.batch_size={batch_size}", rows=rows)
    assert recipe.training.epochs == epochs
    steps = epochs * (rows // min(rows, batch_size))
    assert f"training.epochs={epochs}: about {steps} steps." in notes
    assert choose(REAL, "training.epochs=3")[0].training.epochs == 3


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "validations"),
    [(90, 32, 100, 20), (409, 102, 102, 40), (1500, 256, 300, 50), (10_000, 256, 154, 50)],
)
def test_few_rows_of_a_table_take_a_step_each_in_batches_of_a_quarter(rows, batch, epochs, validations):
    table = tuple(Column(name=name, kind="real", type="double") for name in ("x", "y"))
    schema = Schema(kind="mixed", shape=(2,), columns=("x", "y"), table=table)
    training = choose(schema, rows=rows)[0].training
    assert (training.batch_size, training.epochs, training.validations) == (batch, epochs, validations)


@pytest.mark.parametrize(("columns", "share"), [(2, 1.0), (14, 1.0), (21, 2 / 3), (28, 0.5), (90, 0.5)])
def test_a_network_of_cells_takes_fewer_steps_for_many_columns(columns, share):
    names = tuple(f"x{i}" for i in range(columns))
    table = tuple(Column(name=name, kind="real", type="double") for name in names)
    schema = Schema(kind="mixed", shape=(columns,), columns=names, table=table)
    plain, own = (
        choose(schema, f"likelihood={n}", rows=50_000)[0].training.epochs for n in ("mixed", "autoregressive_mixed")
    )
    assert own == pytest.approx(plain * share, abs=1)


def test_an_optimiser_that_says_nothing_of_its_steps_takes_as_many_as_adamw(monkeypatch):
    monkeypatch.setattr(Optimizer, "known", dict(Optimizer.known))

    class Another(Optimizer):
        name = "another"

    found = [choose(REAL, f"optimizer={name}", rows=2560)[0].training.epochs for name in ("adamw", "another")]
    assert found == [300, 300]


def test_muon_takes_fewer_steps():
    assert choose(REAL, "optimizer.name=muon", rows=1280)[0].training.epochs == 400


def test_grey_levels_have_no_bernoulli_likelihood_unless_binarised():
    with pytest.raises(
        RecipeError, match=r"the data must be binary for likelihood=bernoulli. Got grey levels"
    ) as error:
        choose(GREY, "likelihood=bernoulli")
    assert "data.binarize=dynamic" in str(error.value)
    assert "likelihood=discretized_logistic" in str(error.value)
    for how in ("dynamic", "fixed", "threshold"):
        recipe, _ = choose(GREY, "likelihood=bernoulli", f"data.binarize={how}")
        assert (recipe.likelihood.name, recipe.data.binarize) == ("bernoulli", how)
        assert choose(GREY, f"data.binarize={how}")[0].likelihood.name == "bernoulli"


def test_every_likelihood_refuses_data_it_is_no_likelihood_of():
    schemas = {"binary": BINARY, "levels": GREY, "counts": COUNTS, "real": REAL}
    for name, likelihood in Likelihood.known.items():
        for kind, schema in schemas.items():
            if kind in likelihood.kinds or likelihood.density:
                assert choose(schema, f"likelihood={name}")[0].likelihood.name == name
            else:
                with pytest.raises(RecipeError, match=f"the data must be .* for likelihood={name}"):
                    choose(schema, f"likelihood={name}")


def test_a_density_on_whole_numbers_says_what_its_figures_are():
    recipe, notes = choose(GREY, "likelihood=gaussian")
    assert recipe.data.scaling == "standardize"
    assert any("uniform noise is added to integers" in note for note in notes)
    assert not any("uniform noise" in note for note in choose(REAL)[1])


@pytest.mark.parametrize(
    ("schema", "settings", "words"),
    [
        (GREY, ["likelihood=gausian"], r"There is no likelihood 'gausian'.*Did you mean 'gaussian'\?"),
        (
            GREY,
            ["likelihood=gaussian", "data.binarize=dynamic"],
            "binarised data must have a likelihood for binary data",
        ),
        (
            REAL,
            ["data.binarize=dynamic"],
            "data.binarize must be none unless the data have levels. Got 'dynamic' for real",
        ),
        (COUNTS, ["data.scaling=standardize"], "data.scaling must be none for likelihood=negative_binomial"),
        (REAL, ["data.scaling=unit"], "data must have kind 'levels' for data.scaling=unit. Got real data"),
    ],
)
def test_what_does_not_go_together_is_refused(schema, settings, words):
    with pytest.raises(RecipeError, match=words):
        choose(schema, *settings)


def test_binarisation_of_binary_data_does_nothing():
    assert choose(BINARY, "data.binarize=dynamic")[0].data.binarize == "none"


def test_an_autoencoder_has_no_likelihood_to_choose():
    recipe, notes = choose(GREY, recipe="autoencoder")
    assert (recipe.objective.name, recipe.data.scaling, recipe.data.binarize) == ("reconstruction", "unit", "none")
    assert not any("likelihood" in note for note in notes)
    assert choose(REAL, recipe="autoencoder")[0].data.scaling == "standardize"


@pytest.mark.parametrize(
    ("schema", "settings", "gain", "wanted", "reason"),
    [
        (LARGE, (), 2.5, "bfloat16", "this processor multiplies bfloat16 2.5 times faster"),
        (LARGE, (), 1.2, "float32", "does not multiply bfloat16 faster"),
        (GREY, ("encoder.hidden=[64]", "decoder.hidden=[64]"), 2.5, "float32", "too small"),
        (GREY, ("encoder.hidden=[64]", "training.batch_size=1000"), 2.5, "bfloat16", "2.5"),
        (REAL, ("encoder.hidden=[9000]",), 2.5, "float32", "densities need its precision"),
        (TABLE, ("likelihood=mixed",), 2.5, "float32", "densities need its precision"),
        (TABLE, ("likelihood=autoregressive_mixed",), 2.5, "bfloat16", "2.5"),
        (TABLE, ("likelihood=autoregressive_mixed",), 1.2, "float32", "does not multiply bfloat16 faster"),
    ],
)
def test_precision_follows_the_machine_and_the_work(monkeypatch, schema, settings, gain, wanted, reason):
    monkeypatch.setattr(PACE, "bfloat16_gain", lambda: gain)
    recipe, notes = choose(schema, *settings)
    assert recipe.training.precision == wanted
    assert any(note.startswith(f"training.precision={wanted}: ") and reason in note for note in notes)
    for asked in ("float32", "bfloat16"):
        assert choose(schema, *settings, f"training.precision={asked}")[0].training.precision == asked


def test_only_a_long_training_is_compiled(monkeypatch):
    monkeypatch.setattr(PACE, "can_compile", lambda: True)
    short, long = (choose(GREY, f"training.epochs={epochs}", rows=60_000) for epochs in (10, 10_000))
    assert (short[0].training.compile, long[0].training.compile) == (False, True)
    assert any(note.startswith("training.compile=true") for note in long[1])
    pictures = "encoder=convolutional", "decoder=convolutional", "training.epochs=10000"
    assert choose(GREY, *pictures, rows=60_000)[0].training.compile is False
    small = "encoder.hidden=[32]", "decoder.hidden=[32]", "training.batch_size=100"
    for epochs, compiled in ((999, False), (1000, True)):  # ten steps each
        assert choose(GREY, f"training.epochs={epochs}", *small)[0].training.compile is compiled
    assert choose(GREY, "training.epochs=10000", "training.compile=false", rows=60_000)[0].training.compile is False
    monkeypatch.setattr(PACE, "can_compile", lambda: False)
    assert choose(GREY, "training.epochs=10000", rows=60_000)[0].training.compile is False


def test_the_products_of_a_step_are_counted_from_the_networks():
    networks = {"encoder.hidden": [4], "decoder.hidden": [], "encoder.block": "plain", "latent_dim": 3}
    plan = make_plan(choose(REAL, *(f"{k}={v}" for k, v in networks.items()))[0], REAL, 100)
    assert PACE._products(plan, 5) == 7 * 4 + 4 * 2 * 3 + 5 * 3 * 7


def test_the_gain_of_bfloat16_is_measured():
    assert PACE.bfloat16_gain() > 0


def test_without_a_compiler_nothing_is_compiled_and_this_is_said(monkeypatch):
    monkeypatch.setattr(PACE.shutil, "which", lambda name: None)
    recipe, notes = choose(REAL, "training.compile=true")
    assert recipe.training.compile is False
    assert any("no C++ compiler with Python's headers was found" in note for note in notes)
    monkeypatch.setattr(PACE, "can_compile", lambda: True)
    assert choose(REAL, "training.compile=true")[0].training.compile is True


def test_the_choice_does_not_depend_on_the_row_count_but_for_the_length():
    few, many = (choose(GREY, rows=n)[0].model_dump() for n in (1000, 10**6))
    for chosen in (few, many):
        del chosen["training"]["epochs"], chosen["training"]["compile"]
    assert few == many
    assert np.isfinite(few["training"]["learning_rate"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["objective=miwae", "objective.samples=8", "objective.groups=3"], "3 groups for 8 draws"),
        (["objective=piwae", "training.draws_warmup=0.5"], "draws_warmup must be 0 for objective=piwae"),
        (["objective=piwae", "objective.samples=4", "objective.groups=8"], "8 groups for 4 draws"),
        (["objective=free_bits", "prior=mixture"], "prior must be standard_normal for objective=free_bits"),
        (["objective=reconstruction"], "model must be autoencoder for objective=reconstruction"),
        (
            ["model=autoencoder", "objective=iwae"],
            "objective must be reconstruction for model=autoencoder. Got 'iwae' instead. Leave objective out.",
        ),
        (["model=autoencoder", "prior=mixture"], "An autoencoder cannot be built with prior=mixture. Leave it out"),
        (["objective=mmd", "objective.kl_weight=0", "prior=mixture"], "objective.kl_weight=0. Got mixture"),
        (
            ["model=autoencoder", "layers=[4, 2]"],
            r"An autoencoder cannot be built with layers=\[4, 2\].* choose model=vae",
        ),
        (
            ["encoder=linear", "layers=[3, 2]"],
            r"encoder=linear needs a diagonal posterior, but the recipe has layers=\[3, 2\]",
        ),
        (["posterior=low_rank", "objective=tc"], "but the recipe has posterior=low_rank. Choose posterior=diagonal."),
        (["layers=[3, 2]", "objective=tc"], r"but the recipe has layers=\[3, 2\]. Leave layers out."),
        (["posterior=flow", "objective=stl"], "Choose objective=elbo."),
        (["posterior=flow", "objective=dreg"], "Choose objective=iwae."),
        (["encoder=linear", "latent_dim=8"], "at most 7 for a linear encoder of these data. Got 8"),
        (["decoder=linear", "latent_dim=8"], "at most 7 for a linear decoder of these data. Got 8"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(settings, message):
    with pytest.raises(RecipeError, match=message):
        choose(REAL, *settings)


def test_a_number_for_each_of_so_many_levels_is_refused():
    deep = Schema(kind="levels", shape=(8, 8, 1), levels=4096, picture=True, dtype="uint16")
    with pytest.raises(
        RecipeError,
        match=r"at most 256 levels, but the data have 4096: the decoder would have 262,144 outputs for each row",
    ):
        choose(deep, "likelihood=categorical")
    assert choose(deep)[0].likelihood.name == "discretized_logistic"
