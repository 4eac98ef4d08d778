"""A scikit-learn transformer that fills missing cells."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from vaekit.data import Frame, Schema
from vaekit.data.readers.libraries import library_of
from vaekit.errors import DataError, shorten
from vaekit.estimator.base import TakesRows
from vaekit.estimator.rows import collect
from vaekit.estimator.vae import VAE
from vaekit.runs.cells import check_columns

INDICATOR = "missingindicator_"
"""Prefix of the names of indicator columns, as in scikit-learn."""


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, TakesRows):  # type: ignore[misc]
    """Fill missing cells of tables with columns of any kind, as a step of a scikit-learn pipeline.

        x_m ← E[x_m | x_o] for numbers, the likeliest category for categories, or a draw from p(x_m | x_o)

    Args:
        estimator: the `VAE` to fit; by default one with all defaults. It is cloned.
        columns: names (in an array, numbers) of the columns to fill; missing cells of other columns stay. All by default.
        draws: whether to draw cells from p(x_m|x_o) instead. Several imputers with different `random_state` give the
            tables of multiple imputation.
        add_indicator: whether to append a column of truth values for each column that had missing cells in `fit`.
        random_state: determines training and draws, unless `estimator` has its own.

    Attributes:
        estimator_: the fitted `VAE`.
        n_features_in_: number of columns in the training data.
        feature_names_in_: names of these columns, if all names are strings.

    References:
        Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.

    Examples:
        >>> X = np.random.default_rng(0).normal(size=(100, 3))
        >>> X[:20, 0] = np.nan
        >>> imputer = VAEImputer(VAE(epochs=1), add_indicator=True, random_state=0)
        >>> imputer.fit_transform(X).shape, imputer.get_feature_names_out().tolist()
        ((100, 4), ['x0', 'x1', 'x2', 'missingindicator_x0'])
    """

    def __init__(
        self,
        estimator: VAE | None = None,
        *,
        columns: Collection[Any] | None = None,
        draws: bool = False,
        add_indicator: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator, self.columns, self.draws = estimator, columns, draws
        self.add_indicator, self.random_state = add_indicator, random_state

    @property
    def schema_(self) -> Schema:  # type: ignore[override]
        """Return the description of the training data."""
        return self.estimator_.schema_

    def fit(self, X: object, y: object = None, sample_weight: npt.ArrayLike | None = None) -> VAEImputer:  # noqa: ARG002
        """Train the model on rows that may have missing cells.

        Args:
            X: a data frame of pandas, polars or Arrow, or an array (n, columns).
            y: ignored.
            sample_weight: weight of each row, ≥ 0, shape (n,).

        Returns:
            The imputer.

        Raises:
            DataError: if `columns` names a column that X does not have.
        """
        X = self._given(X, reset=True)
        self._check_columns()
        vae = VAE() if self.estimator is None else clone(self.estimator)
        if vae.random_state is None:
            vae.set_params(random_state=self.random_state)
        self.estimator_ = vae.fit(X, sample_weight=sample_weight)
        self._indicated = np.flatnonzero(_missing(X).any(0))
        return self

    def transform(self, X: object) -> Any:
        """Fill the missing cells of rows.

        Args:
            X: rows as in `fit`.

        Returns:
            The rows in the form of X; all other cells are unchanged. Structural blanks are filled, too.
        """
        check_is_fitted(self, "estimator_")
        X = self._given(X, reset=False)
        columns = self.columns if isinstance(self.columns, str | None) else self._names(self.columns)
        if self.draws:
            (found,) = self.estimator_.impute(X, draws=1, columns=columns, blanks=True)
        else:
            found = self.estimator_.impute(X, columns=columns, blanks=True)
        if not self.add_indicator:
            return found
        missing = _missing(X)[:, self._indicated]
        if isinstance(found, np.ndarray):
            return np.column_stack([found, missing.astype(found.dtype)])
        library: Any = library_of(found)
        names = self.get_feature_names_out()[-len(self._indicated) :] if len(self._indicated) else []
        table = library.table
        for name, cells in zip(names, missing.T, strict=True):
            table = table.append_column(str(name), pa.array(cells))
        return library.answer(table)

    def intervals(self, X: object, level: float = 0.9) -> Any:
        """Return an interval or a set of values for each missing cell, as `VAE.intervals`.

        Args:
            X: rows as in `fit`.
            level: probability, between 0 and 1.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.intervals(self._given(X, reset=False), level, blanks=True)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns that `transform` returns.

        Args:
            input_features: names of the columns of an array; those of `fit` by default.
        """
        check_is_fitted(self, "estimator_")
        names = _check_feature_names_in(self, input_features)
        if not self.add_indicator:
            return names
        return np.concatenate([names, [f"{INDICATOR}{names[i]}" for i in self._indicated]]).astype(object)

    def _given(self, X: object, reset: bool) -> Any:
        """Check rows, and return them as a data frame or an array."""
        X = collect(X)
        rows = self._rows(X, reset)
        if not isinstance(rows, Frame | np.ndarray):
            must = "an imputer must be given a data frame or an array"
            raise DataError(must, shorten(repr(X)), "For files use `vaekit.train` and `run.impute`")
        return X if isinstance(rows, Frame) else rows

    def _check_columns(self) -> None:
        """Refuse unknown columns before the model is trained."""
        names = [str(name) for name in getattr(self, "feature_names_in_", range(self.n_features_in_))]
        columns, positions = self.columns, range(self.n_features_in_)
        if not isinstance(columns, str | None):
            columns = [str(c) for c in columns if not (isinstance(c, int | np.integer) and c in positions)]
        check_columns(columns, names)

    def _names(self, columns: Collection[Any]) -> list[str]:
        """Return the names by which the model knows the columns."""
        known = [column.name for column in self.schema_.table]
        named = set(map(str, getattr(self, "feature_names_in_", [])))
        return [
            str(name) if str(name) in named or not isinstance(name, int | np.integer) else known[name]
            for name in columns
        ]


def _missing(X: Any) -> npt.NDArray[np.bool_]:
    """Tell which cells are missing, shape (n, columns)."""
    if isinstance(X, np.ndarray):
        return (
            np.isnan(X.astype(np.float64))
            if X.dtype != object
            else np.array([[c is None or c != c for c in r] for r in X])
        )
    library: Any = library_of(X)
    return np.column_stack([column.is_null(nan_is_null=True) for column in library.table.columns])
