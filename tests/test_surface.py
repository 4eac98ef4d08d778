"""What others build on: verbs, options, public names, keys of a recipe. A change here is a change of the interface."""

import importlib
import inspect

import pytest
import typer

import vaekit
from vaekit.cli.app import app
from vaekit.recipe.recipe import recipe_keys
from vaekit.runs.table_run import TableRun

VERBS = {
    "train": {"source", "--test", "--recipe", "--set", "--out", "--seed", "--query", "--resume", "--overwrite"},
    "evaluate": {
        "run",
        "source",
        "--samples",
        "--rows",
        "--temperatures",
        "--gap",
        "--rate-distortion",
        "--tables",
        "--factors",
        "--examples",
        "--json",
    },
    "audit": {"run", "--samples", "--evaluations", "--seed", "--json"},
    "remedy": {"run", "--out"},
    "encode": {"run", "source", "--out", "--engine"},
    "reconstruct": {"run", "source", "--out", "--engine"},
    "score": {"run", "source", "--out", "--samples", "--explain", "--p-value", "--marginal", "--engine"},
    "impute": {
        "run",
        "source",
        "--out",
        "--draws",
        "--uncertainty",
        "--intervals",
        "--level",
        "--blanks",
        "--samples",
        "--seed",
        "--engine",
    },
    "sample": {"run", "--out", "-n", "--seed", "--mean", "--given", "--complete", "--engine"},
    "report": {"run", "source", "--beside"},
    "export": {"run", "--out", "--part", "--to", "--samples"},
    "compare": {"runs", "--rows", "--samples"},
    "explore": {"run", "source", "--port", "--no-browser"},
    "describe": {"what", "--set"},
    "recipes": {"--keys"},
    "share": {"run", "source", "--out", "--least-count", "--blunt", "--license", "--json"},
    "push": {
        "run",
        "repository",
        "source",
        "--public",
        "--revision",
        "--least-count",
        "--blunt",
        "--license",
        "--json",
    },
}

NAMES = {
    "__version__",
    "VAEImputer",
    "audit",
    "VAEOutlierDetector",
    "compare",
    "describe",
    "train",
    "load",
    "fit",
    "evaluate",
    "remedy",
    "mapper",
    "map_files",
    "sample_files",
    "Run",
    "VAE",
    "Recipe",
    "VariationalAutoEncoder",
    "Autoencoder",
    "Decoder",
    "Diagonal",
    "Encoder",
    "StandardNormal",
    "GaussianMixture",
    "VampPrior",
    "CouplingPrior",
    "ProbabilisticPCA",
    "VaekitError",
}


def test_the_verbs_and_their_options():
    commands = typer.main.get_command(app).commands
    assert {name: {p.opts[-1] for p in command.params} for name, command in commands.items()} == {
        name: {*options, "--import"} for name, options in VERBS.items()
    }


def test_the_options_of_the_program_itself():
    assert {o for p in typer.main.get_command(app).params for o in p.opts} == {"--version"}


def test_the_public_names():
    assert set(vaekit.__all__) == NAMES
    for name in NAMES:
        value = getattr(vaekit, name)
        assert value is getattr(vaekit, name)
        if name != "__version__":
            assert getattr(importlib.import_module(value.__module__), name) is value
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        vaekit.trian  # noqa: B018


def test_the_keys_that_others_write():
    keys = recipe_keys()
    for key in (
        "latent_dim",
        "training.epochs",
        "training.batch_size",
        "objective.samples",
        "objective.kl_weight",
        "data.size",
    ):
        assert key in keys
    assert keys["objective.samples"].default == "auto"
    assert keys["objective.kl_weight"].default == 1.0


def test_the_python_twins_of_the_verbs():
    keyword = inspect.Parameter.KEYWORD_ONLY
    train = inspect.signature(vaekit.train).parameters
    assert next(iter(train)) == "source"
    assert {n for n, p in train.items() if p.kind is keyword} >= {"test", "recipe", "settings", "out", "seed", "resume"}
    assert list(inspect.signature(vaekit.load).parameters) == ["path", "parts"]
    sections = {"model", "encoder", "decoder", "likelihood", "posterior", "prior", "objective", "optimizer"}
    assert {n for n, p in train.items() if p.kind is keyword} >= sections
    methods = {
        "encode": ["self", "X"],
        "reconstruct": ["self", "X"],
        "score": ["self", "X", "samples"],
        "score_samples": ["self", "X", "samples"],
        "save": ["self", "path"],
        "sample": ["self", "n", "seed", "mean", "given", "complete", "start"],
        "evaluate": [
            "self",
            "X",
            "samples",
            "temperatures",
            "rows",
            "gap",
            "rate_distortion",
            "tables",
            "factors",
            "examples",
        ],
        "report": ["self", "X", "beside"],
        "audit": ["self", "samples", "evaluations", "seed"],
    }
    for name, parameters in methods.items():
        assert list(inspect.signature(getattr(vaekit.Run, name)).parameters) == parameters


def test_what_a_run_on_a_mixed_table_can_do_besides():
    methods = {
        "sample": ["self", "n", "seed", "mean", "given", "complete", "start"],
        "condition": ["self", "n", "given", "seed", "complete", "start"],
        "impute": ["self", "X", "samples", "columns", "where", "blanks"],
        "uncertainty": ["self", "X", "samples", "blanks"],
        "impute_draws": ["self", "X", "draws", "samples", "seed", "columns", "where", "blanks", "ids"],
        "explain": ["self", "X", "samples"],
    }
    for name, parameters in methods.items():
        assert list(inspect.signature(getattr(TableRun, name)).parameters) == parameters


def test_the_model_of_the_textbook():
    assert list(inspect.signature(vaekit.VariationalAutoEncoder.forward).parameters) == ["self", "x"]
    assert list(inspect.signature(vaekit.VariationalAutoEncoder.kl_divergence).parameters) == ["mu", "std"]
    assert "kl_weight" in inspect.signature(vaekit.VariationalAutoEncoder).parameters
    assert "samples" in inspect.signature(vaekit.VariationalAutoEncoder).parameters


def test_errors_are_of_one_family_and_of_the_usual_kinds():
    from vaekit import errors

    for name, kind in (
        ("DataError", ValueError),
        ("RecipeError", ValueError),
        ("RunError", OSError),
        ("TrainingError", RuntimeError),
    ):
        assert issubclass(getattr(errors, name), vaekit.VaekitError)
        assert issubclass(getattr(errors, name), kind)


def test_the_estimator_has_the_names_of_scikit_learn():
    methods = {
        "score": ["self", "X", "y"],
        "score_samples": ["self", "X"],
        "sample": ["self", "n_samples", "random_state", "given", "complete"],
    }
    for name, parameters in methods.items():
        assert list(inspect.signature(getattr(vaekit.VAE, name)).parameters) == parameters
