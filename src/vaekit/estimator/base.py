"""What every method of an estimator needs: rows that are checked, and a fitted model that is noted without its data."""

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

from vaekit.data import Frame, Source
from vaekit.data.readers.libraries import open_frame
from vaekit.errors import VaekitError
from vaekit.estimator.rows import materialize
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun


class Fitted(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """The private half of `VAE`: its attributes, and its tags for scikit-learn."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "run_" in state:  # may be on an accelerator that another machine lacks
            state = {**state, "run_": replace(self.run_, model=copy.deepcopy(self.run_.model).cpu(), known=None)}
        return state

    @property
    def _n_features_out(self) -> int:
        return int(self.run_.recipe.latent_dim)

    def _rows(self, X: Any, reset: bool) -> Any:
        """Rows as `vaekit.train` takes them, their columns noted or compared with those of the training data."""
        if isinstance(X, str | os.PathLike | Source):
            return X
        if nw.dependencies.is_into_dataframe(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            frame = open_frame(X)
            of_array = not reset and not hasattr(self, "feature_names_in_") and self.schema_.array
            return replace(frame, named=False) if of_array and frame is not None else frame
        options = {"ensure_all_finite": "allow-nan", "allow_nd": True, "ensure_min_samples": 2 if reset else 1}
        rows = validate_data(self, X, reset=reset, **options)
        return rows.astype(np.float64) if rows.dtype == object else rows  # of a list with None

    def _given(self, X: object) -> tuple[Any, Any]:
        """Rows as they are, an array if they are no data frame, and as the run takes them."""
        check_is_fitted(self, "run_")
        X = materialize(X)
        rows = self._rows(X, reset=False)
        return (X if isinstance(rows, Frame) else rows), rows

    def _keep(self, run: Run, pattern: Any) -> None:
        """Note a trained run, but not its data."""
        for name in ("source", "_split"):
            run.__dict__.pop(name, None)
        run.model.zero_grad(set_to_none=True)
        self.run_, self.schema_, self._pattern = run, run.schema, pattern
        self.history_ = run.folder.read_metrics()
        last = self.history_[-1] if self.history_ else {"step": 0, "epoch": 0, "bound": math.nan}
        chosen = run.folder.chosen_step()
        self._step = int(last["step"]) if chosen is None else chosen
        self.n_iter_ = math.ceil(last["epoch"])
        self.lower_bound_ = next((row["bound"] for row in self.history_ if row["step"] == self._step), last["bound"])

    def _name_features(self) -> None:
        """Note the columns of data that were not given as such."""
        if self._pattern is not None:
            validate_data(self, self._pattern, skip_check_array=True)
            return
        table = self.schema_.table if self.schema_.kind == "mixed" else ()
        names = [column.name for column in table] or list(self.schema_.columns)
        self.n_features_in_ = len(names) or self.schema_.shape[0]
        if names and not self.schema_.array:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _table(self, run: Run) -> TableRun:
        if isinstance(run, TableRun):
            return run
        raise VaekitError(
            "the model must be of a mixed table", f"one of {self.schema_.kind} data", "Set data.kind=mixed"
        )
