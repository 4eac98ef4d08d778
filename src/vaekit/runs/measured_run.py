"""A run that measures its model: bounds, calibration, and an audit of its likelihood."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from vaekit.auditing import EVALUATIONS, Audit, run_checks
from vaekit.data import Rows
from vaekit.data.readers.factors import open_factors
from vaekit.errors import DataError, VaekitError, at_least_one
from vaekit.evaluation import (
    Evaluator,
    FactorScores,
    Figures,
    MeasuredOn,
    Unfinished,
    anneal,
    diagnose,
    disentanglement,
    inference_gap,
    measure,
    unfinished,
)
from vaekit.evaluation import rate_distortion as measure_curve
from vaekit.evaluation.calibration import Calibration, measure_calibration
from vaekit.folder import WEIGHTS
from vaekit.runs.audit import make_subject
from vaekit.runs.model_run import ModelRun

if TYPE_CHECKING:
    from vaekit.runs.table_run import TableRun

Array = npt.NDArray[Any]
AUDIT_SAMPLES = 4
"""Draws per row of an audit."""
EXAMPLES = 100
"""Default number of rows for the slow figures."""
GAP_SAMPLES = 1000
"""Number of draws per row for the inference gap."""
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Weights β of the distortion at which the rate-distortion curve is measured."""


class MeasuredRun(ModelRun):
    """A run that measures its model; `Run` adds the doors that lead out."""

    def as_table_run(self) -> TableRun:
        """Return the run as a `TableRun`, which can impute, explain and take given cells.

        Raises:
            VaekitError: if the data are not a mixed table.
        """
        raise VaekitError(
            f"This action needs a run on a mixed table, but '{self.path}' was trained on {self.schema.kind} data",
            mend="" if self.schema.picture else "Train with data.kind=mixed",
        )

    def evaluate(
        self,
        X: object | None = None,
        samples: int | None = None,
        temperatures: int | None = None,
        *,
        rows: Literal["held-out", "all"] = "held-out",
        gap: bool = False,
        rate_distortion: bool = False,
        tables: bool = False,
        factors: object | None = None,
        examples: int = EXAMPLES,
    ) -> Figures:
        """Measure the model on rows: bounds with standard errors, the parts of the rate, and simple baselines.

        Args:
            X: rows, as in `encode`; by default the data that the run was trained on, if they are in a file.
            samples: number of draws K; the recipe's `evaluation.samples` by default.
            temperatures: number of temperatures T ≥ 1, to also bound log p(x) of some rows by annealed importance
                sampling, which is slower and tighter.
            rows: of the data that the run was trained on, only the rows that were held out are measured, unless this is
                `all`. The data are recognised in any form (a file, a data frame, an array), with all rows in the same
                order. Of other data all rows are measured.
            gap: whether to split the inference gap of some rows into the shares of posterior family and encoder.
            rate_distortion: whether to measure points of the rate-distortion curve on some rows.
            tables: whether to measure the columns of a mixed table: marginals, associations, hidden cells, missing cells.
            factors: known factors of variation of X (a file, an array (n, f) or a data frame), for MIG, DCI, SAP and
                FactorVAE scores.
            examples: number of rows, ≥ 1, for `temperatures`, `gap` and `rate_distortion`.

        Returns:
            The figures, in nats per row, with densities in the units of the data. They print as a table; `as_json` returns
            a dictionary.

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
        chosen, train, measured_on = self.to_measure(X, rows)
        if factors is not None and X is None:
            raise DataError("`factors=` needs the rows that the factors belong to", mend="Pass the rows, too")
        known = None if factors is None else self._factors(factors, chosen, measured_on)
        some = Rows(chosen.part.subset(at_least_one(examples, "examples"), chosen.seed), chosen.transform, chosen.seed)
        asked: dict[str, Any] = {}  # measured first, since these figures may be refused
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
        if tables:
            asked["tables"] = self.as_table_run().table_figures(chosen, train, samples)
        evaluator = Evaluator(self.model, self.schema, train, self.recipe.effective_beta)
        found = evaluator.evaluate(chosen, self._samples(samples))
        if known is not None:
            scores = disentanglement(found.measured.mean, known, self.recipe.seed)
            asked["disentanglement"] = FactorScores(**asdict(scores), factors=known.shape[1], examples=len(chosen))
        if self.model.has_likelihood:
            asked["calibration"] = self._measure_calibration(chosen, found.measured.score, self._samples(samples))
        figures = replace(
            found,
            unfinished=self._unfinished(),
            measured_on=measured_on,
            training_rows=self._trained_among(chosen) if measured_on != "held-out" else 0,
            **asked,
        )
        return replace(figures, readings=tuple(diagnose(figures, self.accepts)))

    def calibration(
        self, X: object | None = None, samples: int | None = None, *, rows: Literal["held-out", "all"] = "held-out"
    ) -> Calibration:
        """Measure whether the model's probabilities can be trusted, with a verdict on each figure in words.

        Measured are: whether intervals and sets of hidden cells of a mixed table hold as many true values as they should;
        whether the importance-weighted posterior, and the encoder's q alone, are the posterior of the model, on rows drawn
        from it; and whether the standard errors of log p(x) hold, over test sets and over seeds of the noise.

        Args:
            X: rows, as in `evaluate`.
            samples: number of draws K; the recipe's `evaluation.samples` by default.
            rows: which rows of the run's own data are measured, as in `evaluate`.

        Returns:
            The figures; `verdicts` says what they mean, and `as_json` returns a dictionary.

        Raises:
            DataError: if rows do not fit.
            VaekitError: for an autoencoder, which has no probabilities.

        Examples:
            >>> import tempfile, vaekit
            >>> settings = {"training.epochs": 1, "latent_dim": 2}
            >>> run = vaekit.train("digits", settings=settings, out=f"{tempfile.mkdtemp()}/run")
            >>> [verdict.about for verdict in run.calibration(samples=20).verdicts]
            ['posterior', 'encoder', 'errors over test sets', 'errors over seeds']
        """
        self.model.with_likelihood("calibration")
        chosen, draws = self.to_measure(X, rows)[0], self._samples(samples)
        return self._measure_calibration(chosen, measure(self.model, chosen, draws).score, draws)

    def _measure_calibration(self, rows: Rows, scores: Array, samples: int) -> Calibration:
        return measure_calibration(self.model.with_likelihood("calibration"), rows, scores, samples)

    def audit(self, samples: int = AUDIT_SAMPLES, evaluations: int = EVALUATIONS, seed: int = 0) -> Audit:
        """Audit log p(x): is it a lower bound on a log-likelihood of the data as given?

        It sums p(x) over all rows if there are few enough of them, and makes the other checks of `vaekit.audit`. The
        validity of a bound does not depend on K, so few draws are enough.

        Args:
            samples: draws K ≥ 1 of z for each row.
            evaluations: greatest number of rows that one sum evaluates, ≥ 1.
            seed: seed of everything random.

        Returns:
            The record: `findings`, each with its size in nats, `skipped`, with what each would need, and `measured`.

        Raises:
            VaekitError: if the model has no likelihood, or a number is below 1.

        Examples:
            >>> import tempfile, vaekit
            >>> X = np.random.default_rng(0).integers(0, 2, (200, 3, 3))
            >>> run = vaekit.train(X, settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
            >>> run.audit(samples=2).findings
            ()
        """
        numbers = at_least_one(samples, "samples"), at_least_one(evaluations, "evaluations")
        return run_checks(make_subject(self, *numbers, seed))

    def to_measure(self, X: object | None, which: str) -> tuple[Rows, Rows | None, MeasuredOn]:
        """Return the rows to measure, the training rows if they are available, and which rows are measured."""
        if which not in ("held-out", "all"):
            raise VaekitError("`rows` must be 'held-out' or 'all'", f"{which!r}")
        given = None if X is None else self.check(self.open(X))
        if given is not None and not self.attach(given):
            return self.as_rows(given), self._training_rows(), "given"
        split = self.split()
        if which == "all" or (given is not None and not len(split.test)):
            return self.prepare(self.source[0]), self._training_rows(), "all"
        if not len(split.test):
            raise DataError("The run held out no rows (data.test=0)", mend="Pass other rows, or use `rows='all'`")
        return Rows(split.test, self.transform, self.recipe.seed), self._training_rows(), "held-out"

    def _trained_among(self, rows: Rows) -> int | None:
        """Count the rows that the model was trained on; None if the run cannot tell."""
        return None if self.known is None else self.known.among(rows.part)

    def _unfinished(self) -> Unfinished | None:
        """Return what more training is expected to gain, judged from the validations; None if the folder is gone."""
        if not self.model.has_likelihood or not (self.history or self.folder.size(WEIGHTS)):
            return None
        history = self.read_history()
        steps, bounds = ([row[key] for row in history.validations] for key in ("step", "bound"))
        return unfinished(steps, bounds, history.step, int(self.recipe.training.epochs), math.prod(self.schema.shape))

    def _factors(self, factors: object, rows: Rows, measured_on: MeasuredOn) -> Array:
        """Open the factors of the rows that are measured."""
        if measured_on != "held-out":
            return open_factors(factors, len(rows))
        return open_factors(factors, len(self.source[0].values))[rows.part.index]

    def _training_rows(self) -> Rows | None:
        """Return the training rows, or None if they are not at hand."""
        try:
            return Rows(self.split().train, self.transform, self.recipe.seed)
        except DataError:
            return None
