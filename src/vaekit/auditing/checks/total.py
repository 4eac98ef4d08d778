"""Whether probabilities sum to at most 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vaekit.auditing.check import AGAIN, ERRORS, Check
from vaekit.auditing.checks.batches import Batches
from vaekit.auditing.proposal import adapt, effective
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import BATCH, ROUNDING, SEEDS, Subject
from vaekit.data import SeedStream
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

LEAST_EFFECTIVE = 100.0
"""Least effective sample size with which a sum over draws is judged."""
MOST_DRAWS = 1 << 15
"""Most draws of importance sampling."""
MOST_CALLS, FEWEST = 2000, 8
"""Calls of the function in batches of two, about, and the least number of seeds."""
ROUGH = 0.02
"""Greatest relative uncertainty of an integral on a grid."""


@dataclass(frozen=True)
class Sum:
    """Hold the logarithm of a sum of probabilities.

    Args:
        log_value: log Σ p(x).
        relative_error: standard error of the sum, divided by the sum.
        tolerance: how much of `log_value` the rounding of log p(x) can explain, in nats.
    """

    log_value: float
    relative_error: float
    tolerance: float

    @property
    def excess(self) -> Estimate:
        """Return log Σ p(x) with its standard error in nats."""
        return Estimate(self.log_value, self.relative_error or None)

    def above_one(self) -> bool:
        """Return whether the sum is above 1 by more than four standard errors, and by more than rounding explains."""
        lowest = 1 - ERRORS * self.relative_error
        return lowest > 0 and self.log_value + math.log(lowest) > self.tolerance

    def below_one(self) -> bool:
        """Return whether the sum is below 1 by as much."""
        return self.log_value + math.log1p(ERRORS * self.relative_error) < -self.tolerance

    def __str__(self) -> str:
        value = math.exp(min(self.log_value, 700.0))
        return f"{value:.6g}" if not self.relative_error else f"{value:.4g} ± {value * self.relative_error:.2g}"


def add_up(log_p: Array, log_weights: Array, sampled: bool = False) -> Sum:
    """Sum p(x) with weights, where log p(x) is the mean over S seeds of a random bound.

        Σ_i w_i exp( (1/S) Σ_s L_s(x_i) ),  less its bias of order 1/S by the jackknife

    The mean in the exponent matters: E[L] ≤ log p(x) is what a bound promises, and E[exp L] may be larger than p(x).

    Args:
        log_p: L_s(x_i), shape (S, n).
        log_weights: log w_i, shape (n,): of a grid, or minus log r(x_i) for rows drawn from r.
        sampled: whether the rows were drawn, so that the sum is an average over them.

    Returns:
        The sum. Its error comes from the seeds, and from the rows if they were drawn.

    References:
        Quenouille, "Notes on bias in estimation", 1956.

    Examples:
        >>> print(add_up(np.log(np.array([[0.5, 0.25]])), np.zeros(2)))
        0.75
    """
    seeds, n = log_p.shape
    possible = np.isfinite(log_p).all(0) & np.isfinite(log_weights)
    if not possible.any():
        return Sum(-math.inf, 0.0, 0.0)
    log_p, log_weights = log_p[:, possible], log_weights[possible]
    mean = log_p.mean(0)
    shift = (mean + log_weights).max()
    terms = whole = np.exp(mean + log_weights - shift)
    variance = 0.0
    if seeds > 1:
        others = np.exp((seeds * mean - log_p) / (seeds - 1) + log_weights - shift)  # without the noise of each seed
        terms = seeds * whole - (seeds - 1) * others.mean(0)
        totals = others.sum(1)
        variance += (seeds - 1) / seeds * np.square(totals - totals.mean()).sum()
    total = terms.sum()
    if sampled:
        variance += (np.square(terms).sum() - total**2 / n) * n / max(n - 1, 1)
        shift = shift - math.log(n)
    if total <= 0:
        return Sum(-math.inf, 0.0, 0.0)
    tolerance = ROUNDING * (1 + float(whole @ np.abs(mean) / whole.sum()))
    return Sum(float(np.log(total) + shift), math.sqrt(max(variance, 0.0)) / total, tolerance)


class Total(Check):
    """Sum p(x) over all rows: one by one, on a grid, or by importance sampling."""

    name = "total"
    question = "Does p(x) sum to at most 1 over all x?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if the sum is above 1, or, for a function that claims to be exact, below 1."""
        grid = subject.space.grid(subject.rows, subject.evaluations // subject.seeds)
        if grid is None:
            yield from self._sample(subject)
            return
        points = grid.points.reshape(-1, *subject.space.shape)
        order = SeedStream.AUDIT_ROWS.rng(subject.seed, 3).permutation(len(points))  # neighbours would meet in a batch
        with np.errstate(divide="ignore"):
            weights, coarse = np.log(grid.weights[order]), np.log(grid.coarse[:, order])
        where = "all" if subject.space.listed else "a grid of"
        for batch, most in self._batches(subject, len(points)):

            def measure(first: int, size: int = batch, seeds: int = most) -> tuple[Sum, float]:
                log_p = subject.repeats(points[order], first, size, most=seeds)
                found = add_up(log_p, weights)
                rough = max(abs(math.expm1(add_up(log_p, each).log_value - found.log_value)) for each in coarse)
                return replace(found, tolerance=found.tolerance + 3 * rough), rough

            found, unsure = measure(0)
            if unsure > ROUGH:
                yield from self._sample(subject)
                return
            if found.above_one() and subject.random:  # the second try
                found, _ = measure(AGAIN)
            yield self._verdict(subject, found, f"{where} {len(points):,} rows, in batches of up to {batch}")

    def _batches(self, subject: Subject, points: int) -> Iterator[tuple[int, int]]:
        """Yield sizes of batches, pairs too if log p(x) depends on the batch, each with the greatest number of seeds."""
        yield BATCH, SEEDS
        coupled = any(finding.check == Batches.name for finding in subject.findings)
        if coupled and points <= 2 * MOST_CALLS:
            yield 2, max(FEWEST, 2 * MOST_CALLS // points)

    def _verdict(self, subject: Subject, found: Sum, where: str) -> Verdict:
        told = f"Σ p(x) = {found} over {where}"
        if found.above_one():
            return self.found(f"{told}: more than 1, so this is neither a likelihood nor a lower bound.", found.excess)
        if subject.exact and subject.space.complete and not subject.random and found.below_one():
            text = f"{told}: less than 1, so this is not the log-likelihood that it claims to be."
            return self.found(text, Estimate(-found.log_value, found.relative_error or None))
        return self.measured(f"{told}.")

    def _sample(self, subject: Subject) -> Iterator[Verdict]:
        """Sum by importance sampling, which can accuse but not acquit."""
        rng = SeedStream.AUDIT_PROPOSAL.rng(subject.seed)
        rows = subject.few if subject.rows is None else subject.rows
        proposal, share = adapt(subject.space, rows, lambda X: subject.values(X), rng)
        draws = min(MOST_DRAWS, subject.evaluations // subject.seeds)
        if share * draws < LEAST_EFFECTIVE:
            yield from self._partly(subject, f"{max(share * draws, 0):.0f} of {draws:,} draws would be effective")
            return

        def measure(first: int) -> tuple[Sum, float]:
            drawn = proposal.draw(draws, rng)
            log_p = subject.repeats(drawn.reshape(-1, *subject.space.shape), first)
            weights = -proposal.log_prob(drawn)
            return add_up(log_p, weights, sampled=True), effective(log_p.mean(0) + weights)

        found, size = measure(0)
        if found.above_one():  # the second try
            found, size = measure(AGAIN)
        if size < LEAST_EFFECTIVE:
            yield from self._partly(subject, f"{size:.0f} of {draws:,} draws were effective")
            return
        where = f"{draws:,} rows by importance sampling ({size:,.0f} effective)"
        if found.above_one():
            yield self._verdict(subject, found, where)
        else:
            yield self.measured(f"Σ p(x) = {found} over {where}. This is no proof: a sample may miss rows.")

    def _partly(self, subject: Subject, why: str) -> Iterator[Verdict]:
        """Sum over the rows at hand, which must have a probability below 1 in total, and say that the rest is unknown."""
        few = ", ".join(str(size) for size in subject.space.shape)
        if subject.space.listed:
            rows = np.unique(subject.few if subject.rows is None else subject.rows, axis=0)[
                : 64 * SEEDS // subject.seeds
            ]
            found = add_up(subject.repeats(rows), np.zeros(len(rows)))
            if found.above_one():
                yield self._verdict(subject, found, f"{len(rows):,} different rows alone")
                return
        needs = f"Audit the same model on smaller rows than ({few}), or pass `rows=` drawn from the model."
        yield self.skipped(f"Σ p(x) cannot be judged: {why}, of {LEAST_EFFECTIVE:.0f} needed.", needs)
