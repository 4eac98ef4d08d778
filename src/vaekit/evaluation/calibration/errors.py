"""Check the standard errors of log p(x): over test sets that could have been drawn, and over seeds of the noise.

    test sets     an interval m ± t·s/√n of a resampled test set holds the mean of all rows
    seeds         a row's estimate with other noise lies within t standard errors of both estimates

The standard error of one row's estimate log (1/K) Σ_k w_k is s(w)/(√K · mean(w)), by the delta method. With few effective
draws it is too small, and the estimate too low.

References:
    Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979, for resampled test sets;
    Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016, for the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from vaekit.data import Rows, RowStream, SeedStream
from vaekit.evaluation.bounds import block_rows, evaluate_draws, evaluating, first_row, widest
from vaekit.evaluation.calibration.coverage import LEVELS
from vaekit.evaluation.record import Record
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]

RESAMPLED = 2000
"""Resampled test sets."""
ROWS, SEEDS, SAMPLES = 50, 6, 100
"""Most rows that are measured with several seeds, the seeds, and most draws for each."""
ROUNDING = 1e-5
"""Differences of estimates below this share are rounding errors of single precision."""


@dataclass(frozen=True)
class StandardErrors(Record):
    """Hold how often intervals of log p(x) hold the value that they should.

    Args:
        levels: the levels of the intervals.
        rows: rows in each resampled test set.
        test_sets: share of resampled test sets whose interval holds the mean over all rows, at each level.
        seeds: noise seeds that were compared.
        compared_rows: rows that were measured with several seeds.
        over_seeds: share of these rows and pairs of seeds whose estimates agree, at each level; empty for a single draw.
        seed_error: standard deviation over seeds of the mean of these rows, in nats: the part of the error that more draws
            would remove.
        effective: mean effective number of draws of a row and seed.
        samples: draws K of z for each row and seed.
    """

    levels: tuple[float, ...]
    rows: int
    test_sets: tuple[float, ...]
    seeds: int
    compared_rows: int
    over_seeds: tuple[float, ...]
    seed_error: float
    effective: float
    samples: int


def measure_errors(
    model: VariationalAutoEncoder, rows: Rows, log_likelihood: Array, samples: int
) -> StandardErrors | None:
    """Check the standard errors of log p(x).

    Args:
        model: the model.
        rows: the measured rows.
        log_likelihood: the estimate of each row, in nats, shape (n,).
        samples: draws K; at most 100 are made for each of 6 seeds.

    Returns:
        The figures; None for fewer than two rows.
    """
    n = len(log_likelihood)
    if n < 2:
        return None
    rng = SeedStream.CALIBRATION_ROWS.rng(rows.seed)
    covered = _resample(log_likelihood, rng)
    part, samples = rows.part.subset(ROWS, rows.seed), min(samples, SAMPLES)
    found = [_estimate(model, Rows(part, rows.transform, rows.seed + seed), samples) for seed in range(SEEDS)]
    estimates, errors, sizes = (np.stack(each) for each in zip(*found, strict=True))  # (seeds, rows)
    agree = _compare(estimates, errors) if samples > 1 else ()
    spread = float(estimates.mean(1).std(ddof=1))
    return StandardErrors(LEVELS, n, covered, SEEDS, len(part), agree, spread, float(sizes.mean()), samples)


def _resample(values: Array, rng: np.random.Generator) -> tuple[float, ...]:
    """Return the share of resampled sets of n values whose Student interval holds the mean of all, at each level."""
    n, inside = len(values), np.zeros(len(LEVELS))
    critical = stdtrit(n - 1, (1 + np.array(LEVELS)) / 2)
    slack = ROUNDING * np.abs(values).max()
    for _ in range(RESAMPLED):
        drawn = values[rng.integers(n, size=n)]
        inside += abs(drawn.mean() - values.mean()) <= critical * drawn.std(ddof=1) / math.sqrt(n) + slack
    return tuple((inside / RESAMPLED).tolist())


def _compare(estimates: Array, errors: Array) -> tuple[float, ...]:
    """Return the share of rows and neighbouring seeds whose estimates differ by less than their errors allow."""
    apart = np.abs(estimates[::2] - estimates[1::2])
    allowed = np.hypot(errors[::2], errors[1::2])
    slack = ROUNDING * np.abs(estimates[::2])
    critical: Sequence[float] = ndtri((1 + np.array(LEVELS)) / 2).tolist()
    return tuple(float((apart <= t * allowed + slack).mean()) for t in critical)


def _estimate(model: VariationalAutoEncoder, rows: Rows, samples: int) -> tuple[Array, Array, Array]:
    """Return log (1/K) Σ_k w_k of each row, its standard error and its effective number of draws, shape (n,) each."""
    found, width = [], widest(model, *first_row(rows))
    with evaluating(model) as device:
        for x, noise, context in rows.blocks(max(1, block_rows(width * samples))):
            at, x = model.given(context), x.to(device)
            q, prior = at.encoder(x), at.prior()
            epsilon = noise.normal((samples, q.event_shape[0]), RowStream.POSTERIOR).movedim(1, 0).to(x)
            log_weights = evaluate_draws(at, x, prior, q, q.reparameterize(epsilon)).log_weights().double()
            mean = log_weights.logsumexp(0) - math.log(samples)
            share = (log_weights - mean).exp()  # w_k / mean(w)
            error = share.var(0, correction=1 if samples > 1 else 0).div(samples).sqrt()
            size = samples**2 / share.square().sum(0)
            found.append([v.cpu().numpy() for v in (mean, error, size)])
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))  # type: ignore[return-value]
