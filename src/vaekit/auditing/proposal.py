"""Proposals for importance sampling over rows: a mixture that is adapted to the function that is summed.

    r(x) = Σ_m π_m Π_i r_mi(x_i)

In each component a listed value has a probability, and a real number a Student-t density. Real cells without listed
values are whitened first, so that components need no covariances.

References:
    Cappé, Douc, Guillin, Marin and Robert, "Adaptive importance sampling in general mixture classes", 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from scipy.stats import t as student

from vaekit.auditing.space import Space

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

COMPONENTS = 6
"""Components of a mixture, besides a wide one."""
WIDE = 0.1
"""Weight of the wide component, which reaches rows that the others miss."""
DEGREES = 5.0
"""Degrees of freedom of the tails."""
ROUNDS, PER_ROUND, STEPS = 10, 1024, 15
"""Most rounds of adaptation, draws in each, and steps of expectation maximisation."""
LEAST_SHARE, ENOUGH = 0.2, 0.6
"""Shares of effective draws: to which the weights of a round are smoothed, and at which adaptation ends."""


@dataclass(frozen=True)
class Coordinates:
    """Convert rows, shape (n, D), to places in the lists of values and to numbers, and back.

    Args:
        space: the rows that are possible.
        centre: centre of the whitened cells, shape (w,).
        factor: lower triangular matrix L, x = centre + L·u, shape (w, w).
    """

    space: Space
    centre: Array
    factor: Array

    @classmethod
    def of(cls, space: Space, rows: Array) -> Coordinates:
        """Whiten the real cells of rows that have no listed values."""
        numbers = rows[:, _whitened(space)]
        size = numbers.shape[1]
        spread = np.cov(numbers.T, ddof=0).reshape(size, size) if size else np.zeros((0, 0))
        ridge = 1e-6 * np.trace(spread) / max(size, 1) + 1e-12
        return cls(space, numbers.mean(0), np.linalg.cholesky(spread + ridge * np.eye(size)))

    @property
    def log_det(self) -> float:
        """Return log |det ∂x/∂u|."""
        return float(np.log(np.diag(self.factor)).sum())

    @property
    def other(self) -> int:
        """Return the place that stands for a number that is not in the list of its cell."""
        return max(len(cell.values) for cell in self.space.cells)

    @property
    def possible(self) -> npt.NDArray[np.bool_]:
        """Return which places each cell can have, shape (D, V + 1)."""
        lengths = np.array([len(cell.values) for cell in self.space.cells])
        listed = np.arange(self.other) < lengths[:, None]
        return np.concatenate([listed, self.space.real[:, None]], 1)

    def split(self, rows: Array) -> tuple[Codes, Array]:
        """Return the places and the numbers of rows, shape (n, D) each; the number of a listed value is 0."""
        codes, numbers = np.full(rows.shape, self.other), rows.astype(np.float64)
        for index, cell in enumerate(self.space.cells):
            if cell.values:
                values = np.asarray(cell.values)
                place = np.searchsorted(values, rows[:, index]).clip(max=len(values) - 1)
                codes[:, index] = np.where(values[place] == rows[:, index], place, self.other)
        white = _whitened(self.space)
        numbers[:, white] = np.linalg.solve(self.factor, (rows[:, white] - self.centre).T).T
        return codes, np.where(codes == self.other, numbers, 0.0)

    def join(self, codes: Codes, numbers: Array) -> Array:
        """Return the rows of places and numbers."""
        rows, white = numbers.copy(), _whitened(self.space)
        rows[:, white] = self.centre + numbers[:, white] @ self.factor.T
        for index, cell in enumerate(self.space.cells):
            listed = codes[:, index] < self.other
            if listed.any():
                rows[listed, index] = np.asarray(cell.values)[codes[listed, index]]
        return rows


def _whitened(space: Space) -> npt.NDArray[np.bool_]:
    return np.array([cell.real and not cell.values for cell in space.cells])


@dataclass(frozen=True)
class Proposal:
    """Hold a mixture of products over the cells of a row; its last component is a wide one.

    Args:
        at: the coordinates of rows.
        weights: π, shape (M,).
        chances: probabilities of the places of each cell, shape (M, D, V + 1).
        location: location of the numbers, shape (M, D).
        scale: scale of the numbers, shape (M, D).
    """

    at: Coordinates
    weights: Array
    chances: Array
    location: Array
    scale: Array

    @classmethod
    def fit(cls, space: Space, rows: Array, rng: np.random.Generator) -> Proposal:
        """Fit a mixture to rows, shape (n, D), by expectation maximisation."""
        at = Coordinates.of(space, rows)
        codes, numbers = at.split(rows)
        start = rng.choice(len(rows), COMPONENTS)
        distance = [((numbers - numbers[i]) ** 2 + (codes != codes[i])).sum(1) for i in start]
        shares = np.eye(COMPONENTS)[np.argmin(distance, 0)] + 0.2
        for _ in range(STEPS):
            mixture = cls._of_shares(at, codes, numbers, shares / shares.sum(1, keepdims=True))
            joint = mixture._joint(codes, numbers)[:, :-1]
            shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return mixture

    @classmethod
    def _of_shares(cls, at: Coordinates, codes: Codes, numbers: Array, shares: Array) -> Proposal:
        """Return the mixture with the moments of rows that belong to its components in shares, shape (n, M − 1)."""
        shares = np.concatenate([shares, np.ones((len(shares), 1))], 1)
        prior = at.possible / at.possible.sum(1, keepdims=True)
        chances = np.stack([shares.T @ (codes == place) for place in range(at.other + 1)], -1) + prior
        chances[-1] += len(codes) * prior
        here = shares.T @ (codes == at.other) + 1e-9
        location = shares.T @ numbers / here
        variance = shares.T @ numbers**2 / here - location**2
        scale = np.sqrt(np.maximum(variance, 1e-3 * variance[-1] + 1e-12))
        scale[-1] *= 2
        weights = np.append((1 - WIDE) * shares[:, :-1].sum(0) / len(shares), WIDE)
        return cls(at, weights, chances / chances.sum(-1, keepdims=True), location, scale)

    def _joint(self, codes: Codes, numbers: Array) -> Array:
        """Return log π_m + log r_m of rows, shape (n, M)."""
        with np.errstate(divide="ignore"):
            chances, found = np.log(self.chances), np.tile(np.log(self.weights), (len(codes), 1))
        for index, cell in enumerate(self.at.space.cells):
            found += chances[:, index, codes[:, index]].T
            if cell.real:
                there = codes[:, index] == self.at.other
                z = numbers[there, index, None]
                density = student.logpdf(z, DEGREES, self.location[:, index], self.scale[:, index])
                found[there] += density + np.log(cell.width)
        return found

    def log_prob(self, rows: Array) -> Array:
        """Return log r(x) of rows, shape (n, D), as a density in the sense of the audited function."""
        found: Array = logsumexp(self._joint(*self.at.split(rows)), axis=1) - self.at.log_det
        return found

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows, shape (n, D)."""
        chosen = rng.choice(len(self.weights), n, p=self.weights)
        reached = np.cumsum(self.chances[chosen], -1)
        codes = (rng.random((*reached.shape[:2], 1)) * reached[..., -1:] >= reached).sum(-1)
        numbers = self.location[chosen] + self.scale[chosen] * rng.standard_t(DEGREES, codes.shape)
        return self.at.join(codes, numbers)


def effective(log_weights: Array) -> float:
    """Return the effective sample size (Σ w)²/Σ w² of log-weights.

    Examples:
        >>> round(effective(np.zeros(10)), 6), round(effective(np.array([0.0, -np.inf])), 6)
        (10.0, 1.0)
    """
    if not np.isfinite(log_weights.max()):
        return 0.0
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def adapt(
    space: Space, rows: Array, log_prob: Callable[[Array], Array], rng: np.random.Generator
) -> tuple[Proposal, float]:
    """Fit a proposal to rows, then to draws that are weighted by the function to be summed.

    Args:
        space: the rows that are possible.
        rows: where to start, shape (n, *shape).
        log_prob: rows (m, *shape) ↦ log p(x), shape (m,).
        rng: random generator.

    Returns:
        The best proposal, and the share of its draws that are effective, between 0 and 1.
    """
    proposal = Proposal.fit(space, rows.reshape(len(rows), -1), rng)
    best = proposal, 0.0
    for _ in range(ROUNDS):
        drawn = proposal.draw(PER_ROUND, rng)
        weights = log_prob(drawn.reshape(-1, *space.shape)) - proposal.log_prob(drawn)
        share = effective(weights) / PER_ROUND
        if share >= best[1]:
            best = proposal, share
        if share == 0 or share > ENOUGH:
            break
        chance = np.exp(_smoothed(weights - weights.max()))
        proposal = Proposal.fit(space, drawn[rng.choice(PER_ROUND, PER_ROUND, p=chance / chance.sum())], rng)
    return best


def _smoothed(log_weights: Array) -> Array:
    """Return log-weights times a power γ ≤ 1, chosen so that enough draws are effective."""
    for _ in range(40):
        if effective(log_weights) >= LEAST_SHARE * len(log_weights):
            break
        log_weights = 0.7 * log_weights
    return log_weights
