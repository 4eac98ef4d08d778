"""Simple baselines on the same data: what does the network buy?

Probabilistic PCA and factor analysis with as many latent dimensions, fitted to the training rows and measured on the held-out
ones. Both are densities; for discrete data they are given x + u with u uniform in (0, 1), which bounds the logarithm of the
probability from below (Theis et al. 2016), so that every figure is in the same units as the model's own. For a mixed table the
baseline is its likelihood without any z: every column independent of the others.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Rows, Schema, SeedStream
from vaekit.errors import VaekitError
from vaekit.models import ProbabilisticPCA
from vaekit.models.likelihoods import Mixed

Array = npt.NDArray[np.float64]
BASELINES = {"ppca": "probabilistic PCA", "factor_analysis": "factor analysis", "independent": "independent columns"}
"""How the baselines are called."""
MOST_ROWS = 10_000
MOST_FEATURES = 4096
CONSTANT_STEPS = 60
"""Steps of the optimiser that fits the constant model, which starts near its optimum."""


def _matrix(rows: Rows, dequantize: bool, part: int) -> Array:
    """The rows as numbers; equal rows get different noise, else a density could rise above every probability."""
    some = Rows(rows.part.subset(MOST_ROWS, rows.seed), rows.transform, rows.seed)
    matrix: Array = some.tensor().flatten(1).double().numpy()
    return matrix + SeedStream.BASELINE.rng(rows.seed, part).random(matrix.shape) if dequantize else matrix


def measure_baselines(
    train: Rows, test: Rows, schema: Schema, density: bool, latent_dim: int
) -> dict[str, float | None]:
    """Mean held-out log-likelihood of the two linear models.

    Args:
        train: rows to fit (10,000 at most are used).
        test: rows to measure (likewise).
        schema: what the data are.
        density: whether the model's rows are reals already.
        latent_dim: latent dimensions of the linear models; fewer where the data have no more to give.

    Returns:
        `ppca` and `factor_analysis` in nats per row of the data as given; None where it is not defined.
    """
    if np.prod(schema.event_shape) > MOST_FEATURES:
        return {"ppca": None, "factor_analysis": None}
    dequantize = schema.discrete and not density
    fitted, held_out = _matrix(train, dequantize, 0), _matrix(test, dequantize, 1)
    log_det = train.transform.log_det()
    k = min(latent_dim, fitted.shape[1] - 1, len(fitted) - 2)
    if k < 1:
        return {"ppca": None, "factor_analysis": None}
    return {
        name: None if value is None or not np.isfinite(value) else value + log_det
        for name, value in (("ppca", _ppca(fitted, held_out, k)), ("factor_analysis", _factors(fitted, held_out, k)))
    }


def measure_independent(train: Rows, test: Rows, likelihood: Mixed) -> float:
    """Mean held-out log-likelihood of the best constant p(x), under which the columns of a mixed table are independent.

    Args:
        train: rows to fit (10,000 at most are used).
        test: rows to measure (likewise).
        likelihood: of the model, for its layout and options.

    Returns:
        Nats per row of the data as given.
    """
    constant = Mixed(likelihood.layout, likelihood.components, likelihood.missing)
    seen, held_out = (Rows(r.part.subset(MOST_ROWS, r.seed), r.transform, r.seed).tensor() for r in (train, test))
    constant.start(seen)
    nothing = constant.offset.new_zeros(constant.offset.shape)
    with torch.enable_grad():
        optimizer = torch.optim.Adam(constant.parameters(), lr=0.05)
        for _ in range(CONSTANT_STEPS):
            optimizer.zero_grad()
            (-constant(nothing).log_prob(seen).mean()).backward()
            optimizer.step()
    with torch.no_grad():
        return float(constant(nothing).log_prob(held_out).double().mean())


def _ppca(train: Array, test: Array, latent_dim: int) -> float | None:
    try:
        model, _ = ProbabilisticPCA.fit(train, latent_dim)
    except VaekitError:  # no variance is left for the noise
        return None
    return float(model.log_prob(test).mean())


def _factors(train: Array, test: Array, latent_dim: int) -> float | None:
    if len(train) <= train.shape[1]:  # its variances have no maximum-likelihood value then
        return None
    from sklearn.decomposition import FactorAnalysis

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unfinished fit is still a model, and so a bound
        model = FactorAnalysis(latent_dim, max_iter=200, tol=1e-3, random_state=0).fit(train)
        if (model.noise_variance_ < 1e-6 * train.var(axis=0)).any():  # a column without noise has no bounded density
            return None
        return float(model.score(test))
