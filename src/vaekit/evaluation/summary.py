"""All figures of a trained model on one set of rows, as `vaekit evaluate --json` prints them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from vaekit.data import Rows, Schema
from vaekit.distributions import DiagonalNormal
from vaekit.errors import VaekitError
from vaekit.evaluation.annealing import annealed_bound, bracket
from vaekit.evaluation.baselines import measure_baselines, measure_independent
from vaekit.evaluation.bounds import Measured, measure, measure_autoencoder
from vaekit.evaluation.decomposition import active_units, decompose_rate
from vaekit.evaluation.gap import inference_gap, mean_and_error
from vaekit.evaluation.rate_distortion import rate_distortion
from vaekit.models import Autoencoder, VariationalAutoEncoder
from vaekit.models.likelihoods import Mixed

CHAINS = 16
"""Chains of annealing for each row."""
GAP_SAMPLES = 1000
"""Draws by which both bounds of the inference gap are measured."""
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Weights of the distortion at which the rate-distortion curve is shown."""
TRAIN_ROWS = 5000
"""Training rows on which the bound is measured, to be set beside the held-out one."""


@dataclass(frozen=True)
class Evaluation:
    """The figures, and the measurements they come from.

    Args:
        figures: what `--json` prints.
        measured: per row; None for an autoencoder, which has no likelihood.
        code: posterior means or codes, shape (n, latent_dim).
        factorized: the prior, if it is a Gaussian of independent dimensions, else the Gaussian of such that has the
            moments of all codes; None for an autoencoder, and where the posterior's dimensions are not independent.
        kl_per_dimension: average KL of each latent dimension to that Gaussian in nats; None where there is none.
    """

    figures: dict[str, Any]
    measured: Measured | None
    code: np.ndarray[Any, np.dtype[np.float64]]
    factorized: DiagonalNormal | None
    kl_per_dimension: np.ndarray[Any, np.dtype[np.float64]] | None


@dataclass(frozen=True)
class Evaluator:
    """A trained model with the data it was trained on.

    Args:
        model: the model.
        schema: what the data are.
        train: training rows; None where they cannot be had, and then gap and baselines are not measured.
        kl_weight: β of the training loss, shown beside the figures; None where the rate has no such weight.
    """

    model: VariationalAutoEncoder | Autoencoder
    schema: Schema
    train: Rows | None
    kl_weight: float | None

    def evaluate(self, rows: Rows, samples: int) -> Evaluation:
        """Measure the model on these rows with K = `samples` draws."""
        if isinstance(self.model, Autoencoder):
            return self._autoencoder(self.model, rows)
        return self._variational(self.model, rows, samples)

    def anneal(self, rows: Rows, temperatures: int, samples: int) -> dict[str, Any]:
        """log p(x) of rows by annealed importance sampling, and how far it can be off, told by simulated rows.

        Args:
            rows: the rows; each takes as long as thousands of draws.
            temperatures: T ≥ 1.
            samples: draws K of the bound beside which it is set.

        Returns:
            `value` and `standard_error` over examples; `gain`, by how much it is above the importance-weighted bound of
            the same rows, and `gain_error`; `gap`, the mean difference of an upper and a lower bound for as many rows of
            the model's own making, and `gap_error`; both None for mixed tables, of which no such rows are made. Errors
            are None for a single row.

        Raises:
            VaekitError: for an autoencoder, which has no likelihood.
        """
        model = self._with_likelihood("annealing")
        annealed = annealed_bound(model, rows, CHAINS, temperatures)
        value, error = mean_and_error(annealed)
        gain, gain_error = mean_and_error(annealed - measure(model, rows, samples).log_likelihood)
        gap, gap_error = None, None
        if rows.transform.cells is None:
            lower, upper = bracket(model, len(rows), CHAINS, temperatures, rows.seed, rows.context())
            gap, gap_error = mean_and_error(upper - lower)
        return {
            "value": value,
            "standard_error": error,
            "gain": gain,
            "gain_error": gain_error,
            "gap": gap,
            "gap_error": gap_error,
            "examples": len(rows),
            "chains": CHAINS,
            "temperatures": temperatures,
        }

    def inference_gap(self, rows: Rows) -> dict[str, Any]:
        """What the ELBO loses of log p(x), parted into the family's share and the encoder's.

        Args:
            rows: the rows; each has a Gaussian of its own fitted to it.

        Returns:
            Bounds and gaps with standard errors, as `InferenceGap.figures` has them, and what they rest on.

        Raises:
            VaekitError: for an autoencoder, which has no likelihood.
        """
        found = inference_gap(self._with_likelihood("the inference gap"), rows, GAP_SAMPLES)
        return {
            **found.figures(),
            "estimate": found.estimate,
            "samples": GAP_SAMPLES,
            "examples": len(rows),
        }

    def rate_distortion(self, rows: Rows, samples: int) -> dict[str, Any]:
        """Points of the rate-distortion curve of decoder and prior.

        Args:
            rows: the rows; each has a Gaussian of its own fitted to it for every point.
            samples: K ≥ 1 draws for each.

        Returns:
            `points`, as `RatePoint` has them, and what they rest on.

        Raises:
            VaekitError: for an autoencoder, which has no likelihood.
        """
        points = rate_distortion(self._with_likelihood("the rate-distortion curve"), rows, BETAS, samples)
        return {"points": [asdict(point) for point in points], "samples": samples, "examples": len(rows)}

    def _with_likelihood(self, what: str) -> VariationalAutoEncoder:
        if isinstance(self.model, Autoencoder):
            raise VaekitError(
                f"{what} must be given a model with a likelihood", "an autoencoder", "Name a variational one"
            )
        return self.model

    def _some_training_rows(self) -> Rows | None:
        if self.train is None:
            return None
        return Rows(self.train.part.subset(TRAIN_ROWS, self.train.seed), self.train.transform, self.train.seed)

    def _autoencoder(self, model: Autoencoder, rows: Rows) -> Evaluation:
        error, code = measure_autoencoder(model, rows)
        train = self._some_training_rows()
        figures = {
            "examples": len(rows),
            "elbo": None,
            "distortion": None,
            "rate": None,
            "log_likelihood": None,
            "bits_per_dim": None,
            "effective_beta": None,
            "reconstruction_error": float(error.mean()),
            "train_reconstruction_error": float(measure_autoencoder(model, train)[0].mean()) if train else None,
            "active_units": int(active_units(code).sum()),
            "latent_dim": code.shape[1],
            "mutual_information": None,
            "marginal_kl": None,
            "baselines": {"ppca": None, "factor_analysis": None},
        }
        return Evaluation(figures, None, code, None, None)

    def _variational(self, model: VariationalAutoEncoder, rows: Rows, samples: int) -> Evaluation:
        measured = measure(model, rows, samples)
        parts, factorized, per_dimension = None, None, None
        if measured.independent:  # of others the mixture and its marginals are not at hand
            parts = decompose_rate(measured.mean, measured.std, measured.rate)
            posterior = DiagonalNormal(torch.from_numpy(measured.mean), torch.from_numpy(measured.std))
            factorized = _factorized(model.prior(), posterior)
            per_dimension = posterior.kl_per_dimension(factorized).mean(0).numpy()
        log_likelihood, error = mean_and_error(measured.log_likelihood)
        dims = math.prod(self.schema.event_shape)
        train = self._some_training_rows()
        figures = {
            "examples": len(rows),
            "given": [column.name for column in self.schema.context],
            "elbo": float(measured.elbo.mean()),
            "distortion": float(measured.distortion.mean()),
            "rate": float(measured.rate.mean()),
            "log_likelihood": {
                "value": log_likelihood,
                "standard_error": error,
                "samples": samples,
                "examples": len(rows),
            },
            "bits_per_dim": -log_likelihood / (math.log(2) * dims) if self.schema.discrete else None,
            "effective_beta": self.kl_weight,
            "train_elbo": float(measure(model, train, 1).elbo.mean()) if train else None,
            "active_units": int(active_units(measured.mean).sum()),
            "latent_dim": measured.mean.shape[1],
            "mutual_information": parts.mutual_information if parts else None,
            "mutual_information_ceiling": parts.ceiling if parts else None,
            "marginal_kl": parts.marginal_kl if parts else None,
            "baselines": self._baselines(model, rows, measured.mean.shape[1]),
        }
        return Evaluation(figures, measured, measured.mean, factorized, per_dimension)

    def _baselines(self, model: VariationalAutoEncoder, rows: Rows, latent_dim: int) -> dict[str, float | None]:
        if self.train is None:
            return {"ppca": None, "factor_analysis": None}
        if isinstance(model.decoder.likelihood, Mixed):
            return {"independent": measure_independent(self.train, rows, model.decoder.likelihood)}
        return measure_baselines(self.train, rows, self.schema, model.decoder.likelihood.density, latent_dim)


def _factorized(prior: Distribution, posterior: DiagonalNormal) -> DiagonalNormal:
    """The prior, if it is a Gaussian of independent coordinates; else the Gaussian that has the moments of all codes."""
    if isinstance(prior, DiagonalNormal):
        return prior
    variance = posterior.mean.var(0, correction=0) + posterior.variance.mean(0)
    return DiagonalNormal(posterior.mean.mean(0), variance.sqrt())
