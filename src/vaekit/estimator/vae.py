"""A scikit-learn estimator that models densities, transforms rows and fills missing cells."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from vaekit.data import Frame
from vaekit.estimator.base import Fitted
from vaekit.estimator.fitting import (
    choose_folder,
    complete_settings,
    draw_seed,
)
from vaekit.estimator.rows import collect, match_type, name_columns, to_trained_types
from vaekit.recipe import Recipe
from vaekit.runs.doubles import in_float64
from vaekit.runs.load import load
from vaekit.runs.train import train

Array = npt.NDArray[Any]


class VAE(Fitted):
    """A variational autoencoder with scikit-learn's methods, for tables with columns of any kind and missing cells.

    Rows are data frames of pandas, polars or Arrow, arrays (n, columns), or anything else that `vaekit.train` takes. Each
    column of a table is modelled by its kind, unless recipe or settings say otherwise (`data.kind`, `likelihood`, `model`).

    Args:
        latent_dim: number of latent dimensions.
        recipe: a bundled recipe's name, a TOML file, a mapping or a `Recipe`.
        settings: dotted keys and values that replace the recipe's, as `vaekit.train` takes them.
        columns: kinds, or `ignore`, by column name (in an array, by number), instead of the inferred kinds.
        epochs: number of passes over the training rows.
        batch_size: number of rows in a batch; the recipe's by default.
        learning_rate: learning rate after the warm-up; the recipe's by default.
        samples: number of draws K of z in `score_samples` and `impute`; the recipe's by default.
        warm_start: whether fitting again starts from the present weights; the columns must then be the same.
        random_state: determines everything random; by default the recipe's seed, or a new seed for each fit.
        out: the run folder to make; by default nothing is left on disk.

    Attributes:
        run_: the trained `Run`, without the data.
        schema_: description of the data.
        n_features_in_: number of columns in the training data.
        feature_names_in_: names of these columns, if all names are strings.
        n_iter_: number of epochs trained.
        lower_bound_: lower bound on the mean log p(x) of the validation rows (share `data.validation`), in nats; for an
            autoencoder, the negative squared error; NaN without validation rows.
        history_: the figures of each validation.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014;
        Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.

    Examples:
        >>> X = np.random.default_rng(0).normal(size=(100, 3))
        >>> X[0, 0] = np.nan
        >>> vae = VAE(latent_dim=2, epochs=2, random_state=0).fit(X)
        >>> vae.transform(X).shape, vae.score_samples(X).shape, bool(np.isnan(vae.impute(X)).any())
        ((100, 2), (100,), False)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "latent_dim": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "recipe": [str, os.PathLike, Mapping, Recipe],
        "settings": [Mapping, None],
        "columns": [Mapping, None],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "samples": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "out": [str, os.PathLike, None],
    }

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        recipe: str | Path | Mapping[str, Any] | Recipe = "auto",
        settings: Mapping[str, Any] | None = None,
        columns: Mapping[Any, str] | None = None,
        epochs: int | str = "auto",
        batch_size: int | None = None,
        learning_rate: float | None = None,
        samples: int | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        out: str | Path | None = None,
    ) -> None:
        self.latent_dim, self.recipe, self.settings, self.columns = latent_dim, recipe, settings, columns
        self.epochs, self.batch_size, self.learning_rate, self.samples = epochs, batch_size, learning_rate, samples
        self.warm_start, self.random_state, self.out = warm_start, random_state, out

    def fit(self, X: object, y: object = None, sample_weight: npt.ArrayLike | None = None) -> VAE:  # noqa: ARG002
        """Train on all rows except a validation share; the best weights are chosen on that share.

        Args:
            X: the rows.
            y: ignored.
            sample_weight: weight of each row, ≥ 0, shape (n,). Batches are drawn in proportion to it: a weight of 2 has
                the same effect in expectation as giving the row twice.

        Returns:
            The estimator.

        Raises:
            ValueError: if a parameter or the data cannot be used; usually as a `VaekitError`.
        """
        self._validate_params()
        start = self.run_ if self.warm_start and hasattr(self, "run_") else None
        X = collect(X)
        rows = self._rows(X, reset=start is None)
        settings, seed = complete_settings(
            self.recipe, self.settings or {}, self._own_settings(rows), rows, self.random_state
        )
        with choose_folder(self.out) as folder:
            run = train(
                rows, recipe=self.recipe, settings=settings, seed=seed, out=folder, weights=sample_weight, start=start
            )
            self._keep(run)
        if not isinstance(rows, Frame | np.ndarray):
            self._name_features()
        return self

    def transform(self, X: object) -> Array:
        """Return the posterior mean E_q[z] of each row.

        Args:
            X: rows as in `fit`.

        Returns:
            Array (n, latent_dim), float64.
        """
        _, rows = self._check(X)
        return in_float64(self.run_).encode(rows).astype(np.float64)

    def inverse_transform(self, X: npt.ArrayLike, given: Mapping[Any, Any] | None = None) -> Any:
        """Decode each latent vector to a typical row.

        Args:
            X: latent vectors, shape (n, latent_dim).
            given: values for a conditional model, as in `sample`.

        Returns:
            n rows in the form of the training data. Columns that are not modelled are missing from a data frame, and NaN in
            an array.
        """
        check_is_fitted(self)
        values = name_columns(given or {}, self.schema_.array)
        return to_trained_types(in_float64(self.run_).decode(check_array(X), values), self.run_)

    def score_samples(self, X: object) -> Array:
        """Return a lower bound on log p(x) of each row in nats; for an autoencoder, the negative squared error.

        Args:
            X: rows as in `fit`; missing cells are integrated out.

        Returns:
            Array (n,); unusual rows have low scores, and the bound gets tighter with more `samples`.
        """
        _, rows = self._check(X)
        return in_float64(self.run_).score_samples(rows)

    def score(self, X: object, y: object = None) -> float:  # noqa: ARG002
        """Return the mean of `score_samples`, which scikit-learn's searches maximise.

        Args:
            X: rows as in `fit`.
            y: ignored.
        """
        return float(self.score_samples(X).mean())

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        given: Mapping[Any, Any] | None = None,
        complete: bool = False,
    ) -> Any:
        """Draw new rows from the model.

        Args:
            n_samples: number of rows.
            random_state: determines the draws; by default the estimator's own.
            given: a value for each given column, by name (in an array, by number).
            complete: whether to draw complete rows of a table. By default, cells are missing as in the training rows.

        Returns:
            Rows in the form of the training data, as in `inverse_transform`.
        """
        check_is_fitted(self)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        values = name_columns(given or {}, self.schema_.array)
        return to_trained_types(self.run_.sample(n_samples, seed, given=values, complete=complete), self.run_)

    def reconstruct(self, X: object) -> Any:
        """Decode the posterior mean of each row to a typical row.

        Args:
            X: rows as in `fit`.

        Returns:
            n rows in the form of X.
        """
        given, rows = self._check(X)
        return match_type(in_float64(self.run_).reconstruct(rows), given)

    def impute(
        self,
        X: object,
        draws: int | None = None,
        columns: Collection[str] | None = None,
        where: object | None = None,
        blanks: bool = False,
    ) -> Any:
        """Fill the missing cells of rows with conditional means and likeliest categories, or with draws.

        Args:
            X: rows as in `fit`.
            draws: number M of tables for multiple imputation; each missing cell is then drawn given the rest of its row.
            columns: names of the columns to fill; missing cells of other columns stay missing. All by default.
            where: truth values that say which cells may be filled, shape (n,) or (n, columns), or a data frame of them.
            blanks: whether to fill structural blanks, too: cells that are empty because of the cell of another column.

        Returns:
            n rows in the form of X, with all other cells unchanged; with `draws`, a list of M such tables.
        """
        given, rows = self._check(X)
        run = in_float64(self.run_).as_table_run()
        if draws is None:
            return match_type(run.impute(rows, columns=columns, where=where, blanks=blanks), given)
        seed = draw_seed(self.random_state)
        return [match_type(m, given) for m in run.impute_draws(rows, draws, None, seed, columns, where, blanks)]

    def intervals(self, X: object, level: float = 0.9, blanks: bool = False) -> Any:
        """Return an interval or a set of values for each missing cell, which holds the true value with a given probability.

        Args:
            X: rows as in `fit`.
            level: probability, between 0 and 1.
            blanks: whether structural blanks have intervals, too.

        Returns:
            A table in the library of X (an Arrow table for an array) with `NAME.lower` and `NAME.upper`, or `NAME.set`, of
            each column; empty where a cell is not missing.
        """
        _, rows = self._check(X)
        return in_float64(self.run_).as_table_run().intervals(rows, level, blanks=blanks)

    def save(self, path: str | Path) -> None:
        """Save the estimator as a run folder for `VAE.load` and `vaekit.load`.

        Args:
            path: a new or empty folder.
        """
        check_is_fitted(self)
        self.run_.save(path)

    @classmethod
    def load(cls, path: str | Path) -> VAE:
        """Load an estimator from a run folder that `save` or `vaekit.train` wrote; code in the folder is never run.

        Args:
            path: the run folder.

        Returns:
            A fitted estimator with the complete recipe of the run.
        """
        run = load(path)
        vae = cls(recipe=run.recipe)
        vae._keep(run)
        vae._name_features()
        return vae

    def _own_settings(self, rows: object) -> dict[str, Any]:
        """Return the estimator's parameters as recipe settings."""
        columns = name_columns(self.columns or {}, isinstance(rows, np.ndarray))
        return {
            "latent_dim": self.latent_dim,
            "training.epochs": self.epochs,
            "training.batch_size": self.batch_size,
            "training.learning_rate": self.learning_rate,
            "evaluation.samples": self.samples,
            **{f"data.columns.{name}": kind for name, kind in columns.items()},
        }
