"""Readings of the figures: each appears at its threshold, and says the figures it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vaekit.evaluation import BoundFigures, ErrorFigures, Estimate, GapFigures, LinearBaselines, LogLikelihood, diagnose

HEALTHY = BoundFigures(
    examples=1000,
    measured=None,
    elbo=-100.0,
    rate=20.0,
    distortion=80.0,
    log_likelihood=LogLikelihood(-95.0, 0.5, samples=100, examples=1000),
    effective_beta=1.0,
    train_elbo=-99.0,
    active_units=10,
    latent_dim=16,
    mutual_information=5.0,
    mutual_information_ceiling=6.9,
    marginal_kl=2.0,
    baselines=LinearBaselines(ppca=-120.0, factor_analysis=-118.0),
)


def figures(**changes):
    """A healthy evaluation, but for the changes."""
    return replace(HEALTHY, **changes)


def reading(words, **changes):
    """The one reading that contains the words, or None."""
    found = [r for r in diagnose(figures(**changes)) if words in r.text]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_healthy_model_gets_no_warning():
    readings = diagnose(figures())
    assert {r.level for r in readings} == {"good", "note"}
    assert not any(r.remedies for r in readings)


@pytest.mark.parametrize(
    ("active", "level", "words"),
    [
        (0, "warning", "The posterior has collapsed onto the prior: all 16 latent dimensions are inactive"),
        (1, "note", "Only 1 of 16 latent dimensions is active"),
        (3, "note", "Only 3 of 16 latent dimensions are active"),
        (4, "good", "4 of 16 latent dimensions are active"),
        (16, "note", "All 16 latent dimensions are active"),
    ],
)
def test_active_units(active, level, words):
    found = reading(words, active_units=active)
    assert found.level == level
    assert bool(found.remedies) == (level != "good")


def test_collapse_comes_first():
    assert diagnose(figures(active_units=0, train_elbo=0.0))[0].level == "warning"
    assert "collapsed" in diagnose(figures(active_units=0, train_elbo=0.0))[0].text


@pytest.mark.parametrize(
    ("error", "train", "fits"), [(1.0, -98.1, True), (1.0, -95.9, False), (0.1, -99.81, True), (0.1, -99.59, False)]
)
def test_a_gap_of_four_standard_errors_is_over_fitting_whatever_the_units(error, train, fits):
    estimate = replace(HEALTHY.log_likelihood, standard_error=error)
    changes = {"elbo": -100.0, "train_elbo": train, "log_likelihood": estimate}
    assert (reading("the model overfits.", **changes) is None) == fits
    assert (reading("no sign of overfitting", **changes) is not None) == fits


def test_a_gap_between_two_and_four_standard_errors_is_left_open():
    estimate = replace(HEALTHY.log_likelihood, standard_error=1.0)
    found = reading(
        "1,000 held-out rows are too few to tell whether the model overfits",
        elbo=-100.0,
        train_elbo=-97.0,
        log_likelihood=estimate,
    )
    assert found.level == "note"
    lone = replace(HEALTHY.log_likelihood, standard_error=None)
    found = reading(
        "1 held-out row is too few",
        elbo=-100.0,
        train_elbo=-97.0,
        log_likelihood=lone,
        examples=1,
        baselines=LinearBaselines(),
    )
    assert found.level == "note"


def test_the_gap_is_named():
    assert "20.00 nats higher on training rows" in reading("the model overfits.", train_elbo=-80.0).text


def test_the_best_baseline_is_the_one_to_beat():
    assert "(factor analysis) by 23.00 nats" in reading("beats", train_elbo=-99.0).text
    worse = reading("better", baselines=LinearBaselines(ppca=-90.0))
    assert worse.level == "warning"
    assert "(probabilistic PCA) is better by 5.00 nats" in worse.text
    assert reading("simple model", baselines=LinearBaselines()) is None


@pytest.mark.parametrize(("gain", "level"), [(2.1, "good"), (1.9, "note"), (-1.9, "note"), (-2.1, "warning")])
def test_a_gain_within_two_standard_errors_is_no_gain(gain, level):
    found = reading(
        "simple model",
        log_likelihood=replace(HEALTHY.log_likelihood, standard_error=1.0),
        examples=40,
        baselines=LinearBaselines(ppca=-95.0 - gain),
    )
    assert found.level == level
    assert f"{abs(gain):.2f} nats" in found.text
    assert ("40 held-out rows are too few to tell" in found.text) == (level == "note")


def test_a_lone_row_tells_nothing_of_a_gain():
    lone = replace(HEALTHY.log_likelihood, standard_error=None)
    assert reading("simple model", log_likelihood=lone).level == "note"


def test_a_remedy_that_the_run_cannot_take_is_not_named():
    collapsed = figures(active_units=0)
    every, few = (diagnose(collapsed, a)[0] for a in (lambda _: True, lambda r: "prior.name" not in r.settings))
    assert "free bits (objective=free_bits)" in every.advice
    assert "a flow prior (prior=flow)" in every.advice
    assert every.advice.startswith("Try: KL warm-up (training.kl_warmup=0.3); ")
    assert few.remedies == tuple(r for r in every.remedies if "prior.name" not in r.settings)
    assert "a less flexible likelihood" in diagnose(collapsed, lambda _: False)[0].advice


def test_a_heavy_rate_is_the_first_to_be_mended():
    first = reading("all 16", active_units=0, effective_beta=4.0).remedies[0]
    assert first.settings == {"objective.kl_weight": 1.0}
    assert reading("all 16", active_units=0, effective_beta=0.5).remedies[0].name == "KL warm-up"


@pytest.mark.parametrize(
    ("family", "encoder", "words", "remedy"),
    [
        (
            3.0,
            1.0,
            "family causes most of the inference gap: even the best diagonal Gaussian for each row loses 3.00 nats",
            "posterior=full_covariance",
        ),
        (
            1.0,
            3.0,
            "encoder causes most of the inference gap: the best diagonal Gaussian for each row would save 3.00 nats",
            "layers of the encoder",
        ),
        (1.0, 1.7, "64 rows are too few to tell", None),
        (3.0, -1.0, "would lose 1.00 nats more", None),
        (
            3.0,
            -0.3,
            "family causes most of the inference gap: even the best diagonal Gaussian for each row loses 3.00 nats",
            "posterior=flow",
        ),
    ],
)
def test_the_larger_share_of_the_gap_is_named(family, encoder, words, remedy):
    total = Estimate(family + encoder, 0.2)
    gap = GapFigures(
        *(total, total, total, Estimate(family, 0.2), Estimate(encoder, 0.2), total), "best", samples=9, examples=64
    )
    (found,) = [r for r in diagnose(figures(inference_gap=gap)) if words in r.text]
    assert (remedy in found.advice) if remedy else not found.remedies


def test_the_estimate_names_draws_examples_error_and_gap():
    text = reading("log p(x)").text
    for words in ("-95.00 ± 0.50", "K = 100", "1000 examples", "5.00 nats lower"):
        assert words in text


def test_an_error_of_zero_is_shown_as_zero():
    exact = LogLikelihood(-95.0, 0.0, samples=1, examples=10)
    assert "-95.00 ± 0.00" in reading("log p(x)", log_likelihood=exact).text


def test_information_at_its_ceiling_is_said():
    assert reading("log N = 6.90", mutual_information=6.6) is not None
    assert reading("log N", mutual_information=6.5) is None


def test_rate_spent_on_mismatch_is_said():
    assert "11.00 of the rate's 20.00 nats" in reading("do not match the prior", marginal_kl=11.0).text
    assert reading("do not match the prior", marginal_kl=9.0) is None


def test_a_weight_other_than_one_is_said():
    assert "β = 4" in reading("true bounds", effective_beta=4.0).text
    assert reading("true bounds", effective_beta=1.0) is None


@pytest.mark.parametrize(("error", "count"), [(1.2, 1), (1.4, 2)])
def test_an_autoencoder_is_read_by_its_errors(error, count):
    read = ErrorFigures(
        examples=9,
        active_units=1,
        latent_dim=2,
        measured=None,
        reconstruction_error=error,
        train_reconstruction_error=1.0,
    )
    found = diagnose(read)
    assert len(found) == count
    assert "no likelihood" in found[0].text


def test_a_weight_that_is_not_known_is_not_read():
    """Of an objective in which the rate has no weight of its own."""
    assert "β" not in " ".join(r.text for r in diagnose(figures(effective_beta=None, active_units=0)))


def test_rows_that_trained_the_model_come_first():
    first, *others = diagnose(figures(training_rows=1200, examples=1500))
    assert first.level == "warning"
    assert "trained on 1,200 of these 1,500 rows" in first.text
    assert not any("overfit" in r.text for r in others)  # training rows are not compared with themselves


def test_the_context_is_named():
    assert "log p(x|age, town) ≥ -95.00" in reading("log p(x|", given=("age", "town")).text
    assert "(factor analysis, which does not see age, town)" in reading("beats", given=("age", "town")).text
