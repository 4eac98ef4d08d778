"""A scikit-learn detector of unusual rows, with alarms at a known rate."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import OutlierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from vaekit.data import Frame
from vaekit.errors import DataError, RecipeError, RunError, shorten
from vaekit.estimator.base import KeepsRun
from vaekit.estimator.fitting import choose_folder, complete_settings
from vaekit.estimator.rows import collect, name_columns
from vaekit.evaluation import alarm_threshold, rows_needed
from vaekit.recipe import Recipe, load_recipe
from vaekit.runs.alarms import fit_detection, outlier_p_values, outlier_scores
from vaekit.runs.doubles import in_float64
from vaekit.runs.load import load
from vaekit.runs.train import train

Array = npt.NDArray[Any]
FEWEST = 100
"""Least calibration rows with `calibration="auto"`; otherwise no rows are held out."""
SHARE, MOST = 4, 2_500
"""With `calibration="auto"` one row in `SHARE` is held out, but at most `MOST` rows."""


class VAEOutlierDetector(OutlierMixin, KeepsRun):  # type: ignore[misc]
    """Detect unusual rows of tables with columns of any kind and missing cells, with a known rate of false alarms.

    A row is unusual if it is unlikely among rows that are blurred by noise: under a variational autoencoder of blurred rows, and
    under the blurred training rows themselves. The two log-densities are added in units of their spread over training
    rows. Training rows should be normal; a few outliers among them do little harm.

    Args:
        contamination: share of the rows of `fit` that count as outliers, in (0, 0.5]; it sets `offset_`.
        false_alarm_rate: share of new normal rows that give an alarm, in (0, 1); it sets `offset_` in place of
            `contamination`, by rows held out for it alone.
        calibration: number, or share, of the rows of `fit` that are held out for `p_values`; 0 holds out none. `auto` holds out
            a quarter of the rows, at most 2,500, but none of fewer than 400 rows; for a `false_alarm_rate`, at least the rows
            that it needs.
        recipe: a bundled recipe's name, a TOML file, a mapping or a `Recipe` of a mixed table with `data.blur`.
        settings: dotted keys and values that replace the recipe's, as `vaekit.train` takes them.
        columns: kinds, or `ignore`, by column name (in an array, by number), instead of the inferred kinds.
        epochs: number of passes over the training rows.
        random_state: determines everything random; by default the recipe's seed, or a new seed for each fit.

    Attributes:
        run_: the trained `Run`, without the data, but with up to 10,000 training rows for the score.
        offset_: rows with a lower `score_samples` are outliers.
        calibration_: `score_samples` of the rows held out for p-values, shape (m,).
        n_features_in_: number of columns in the training data.
        feature_names_in_: names of these columns, if all names are strings.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014;
        Parzen, "On Estimation of a Probability Density Function and Mode", 1962;
        Bates, Candès, Lei, Romano and Sesia, "Testing for Outliers with Conformal p-values", 2023.

    Examples:
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> detector = VAEOutlierDetector(calibration=50, random_state=0).fit(X)
        >>> detector.predict([[0.0, 0.1], [9.0, -9.0]]).tolist()
        [1, -1]
        >>> detector.p_values([[9.0, -9.0]]).round(3).tolist()
        [0.02]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="neither"), None],
        "calibration": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
        "recipe": [str, os.PathLike, Mapping, Recipe],
        "settings": [Mapping, None],
        "columns": [Mapping, None],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        false_alarm_rate: float | None = None,
        calibration: float | str = "auto",
        recipe: str | Path | Mapping[str, Any] | Recipe = "outliers",
        settings: Mapping[str, Any] | None = None,
        columns: Mapping[Any, str] | None = None,
        epochs: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.contamination, self.false_alarm_rate, self.calibration = contamination, false_alarm_rate, calibration
        self.recipe, self.settings, self.columns = recipe, settings, columns
        self.epochs, self.random_state = epochs, random_state

    def fit(self, X: object, y: object = None) -> VAEOutlierDetector:  # noqa: ARG002
        """Train on rows, except on those held out for p-values.

        Args:
            X: a data frame of pandas, polars or Arrow, or an array (n, columns).
            y: ignored.

        Returns:
            The detector.

        Raises:
            DataError: if the rows cannot be used, or are too few for `false_alarm_rate` or `calibration`.
            RecipeError: if the recipe does not blur the rows of a mixed table.
        """
        self._validate_params()
        X = collect(X)
        rows = self._rows(X, reset=True)
        if not isinstance(rows, Frame | np.ndarray):
            must = "a detector must be given a data frame or an array"
            raise DataError(must, shorten(repr(X)), "For files use `vaekit.train`, and `vaekit score --p-value`")
        count = rows.rows if isinstance(rows, Frame) else len(rows)
        columns = name_columns(self.columns or {}, isinstance(rows, np.ndarray))
        own = {"training.epochs": self.epochs, **{f"data.columns.{name}": kind for name, kind in columns.items()}}
        settings, seed = complete_settings(self.recipe, self.settings or {}, own, rows, self.random_state)
        plan = load_recipe(self.recipe, settings)
        if plan.data.kind != "mixed" or not plan.data.blurs:
            must = "a detector's recipe must have data.kind=mixed and data.blur above 0"
            raise RecipeError(must, f"{plan.data.kind} and {plan.data.blur}", "Use the recipe 'outliers'")
        own_rows, held_out = self._divide(X if isinstance(rows, Frame) else rows, self._held_out(count), seed or 0)
        with choose_folder(None) as folder:
            run = train(own_rows, test=held_out, recipe=self.recipe, settings=settings, seed=seed, out=folder)
            exact = in_float64(run)
            run.detection = exact.detection = fit_detection(exact, run.split())
            offset = self._choose_offset(exact, rows)
            run.detection = replace(run.detection, offset=offset)
            self._keep(run)
        return self

    def score_samples(self, X: object) -> Array:
        """Return the score of each row; unusual rows have low scores.

        Args:
            X: rows as in `fit`; missing cells are left out of the score.

        Returns:
            Array (n,), without a unit: about 0 for usual rows, and −2 where both log-densities have their 10 % quantile.
        """
        _, rows = self._check(X)
        return outlier_scores(in_float64(self.run_), rows)

    def decision_function(self, X: object) -> Array:
        """Return `score_samples` minus `offset_`: below 0 for outliers.

        Args:
            X: rows as in `fit`.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: object) -> Array:
        """Return −1 for outliers, and 1 for all other rows.

        Args:
            X: rows as in `fit`.

        Returns:
            Array (n,) of integers.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: object) -> Array:
        """Return the conformal p-value of each row: the rank of its score among those of the rows held out for it.

            p(x) = (1 + number of held-out rows with a score of at most s(x))/(m + 1)

        Args:
            X: rows as in `fit`.

        Returns:
            Array (n,), from 1/(m + 1) to 1. If the row is a new one of the same distribution, then P(p ≤ α) ≤ α.

        Raises:
            DataError: if no rows were held out.
        """
        _, rows = self._check(X)
        return outlier_p_values(in_float64(self.run_), rows)

    @property
    def offset_(self) -> float:
        """Return the score below which rows are outliers."""
        check_is_fitted(self, "run_")
        return self._detection.offset

    @property
    def calibration_(self) -> Array:
        """Return the scores of the rows held out for p-values."""
        check_is_fitted(self, "run_")
        return self._detection.calibration

    def save(self, path: str | Path) -> None:
        """Save the detector as a run folder for `VAEOutlierDetector.load`; the folder holds up to 10,000 training rows.

        Args:
            path: a new or empty folder.
        """
        check_is_fitted(self, "run_")
        self.run_.save(path)

    @classmethod
    def load(cls, path: str | Path) -> VAEOutlierDetector:
        """Load a detector from a run folder that `save` wrote; code in the folder is never run.

        Args:
            path: the run folder.

        Raises:
            RunError: if the folder is damaged, or holds another run.
        """
        run = load(path)
        if run.detection is None:
            raise RunError(
                f"'{path}' does not hold a detector", mend="Give a folder that `VAEOutlierDetector.save` wrote"
            )
        detector = cls(recipe=run.recipe)
        detector._keep(run)
        detector._name_features()
        return detector

    @property
    def _detection(self) -> Any:
        return self.run_.detection

    def _held_out(self, rows: int) -> int:
        """Return how many rows are held out for p-values."""
        needed = 0 if self.false_alarm_rate is None else rows_needed(self.false_alarm_rate)
        if self.calibration == "auto":
            usual = min(MOST, rows // SHARE)
            held_out = max(needed, usual if usual >= FEWEST else 0)
        else:
            asked: Any = self.calibration
            held_out = int(asked) if isinstance(asked, Integral) else math.ceil(asked * rows)
        if held_out < needed or held_out > rows - 2:
            told = f"{rows} rows are too few to hold out {max(held_out, needed)} of them for p-values"
            if 0 < held_out < needed:
                told = (
                    f"`false_alarm_rate={self.false_alarm_rate:g}` cannot be reached with {held_out} calibration rows"
                )
            mend = (
                f"It needs {needed} or more. Choose a larger `false_alarm_rate`"
                if needed
                else "Choose a smaller `calibration`"
            )
            raise DataError(told, mend=mend)
        return held_out

    @staticmethod
    def _divide(X: Any, held_out: int, seed: int) -> tuple[Any, Any]:
        """Return the rows to train on, and those held out, which are None for none."""
        return train_test_split(X, test_size=held_out, random_state=seed) if held_out else (X, None)

    def _choose_offset(self, run: Any, rows: Any) -> float:
        if self.false_alarm_rate is not None:
            return alarm_threshold(run.detection.calibration, self.false_alarm_rate)
        return float(np.percentile(outlier_scores(run, rows), 100 * self.contamination))
