"""The package as a scikit-learn estimator: density, transformer and imputer of tables, for pipelines and searches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from vaekit.data import Frame
from vaekit.data.readers.libraries import library_of
from vaekit.estimator.base import Fitted
from vaekit.estimator.fitting import complete, place, precise, read, seed_of, write
from vaekit.estimator.rows import as_trained, by_name, like, materialize, own_row
from vaekit.recipe import Recipe
from vaekit.runs.train import train

Array = npt.NDArray[Any]


class VAE(Fitted):
    """A variational autoencoder with scikit-learn's methods, for tables of any columns with cells missing anywhere.

    Rows are data frames of pandas, polars or Arrow, arrays (n, columns), or whatever else `vaekit.train` takes. Of a table
    each column is modelled by its kind, unless recipe or settings say otherwise (`data.kind`, `likelihood`, `model`).

    Args:
        latent_dim: number of latent dimensions.
        recipe: a bundled recipe's name, a TOML file, a mapping or a `Recipe`.
        settings: dotted keys and values that replace the recipe's, as `vaekit.train` takes them.
        columns: kinds of columns that are not what they look like: name (of an array's, its number) and kind, or `ignore`.
        epochs: passes over the training rows.
        batch_size: rows of a batch; the recipe's by default.
        learning_rate: step size at its height; the recipe's by default.
        samples: draws K by which `score_samples` and `impute` average over z; the recipe's by default.
        warm_start: whether fitting again starts from the present weights; the columns must then be the same.
        random_state: decides everything random; by default the recipe's seed where it has one, else a new one at each fit.
        out: the run folder to make; by default nothing is left on disk.

    Attributes:
        run_: the trained `Run`, without the data.
        schema_: what the data are.
        n_features_in_: number of columns given.
        feature_names_in_: their names, where all are strings.
        n_iter_: epochs trained.
        lower_bound_: bound of the mean of log p(x) over the validation rows (share `data.validation`), in nats; of an
            autoencoder minus their error; NaN without such rows.
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
        """Train on all rows but a validation part, by which weights are chosen.

        Args:
            X: the rows.
            y: not used.
            sample_weight: how often each row counts, ≥ 0, shape (n,): batches are drawn in proportion to it, so that a
                weight of 2 is the same as a row given twice in expectation, not to the last digit.

        Returns:
            The estimator.

        Raises:
            ValueError: if a parameter or the data cannot be used; mostly as a `VaekitError`.
        """
        self._validate_params()
        start = self.run_ if self.warm_start and hasattr(self, "run_") else None
        X = materialize(X)
        rows = self._rows(X, reset=start is None)
        settings, seed = complete(self.recipe, self.settings or {}, self._own_settings(rows), rows, self.random_state)
        with place(self.out) as folder:
            run = train(
                rows, recipe=self.recipe, settings=settings, seed=seed, out=folder, weights=sample_weight, start=start
            )
            self._keep(run, own_row(run, X, rows) if start is None else self._pattern)
        if not isinstance(rows, Frame | np.ndarray):
            self._name_features()
        return self

    def transform(self, X: object) -> Array:
        """Posterior means E_q[z]: a point in the latent space for each row.

        Args:
            X: rows as in `fit`.

        Returns:
            Array (n, latent_dim), float64.
        """
        _, rows = self._given(X)
        return precise(self.run_).encode(rows).astype(np.float64)

    def inverse_transform(self, X: npt.ArrayLike, given: Mapping[Any, Any] | None = None) -> Any:
        """A typical row for each latent vector.

        Args:
            X: latent vectors, shape (n, latent_dim).
            given: of a conditional model the columns that it is given, as in `sample`.

        Returns:
            n rows like those of the training data. Columns that are not modelled are left out of a data frame, and NaN in
            an array.
        """
        check_is_fitted(self)
        values = by_name(given or {}, self.schema_.array)
        return as_trained(precise(self.run_).decode(check_array(X), values), self.schema_, self._pattern)

    def score_samples(self, X: object) -> Array:
        """log p(x) of each row, in nats: the greater, the more usual (of an autoencoder, minus the squared error).

        Args:
            X: rows as in `fit`; missing cells are integrated out.

        Returns:
            Array (n,), a bound that grows tighter with `samples`.
        """
        _, rows = self._given(X)
        return precise(self.run_).score(rows)

    def score(self, X: object, y: object = None) -> float:  # noqa: ARG002
        """The mean of `score_samples`, by which searches choose.

        Args:
            X: rows as in `fit`.
            y: not used.
        """
        return float(self.score_samples(X).mean())

    def sample(
        self,
        n: int = 1,
        random_state: int | np.random.RandomState | None = None,
        given: Mapping[Any, Any] | None = None,
    ) -> Any:
        """New rows, drawn from the model.

        Args:
            n: how many.
            random_state: decides the draws; by default the estimator's own.
            given: columns (of an array, their numbers) and the values that they have in all rows.

        Returns:
            n rows like those of the training data, as in `inverse_transform`.
        """
        check_is_fitted(self)
        seed = seed_of(self.random_state if random_state is None else random_state)
        if given is None:
            return as_trained(self.run_.sample(n, seed), self.schema_, self._pattern)
        drawn = self._table(self.run_).sample(n, seed, given=by_name(given, self.schema_.array))
        return as_trained(drawn, self.schema_, self._pattern)

    def reconstruct(self, X: object) -> Any:
        """A typical row for the posterior mean of each row.

        Args:
            X: rows as in `fit`.

        Returns:
            n rows in the library of the given ones.
        """
        given, rows = self._given(X)
        return like(precise(self.run_).reconstruct(rows), given)

    def impute(self, X: object, draws: int | None = None) -> Any:
        """The same rows with their missing cells filled: by conditional means and likeliest values, or by draws.

        Args:
            X: rows as in `fit`.
            draws: M, for multiple imputation; each cell is then drawn given the others of its row.

        Returns:
            n rows in the library of the given ones, every other cell as it was; with `draws`, a list of M such tables.
        """
        given, rows = self._given(X)
        run = self._table(precise(self.run_))
        if draws is None:
            return like(run.impute(rows), given)
        return [like(m, given) for m in run.impute_draws(rows, draws, seed=seed_of(self.random_state))]

    def explain(self, X: object) -> Any:
        """Which cells make a row strange: −log p(cell|others of its row), less what is usual for such a cell, in nats.

        Args:
            X: rows as in `fit`.

        Returns:
            A table of numbers in the library of the given rows, missing where a cell is; 0 is usual, far above 0 strange.
        """
        given, rows = self._given(X)
        found = self._table(precise(self.run_)).explain(rows)
        if isinstance(given, np.ndarray):
            nothing = np.full(found.num_rows, np.nan)
            return np.column_stack([found[c.name] if c.modelled else nothing for c in self.schema_.table])
        library = library_of(given)
        return found if library is None else library.add_labels(found)

    def save(self, path: str | Path) -> None:
        """Write a run folder, which `VAE.load` and `vaekit.load` read without running code.

        Args:
            path: a new or empty folder.
        """
        check_is_fitted(self)
        write(path, self.run_, self._pattern, self.history_, self._step)

    @classmethod
    def load(cls, path: str | Path) -> VAE:
        """Read a run folder, of `save` or of `vaekit.train`; no code from it is run.

        Args:
            path: the folder.

        Returns:
            A fitted estimator, whose recipe is the complete one of the run.
        """
        run, pattern = read(path)
        vae = cls(recipe=run.recipe)
        vae._keep(run, pattern)
        vae._name_features()
        return vae

    def _own_settings(self, rows: object) -> dict[str, Any]:
        """The parameters that are settings, by their keys."""
        columns = by_name(self.columns or {}, isinstance(rows, np.ndarray))
        return {
            "latent_dim": self.latent_dim,
            "training.epochs": self.epochs,
            "training.batch_size": self.batch_size,
            "training.learning_rate": self.learning_rate,
            "evaluation.samples": self.samples,
            **{f"data.columns.{name}": kind for name, kind in columns.items()},
        }
