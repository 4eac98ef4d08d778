"""A trained run: encode, reconstruct, sample, score, evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import KnownRows, Part, Rows, Schema, Source, Split, Transform, seeded
from vaekit.data.tables.coding import code_values
from vaekit.errors import DataError, RecipeError, RunError, VaekitError, at_least_one, did_you_mean
from vaekit.evaluation import (
    Evaluator,
    FactorScores,
    Figures,
    Remedy,
    anneal,
    block_rows,
    disentanglement,
    evaluating,
    first_row,
    inference_gap,
    measure,
    widest,
)
from vaekit.evaluation import rate_distortion as measure_curve
from vaekit.folder import RunFolder
from vaekit.models import LatentModel
from vaekit.opening import make_split, open_both, open_factors, open_rows, settle
from vaekit.recipe import Recipe, load_recipe, resolve

Array = npt.NDArray[Any]
EXAMPLES = 100
"""Rows that the slow figures are measured on by default."""
GAP_SAMPLES = 1000
"""Draws for each row that measure the inference gap."""
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Weights β of the distortion at which the rate-distortion curve is measured."""


@dataclass
class Run:
    """A model with the data's schema and transform, as `vaekit.train` returns and `vaekit.load` reads it.

    Every method is deterministic: the same rows give the same numbers on every call, in any order and company.

    Args:
        folder: where it is kept.
        recipe: the complete recipe.
        schema: what the data are.
        transform: from data as given to data as the model sees them.
        model: with its best weights.
        provenance: versions, seed, source and fingerprint of the data, choices and their reasons.
        known: hashes of the training rows; None for a run saved before they were kept.
    """

    folder: RunFolder
    recipe: Recipe
    schema: Schema
    transform: Transform
    model: LatentModel
    provenance: dict[str, Any]
    known: KnownRows | None = None
    mean_dtype: ClassVar[type[np.floating[Any]]] = np.float32

    def __repr__(self) -> str:
        size = "×".join(str(s) for s in self.schema.shape)
        rows = self.provenance["rows"]["train"]
        return f"Run('{self.path}': {self.recipe.model}, {size} {self.schema.kind}, latent_dim={self.recipe.latent_dim}, {rows} training rows)"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    def encode(self, X: object) -> Array:
        """Posterior means E_q[z] (an autoencoder's codes).

        Args:
            X: rows as `vaekit.train` takes them: an array (n, *shape), a data frame, or a path.

        Returns:
            Array (n, latent_dim), float32.

        Raises:
            DataError: if X does not fit the schema.
        """
        return self._map(self.rows(X), _encode).astype(np.float32)

    def reconstruct(self, X: object) -> Array:
        """The mean of p(x|z) at the posterior mean, in units of the data as given.

        Args:
            X: rows, as in `encode`.

        Returns:
            Array (n, *shape), float32.
        """
        return self._map(self.rows(X), self._there_and_back).astype(np.float32)

    def decode(self, z: npt.ArrayLike, given: Mapping[str, Any] | None = None) -> Array:
        """The mean of p(x|z) at latent vectors, in units of the data as given.

        Args:
            z: latent vectors, shape (n, latent_dim).
            given: of a conditional model what is given, as in `sample`.

        Returns:
            Array (n, *shape), float32.

        Raises:
            VaekitError: if z has another shape.
        """
        return self.decode_at(z, self.context(given or {}, len(np.atleast_1d(z))))

    def decode_at(self, z: npt.ArrayLike, context: torch.Tensor | None) -> Array:
        """As `decode`, with what is given as the networks see it: codes of a mixed table's rows."""
        codes = torch.as_tensor(np.asarray(z, dtype=np.float32))
        if codes.ndim != 2 or codes.shape[1] != self.recipe.latent_dim:
            raise VaekitError(f"z must have shape (n, {self.recipe.latent_dim})", str(tuple(codes.shape)))
        with evaluating(self.model) as device:
            parts = [self._as_given(model, part.to(device)) for model, part in self._at(codes, context)]
        return np.concatenate(parts).astype(self.mean_dtype)

    def score(self, X: object, samples: int | None = None) -> Array:
        """log p(x) of each row in nats of the data as given, by the importance-weighted bound.

        An autoencoder has no likelihood; it gives minus the squared error of each row.

        Args:
            X: rows, as in `encode`.
            samples: draws K; the recipe's `evaluation.samples` by default.

        Returns:
            Array (n,), float64: the greater, the more usual the row.
        """
        return measure(self.model, self.rows(X), self._samples(samples)).score

    def sample(self, n: int, seed: int = 0, mean: bool = False, given: Mapping[str, Any] | None = None) -> Array:
        """New rows: z ~ p(z), then x ~ p(x|z), or p(x|z, c) of a conditional model.

        Args:
            n: how many, ≥ 1.
            seed: the same seed gives the same rows.
            mean: whether to return the mean of p(x|z) rather than a draw from it; an autoencoder only has the mean.
            given: of a conditional model the columns that are given, with the value that they have in all rows, or a list of
                n values.

        Returns:
            Array (n, *shape) in units of the data as given; draws have the type of the data.

        Raises:
            DataError: if a column that the model is given is missing, or others are given.
        """
        return self.sample_at(self.context(given or {}, at_least_one(n, "n")), n, seed, mean)

    def sample_at(self, context: torch.Tensor | None, n: int, seed: int = 0, mean: bool = False) -> Array:
        """As `sample`, with what is given as the networks see it: codes of a mixed table's rows."""
        with evaluating(self.model), seeded(seed):
            z = self.model.prior().sample((n,))
            if mean or not self.model.has_likelihood:
                blocks = [self._as_given(model, part) for model, part in self._at(z, context)]
                return np.concatenate(blocks).astype(self.mean_dtype)
            blocks = [
                self.transform.inverse(model.decoder(part).sample().cpu()).numpy()
                for model, part in self._at(z, context)
            ]
        drawn, dtype = np.concatenate(blocks), np.dtype(self.schema.dtype)
        if np.isnan(drawn).any() and self.schema.kind != "mixed":
            raise RunError("what the model draws must be numbers", f"NaN from '{self.path}'", "Train it anew")
        if dtype.kind in "ui":  # a model of counts may draw more than the type of the data holds
            drawn = drawn.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
        return drawn.astype(dtype)

    def evaluate(
        self,
        X: object | None = None,
        samples: int | None = None,
        temperatures: int | None = None,
        *,
        gap: bool = False,
        rate_distortion: bool = False,
        factors: object | None = None,
        examples: int = EXAMPLES,
    ) -> Figures:
        """Measure bounds with standard errors, the parts of the rate and simple models on rows.

        Args:
            X: rows, as in `encode`; the held-out rows of the run's own source by default.
            samples: draws K; the recipe's `evaluation.samples` by default.
            temperatures: T ≥ 1, to measure some rows by annealed importance sampling as well, which is slower and closer
                than the usual numbers of draws.
            gap: whether to measure the inference gap of some rows: how much the posterior family loses, and how much the
                encoder.
            rate_distortion: whether to measure points of the rate-distortion curve on some rows.
            factors: known factors of variation of X, a file, an array (n, f) or a data frame; the codes are scored
                against them: MIG, DCI, SAP, FactorVAE score.
            examples: how many rows "some rows" are, ≥ 1.

        Returns:
            The figures, in nats per example of the data as given. Printed, they are a table; `as_json` gives a dictionary.

        Raises:
            DataError: if rows or factors do not fit.
            VaekitError: for a figure that an autoencoder does not have, or a number below 1.

        Examples:
            >>> import tempfile, vaekit
            >>> settings = {"training.epochs": 1, "latent_dim": 2}
            >>> run = vaekit.train("digits", settings=settings, out=f"{tempfile.mkdtemp()}/run")
            >>> figures = run.evaluate(samples=10)
            >>> figures.log_likelihood.samples, figures.latent_dim, figures.annealed
            (10, 2, None)
        """
        rows, train = self._to_measure(X)
        if factors is not None and X is None:
            raise DataError("the rows that the factors belong to must be given", "factors alone", "Pass the rows, too")
        known = None if factors is None else open_factors(factors, len(rows))
        some = Rows(rows.part.some(at_least_one(examples, "examples"), rows.seed), rows.transform, rows.seed)
        asked: dict[str, Any] = {}  # first, since it may be refused
        if temperatures is not None:
            model = self.model.with_likelihood("annealing")
            asked["annealed"] = anneal(model, some, at_least_one(temperatures, "temperatures"), self._samples(samples))
        if gap:
            asked["inference_gap"] = inference_gap(
                self.model.with_likelihood("the inference gap"), some, GAP_SAMPLES
            ).figures()
        if rate_distortion:
            model = self.model.with_likelihood("the rate-distortion curve")
            asked["rate_distortion"] = measure_curve(model, some, BETAS, self._samples(samples))
        evaluator = Evaluator(self.model, self.schema, train, self.recipe.effective_beta)
        found = evaluator.evaluate(rows, self._samples(samples))
        if known is not None:
            scores = disentanglement(found.measured.mean, known, self.recipe.seed)
            asked["disentanglement"] = FactorScores(**asdict(scores), factors=known.shape[1], examples=len(rows))
        return replace(found, training_rows=0 if X is None else self._count_trained(rows, train), **asked)

    def _count_trained(self, rows: Rows, train: Rows | None) -> int | None:
        """Count the rows that trained the run; None where that cannot be known."""
        known = self.known
        if known is None and train is not None:
            known = KnownRows.of(train.part, self.schema.dtype)
        return None if known is None else known.among(rows.part)

    def _to_measure(self, X: object | None) -> tuple[Rows, Rows | None]:
        """Open the rows to measure, and the training rows where they can be had."""
        try:
            split = self.split()
        except DataError:
            if X is None:
                raise
            split = None  # the source is gone, but the given rows can be measured
        train = Rows(split.train, self.transform, self.recipe.seed) if split else None
        if X is not None:
            return self.rows(X), train
        return self._held_out(self.split()), train

    def accepts(self, remedy: Remedy) -> bool:
        """Whether a remedy is not in place, would change the recipe, and goes with the rest of it and with the data.

        Args:
            remedy: one with settings.
        """
        if remedy.in_place(self.recipe):
            return False
        try:
            changed = load_recipe(self.recipe, remedy.settings)
            resolve(changed, self.schema, self.provenance["rows"]["train"])
        except RecipeError:
            return False
        return changed != self.recipe

    def _held_out(self, split: Split) -> Rows:
        if not len(split.test):
            raise DataError(
                "rows must be given where none were held out", "none, of a run with data.test=0", "Pass the rows"
            )
        return Rows(split.test, self.transform, self.recipe.seed)

    def rows(self, X: object) -> Rows:
        """New rows, checked against the schema and ready for the model."""
        return self.checked(self.open(X))

    def open(self, X: object) -> Source:
        """New rows as numbers, their columns in the order of training."""
        rows = settle(open_rows(X, self.recipe, known=self.schema.cells), self.recipe, self.schema.table)
        return rows.in_order(self.schema.columns)

    def checked(self, source: Source) -> Rows:
        """Rows that fit the schema, ready for the model."""
        if self.schema.picture:
            source = source.drawn_as(self.schema.shape, self.schema.levels)
        values = self.schema.check(source.values)
        part = Part(values, np.arange(len(values)), source.labels, context=source.context)
        return Rows(part, self.transform, self.recipe.seed)

    def context(self, given: Mapping[str, Any], n: int) -> torch.Tensor | None:
        """What a conditional model is given, as its networks see it, for n rows.

        Args:
            given: columns and their value in all rows, or a list of n values.
            n: how many rows.

        Returns:
            A tensor of n rows; None for a model that is given nothing.

        Raises:
            DataError: if a column is missing, unknown, or has an impossible value or another number of them.
        """
        names = [column.name for column in self.schema.given]
        if given and not names:
            raise DataError("given columns must be left out where a model is given nothing", ", ".join(given))
        if unknown := [name for name in given if name not in names]:
            must = f"a given column must be one that the model is given: {', '.join(names)}"
            raise DataError(must, f"'{unknown[0]}'", did_you_mean(unknown[0], names))
        if missing := [name for name in names if name not in given]:
            raise DataError(
                f"the values of {', '.join(names)} must be given, as the model is of p(x|{', '.join(names)})",
                f"none of '{missing[0]}'",
                f"Give them as in --given {missing[0]}=VALUE, or given={{'{missing[0]}': value}}",
            )
        if not names:
            return None
        codes = [code_values(column, repeated(column.name, given[column.name], n)) for column in self.schema.given]
        return self.transform.context(torch.from_numpy(np.stack(codes, 1))).float()

    @cached_property
    def source(self) -> tuple[Source, Source | None]:
        """The source of the run and its separate test source, opened anew.

        Raises:
            DataError: if they are not where they were, or are other data than those trained on.
        """
        origin, test = self.provenance["source"], self.provenance["test_source"]
        if "memory" in (origin, test):
            raise DataError(
                "the data of the run must be given", "a run that was trained on an array", "Pass the rows, or name them"
            )
        try:
            return open_both(origin, test, self.recipe, table=self.schema.table)
        except DataError as error:
            mend = f"Name the rows, as in `vaekit evaluate {self.path} SOURCE` or `vaekit report {self.path} SOURCE`"
            raise DataError(error.must, error.given, mend) from error

    def split(self) -> Split:
        """The training, validation and test rows, as they were divided."""
        return self._split

    @cached_property
    def _split(self) -> Split:
        source, test = self.source
        split = make_split(source.in_order(self.schema.columns), test, self.recipe)
        noted = self.provenance.get("validation_fingerprint")
        chosen_by_others = noted is not None and split.validation.fingerprint() != noted
        if split.train.fingerprint() != self.provenance["fingerprint"] or chosen_by_others:
            raise DataError(
                "the source must hold the data that the run was trained on",
                f"other data in '{self.provenance['source']}'",
                "Restore them, name the rows to be measured, or start a new run",
            )
        self.schema.check_part(split.test)
        return split

    def _map(self, rows: Rows, function: Any) -> Array:
        with evaluating(self.model) as device:
            parts = [function(self.model.given(context), x.to(device)) for x, _, context in rows.blocks(self._block)]
        return np.concatenate([p.cpu().numpy() if isinstance(p, torch.Tensor) else p for p in parts])

    @property
    def _block(self) -> int:
        """Count the rows that go through the model at a time; any row shows how wide the model is."""
        given = self.schema.given
        part = Part(
            np.zeros((1, *self.schema.shape)), np.arange(1), context=np.zeros((1, len(given))) if given else None
        )
        return block_rows(widest(self.model, *first_row(Rows(part, self.transform))))

    def _at(self, z: torch.Tensor, context: torch.Tensor | None) -> Iterator[tuple[Any, torch.Tensor]]:
        """Latent vectors a block at a time, each with the model at what is given."""
        for start in range(0, len(z), self._block):
            part = slice(start, start + self._block)
            yield self.model.given(None if context is None else context[part]), z[part]

    def _there_and_back(self, model: LatentModel, x: torch.Tensor) -> Array:
        return self._as_given(model, model.encode(x))

    def _as_given(self, model: LatentModel, z: torch.Tensor) -> Array:
        return self.transform.inverse_mean(model.decode(z).cpu()).numpy()

    def _samples(self, samples: int | None) -> int:
        return at_least_one(self.recipe.evaluation.samples if samples is None else samples, "samples")


def _encode(model: LatentModel, x: torch.Tensor) -> torch.Tensor:
    return model.encode(x)


def repeated(name: str, value: Any, n: int) -> list[Any]:
    """A value n times, or n values as they are."""
    if not isinstance(value, list | tuple | np.ndarray):
        return [value] * n
    if len(value) != n:
        raise DataError(f"there must be one value of '{name}', or {n} of them", str(len(value)))
    return list(value)
