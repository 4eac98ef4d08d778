"""Tell whether numbers that should be uniform on (0, 1) are, in a test with a simultaneous band and in sizes of effects.

If a distribution is right, the position of the truth in it, u = F(x), is uniform. The counts of u at or below the edges of
equal bins stay with probability 1 − α within a band: of binomial intervals of level 1 − γ at each edge, with γ as small as
all edges together need.

References:
    Säilynoja, Bürkner and Vehtari, "Graphical Test for Discrete Uniformity and its Applications in Goodness-of-Fit Evaluation
    and Multiple Sample Comparison", 2022, for the band; Talts et al., "Validating Bayesian Inference Algorithms with
    Simulation-Based Calibration", 2018, for what shapes of the histogram mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import binom

from vaekit.evaluation.record import Record

Array = npt.NDArray[np.float64]

BINS = 20
"""Bins of a histogram of positions."""
ALPHA = 0.01
"""Probability that a band of uniform numbers is left anywhere."""
SIMULATED = 10_000
"""Samples of uniform numbers from which γ is found."""
CLOSEST = 1e-6
"""Positions this close to 0 or 1 count as this far away, so that Φ⁻¹(u) is finite."""
SPREAD, SHIFT = 1.1, 0.1
"""A spread beyond this factor, or a shift beyond so many standard deviations, is named."""


@dataclass(frozen=True)
class Uniformity(Record):
    """Hold how far the positions of true values in their distributions are from uniform.

    Args:
        name: what the positions are of: a column, a latent dimension, or the log-likelihood.
        values: the number n of positions.
        counts: how many fall into each of 20 equal bins.
        lower: the band of cumulative counts at the inner edges of the bins.
        upper: its upper end.
        inside: whether all cumulative counts are within the band.
        shift: mean of Φ⁻¹(u), in standard deviations: above 0 if true values are too often high.
        spread: standard deviation of Φ⁻¹(u): above 1 if the distributions are too narrow by this factor.
        distance: largest distance of the share of u ≤ p from p (Kolmogorov–Smirnov).
    """

    name: str
    values: int
    counts: tuple[int, ...]
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    inside: bool
    shift: float
    spread: float
    distance: float

    @property
    def fault(self) -> str:
        """Return in words how the distributions are wrong; empty if the positions stay within the band."""
        if self.inside:
            return ""
        found = []
        if self.spread > SPREAD:
            found.append(f"too narrow by a factor of {self.spread:.2f}")
        if self.spread < 1 / SPREAD:
            found.append(f"too wide by a factor of {1 / self.spread:.2f}")
        if abs(self.shift) > SHIFT:
            found.append(f"too {'low' if self.shift > 0 else 'high'} by {abs(self.shift):.2f} standard deviations")
        return " and ".join(found) or f"of another shape (off by {self.distance:.2f} at most)"


def measure_uniformity(name: str, u: Array, tests: int = 1) -> Uniformity:
    """Compare positions with the uniform distribution.

    Args:
        name: what the positions are of.
        u: positions between 0 and 1, shape (n,), n ≥ 1.
        tests: number of comparisons that share the probability of a false alarm.

    Returns:
        Counts, band and effect sizes.

    Examples:
        >>> u = (np.arange(1000) + 0.5) / 1000
        >>> measure_uniformity("a", u).fault, measure_uniformity("a", 0.5 + 0.5 * (u - 0.5)).fault
        ('', 'too wide by a factor of 2.65')
    """
    n = len(u)
    counts = np.histogram(u, BINS, (0, 1))[0]
    lower, upper = simultaneous_band(n, BINS, ALPHA / tests)
    reached = counts.cumsum()[:-1]
    scores = ndtri(np.clip(u, CLOSEST, 1 - CLOSEST))
    ordered, steps = np.sort(u), np.arange(n + 1) / n
    return Uniformity(
        name,
        n,
        tuple(counts.tolist()),
        tuple(lower.tolist()),
        tuple(upper.tolist()),
        bool(((reached >= lower) & (reached <= upper)).all()),
        float(scores.mean()),
        float(scores.std(ddof=min(1, n - 1))),
        float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max())),
    )


@lru_cache(maxsize=256)
def simultaneous_band(n: int, bins: int, alpha: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the band that the cumulative counts of n uniform numbers leave anywhere with probability α.

    Args:
        n: how many numbers.
        bins: number of equal bins, ≥ 2.
        alpha: α, between 0 and 1; γ is found by simulation from a fixed seed.

    Returns:
        The least and the greatest count at each of the inner edges, shape (bins − 1,) each.

    Examples:
        >>> simultaneous_band(100, 4, 0.05)
        (array([15, 39, 65]), array([35, 61, 85]))
    """
    edges = np.arange(1, bins) / bins
    counts = np.arange(n + 1)[:, None]
    extreme = 2 * np.minimum(binom.cdf(counts, n, edges), binom.sf(counts - 1, n, edges))  # (n + 1, bins − 1)
    simulated = np.random.default_rng(0).multinomial(n, np.full(bins, 1 / bins), SIMULATED).cumsum(1)[:, :-1]
    least = extreme[simulated, np.arange(bins - 1)].min(1)
    gamma = np.quantile(least, alpha, method="lower")
    inside = extreme >= gamma
    return inside.argmax(0), n - inside[::-1].argmax(0)
