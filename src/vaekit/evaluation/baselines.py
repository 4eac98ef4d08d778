"""Simple models of the same data, for comparison with the network.

Probabilistic PCA and factor analysis, with as many latent dimensions as the model, are fitted to training rows and
measured on held-out rows. Both are densities. Discrete data x become x + u, with u uniform in (0, 1). The mean log-density
is then a lower bound on the log-probability (Theis et al. 2016), comparable with the model's bound. For a mixed table, the
simple model is the model's likelihood without z: its columns are independent. Pictures are also compared with histograms of
their pixels and with the sizes of lossless files.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Part, Rows, Schema, SeedStream
from vaekit.errors import VaekitError
from vaekit.models import ProbabilisticPCA
from vaekit.models.likelihoods import Mixed

Array = npt.NDArray[np.float64]
MOST_ROWS = 10_000
MOST_FEATURES = 4096
MOST_COUNTS = 1 << 24
"""Most counts in the histograms of all pixels."""
MOST_FILES = 1000
"""Most pictures that are written as files."""
CONSTANT_STEPS = 60
"""Optimiser steps for the constant model, which starts near its optimum."""


@dataclass(frozen=True)
class Baselines:
    """Hold the mean log-likelihoods of simple models on held-out rows, in nats per row."""

    def known(self) -> dict[str, float]:
        """Return the log-likelihoods of the simple models that could be fitted, keyed by model name."""
        named = {each.metadata["name"]: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def best(self) -> tuple[str, float] | None:
        """Return the name and the log-likelihood of the best simple model, or None if none could be fitted.

        The sizes of files are no models.
        """
        files = {each.metadata["name"] for each in fields(self) if "file" in each.metadata}
        models = ((name, value) for name, value in self.known().items() if name not in files)
        return max(models, key=lambda pair: pair[1], default=None)


@dataclass(frozen=True)
class LinearBaselines(Baselines):
    """Hold the mean held-out log-likelihoods of two linear models, None for a model that could not be fitted.

    Args:
        ppca: log-likelihood of probabilistic PCA.
        factor_analysis: log-likelihood of factor analysis.
    """

    ppca: float | None = field(default=None, metadata={"name": "probabilistic PCA"})
    factor_analysis: float | None = field(default=None, metadata={"name": "factor analysis"})


@dataclass(frozen=True)
class PictureBaselines(LinearBaselines):
    """Hold what independent pixels and picture files reach on the same pictures, besides the linear models.

    The size of a lossless file is a code length, so minus its bits are comparable with log p(x).

    Args:
        histograms: log-likelihood under a histogram for each pixel and channel; None if there are too many levels.
        png: minus the mean size of PNG files, in nats; None unless the pictures have 8 bits and 1 or 3 channels.
        webp: the same for lossless WebP files.
    """

    histograms: float | None = field(default=None, metadata={"name": "independent pixels"})
    png: float | None = field(default=None, metadata={"name": "PNG files", "file": True})
    webp: float | None = field(default=None, metadata={"name": "lossless WebP files", "file": True})


@dataclass(frozen=True)
class TableBaselines(Baselines):
    """Hold the mean held-out log-likelihood of a mixed table under a model with independent columns.

    Args:
        independent: log-likelihood under the model's likelihood without z.
    """

    independent: float = field(metadata={"name": "independent columns"})


def _matrix(rows: Rows, dequantize: bool, part: int) -> Array:
    """Return rows as a matrix of floats, with added uniform noise if the data are dequantised."""
    some = Rows(rows.part.subset(MOST_ROWS, rows.seed), rows.transform, rows.seed)
    matrix: Array = some.tensor().flatten(1).double().numpy()
    # equal rows get different noise: with the same noise, a density could exceed every probability
    return matrix + SeedStream.BASELINE.rng(rows.seed, part).random(matrix.shape) if dequantize else matrix


def measure_baselines(train: Rows, test: Rows, schema: Schema, density: bool, latent_dim: int) -> LinearBaselines:
    """Fit probabilistic PCA and factor analysis to training rows, and measure their mean held-out log-likelihoods.

    Args:
        train: rows to fit; at most 10,000 are used.
        test: rows to measure; at most 10,000 are used.
        schema: the schema of the data.
        density: whether the model's likelihood is a density; its rows then get no noise.
        latent_dim: the most latent dimensions of the linear models; they have fewer if rows or features are too few.

    Returns:
        Both log-likelihoods in nats per row of the data as given.
    """
    if np.prod(schema.event_shape) > MOST_FEATURES:
        return LinearBaselines()
    dequantize = schema.discrete and not density
    fitted, held_out = _matrix(train, dequantize, 0), _matrix(test, dequantize, 1)
    log_det = train.transform.log_det()
    k = min(latent_dim, fitted.shape[1] - 1, len(fitted) - 2)
    if k < 1:
        return LinearBaselines()
    ppca, factors = (
        None if value is None or not np.isfinite(value) else value + log_det
        for value in (_fit_ppca(fitted, held_out, k), _fit_factors(fitted, held_out, k))
    )
    return LinearBaselines(ppca, factors)


def measure_picture_baselines(
    train: Rows, test: Rows, schema: Schema, linear: LinearBaselines, files: int = MOST_FILES
) -> PictureBaselines:
    """Measure histograms of pixels, and lossless files, on the same pictures as the model.

        log p(x) = Σ_i log (n_i(x_i) + ½)/(N + L/2),   n_i(k) = training pictures with level k at pixel i

    Args:
        train: pictures from which the histograms are made; at most 10,000 are used.
        test: pictures to measure; at most 10,000 are used.
        schema: the schema of the data.
        linear: the linear models of the same data.
        files: most pictures that are written to files (in memory).

    Returns:
        The log-likelihoods in nats per picture; minus the size of a file in nats is −8 log 2 · bytes.

    References:
        Krichevsky and Trofimov, "The Performance of Universal Encoding", 1981, for the ½.
    """
    found = PictureBaselines(linear.ppca, linear.factor_analysis)
    levels, width = schema.levels or 2, math.prod(schema.event_shape)
    if levels * width <= MOST_COUNTS:
        seen, held_out = (r.part.subset(MOST_ROWS, r.seed) for r in (train, test))
        found = replace(found, histograms=_pixel_histograms(seen, held_out, levels, width))
    if levels != 256 or schema.shape[-1] not in (1, 3):
        return found
    some = test.part.subset(files, test.seed)
    pictures = np.asarray(some.take(0, len(some)), np.uint8)
    return replace(
        found, png=_file_size(pictures, "PNG", optimize=True), webp=_file_size(pictures, "WEBP", lossless=True)
    )


def _pixel_histograms(train: Part, test: Part, levels: int, width: int) -> float:
    counts, pixels = np.full((width, levels), 0.5), np.arange(width)
    for _, block in train.blocks():
        np.add.at(counts, (pixels, np.asarray(block).reshape(len(block), -1).astype(np.int64)), 1.0)
    logs, total = np.log(counts / counts.sum(1, keepdims=True)), 0.0
    for _, block in test.blocks():
        total += float(logs[pixels, np.asarray(block).reshape(len(block), -1).astype(np.int64)].sum())
    return total / len(test)


def _file_size(pictures: npt.NDArray[np.uint8], form: str, **options: bool) -> float | None:
    """Return minus the mean size of the pictures as files, in nats; None if this form cannot be written here."""
    from PIL import Image, features

    if form == "WEBP" and not features.check("webp"):
        return None
    size = 0
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, form, **options)
        size += len(buffer.getvalue())
    return -8 * math.log(2) * size / len(pictures)


def measure_independent(train: Rows, test: Rows, likelihood: Mixed) -> TableBaselines:
    """Fit a model with independent columns to rows of a mixed table, and measure its mean held-out log-likelihood.

    Args:
        train: rows to fit; at most 10,000 are used.
        test: rows to measure; at most 10,000 are used.
        likelihood: the likelihood of the trained model, which gives the layout and the options.

    Returns:
        The log-likelihood in nats per row of the data as given.
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
        return TableBaselines(float(constant(nothing).log_prob(held_out).double().mean()))


def _fit_ppca(train: Array, test: Array, latent_dim: int) -> float | None:
    try:
        model, _ = ProbabilisticPCA.fit(train, latent_dim)
    except VaekitError:  # no variance is left for the noise
        return None
    return float(model.log_prob(test).mean())


def _fit_factors(train: Array, test: Array, latent_dim: int) -> float | None:
    if len(train) <= train.shape[1]:  # its variances then have no maximum-likelihood estimate
        return None
    from sklearn.decomposition import FactorAnalysis

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unfinished fit is still a model
        model = FactorAnalysis(latent_dim, max_iter=200, tol=1e-3, random_state=0).fit(train)
        if (
            model.noise_variance_ < 1e-6 * train.var(axis=0)
        ).any():  # the density of a column without noise is unbounded
            return None
        return float(model.score(test))
