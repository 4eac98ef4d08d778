"""What the tests hold the package against: textbook mathematics in numpy and scipy, sharing no code with it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import integrate, stats
from scipy.special import expit, log_expit, logsumexp


def gaussian_kl(mean, covariance, other_mean, other_covariance):
    """KL between two Gaussians with full covariances."""
    difference = other_mean - mean
    solved = np.linalg.solve(other_covariance, np.column_stack([covariance, difference]))
    trace, quadratic = np.trace(solved[:, :-1]), difference @ solved[:, -1]
    log_ratio = np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    return 0.5 * (trace + quadratic - len(mean) + log_ratio)


def standard_normal_kl(mean, std):
    """KL[N(mean, diag std²) ‖ N(0, I)] of each row, as the sum of full-covariance ones."""
    identity = np.eye(mean.shape[1])
    return np.array([gaussian_kl(m, np.diag(s**2), 0 * m, identity) for m, s in zip(mean, std, strict=True)])


@dataclass(frozen=True)
class LinearGaussian:
    """x = Wz + b + noise of the given variance, z ~ N(0, I), by conditioning the joint Gaussian of (z, x)."""

    W: np.ndarray
    b: np.ndarray
    variance: float

    @property
    def covariance(self):
        return self.W @ self.W.T + self.variance * np.eye(len(self.b))

    def log_prob(self, X):
        return np.atleast_1d(stats.multivariate_normal(self.b, self.covariance).logpdf(X))

    def posterior(self, X):
        """Means (n, k) and the common covariance (k, k) of p(z|x)."""
        gain = self.W.T @ np.linalg.inv(self.covariance)
        return (X - self.b) @ gain.T, np.eye(self.W.shape[1]) - gain @ self.W

    def affine_posterior(self):
        """V, c and the covariance of p(z|x) = N(Vx + c, covariance)."""
        origin, covariance = self.posterior(np.zeros((1, len(self.b))))
        return (self.posterior(np.eye(len(self.b)))[0] - origin).T, origin[0], covariance

    def expected_distortion(self, X, mean, covariance):
        """−E[log p(x|z)] over z ~ N(mean, covariance), shape (n,)."""
        residual = ((X - self.b - mean @ self.W.T) ** 2).sum(1)
        spread = np.trace(self.W @ covariance @ self.W.T)
        return 0.5 * (len(self.b) * math.log(2 * math.pi * self.variance) + (residual + spread) / self.variance)

    def log_weight(self, x, z, mean, std):
        """log p(x|z) + log p(z) − log q(z|x) of one row and draws (..., k)."""
        log_x = stats.norm(z @ self.W.T + self.b, math.sqrt(self.variance)).logpdf(x).sum(-1)
        return log_x + stats.norm.logpdf(z).sum(-1) - stats.norm(mean, std).logpdf(z).sum(-1)

    def sample(self, n, rng):
        z = rng.normal(size=(n, self.W.shape[1]))
        return z @ self.W.T + self.b + math.sqrt(self.variance) * rng.normal(size=(n, len(self.b)))


def sigma_points(dimension):
    """Noise of shape (2d, d) whose equally weighted mean integrates every quadratic exactly against N(0, I)."""
    return math.sqrt(dimension) * np.concatenate([np.eye(dimension), -np.eye(dimension)])


def log_mean_exp(values, axis=0):
    return logsumexp(values, axis=axis) - math.log(values.shape[axis])


def soft_clamp(raw, low, high):
    return low + np.logaddexp(0, raw - low) - np.logaddexp(0, raw - high)


def discretized_logistic(k, location, scale, levels):
    """log P(x = k), from whichever tail is the smaller, so that nothing cancels."""
    a, b = (k + 0.5 - location) / scale, (k - 0.5 - location) / scale
    if k == 0:
        return log_expit(a)
    if k == levels - 1:
        return log_expit(-b)
    high, low = (log_expit(a), log_expit(b)) if a + b < 0 else (log_expit(-b), log_expit(-a))
    return high + np.log(-np.expm1(low - high))


def bernoulli_evidence(x, logits):
    """log ∫ N(z; 0, 1) Π_i Bernoulli(x_i; logits_i(z)) dz over one latent dimension, by quadrature."""

    def integrand(z):
        return stats.norm.pdf(z) * np.exp(log_expit((2 * x - 1) * logits(z)).sum())

    value, error = integrate.quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-11, limit=500, points=[-4, 0, 4])
    assert error < 1e-8 * value
    return math.log(value)


def tanh_network(z, weights):
    """W₂ tanh(W₁z + b₁) + b₂ of a scalar z."""
    W1, b1, W2, b2 = weights
    return W2 @ np.tanh(W1[:, 0] * z + b1) + b2


def mutual_information(mean, std, noise):
    """(1/N) Σ_n of log q(z|x_n) − log q(z) at the draws given by noise (n, draws, d), pair by pair."""
    total = []
    for n in range(len(mean)):
        for epsilon in noise[n]:
            z = mean[n] + std[n] * epsilon
            densities = [stats.norm.logpdf(z, mean[m], std[m]).sum() for m in range(len(mean))]
            total.append(densities[n] - log_mean_exp(np.array(densities)))
    return float(np.mean(total))


def mixture_entropy(mean, std):
    """−∫ q log q of the equal mixture of one-dimensional Gaussians, by quadrature."""

    def integrand(z):
        log_q = logsumexp(stats.norm.logpdf(z, mean, std)) - math.log(len(mean))
        return -math.exp(log_q) * log_q

    low, high = (mean - 12 * std).min(), (mean + 12 * std).max()
    return integrate.quad(integrand, low, high, limit=1000, points=sorted(mean))[0]


def principal_components(X, k):
    """The maximum-likelihood W, b, variance of probabilistic PCA, from the singular values of the centred data."""
    b = X.mean(0)
    _, singular, vectors = np.linalg.svd(X - b, full_matrices=False)
    eigenvalues = np.zeros(X.shape[1])
    eigenvalues[: len(singular)] = singular**2 / len(X)
    variance = eigenvalues[k:].mean()
    return LinearGaussian(vectors[:k].T * np.sqrt(eigenvalues[:k] - variance), b, variance), eigenvalues


def z_scores(sample, expected):
    """How many standard errors the mean of the sample (n, ...) is from what it should be."""
    return (sample.mean(0) - expected) / (sample.std(0, ddof=1) / math.sqrt(len(sample)))


def entropy_of_rows(X):
    """Entropy in nats of the empirical distribution of the rows: no probability fits them better."""
    counts = np.unique(X, axis=0, return_counts=True)[1] / len(X)
    return float(-(counts * np.log(counts)).sum())


def sigmoid(x):
    return expit(x)


BEYOND = np.log(1e-10)
"""What a log-probability loses where a number is beyond its bounds."""


def logistic_mixture_interval(middle, width, weights, location, scale, open_below=False, open_above=False, digits=60):
    """log of the mass of a mixture of logistics between middle ± width/2, in so many digits that nothing cancels."""
    import mpmath

    with mpmath.workdps(digits):
        middle, half = mpmath.mpf(float(middle)), mpmath.mpf(float(width)) / 2

        def mass(m, s):
            below = 0 if open_below else 1 / (1 + mpmath.exp((m - middle + half) / s))
            above = 1 if open_above else 1 / (1 + mpmath.exp((m - middle - half) / s))
            return above - below

        parts = zip(*(map(mpmath.mpf, v) for v in (weights, location, scale)), strict=True)
        return float(mpmath.log(mpmath.fsum(w * mass(m, s) for w, m, s in parts)))


def logistic_mixture_pdf(y, weights, location, scale):
    """Density at each y of a mixture of logistics; parameters have the components last."""
    return (weights * stats.logistic.pdf(np.asarray(y)[..., None], location, scale)).sum(-1)


def logistic_mixture_cdf(y, weights, location, scale):
    """Distribution function at each y of a mixture of logistics; parameters have the components last."""
    return (weights * stats.logistic.cdf(np.asarray(y)[..., None], location, scale)).sum(-1)


def mixed_slots(parameters, x, sizes, widths, lattice, edges, components, log_scale=(-7.0, 3.0)):
    """log p of each slot of one row of a mixed table, 0 where it is NaN.

    Args:
        parameters: the network's output plus the offset: `widths` logits for each list, of which `sizes` count, then
            weights, locations and scales for each score.
        x: S slots and their S measures.
        sizes, widths: length of each list, and how many logits it has.
        lattice, edges: of each score, whether it is an interval, and the bounds: the middles of the outermost intervals.
    """
    found, begin, slots = [], 0, len(sizes) + len(lattice)
    for slot, (size, width) in enumerate(zip(sizes, widths, strict=True)):
        logits = parameters[begin : begin + size]
        begin += width
        place = x[slot]
        found.append(0.0 if np.isnan(place) else logits[int(place)] - logsumexp(logits) + x[slots + slot])
    for slot, (interval, (lowest, highest)) in enumerate(zip(lattice, edges, strict=True), len(sizes)):
        logits, location, raw = parameters[begin : begin + 3 * components].reshape(3, components)
        begin += 3 * components
        weights, scale = np.exp(logits - logsumexp(logits)), np.exp(soft_clamp(raw, *log_scale))
        y, measure = x[slot], x[slots + slot]
        if np.isnan(y):
            found.append(0.0)
        elif interval:
            ends = {"open_below": y == lowest, "open_above": y == highest}
            own = logistic_mixture_interval(y, np.exp(measure), weights, location, scale, **ends, digits=2000)
            found.append(own + BEYOND * (not lowest <= y <= highest))
        else:
            own = logsumexp(np.log(weights) + stats.logistic.logpdf(y, location, scale)) + measure
            low, high = logistic_mixture_cdf(np.array([lowest, highest]), weights, location, scale)
            found.append(own + (-np.log(high - low) if lowest <= y <= highest else BEYOND))
    return np.array(found)


@dataclass(frozen=True)
class Line:
    """A column of numbers with its piecewise linear map to scores: a density, or probabilities on the lattice 0, 1, 2, …"""

    knots: tuple[float, ...]
    scores: tuple[float, ...]
    tails: tuple[float, float]
    counts: bool = False

    def score(self, x):
        knots, scores = self.knots, self.scores
        below, above = np.minimum(x - knots[0], 0) * self.tails[0], np.maximum(x - knots[-1], 0) * self.tails[1]
        return np.interp(x, knots, scores) + below + above

    def slope(self, x):
        inner = np.diff(self.scores) / np.diff(self.knots)
        return np.concatenate([self.tails[:1], inner, self.tails[1:]])[np.searchsorted(self.knots, x, side="right")]


@dataclass(frozen=True)
class MixedTable:
    """A mixed table under a one-dimensional z and a decoder W₂ tanh(W₁z + b₁) + b₂, by quadrature over a grid of z.

    Args:
        weights: W₁, b₁, W₂, b₂, the likelihood's offset added to b₂.
        columns: number of values of a list, or a `Line`; with where its parameters begin.
        components: of the mixtures of logistics.
        z: the grid, equidistant.
        known: what was worked out already.
    """

    weights: tuple[np.ndarray, ...]
    columns: tuple[tuple[int | Line, int], ...]
    components: int
    z: np.ndarray
    known: dict = field(default_factory=dict)

    @property
    def log_prior(self):
        return stats.norm.logpdf(self.z) + np.log(self.z[1] - self.z[0])

    def cells(self, column, values):
        """p(value|z) of a column, shape (grid, n)."""
        values = np.asarray(values, np.float64)
        key = (column, values.tobytes())
        if key not in self.known:
            self.known[key] = self._cells(column, values)
        return self.known[key]

    def _cells(self, column, values):
        W1, b1, W2, b2 = self.weights
        kind, begin = self.columns[column]
        parameters = np.tanh(self.z[:, None] * W1[:, 0] + b1) @ W2.T + b2
        if not isinstance(kind, Line):
            logits = parameters[:, begin : begin + kind]
            return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))[:, values.astype(int)]
        mixture = parameters[:, begin : begin + 3 * self.components].reshape(len(self.z), 1, 3, self.components)
        logits, location, raw = (mixture[..., i, :] for i in range(3))
        weights = np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))
        scale = np.exp(soft_clamp(raw, -7.0, 3.0))
        if not kind.counts:
            return logistic_mixture_pdf(kind.score(values), weights, location, scale) * kind.slope(values)
        above = logistic_mixture_cdf(kind.score(values + 0.5), weights, location, scale)
        below = logistic_mixture_cdf(kind.score(values - 0.5), weights, location, scale)
        return above - np.where(values == 0, 0.0, below)

    def log_joint(self, row):
        """log p(x_observed, z) on the grid; its logsumexp is log p(x_observed)."""
        observed = (np.log(self.cells(i, [value])[:, 0]) for i, value in enumerate(row) if not np.isnan(value))
        return self.log_prior + sum(observed)

    def log_evidence(self, row):
        return float(logsumexp(self.log_joint(row)))

    def conditional(self, row, column, values):
        """p(value|x_observed) for each of the values, a density for reals."""
        joint = self.log_joint(row)
        return np.exp(joint - logsumexp(joint)) @ self.cells(column, values)

    def pair(self, row, first, second, firsts, seconds):
        """P(both|x_observed) of two lists, shape (n, m)."""
        joint = self.log_joint(row)
        posterior = np.exp(joint - logsumexp(joint))
        return np.einsum("z,zi,zj->ij", posterior, self.cells(first, firsts), self.cells(second, seconds))
