"""The base classes of the estimators: one checks rows, the other also keeps the fitted run."""

from __future__ import annotations

import copy
import math
import os
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from vaekit.data import Frame, Schema, Source
from vaekit.data.readers.libraries import open_frame
from vaekit.estimator.rows import collect
from vaekit.runs.doubles import in_float64
from vaekit.runs.run import Run


class TakesRows(BaseEstimator):  # type: ignore[misc]
    """The base class of all estimators, which take data frames and arrays with missing cells."""

    schema_: Schema

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags

    def _rows(self, X: Any, reset: bool) -> Any:
        """Check rows, and convert them to the input of `vaekit.train`.

        Args:
            X: the rows.
            reset: whether to record the columns; if not, the rows must have the recorded columns.
        """
        if isinstance(X, str | os.PathLike | Source):
            return X
        if nw.dependencies.is_into_dataframe(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            frame = open_frame(X)
            of_array = not reset and not hasattr(self, "feature_names_in_") and self.schema_.array
            return replace(frame, named=False) if of_array and frame is not None else frame
        options = {"ensure_all_finite": "allow-nan", "allow_nd": True, "ensure_min_samples": 2 if reset else 1}
        rows = validate_data(self, X, reset=reset, **options)
        return rows.astype(np.float64) if rows.dtype == object else rows  # a list with None becomes an array of objects


class KeepsRun(TakesRows):
    """The base class of estimators that keep the fitted run."""

    run_: Run

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "run_" in state:  # the model may be on an accelerator that another machine lacks
            state = {**state, "run_": replace(self.run_, model=copy.deepcopy(self.run_.model).cpu(), known=None)}
        return state

    def explain(self, X: object) -> Any:
        """Return how strange each cell is: −log p(cell|rest of row) minus the column's usual value, in nats.

        Args:
            X: rows as in `fit`.

        Returns:
            A table of numbers in the library of X: 0 is usual, far above 0 is strange; missing cells stay missing.
        """
        _, rows = self._check(X)
        return in_float64(self.run_).as_table_run().explain(rows)

    def _check(self, X: object) -> tuple[Any, Any]:
        """Check rows against the columns of the training data.

        Returns:
            The rows as a data frame or an array, and the rows as input for the fitted run.
        """
        check_is_fitted(self, "run_")
        X = collect(X)
        rows = self._rows(X, reset=False)
        return (X if isinstance(rows, Frame) else rows), rows

    def _keep(self, run: Run) -> None:
        """Keep a trained run without its data, and set the fitted attributes."""
        run.history = history = run.read_history()
        run.drop_data()
        run.model.zero_grad(set_to_none=True)
        self.run_, self.schema_, self.history_ = run, run.schema, history.validations
        last = self.history_[-1] if self.history_ else {"step": 0, "epoch": 0, "bound": math.nan}
        chosen = last["step"] if history.step is None else history.step
        self.n_iter_ = math.ceil(last["epoch"])
        self.lower_bound_ = next((row["bound"] for row in self.history_ if row["step"] == chosen), last["bound"])

    def _name_features(self) -> None:
        """Record the columns of the training data if scikit-learn has not recorded them, as for a file."""
        if (pattern := self.run_.pattern) is not None:
            validate_data(self, pattern, skip_check_array=True)
            return
        names = self.run_.column_names
        self.n_features_in_ = len(names) or self.schema_.shape[0]
        if names and not self.schema_.array:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_


class Fitted(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, KeepsRun):  # type: ignore[misc]
    """The base class of `VAE`."""

    @property
    def _n_features_out(self) -> int:
        return int(self.run_.recipe.latent_dim)
