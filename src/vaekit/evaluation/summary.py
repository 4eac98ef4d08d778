"""Measure all metrics of a trained model on one set of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch.distributions import Distribution

from vaekit.data import Rows, Schema
from vaekit.distributions import DiagonalNormal
from vaekit.evaluation.baselines import (
    Baselines,
    LinearBaselines,
    measure_baselines,
    measure_independent,
    measure_picture_baselines,
)
from vaekit.evaluation.bounds import Bounds, measure_bounds, measure_errors
from vaekit.evaluation.decomposition import active_units, decompose_rate
from vaekit.evaluation.estimate import Estimate, LogLikelihood
from vaekit.evaluation.figures import BoundFigures, ErrorFigures, Figures
from vaekit.evaluation.shares import measure_shares
from vaekit.models import Autoencoder, LatentModel, VariationalAutoEncoder
from vaekit.models.by_hand import is_density
from vaekit.models.likelihoods import Mixed

TRAIN_ROWS = 5000
"""Most training rows on which the bound is measured, for comparison with held-out rows."""


@dataclass(frozen=True)
class Evaluator:
    """Measure a trained model on some rows, and compare with training rows and simple models.

    Args:
        model: the model.
        schema: the schema of the data.
        train: training rows; if None, there are no comparisons with training rows and simple models.
        kl_weight: β of the training loss; None if the objective does not weight the rate.
    """

    model: LatentModel
    schema: Schema
    train: Rows | None
    kl_weight: float | None

    def evaluate(self, rows: Rows, samples: int) -> Figures:
        """Measure the model on some rows, with K = `samples` draws of z for each row."""
        if isinstance(self.model, Autoencoder):
            return self._measure_errors(self.model, rows)
        return self._measure_bounds(self.model.with_likelihood("a bound"), rows, samples)

    def _some_training_rows(self) -> Rows | None:
        if self.train is None:
            return None
        return Rows(self.train.part.subset(TRAIN_ROWS, self.train.seed), self.train.transform, self.train.seed)

    def _measure_errors(self, model: Autoencoder, rows: Rows) -> ErrorFigures:
        measure, train = partial(measure_errors, model), self._some_training_rows()
        measured = measure_shares(measure, rows)
        return ErrorFigures(
            examples=len(rows),
            measured=measured,
            reconstruction_error=float(measured.distortion.mean()),
            train_reconstruction_error=float(measure_shares(measure, train).distortion.mean()) if train else None,
            active_units=int(active_units(measured.mean).sum()),
            latent_dim=measured.mean.shape[1],
        )

    def _measure_bounds(self, model: VariationalAutoEncoder, rows: Rows, samples: int) -> BoundFigures:
        measure, train = partial(measure_bounds, model), self._some_training_rows()
        measured = measure_shares(partial(measure, samples=samples), rows)
        estimate, parts = Estimate.of(measured.log_likelihood), None
        factorized, per_dimension = None, None
        if measured.independent:  # otherwise q(z) is not a mixture of diagonal Gaussians
            parts = decompose_rate(measured.mean, measured.std, measured.rate)
            posterior = DiagonalNormal(torch.from_numpy(measured.mean), torch.from_numpy(measured.std))
            factorized = factorize(model.prior(), posterior)
            per_dimension = posterior.kl_per_dimension(factorized).mean(0).numpy()
        bits = -estimate.value / (math.log(2) * math.prod(self.schema.event_shape))
        return BoundFigures(
            examples=len(rows),
            measured=measured,
            given=tuple(column.name for column in self.schema.context),
            elbo=float(measured.elbo.mean()),
            distortion=float(measured.distortion.mean()),
            rate=float(measured.rate.mean()),
            log_likelihood=LogLikelihood(estimate.value, estimate.standard_error, samples, len(rows)),
            bits_per_dim=bits if self.schema.discrete else None,
            effective_beta=self.kl_weight,
            train_elbo=float(measure_shares(measure, train).elbo.mean()) if train else None,
            active_units=int(active_units(measured.mean).sum()),
            latent_dim=measured.mean.shape[1],
            mutual_information=parts.mutual_information if parts else None,
            mutual_information_ceiling=parts.ceiling if parts else None,
            marginal_kl=parts.marginal_kl if parts else None,
            baselines=self._measure_baselines(model, rows, measured),
            factorized=factorized,
            kl_per_dimension=per_dimension,
        )

    def _measure_baselines(self, model: VariationalAutoEncoder, rows: Rows, measured: Bounds) -> Baselines:
        if self.train is None:
            return LinearBaselines()
        likelihood = getattr(model.decoder, "likelihood", None)
        if isinstance(likelihood, Mixed):
            return measure_independent(self.train, rows, likelihood)
        linear = measure_baselines(self.train, rows, self.schema, is_density(model), measured.mean.shape[1])
        if not (self.schema.picture and self.schema.discrete) or rows.transform.binarizes:
            return linear
        return measure_picture_baselines(self.train, rows, self.schema, linear)


def factorize(prior: Distribution, posterior: DiagonalNormal) -> DiagonalNormal:
    """Return the prior if it is a diagonal Gaussian, else a diagonal Gaussian with the mean and variance of q(z)."""
    if isinstance(prior, DiagonalNormal):
        return DiagonalNormal(prior.mean.cpu(), prior.stddev.cpu())  # where the measurements are
    variance = posterior.mean.var(0, correction=0) + posterior.variance.mean(0)
    return DiagonalNormal(posterior.mean.mean(0), variance.sqrt())
