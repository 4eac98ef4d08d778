"""A run whose model encodes, reconstructs, decodes, scores and draws rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import Part, Rows, SeedStream, seeded, tile_positions
from vaekit.errors import RunError, VaekitError, at_least_one
from vaekit.evaluation import (
    evaluating,
    first_row,
    measure,
    tile_rows,
    widest,
)
from vaekit.models import LatentModel
from vaekit.runs.base import KeptRun

Array = npt.NDArray[Any]


def row_numbers(n: int, start: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the numbers of n new rows, after checking that such rows can be drawn."""
    if start < 0 or seed < 0:
        name, value = ("start", start) if start < 0 else ("seed", seed)
        raise VaekitError(f"`{name}` must be at least 0", str(value))
    return np.arange(start, start + at_least_one(n, "n"))


class ModelRun(KeptRun):
    """A run that uses its model on rows; `Run` adds what measures and shows the model."""

    mean_dtype: ClassVar[type[np.floating[Any]]] = np.float32
    """The NumPy type of reconstructions and means."""
    reads_tables: ClassVar[bool] = False
    """Whether rows come back as tables, with columns of any type and missing cells."""

    def encode(self, X: object) -> Array:
        """Return the posterior mean E_q[z] of each row, or its code for an autoencoder.

        Args:
            X: rows as `vaekit.train` takes them: an array (n, *shape), a data frame, or a path.

        Returns:
            Array (n, latent_dim), float32.

        Raises:
            DataError: if X does not fit the schema.
        """
        return self._map(self.rows(X), lambda model, x: model.encode(x)).astype(np.float32)

    def reconstruct(self, X: object) -> Array:
        """Return the mean of p(x|z) at the posterior mean of each row, in the units of the data.

        Args:
            X: rows, as in `encode`.

        Returns:
            Array (n, *shape), float32.
        """
        return self._map(self.rows(X), self._there_and_back).astype(np.float32)

    def decode(self, z: npt.ArrayLike, given: Mapping[str, Any] | None = None) -> Array:
        """Return the mean of p(x|z) at latent vectors, in the units of the data.

        Args:
            z: latent vectors, shape (n, latent_dim).
            given: values for a conditional model, as in `sample`.

        Returns:
            Array (n, *shape), float32.

        Raises:
            VaekitError: if z has another shape.
        """
        return self.decode_at(z, self.context(given or {}, len(np.atleast_1d(z))))

    def interpolate(self, a: object, b: object, steps: int = 9, given: Mapping[str, Any] | None = None) -> Any:
        """Decode codes on the straight line between the codes of two rows.

            z_t = (1 − t)·E_q[z|a] + t·E_q[z|b],   t = 0, …, 1

        Args:
            a: one row, as in `encode`.
            b: another row.
            steps: number of codes, ≥ 2; the first is that of a, the last that of b.
            given: values for a conditional model, as in `sample`.

        Returns:
            Array (steps, *shape), float32, or a table of that many rows.

        Raises:
            VaekitError: if a or b is not one row, or there are fewer than two steps.

        Examples:
            >>> import tempfile, vaekit
            >>> X = vaekit.data.open_source("digits").values
            >>> run = vaekit.train(X, settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
            >>> run.interpolate(X[:1], X[1:2], steps=5).shape
            (5, 8, 8, 1)
        """
        first, last = self.encode(a), self.encode(b)
        if len(first) != 1 or len(last) != 1:
            raise VaekitError(
                "`a` and `b` must be one row each", f"{len(first)} and {len(last)}", "Pass X[:1] and X[1:2]"
            )
        if steps < 2:
            raise VaekitError("`steps` must be at least 2", str(steps))
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return self.decode((1 - share) * first + share * last, given)

    def decode_at(self, z: npt.ArrayLike, context: torch.Tensor | None) -> Array:
        """Decode latent vectors with an encoded context; return numeric codes for a mixed table."""
        codes = torch.as_tensor(np.asarray(z, dtype=np.float32))
        if codes.ndim != 2 or codes.shape[1] != self.recipe.latent_dim:
            raise VaekitError(f"z must have shape (n, {self.recipe.latent_dim})", str(tuple(codes.shape)))
        with evaluating(self.model) as device:
            parts = [self._as_given(model, part.to(device)) for _, model, part in self._tiles(codes, context)]
        return np.concatenate(parts)[: len(codes)].astype(self.mean_dtype)

    def score(self, X: object, samples: int | None = None) -> float:
        """Return the mean of `score_samples`, in nats per row.

        Args:
            X: rows, as in `encode`.
            samples: number of draws, as in `score_samples`.
        """
        return float(self.score_samples(X, samples).mean())

    def score_samples(self, X: object, samples: int | None = None) -> Array:
        """Estimate log p(x) of each row with the importance-weighted bound, in nats.

        An autoencoder has no likelihood, so its scores are minus the squared error of each row.

        Args:
            X: rows, as in `encode`.
            samples: number of draws K; the recipe's `evaluation.samples` by default.

        Returns:
            Array (n,), float64, with densities in the units of the data; unusual rows have low scores.
        """
        return measure(self.model, self.rows(X), self._samples(samples)).score

    def sample(
        self,
        n: int,
        seed: int = 0,
        mean: bool = False,
        given: Mapping[str, Any] | None = None,
        complete: bool = False,  # noqa: ARG002
        start: int = 0,
    ) -> Array:
        """Draw new rows: z ~ p(z), then x ~ p(x|z), or x ~ p(x|z, c) for a conditional model.

        Row i is a function of the seed and i, so the parts of a large sample can be drawn at several places.

        Args:
            n: number of rows, ≥ 1.
            seed: the same seed gives the same rows; ≥ 0.
            mean: whether to return the mean of p(x|z) rather than a draw from it; an autoencoder always returns it.
            given: a value, or a list of n values, for each column that the model is conditional on.
            complete: whether the rows of a mixed table have no missing cells; other rows never have any.
            start: number of the first row, ≥ 0.

        Returns:
            Array (n, *shape) in the units of the data; draws have the type of the data.

        Raises:
            DataError: if `given` lacks one of these columns, or has another column.

        Examples:
            >>> import tempfile, vaekit
            >>> run = vaekit.train("digits", settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
            >>> bool((run.sample(3, seed=1, start=2) == run.sample(5, seed=1)[2:]).all())
            True
        """
        rows = row_numbers(n, start, seed)
        return self.sample_at(self.context(given or {}, n), n, seed, mean, int(rows[0]))

    def sample_at(
        self, context: torch.Tensor | None, n: int, seed: int = 0, mean: bool = False, start: int = 0
    ) -> Array:
        """Draw new rows with an encoded context; return numeric codes for a mixed table."""
        blocks, size, mean = [], self._tile, mean or not self.model.has_likelihood
        first, last = start // size, (start + n - 1) // size
        with evaluating(self.model):
            for tile in range(
                first, last + 1
            ):  # always whole tiles, so that a row does not depend on the number of rows
                own = (np.arange(tile * size, (tile + 1) * size) - start).clip(0, n - 1)
                model = self.model.given(None if context is None else context[own])
                with seeded(int(SeedStream.SAMPLE_CODES.rng(seed, tile).integers(2**62))):
                    z = self.model.prior().sample((size,))
                    x = None if mean else self.transform.inverse(model.decoder(z).sample().cpu()).numpy()
                blocks.append(self._as_given(model, z) if x is None else x)
        drawn, dtype = np.concatenate(blocks)[start - first * size :][:n], np.dtype(self.schema.dtype)
        if mean:
            return drawn.astype(self.mean_dtype)
        if np.isnan(drawn).any() and not self.reads_tables:
            raise RunError(f"The model in '{self.path}' draws NaN", mend="Train a new run with a smaller learning rate")
        if dtype.kind in "ui":  # a model of counts may draw numbers beyond the type of the data
            drawn = drawn.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
        return drawn.astype(dtype)

    def _map(self, rows: Rows, function: Any) -> Array:
        with evaluating(self.model) as device:
            parts = [function(self.model.given(c), x.to(device)) for _, x, _, c in rows.tiles(self._tile)]
        return np.concatenate([p.cpu().numpy() if isinstance(p, torch.Tensor) else p for p in parts])[: len(rows)]

    @property
    def _tile(self) -> int:
        """Return how many rows go through the model at a time; wide models take fewer."""
        given = self.schema.context
        part = Part(
            np.zeros((1, *self.schema.shape)), np.arange(1), context=np.zeros((1, len(given))) if given else None
        )
        return tile_rows(widest(self.model, *first_row(Rows(part, self.transform))))

    def _tiles(
        self, z: torch.Tensor, context: torch.Tensor | None
    ) -> Iterator[tuple[npt.NDArray[np.int64], Any, torch.Tensor]]:
        """Yield the positions and values of latent vectors in tiles, each with a model that is given the tile's context.

        As in `Rows.tiles`, the last tile is filled up with copies.
        """
        for part in tile_positions(len(z), self._tile):
            yield part, self.model.given(None if context is None else context[part]), z[part]

    def _there_and_back(self, model: LatentModel, x: torch.Tensor) -> Array:
        return self._as_given(model, model.encode(x))

    def _as_given(self, model: LatentModel, z: torch.Tensor) -> Array:
        return self.transform.inverse_mean(model.decode(z).cpu()).numpy()

    def _samples(self, samples: int | None) -> int:
        return at_least_one(self.recipe.evaluation.samples if samples is None else samples, "samples")
