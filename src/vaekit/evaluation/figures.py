"""Records of evaluation results, which print as rows of text or as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vaekit import html
from vaekit.distributions import DiagonalNormal
from vaekit.evaluation.annealing import Annealed
from vaekit.evaluation.baselines import Baselines, LinearBaselines
from vaekit.evaluation.bounds import Bounds, Errors, Measured
from vaekit.evaluation.calibration import Calibration
from vaekit.evaluation.estimate import LogLikelihood
from vaekit.evaluation.factors import Disentanglement
from vaekit.evaluation.gap import GapFigures
from vaekit.evaluation.rate_distortion import RateDistortionCurve
from vaekit.evaluation.reading import Reading
from vaekit.evaluation.record import to_json
from vaekit.evaluation.tables import TableFigures
from vaekit.evaluation.unfinished import Unfinished

MeasuredOn = Literal["held-out", "all", "given"]
"""Which rows are measured: the held-out rows of the run's data, all rows of it, or rows that the user gave."""

ASKED = ("annealed", "inference_gap", "rate_distortion", "disentanglement", "tables")
"""Figures that are measured only on request; JSON leaves out those that were not requested."""


@dataclass(frozen=True)
class FactorScores(Disentanglement):
    """Hold the disentanglement scores of codes, with the numbers of factors and of examples.

    Args:
        factors: the number of known factors.
        examples: the number of rows scored.
    """

    factors: int
    examples: int

    def __str__(self) -> str:
        scores = (
            f"MIG {self.mig:.2f}, DCI disentanglement {self.dci_disentanglement:.2f}, completeness "
            f"{self.dci_completeness:.2f}, informativeness {self.dci_informativeness:.2f}, SAP {self.sap:.2f}, "
            f"FactorVAE {self.factor_vae:.2f}"
        )
        return f"{scores} ({self.factors} factors, {self.examples} examples)"


@dataclass(frozen=True, kw_only=True, repr=False)
class Figures(ABC):
    """Hold the evaluation results that every kind of model has, averaged over examples.

    Args:
        examples: the number of rows measured, n.
        active_units: latent dimensions whose posterior mean, or code, varies by more than 0.01.
        latent_dim: latent dimensions, d.
        measured: the measurements of each row.
        measured_on: which rows these are: the held-out rows of the run's data, all of its rows, or given rows.
        training_rows: how many of the n rows the model was trained on; None if unknown.
        baselines: log-likelihoods of simple models.
        disentanglement: scores of the codes, if factors were given.
        factorized: a Gaussian with independent dimensions: the prior if it is one, else one with the mean and variance
            of all codes. None if the posterior's dimensions are not independent.
        kl_per_dimension: mean KL of each latent dimension to `factorized`, shape (d,); None in the same case.
        unfinished: what more training is expected to gain; None if the validation bound had stopped rising.
        readings: what the figures mean, and what to try next, the most important first.
    """

    KEYS: ClassVar[tuple[str, ...]]
    """The JSON keys in their order; a figure that this kind of model does not have is null."""

    examples: int
    active_units: int
    latent_dim: int
    measured: Measured = field(compare=False)
    measured_on: MeasuredOn = "given"
    training_rows: int | None = None
    baselines: Baselines = field(default_factory=LinearBaselines)
    disentanglement: FactorScores | None = None
    factorized: DiagonalNormal | None = field(default=None, compare=False)
    kl_per_dimension: npt.NDArray[np.float64] | None = field(default=None, compare=False)
    unfinished: Unfinished | None = field(default=None, compare=False)
    readings: tuple[Reading, ...] = field(default=(), compare=False)

    @property
    def of_training_source(self) -> bool:
        """Tell whether the model was trained on any of the measured rows."""
        return bool(self.training_rows)

    @abstractmethod
    def rows(self) -> list[tuple[str, str]]:
        """Return the name and the value of each result, as `vaekit evaluate` prints them."""

    def as_json(self) -> dict[str, Any]:
        """Return the results as a dictionary of JSON values, as `vaekit evaluate --json` prints them."""
        found = {key: to_json(getattr(self, key, None)) for key in self.KEYS}
        asked = {key: to_json(getattr(self, key, None)) for key in ASKED}
        return found | {key: value for key, value in asked.items() if value is not None}

    def __repr__(self) -> str:
        return "\n".join(html.aligned(self.rows()))

    def _repr_html_(self) -> str:
        lines = (f"{html.SIGNS[each.level]} {each.text} {each.advice}".rstrip() for each in self.readings)
        return html.pairs(self.rows()) + html.notes(lines)

    def _measured_row(self) -> tuple[str, str]:
        count = f"{self.examples:,}"
        whole = {"held-out": f"{count} held-out rows", "all": f"all {count} rows of the data"}
        trained = f", of which {self.training_rows:,} trained the model" if self.training_rows else ""
        return "measured on", f"{whole.get(self.measured_on, f'{count} given rows')}{trained}"

    def _active_row(self) -> tuple[str, str]:
        return "active latent dimensions", f"{self.active_units} of {self.latent_dim}"

    def _factor_rows(self) -> list[tuple[str, str]]:
        return [] if self.disentanglement is None else [("disentanglement", str(self.disentanglement))]


@dataclass(frozen=True, kw_only=True, repr=False)
class BoundFigures(Figures):
    """Hold the evaluation results of a model with a likelihood, in nats per example.

    The bounds are for data in the user's units.

    Args:
        given: columns on which the model is conditional.
        elbo: −(distortion + rate); the weight of the rate is 1, whatever β was in training.
        distortion: D.
        rate: R.
        log_likelihood: IWAE_K.
        bits_per_dim: −log_likelihood / (log 2 · features) for discrete data; None for continuous data.
        effective_beta: β of the training loss; None if the objective does not weight the rate.
        train_elbo: ELBO on training rows; None if there are no training rows at hand.
        mutual_information: I_q(x; z); None if the posterior's dimensions are not independent.
        mutual_information_ceiling: log n, the largest possible mutual information; None in the same case.
        marginal_kl: KL(q(z) ‖ p(z)); None in the same case.
        calibration: coverage of intervals, calibration of the posterior and of standard errors; None if not measured.
        annealed: log p(x) by annealed importance sampling, on request.
        inference_gap: the distance of the ELBO from log p(x), on request.
        rate_distortion: the rate-distortion curve, on request.
        tables: figures of the columns of a mixed table, on request.
    """

    KEYS: ClassVar[tuple[str, ...]] = (
        "examples", "given", "elbo", "distortion", "rate", "log_likelihood", "bits_per_dim", "effective_beta", "train_elbo",
        "active_units", "latent_dim", "mutual_information", "mutual_information_ceiling", "marginal_kl", "baselines",
        "of_training_source", "training_rows", "measured_on", "calibration",
    )  # fmt: skip

    measured: Bounds = field(compare=False)
    given: tuple[str, ...] = ()
    elbo: float
    distortion: float
    rate: float
    log_likelihood: LogLikelihood
    bits_per_dim: float | None = None
    effective_beta: float | None = None
    train_elbo: float | None = None
    mutual_information: float | None = None
    mutual_information_ceiling: float | None = None
    marginal_kl: float | None = None
    calibration: Calibration | None = None
    annealed: Annealed | None = None
    inference_gap: GapFigures | None = None
    rate_distortion: RateDistortionCurve | None = None
    tables: TableFigures | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return the name and the value of each result, as `vaekit evaluate` prints them."""
        estimate = self.log_likelihood
        found = [
            self._measured_row(),
            ("log-likelihood", f"≥ {estimate} nats (K = {estimate.samples}, {estimate.examples} examples)"),
        ]
        if self.bits_per_dim is not None:
            found.append(("bits/dim", f"≤ {self.bits_per_dim:.4f}"))
        if self.annealed is not None:
            found.append((f"annealed, T = {self.annealed.temperatures}", str(self.annealed)))
        beta = "–" if self.effective_beta is None else format(self.effective_beta, "g")
        found += [
            ("ELBO", f"{self.elbo:.2f} nats = −(distortion {self.distortion:.2f} + rate {self.rate:.2f})"),
            ("effective β", f"{beta} in training; all figures have weight 1"),
            self._active_row(),
        ]
        if self.mutual_information is not None:
            parts = f"mutual information {self.mutual_information:.2f} + marginal KL {self.marginal_kl:.2f} nats"
            found.append(("rate", parts))
        if self.train_elbo is not None:
            found.append(("ELBO on training rows", f"{self.train_elbo:.2f} nats"))
        found += [(name, f"{value:.2f} nats") for name, value in self.baselines.known().items()]
        if self.calibration is not None:
            found += self.calibration.rows()
        if self.inference_gap is not None:
            found.append(("inference gap", str(self.inference_gap)))
        if self.rate_distortion is not None:
            found += self.rate_distortion.rows()
        if self.tables is not None:
            found += self.tables.rows()
        return found + self._factor_rows()


@dataclass(frozen=True, kw_only=True, repr=False)
class ErrorFigures(Figures):
    """Hold the evaluation results of an autoencoder, which has no likelihood.

    Args:
        reconstruction_error: mean of ‖x − y‖² in the model's units.
        train_reconstruction_error: the same on training rows; None if there are no training rows at hand.
    """

    KEYS: ClassVar[tuple[str, ...]] = (
        "examples", "elbo", "distortion", "rate", "log_likelihood", "bits_per_dim", "effective_beta",
        "reconstruction_error", "train_reconstruction_error", "active_units", "latent_dim", "mutual_information",
        "marginal_kl", "baselines", "of_training_source", "training_rows", "measured_on",
    )  # fmt: skip

    measured: Errors = field(compare=False)
    reconstruction_error: float
    train_reconstruction_error: float | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return the name and the value of each result, as `vaekit evaluate` prints them."""
        train = self.train_reconstruction_error
        return [
            self._measured_row(),
            ("squared error per example", f"{self.reconstruction_error:.4g}"),
            ("squared error on training rows", "–" if train is None else f"{train:.4g}"),
            self._active_row(),
            *self._factor_rows(),
        ]
