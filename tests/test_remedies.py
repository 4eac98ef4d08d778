"""A remedy that is tried: the same run but for its settings, and what it gained on the same rows."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

import vaekit
from vaekit.errors import DataError, RunError
from vaekit.evaluation import measure
from vaekit.evaluation.diagnosis import FREE_BITS, TRUE_WEIGHT, WARM_UP
from vaekit.recipe import load_recipe

COLLAPSED = {
    "objective.kl_weight": 1000.0,
    "latent_dim": 3,
    "training.epochs": 4,
    "training.validations": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "evaluation.samples": 5,
}


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory):
    return vaekit.train("digits", settings=COLLAPSED, out=tmp_path_factory.mktemp("runs") / "heavy")


@pytest.fixture(scope="module")
def trial(collapsed):
    return vaekit.remedy(vaekit.load(collapsed.path))


def test_the_recipe_is_the_same_but_for_the_remedy(collapsed, trial):
    assert trial.remedy == TRUE_WEIGHT
    mended = trial.runs[1]
    assert mended.recipe != collapsed.recipe
    assert mended.recipe == load_recipe(collapsed.recipe, TRUE_WEIGHT.settings)
    assert mended.path == collapsed.path.with_name("heavy-remedy")
    assert mended.provenance["fingerprint"] == collapsed.provenance["fingerprint"]


def test_the_gain_is_that_of_each_row_on_the_same_rows(collapsed, trial):
    rows = collapsed.rows(collapsed.split().test.take(0, 999))
    one, two = (measure(run.model, rows, 5).log_likelihood for run in trial.runs)
    gain, error = trial.gain().value, trial.gain().standard_error
    assert gain == pytest.approx((two - one).mean(), rel=1e-6)
    assert error == pytest.approx((two - one).std(ddof=1) / np.sqrt(len(one)), rel=1e-6)
    assert error < 0.5 * trial.figures[0].log_likelihood.standard_error  # rows differ by more


def test_the_command_trains_the_same_run_again(trial, call, workplace):
    verb, *words = shlex.split(trial.command())
    assert verb == "vaekit"
    call(*words, "--out", "again")
    again, mended = (run.model.state_dict() for run in (vaekit.load("again"), trial.runs[1]))
    assert all((again[key] == mended[key]).all() for key in mended)


def test_what_is_in_place_is_not_tried_again(tmp_path):
    """The next one is: here the rate is held at 0, by an objective in which it has no weight of its own."""
    held = {**COLLAPSED, "objective": "capacity", "objective.capacity": 0.0}
    first, second = (
        vaekit.remedy(vaekit.train("digits", settings=held | more, out=tmp_path / name)).remedy
        for name, more in (("first", {}), ("second", dict(WARM_UP.settings)))
    )
    assert (first, second) == (WARM_UP, FREE_BITS)


def test_the_verb_sets_both_side_by_side(collapsed, trial, call, workplace):
    outcome = call("remedy", collapsed.path, "--out", "mended")
    (one, error), (gain, gain_error) = (
        (e.value, e.standard_error) for e in (trial.figures[0].log_likelihood, trial.gain())
    )
    text = " ".join(outcome.out.split())
    assert f"log-likelihood ≥ {one:.2f} ± {error:.2f} nats ≥ " in text
    assert re.search(rf"ELBO {trial.figures[0].elbo:.2f} ± \d+\.\d\d nats", text)
    counts = [figures.active_units for figures in trial.figures]
    assert f"active latent dimensions {counts[0]} of 3 {counts[1]} of 3" in text
    assert f"Gain by a KL weight of 1 (objective.kl_weight=1.0): {gain:.2f} ± {gain_error:.2f} nats" in text
    assert trial.command() in outcome.out
    assert "Trying a KL weight of 1 (objective.kl_weight=1.0)." in outcome.err


def test_data_in_memory_are_taken_from_the_run(tmp_path):
    X = np.random.default_rng(0).integers(0, 2, (80, 6)).astype(np.uint8)
    run = vaekit.train(X, settings=COLLAPSED, out=tmp_path / "run")
    assert vaekit.remedy(run).runs[1].provenance["fingerprint"] == run.provenance["fingerprint"]
    with pytest.raises(DataError, match="trained on an array or a data frame, which is not kept"):
        vaekit.remedy(vaekit.load(run.path), out=tmp_path / "other")
    weighted = vaekit.train(X, settings=COLLAPSED, out=tmp_path / "weighted", weights=np.ones(80))
    with pytest.raises(DataError, match="was trained on weighted rows"):
        vaekit.remedy(weighted)


def test_a_table_is_trained_anew_from_its_file(tmp_path, table):
    run = vaekit.train(str(table), settings=COLLAPSED, out=tmp_path / "run")
    trial = vaekit.remedy(run)
    assert trial.runs[1].provenance["fingerprint"] == run.provenance["fingerprint"]
    assert trial.runs[1].schema == run.schema


def test_nothing_is_tried_where_no_setting_helps(tmp_path, tiny):
    run = vaekit.train("digits", recipe="autoencoder", settings=tiny, out=tmp_path / "plain")
    with pytest.raises(RunError, match="do not suggest a change of settings"):
        vaekit.remedy(run)
    assert [p.name for p in tmp_path.iterdir()] == ["plain"]


def test_a_folder_that_holds_a_run_is_refused_before_anything_is_done(expect_refusal, collapsed, trial):
    expect_refusal("remedy", collapsed.path, words=["new or empty", "heavy-remedy", "--out"])
