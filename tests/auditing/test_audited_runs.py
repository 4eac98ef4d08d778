"""Our own models: no finding over all recipes, and the command line."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import vaekit
from test_recipes import short_for
from vaekit.auditing import run_checks
from vaekit.auditing.checks import CHECKS
from vaekit.auditing.checks.batches import Batches
from vaekit.auditing.checks.jacobian import Jacobian
from vaekit.auditing.checks.noise import Noise
from vaekit.auditing.checks.precision import Precision
from vaekit.auditing.checks.total import Total
from vaekit.cli import run_verbs
from vaekit.data import Transform
from vaekit.errors import VaekitError
from vaekit.evaluation import measure
from vaekit.recipe import load_recipe, recipe_names
from vaekit.runs.audit import make_subject

QUICK = (Noise, Precision, Batches, Total)
REAL = ("linear", "sigma-vae", "variance-vae", "student-t-vae")


def train_tiny(name, folder, side):
    """Train a recipe for an epoch on rows so small that all of them can be summed over."""
    recipe, rng = load_recipe(name), np.random.default_rng(0)
    if recipe.data.kind == "mixed":
        numbers = rng.normal(size=300)
        X = pa.table({"a": np.where(numbers > 1, np.nan, numbers), "b": rng.choice(["x", "y"], 300)})
    elif name in REAL:
        X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 2))
    elif name == "count-vae":
        X = rng.poisson(1, size=(300, 2))
    else:
        X = (
            (rng.random((300, side * side)) < rng.choice([0.1, 0.9], (300, 1)))
            .reshape(300, side, side)
            .astype(np.uint8)
        )
    if recipe.data.context:
        np.savez(folder / "x.npz", x=X, y=rng.integers(0, 2, 300))
        X = folder / "x.npz"
    settings = short_for(recipe)
    if recipe.layers:
        settings |= {"layers": [3, 2], "latent_dim": "auto"}
    if name == "linear":
        settings |= {"latent_dim": 1}
    return vaekit.train(X, recipe=name, settings=settings, out=folder / "run", progress=False)


def check_run(run, checks, evaluations):
    if not run.model.has_likelihood:
        with pytest.raises(VaekitError, match="has no likelihood"):
            run.audit()
        return
    found = run_checks(make_subject(run, 2, evaluations, 0), checks)
    assert not found.findings, str(found)
    assert "total" in {each.check for each in found.measured}, str(found)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_a_likelihood_on_small_rows(tmp_path, name):
    check_run(train_tiny(name, tmp_path, 2), QUICK, 1 << 14)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_passes_all_checks(tmp_path, name):
    check_run(train_tiny(name, tmp_path, 3), CHECKS, 1 << 17)


@pytest.mark.parametrize(("settings", "density"), [({}, False), ({"likelihood.name": "gaussian"}, True)])
def test_levels_with_a_probability_and_with_a_dequantised_density(tmp_path, settings, density):
    X = np.random.default_rng(0).normal(120, 40, (300, 1, 1)).clip(0, 255).astype(np.uint8)
    small = {"encoder.hidden": [16], "decoder.hidden": [16], "latent_dim": 1, "training.epochs": 2}
    run = vaekit.train(X, settings=small | settings, out=tmp_path / "run", progress=False)
    assert (run.model.decoder.likelihood.density, run.schema.levels) == (density, 256)
    check_run(run, QUICK, 1 << 14)


def test_grey_levels_that_are_binarised_are_audited_as_zeros_and_ones(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (300, 2, 2)).astype(np.uint8)
    run = vaekit.train(
        X, recipe="mnist", settings=short_for(load_recipe("mnist")), out=tmp_path / "run", progress=False
    )
    subject = make_subject(run, 2, 1 << 14, 0)
    assert subject.space.title == "2×2×1 binary numbers"
    assert set(np.unique(subject.rows)) == {0.0, 1.0}
    check_run(run, QUICK, 1 << 14)


def test_a_table_is_summed_over_categories_point_masses_and_integers(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "age": rng.integers(20, 90, 400),
            "work": rng.choice(["x", "y", "z"], 400),
            "income": np.where(rng.random(400) < 0.4, 0.0, rng.lognormal(3, 1, 400)),
        }
    )
    small = {"encoder.hidden": [16], "decoder.hidden": [16], "latent_dim": 2, "training.epochs": 2}
    run = vaekit.train(table, settings=small, out=tmp_path / "run", progress=False)
    subject = make_subject(run, 2, 1 << 14, 0)
    assert [cell.real for cell in subject.space.cells] == [False, False, True]
    assert 0.0 in subject.space.cells[2].values
    assert set(range(20, 90)) < set(subject.space.cells[0].values)
    check_run(run, QUICK, 1 << 14)


def test_a_run_says_what_it_measured_and_what_it_could_not(digits_run):
    found = digits_run.audit(samples=1, evaluations=1 << 10)
    assert not found.findings
    said = {each.check: each.text for each in found.skipped}
    assert said["total"].startswith("Σ p(x) cannot be judged")
    assert {"noise", "batch", "mode", "refinement", "annealing"} <= {each.check for each in found.measured}
    assert str(found).startswith(f"Audit of '{digits_run.path}', K = 1, over 8×8×1 numbers with 17 levels\n")


def test_a_determinant_that_was_forgotten(table_run, monkeypatch):
    """The scales of the columns multiply to Σ p(x)."""
    expected, checks = -table_run.transform.log_det(), (Total, Jacobian)
    assert run_checks(make_subject(table_run, 2, 1 << 13, 0), checks).passed
    monkeypatch.setattr(Transform, "log_det", lambda _: 0.0)
    found = {each.check: each for each in run_checks(make_subject(table_run, 2, 1 << 13, 0), checks).findings}
    assert found["jacobian"].size == pytest.approx(abs(expected), rel=1e-6)
    assert found["total"].size == pytest.approx(expected, abs=1.5)


def test_the_command_line_and_its_exit_code(call, tmp_path, monkeypatch):
    monkeypatch.setattr("vaekit.auditing.checks.annealed.TEMPERATURES", 6)  # for speed
    monkeypatch.setattr("vaekit.auditing.checks.refinement.TIMES", (1, 2))
    run = train_tiny("iwae", tmp_path, 2)
    options = ("audit", run.path, "--samples", 1)
    plain = call(*options)
    assert plain.code == 0
    assert "+ total: Σ p(x) = " in plain.out
    assert plain.out.endswith("not checked.\n")

    def inflated(*arguments):
        bounds = measure(*arguments)
        return replace(bounds, log_likelihood=bounds.log_likelihood + 2.0)

    monkeypatch.setattr("vaekit.runs.audit.measure", inflated)
    broken, audit = call(*options, "--json"), run.audit(samples=1)
    assert broken.code == 1
    found = json.loads(broken.out)
    assert found == audit.as_json()
    assert list(found) == ["subject", "findings", "skipped", "measured"]
    (total, annealing) = found["findings"]
    assert set(total) == {"check", "text", "size", "standard_error"}
    assert (total["check"], annealing["check"]) == ("total", "annealing")
    assert total["size"] < 2
    assert "\n! total: " in str(audit)


def test_the_command_line_has_the_defaults_of_the_method():
    verb, method = inspect.signature(run_verbs.audit).parameters, inspect.signature(vaekit.Run.audit).parameters
    for name in ("samples", "evaluations", "seed"):
        assert verb[name].default == method[name].default


def test_a_run_without_a_likelihood_is_refused(expect_refusal, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    settings = {"training.epochs": 1, "latent_dim": 2}
    vaekit.train(X, recipe="autoencoder", settings=settings, out=tmp_path / "run", progress=False)
    expect_refusal("audit", tmp_path / "run", words=("autoencoder has no likelihood",))
    expect_refusal("audit", tmp_path / "nowhere", words=("There is no run folder",))
