"""A trained run: it evaluates, calibrates and audits its model, and reports on it."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from vaekit import html
from vaekit.auditing import EVALUATIONS, Audit, run_checks
from vaekit.data import Rows, Source
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
from vaekit.export import MOST_SAMPLES, Subject, make_part, write_part
from vaekit.folder import WEIGHTS
from vaekit.pictures import Scale, make_strip
from vaekit.runs import doors
from vaekit.runs.audit import make_subject
from vaekit.runs.describe import describe_schema
from vaekit.runs.model_run import ModelRun
from vaekit.runs.plots import Plots

if TYPE_CHECKING:
    from vaekit.runs.sharing import Sharing
    from vaekit.runs.table_run import TableRun


Array = npt.NDArray[Any]
AUDIT_SAMPLES = 4
"""Draws per row of an audit."""
EXAMPLES = 100
"""Default number of rows for the slow figures."""
GAP_SAMPLES = 1000
"""Number of draws per row for the inference gap."""
SHOWN = 12
"""How many new pictures a notebook shows of a run."""
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Weights β of the distortion at which the rate-distortion curve is measured."""


class Run(ModelRun):
    """A trained model with the schema and transform of its data.

    `vaekit.train` and `vaekit.load` return a run.

    Every method is deterministic: the same row gives the same numbers on every call, whatever the other rows are.
    """

    def __repr__(self) -> str:
        size = "×".join(str(s) for s in self.schema.shape)
        rows = self.provenance["rows"]["train"]
        return f"Run('{self.path}': {self.recipe.model.name}, {size} {self.schema.kind}, latent_dim={self.recipe.latent_dim}, {rows} training rows)"

    def record_types(self, source: Source, start: Run | None = None) -> None:
        """Record the library and types of the training data, if new rows come back in them."""

    @property
    def plot(self) -> Plots:
        """Return the plots of the run, as methods that take and return matplotlib axes."""
        return Plots(self)

    def report(self, X: object | None = None, beside: Run | None = None) -> Path:
        """Write an HTML page about the run: figures, what they mean, training curves, and pictures or columns.

        Args:
            X: rows to measure, as in `evaluate`: of the data that the run was trained on, the held-out rows.
            beside: another run on the same data, to compare with.

        Returns:
            Path of the page, `report.html` in the run folder; it needs no other file.

        Raises:
            DataError: if the rows cannot be used, or there are none.
            RunError: if the two runs cannot be compared, or the folder cannot be written.
        """
        return doors.write_report(self, beside, X)

    def share(
        self,
        folder: str | Path,
        X: object | None = None,
        *,
        least_count: int | None = None,
        blunt: bool = True,
        license: str | None = None,  # noqa: A002 - as the Hub calls it
    ) -> Sharing:
        """Write a copy of the run that may leave the house, with a model card.

        The copy has only what a run needs to be loaded and used. It has no row hashes, training rows, paths, command line
        or optimizer state. Values that few rows have are left out, and extremes are moved inwards, which changes the
        scores of such rows. The record says what was left out, which values of rows remain, and how the scores changed.

        Args:
            folder: a new or empty folder.
            X: rows to measure, as in `evaluate`: the data that the run was trained on, if they are not in a file, or others.
            least_count: least number of rows of a value of a column of categories that is shared, ≥ 1; the run's
                `data.least_count` by default.
            blunt: whether the least and greatest values of columns of numbers are moved inwards, until that many rows lie
                at or beyond each end, and the pseudo-inputs of a VampPrior are replaced by their Gaussians.
            license: the licence for the model card, such as `apache-2.0`; without one the card says that none is chosen.

        Returns:
            The record, which prints as a table.

        Raises:
            RunError: if the folder holds a run or other files already, or cannot be written.
            DataError: if X cannot be used, or values must be counted and the data are not at hand.

        Examples:
            >>> import tempfile, vaekit
            >>> place = tempfile.mkdtemp()
            >>> run = vaekit.train("digits", settings={"training.epochs": 1}, out=f"{place}/run")
            >>> record = run.share(f"{place}/shared")
            >>> record.describe_change()
            'none: the shared run is the same model'
            >>> bool((vaekit.load(f"{place}/shared").sample(3) == run.sample(3)).all())
            True
        """
        from vaekit.runs.sharing import share

        return share(self, folder, X, least_count=least_count, blunt=blunt, license=license)

    def push_to_hub(
        self,
        repository: str,
        X: object | None = None,
        *,
        private: bool = True,
        revision: str | None = None,
        least_count: int | None = None,
        blunt: bool = True,
        license: str | None = None,  # noqa: A002 - as the Hub calls it
    ) -> Sharing:
        """Share the run on the Hugging Face Hub, from where `vaekit.load("hf://owner/name")` reads it.

        What is uploaded is what `share` writes. The repository is made if it does not exist. The token is that of
        `hf auth login`, or of the variable HF_TOKEN.

        Args:
            repository: `owner/name`.
            X: rows to measure, as in `share`.
            private: whether the repository must be private. A public repository is refused then.
            revision: the branch to write to; the main branch by default.
            least_count: as in `share`.
            blunt: as in `share`.
            license: as in `share`.

        Returns:
            The record of `share`; its `folder` is the address of the version that was written.

        Raises:
            RunError: if the name has another form, there is no token or no connection, the Hub refuses, or the
                repository holds something else.
            DataError: as in `share`.
        """
        from vaekit.runs.hub import push

        options = {"least_count": least_count, "blunt": blunt, "license": license}
        return push(self, repository, private, revision, X, **options)

    def explore(self, X: object | None = None) -> Any:
        """Return a page that explores the run, which a notebook shows: a map of codes, sliders, and strange rows.

        For a mixed table the page also shows the columns of new rows given the values of some columns. `vaekit explore`
        opens the same page in a browser. It writes nothing.

        Args:
            X: rows to explore, as in `encode`. By default they are all rows that the run was trained on or, if these are
                not at hand, rows drawn from the model.

        Returns:
            A Panel object.

        Raises:
            DataError: if X does not fit the schema.
            VaekitError: if Panel is not installed (`pip install 'vaekit[explore]'`).
        """
        return doors.explore(self, X)

    def facts(self) -> list[tuple[str, str]]:
        """Return what the run holds as names and texts: its data, its model and its best weights."""
        rows, history = self.provenance["rows"], self.read_history()
        parameters = sum(p.numel() for p in self.model.parameters())
        found = [
            ("run", str(self.path)),
            ("source", self.provenance["source"]),
            ("rows", f"{rows['train']} to train, {rows['validation']} to choose the model, {rows['test']} held out"),
            *describe_schema(self.schema),
            ("model", f"{self.recipe.model.name}, {self.recipe.latent}, {parameters:,} parameters"),
            ("networks", self.recipe.networks),
            ("likelihood", self.recipe.likelihood_name),
            ("seed", str(self.recipe.seed)),
        ]
        known = [row for row in history.validations if not math.isnan(row["elbo"])]
        if known:
            best, last = max(known, key=lambda row: row["elbo"]), history.validations[-1]
            score = (
                f"ELBO {best['elbo']:.2f}" if self.model.has_likelihood else f"squared error {best['distortion']:.4g}"
            )
            text = f"{score} on validation rows, at step {best['step']:.0f} of {last['step']:.0f}"
            found.append(("best weights", text))
        return found

    def _repr_html_(self) -> str:
        made = html.pairs(self.facts())
        if self.schema.picture and not self.schema.context:
            drawn = self.sample(SHOWN, mean=True)
            strip = make_strip("new pictures", drawn, Scale.of(drawn, self.schema.levels), SHOWN)
            made += html.picture(strip.source, strip.width, "means of p(x|z) for new z")
        return made

    def as_table_run(self) -> TableRun:
        """Return the run as a `TableRun`, which can impute, explain and take given cells.

        Raises:
            VaekitError: if the data are not a mixed table.
        """
        raise VaekitError(
            f"This action needs a run on a mixed table, but '{self.path}' was trained on {self.schema.kind} data",
            mend="" if self.schema.picture else "Train with data.kind=mixed",
        )

    def export(self, file: str | Path, part: str = "encode", to: str = "onnx", samples: int = MOST_SAMPLES) -> Path:
        """Write a part of the model as one file that runs without vaekit, from the units of the data back to them.

        The metadata of the file hold the names and kinds of columns, the tables of categories, and how noise belongs to a
        row; `vaekit.row_noise` makes the noise with NumPy alone. The numbers are those of the method of the same name (of
        `score`: `score_samples`), up to rounding in single precision.

        Args:
            file: the file to write; an earlier one is replaced.
            part: `encode`, `decode` or `score`; of a mixed table also `impute` or `sample`.
            to: `onnx`, or `torch` for a program that `torch.export.load` reads.
            samples: number of draws K of `score` and `impute`, from 1 to 20.

        Returns:
            Path of the file.

        Raises:
            VaekitError: if the model does not have the part, or the part cannot be exported.
            RunError: if the file cannot be written.

        Examples:
            >>> import tempfile, vaekit
            >>> run = vaekit.train("digits", settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
            >>> run.export(run.path / "encode.pt2", to="torch").name
            'encode.pt2'
        """
        subject = Subject(self.model, self.schema, self.transform, samples, self.recipe.seed)
        return write_part(make_part(part, subject), file, to)

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
