"""A trained run, and the doors that lead out of it: report, explorer, export, sharing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaekit import html
from vaekit.data import Source
from vaekit.export import MOST_SAMPLES, Subject, make_part, write_part
from vaekit.pictures import Scale, make_strip
from vaekit.runs import doors
from vaekit.runs.describe import describe_schema
from vaekit.runs.measured_run import MeasuredRun
from vaekit.runs.plots import Plots

if TYPE_CHECKING:
    from vaekit.runs.sharing import Sharing

SHOWN = 12
"""How many new pictures a notebook shows of a run."""


class Run(MeasuredRun):
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
