"""Probabilistic principal component analysis: a linear-Gaussian model, for which everything is known in closed form.

    x = Wz + b + noise,  z ~ N(0, I_k),  noise ~ N(0, σ²I_p)       p(x) = N(b, WWᵀ + σ²I)
    p(z|x) = N(M⁻¹Wᵀ(x − b), σ²M⁻¹),  M = WᵀW + σ²I

Let λ_1 ≥ … ≥ λ_p be the eigenvalues of the data's covariance. The likelihood is greatest at σ² = the mean of the discarded
eigenvalues and W = U_k (Λ_k − σ²I)^½, where

    max mean log p = −½ [ p log 2π + Σ_{j≤k} log λ_j + (p − k) log σ² + p ].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.errors import VaekitError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProbabilisticPCA:
    """Hold a linear-Gaussian latent variable model with isotropic noise.

    Args:
        weight: W, shape (p, k).
        bias: b, shape (p,).
        variance: σ² > 0.

    References:
        Tipping and Bishop, "Probabilistic Principal Component Analysis", 1999.

    Examples:
        >>> X = np.random.default_rng(0).normal(size=(500, 3)) * [3.0, 1.0, 1.0]
        >>> model, best = ProbabilisticPCA.fit(X, 1)
        >>> bool(np.isclose(model.log_prob(X).mean(), best))
        True
    """

    weight: Array
    bias: Array
    variance: float

    @classmethod
    def fit(cls, X: npt.ArrayLike, latent_dim: int) -> tuple[ProbabilisticPCA, float]:
        """Fit the model to the rows of X by maximum likelihood.

        Args:
            X: data, shape (n, p), n ≥ 2.
            latent_dim: 1 ≤ k < p.

        Returns:
            The model, and its mean log-likelihood on the rows in nats.

        Raises:
            VaekitError: if k is not below p, or no variance is left for the noise.
        """
        data = np.asarray(X, dtype=np.float64)
        n, p = data.shape
        if not 1 <= latent_dim < p:
            raise VaekitError(
                "latent_dim must be at least 1 and below the number of features", f"{latent_dim} for {p} features"
            )
        bias = data.mean(0)
        centred = data - bias
        if p <= n:
            eigenvalues, vectors = np.linalg.eigh(centred.T @ centred / n)
        else:  # the smaller Gram matrix has the same eigenvalues; the other p − n are zero
            eigenvalues, left = np.linalg.eigh(centred @ centred.T / n)
            vectors = centred.T @ left / np.sqrt(np.maximum(eigenvalues * n, np.finfo(float).tiny))
        leading, axes = eigenvalues[::-1][:latent_dim], vectors[:, ::-1][:, :latent_dim]
        variance = float((np.square(centred).sum() / n - leading.sum()) / (p - latent_dim))
        if not variance > 1e-12 * max(float(leading[0]), np.finfo(float).tiny) or len(leading) < latent_dim:
            raise VaekitError(
                "latent_dim must be below the number of directions in which the data vary", str(latent_dim)
            )
        best = -0.5 * (p * np.log(2 * np.pi) + np.log(leading).sum() + (p - latent_dim) * np.log(variance) + p)
        return cls(axes * np.sqrt(np.maximum(leading - variance, 0)), bias, variance), float(best)

    def log_prob(self, X: npt.ArrayLike) -> Array:
        """Return log N(x; b, WWᵀ + σ²I) of each row by the matrix inversion and determinant lemmas, shape (n,)."""
        centred = np.asarray(X, dtype=np.float64) - self.bias
        p, k = self.weight.shape
        inner = self.weight.T @ self.weight + self.variance * np.eye(k)  # M
        projected = centred @ self.weight
        explained = (projected * np.linalg.solve(inner, projected.T).T).sum(1)
        quadratic = (np.square(centred).sum(1) - explained) / self.variance
        log_det = np.linalg.slogdet(inner)[1] + (p - k) * np.log(self.variance)
        return -0.5 * (p * np.log(2 * np.pi) + log_det + quadratic)

    def posterior(self, X: npt.ArrayLike) -> tuple[Array, Array]:
        """Return the mean (n, k) and the covariance (k, k) of p(z|x); the covariance is the same for all x."""
        inner = self.weight.T @ self.weight + self.variance * np.eye(self.weight.shape[1])  # M
        inverse = np.linalg.inv(inner).astype(np.float64)
        return (np.asarray(X, dtype=np.float64) - self.bias) @ self.weight @ inverse, self.variance * inverse
