"""The figures as records, as rows for people and as JSON, whose keys are the interface of `vaekit evaluate --json`."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from vaekit.evaluation import (
    Annealed,
    BoundFigures,
    ErrorFigures,
    Estimate,
    FactorScores,
    GapFigures,
    LinearBaselines,
    LogLikelihood,
    RateDistortionCurve,
    RatePoint,
    TableBaselines,
)

BOUNDS = BoundFigures(
    examples=9,
    measured=None,
    given=("age",),
    elbo=-5.0,
    distortion=3.0,
    rate=2.0,
    log_likelihood=LogLikelihood(-4.5, 0.25, samples=7, examples=9),
    active_units=1,
    latent_dim=2,
    training_rows=3,
)
ERRORS = ErrorFigures(examples=9, measured=None, reconstruction_error=1.5, active_units=1, latent_dim=2)
ONE = Estimate(1.0, 0.5)
ASKED = {
    "annealed": Annealed(-4.0, 0.1, 0.5, 0.2, None, None, 9, 16, 10),
    "inference_gap": GapFigures(ONE, ONE, ONE, ONE, Estimate(2.0, None), ONE, "best", 1000, 9),
    "rate_distortion": RateDistortionCurve((RatePoint(0.1, 1.0, 2.0, 0.3, None),), 7, 9),
    "disentanglement": FactorScores(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, factors=2, examples=9),
}


def test_the_keys_of_a_model_with_a_likelihood():
    expected = {
        "examples": 9,
        "given": ["age"],
        "elbo": -5.0,
        "distortion": 3.0,
        "rate": 2.0,
        "log_likelihood": {"value": -4.5, "standard_error": 0.25, "samples": 7, "examples": 9},
        "bits_per_dim": None,
        "effective_beta": None,
        "train_elbo": None,
        "active_units": 1,
        "latent_dim": 2,
        "mutual_information": None,
        "mutual_information_ceiling": None,
        "marginal_kl": None,
        "baselines": {"ppca": None, "factor_analysis": None},
        "of_training_source": True,
        "training_rows": 3,
        "measured_on": "given",
        "calibration": None,
    }
    assert json.dumps(BOUNDS.as_json()) == json.dumps(expected)  # the order too
    table = replace(BOUNDS, baselines=TableBaselines(-9.0), training_rows=None).as_json()
    assert (table["baselines"], table["of_training_source"], table["training_rows"]) == (
        {"independent": -9.0},
        False,
        None,
    )


def test_the_keys_of_an_autoencoder():
    expected = {
        "examples": 9,
        "elbo": None,
        "distortion": None,
        "rate": None,
        "log_likelihood": None,
        "bits_per_dim": None,
        "effective_beta": None,
        "reconstruction_error": 1.5,
        "train_reconstruction_error": None,
        "active_units": 1,
        "latent_dim": 2,
        "mutual_information": None,
        "marginal_kl": None,
        "baselines": {"ppca": None, "factor_analysis": None},
        "of_training_source": False,
        "training_rows": None,
        "measured_on": "given",
    }
    assert json.dumps(ERRORS.as_json()) == json.dumps(expected)


def test_the_keys_of_what_was_asked_for():
    one = {"value": 1.0, "standard_error": 0.5}
    expected = {
        "annealed": {
            "value": -4.0,
            "standard_error": 0.1,
            "gain": 0.5,
            "gain_error": 0.2,
            "gap": None,
            "gap_error": None,
            "examples": 9,
            "chains": 16,
            "temperatures": 10,
        },
        "inference_gap": {
            "log_likelihood": one,
            "elbo": one,
            "best_elbo": one,
            "approximation": one,
            "amortization": {"value": 2.0, "standard_error": None},
            "gap": one,
            "estimate": "best",
            "samples": 1000,
            "examples": 9,
        },
        "rate_distortion": {
            "points": [{"beta": 0.1, "rate": 1.0, "distortion": 2.0, "rate_error": 0.3, "distortion_error": None}],
            "samples": 7,
            "examples": 9,
        },
        "disentanglement": {
            "mig": 0.1,
            "dci_disentanglement": 0.2,
            "dci_completeness": 0.3,
            "dci_informativeness": 0.4,
            "sap": 0.5,
            "factor_vae": 0.6,
            "factors": 2,
            "examples": 9,
        },
    }
    found = replace(BOUNDS, **ASKED).as_json()
    assert json.dumps({key: found[key] for key in list(found)[-4:]}) == json.dumps(expected)
    scored = replace(ERRORS, disentanglement=ASKED["disentanglement"]).as_json()
    assert scored["disentanglement"] == expected["disentanglement"]


def test_printed_they_are_a_table():
    figures = replace(BOUNDS, **ASKED, bits_per_dim=1.25, effective_beta=4.0, baselines=LinearBaselines(ppca=-6.0))
    assert str(figures) == repr(figures)
    lines = dict(line.split("  ", 1) for line in str(figures).splitlines())
    shown = {name: value.strip() for name, value in lines.items()}
    assert list(shown) == [name for name, _ in figures.rows()]
    assert list(shown)[:5] == ["measured on", "log-likelihood", "bits/dim", "annealed, T = 10", "ELBO"]
    assert shown["measured on"] == "9 given rows, of which 3 trained the model"
    assert shown["log-likelihood"] == "≥ -4.50 ± 0.25 nats (K = 7, 9 examples)"
    assert (
        shown["annealed, T = 10"]
        == "≥ -4.00 ± 0.10 nats (9 examples), 0.50 ± 0.20 above the bound from K draws on the same rows"
    )
    assert shown["effective β"] == "4 in training; all figures have weight 1"
    assert shown["active latent dimensions"] == "1 of 2"
    assert shown["probabilistic PCA"] == "-6.00 nats"
    assert shown["inference gap"].endswith("+ amortization gap 2.00 ± – (K = 1000, 9 examples)")
    assert shown["rate-distortion, β = 0.1"].startswith("rate 1.00 ± 0.30 and distortion 2.00 ± – nats")
    assert shown["disentanglement"].endswith("FactorVAE 0.60 (2 factors, 9 examples)")
    assert dict(ERRORS.rows())["squared error on training rows"] == "–"


def test_figures_do_not_change():
    with pytest.raises(FrozenInstanceError):
        BOUNDS.elbo = 0.0


def test_the_best_simple_model_is_the_one_with_the_greatest_likelihood():
    assert LinearBaselines(ppca=-3.0, factor_analysis=-2.0).best() == ("factor analysis", -2.0)
    assert LinearBaselines(ppca=-3.0).best() == ("probabilistic PCA", -3.0)
    assert LinearBaselines().best() is None
    assert TableBaselines(-1.0).best() == ("independent columns", -1.0)
