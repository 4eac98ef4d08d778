"""The inference gap: how far the ELBO lies below log p(x), and whether the posterior family or the encoder causes it.

    log p(x) − ELBO[q]  =  (log p(x) − ELBO[q*])  +  (ELBO[q*] − ELBO[q])
                            approximation gap         amortization gap

q = q(z|x) is the encoder's posterior. q* is the diagonal Gaussian with the greatest ELBO for the row. Every encoder with
diagonal Gaussians has the approximation gap; a better encoder would close the amortization gap.

References:
    Cremer, Li and Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Rows
from vaekit.distributions import Reparameterized
from vaekit.errors import at_least_one
from vaekit.evaluation.annealing import annealed_bound
from vaekit.evaluation.bounds import evaluating, first_row, measure_posterior, widest
from vaekit.evaluation.estimate import Estimate
from vaekit.evaluation.fitting import STEPS, fit_block_rows, fit_posterior
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GapFigures:
    """Hold the inference gap, its parts and the bounds behind them, averaged over rows.

    Args:
        log_likelihood: log p(x), estimated from below.
        elbo: ELBO of the encoder.
        best_elbo: ELBO of q*.
        approximation: log p(x) − ELBO[q*].
        amortization: ELBO[q*] − ELBO[q].
        gap: log p(x) − ELBO[q], the sum of both; errors of gaps are those of the differences row by row.
        estimate: how log p(x) was estimated, as in `InferenceGap`.
        samples: K, the draws of each posterior for each row.
        examples: the number of rows measured.
    """

    log_likelihood: Estimate
    elbo: Estimate
    best_elbo: Estimate
    approximation: Estimate
    amortization: Estimate
    gap: Estimate
    estimate: str
    samples: int
    examples: int

    def __str__(self) -> str:
        parts = f"approximation gap of diagonal Gaussians {self.approximation} + amortization gap {self.amortization}"
        return f"{self.gap} nats = {parts} (K = {self.samples}, {self.examples} examples)"


@dataclass(frozen=True)
class InferenceGap:
    """Hold the inference gaps of n rows, and the bounds behind them, in nats.

    Args:
        log_likelihood: log p(x), estimated from below, shape (n,).
        elbo: ELBO of the encoder, shape (n,).
        best_elbo: ELBO of q*, shape (n,).
        mean: means of q*, shape (n, latent_dim).
        std: standard deviations of q*, shape (n, latent_dim).
        estimate: how log p(x) was estimated: by importance weights of q ("encoder") or of q* ("best"), or "annealed".
            Each half of the rows uses the estimate with the largest mean over the other half; two names are joined
            by "and".
        samples: K, the draws of each posterior for each row.
    """

    log_likelihood: Array
    elbo: Array
    best_elbo: Array
    mean: Array
    std: Array
    estimate: str
    samples: int

    @property
    def approximation(self) -> Array:
        """Return the approximation gap of each row, log p(x) − ELBO[q*], shape (n,)."""
        return self.log_likelihood - self.best_elbo

    @property
    def amortization(self) -> Array:
        """Return the amortization gap of each row, ELBO[q*] − ELBO[q], shape (n,)."""
        return self.best_elbo - self.elbo

    def figures(self) -> GapFigures:
        """Average the gaps and the bounds over the rows, with standard errors.

        Examples:
            >>> row = np.zeros((1, 2))
            >>> gap = InferenceGap(np.array([-1.0]), np.array([-4.0]), np.array([-2.0]), row, row, "best", 1)
            >>> gap.figures().amortization
            Estimate(value=2.0, standard_error=None)
        """
        gap = self.log_likelihood - self.elbo
        rows = (self.log_likelihood, self.elbo, self.best_elbo, self.approximation, self.amortization, gap)
        bound, elbo, best, approximation, amortization, whole = map(Estimate.of, rows)
        about = (self.estimate, self.samples, len(self.elbo))
        return GapFigures(bound, elbo, best, approximation, amortization, whole, *about)


def inference_gap(
    model: VariationalAutoEncoder,
    rows: Rows,
    samples: int = 1000,
    steps: int = STEPS,
    temperatures: int | None = None,
    chains: int = 16,
) -> InferenceGap:
    """Split the gap between log p(x) and the ELBO into the posterior family's part and the encoder's part.

        log p(x) − ELBO[q] = (log p(x) − ELBO[q*]) + (ELBO[q*] − ELBO[q])

    The estimate of log p(x) is a lower bound. The whole gap and the approximation gap are too small by the same amount as
    this estimate. If Adam has not reached q*, the amortization gap is too small and the approximation gap too large by
    the same amount: check whether more steps change them. The amortization gap may be negative if the encoder's family
    is richer than the diagonal Gaussians.

    Args:
        model: in training or evaluation mode, which is restored; dropout is turned off.
        rows: the rows.
        samples: K ≥ 1 draws of each posterior for each row; they measure both ELBOs and estimate log p(x).
        steps: T ≥ 1 steps of Adam.
        temperatures: T ≥ 1 to estimate log p(x) by annealed importance sampling too, or None.
        chains: annealing chains for each row, ≥ 1.

    Returns:
        The bounds and gaps of each row, in nats of the data as given.

    Raises:
        VaekitError: if a number is below 1.

    References:
        Cremer, Li and Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018; Neal, "Annealed Importance
        Sampling", 2001.
    """
    for name, value in (("samples", samples), ("steps", steps), ("temperatures", temperatures), ("chains", chains)):
        at_least_one(1 if value is None else value, name)
    parts: list[tuple[Tensor, ...]] = []
    width = widest(model, *first_row(rows))
    with evaluating(model) as device:
        prior = model.prior()
        for x, noise, context in rows.blocks(fit_block_rows(width)):
            x, at = x.to(device), model.given(context)
            posterior: Reparameterized = at.encoder(x)
            best = fit_posterior(at, x, noise, prior, posterior, steps=steps)
            own = measure_posterior(at, x, noise, prior, posterior, samples, width)
            found = measure_posterior(at, x, noise, prior, best, samples, width)
            parts.append((own.elbo, found.elbo, own.log_likelihood, found.log_likelihood, best.mean, best.stddev))
    elbo, best_elbo, encoder, optimised, mean, std = (
        torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)
    )
    log_det = rows.transform.log_det()
    estimates = {"encoder": encoder + log_det, "best": optimised + log_det}
    if temperatures is not None:
        estimates["annealed"] = annealed_bound(model, rows, chains, temperatures)
    log_likelihood, chosen = _choose(estimates)
    return InferenceGap(log_likelihood, elbo + log_det, best_elbo + log_det, mean, std, chosen, samples)


def _choose(estimates: dict[str, Array]) -> tuple[Array, str]:
    """Choose an estimate for each half of the rows by its mean over the other half."""
    # a choice by the same rows would favour lucky draws, and would not be a lower bound in expectation
    found = np.empty_like(next(iter(estimates.values())))
    halves, names = (slice(0, None, 2), slice(1, None, 2)), []
    for half, other in zip(halves, halves[::-1], strict=True):
        known = found[other].size > 0
        names.append(max(estimates, key=lambda n: estimates[n][other].mean()) if known else list(estimates)[-1])
        found[half] = estimates[names[-1]][half]
    return found, " and ".join(dict.fromkeys(names[: len(found)]))
