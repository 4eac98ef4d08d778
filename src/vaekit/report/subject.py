"""What a report describes: a run, its held-out rows, and how well the run did on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import Part, Rows, Source, all_rows
from vaekit.errors import DataError, RunError
from vaekit.evaluation import Figures, TableFigures
from vaekit.models import StandardNormal
from vaekit.runs.run import Run

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Subject:
    """Hold a run, its held-out rows, and the metrics measured on these rows.

    Args:
        run: the run.
        held_out: the rows on which it is measured.
        figures: the metrics of the run on these rows.
        named: the source of the rows, if the user named other rows than the run's held-out rows.
    """

    run: Run
    held_out: Part
    figures: Figures
    named: Source | None = None
    mixed: ClassVar[bool] = False
    values_word: ClassVar[str] = "values"

    @classmethod
    def of(cls, run: Run, rows: object | None = None) -> Subject:
        """Evaluate a run on the given rows, or by default on its held-out rows, and return a `Subject`."""
        kind = TableSubject if run.reads_tables else Subject
        named = None if rows is None else run.check(run.open(rows))
        if named is None or run.attach(named):
            return kind(run, run.split().test, run.evaluate())
        return kind(run, run.as_rows(named).part, run.evaluate(named), named)

    def with_run(self, other: Run) -> Subject:
        """Evaluate another run on the held-out rows of this `Subject`, and return a `Subject` for that run."""
        return Subject(other, self.held_out, other.evaluate(self.source(self.held_out)), self.named)

    def sample(self, rows: Part, mean: bool = False) -> Array:
        """Draw one new row for each given row, with the same context if the model is conditional.

        New rows of a mixed table are numeric codes.
        """
        return self.run.sample_at(self.rows(rows).context(), len(rows), mean=mean)

    @cached_property
    def train(self) -> Part | None:
        """Return the run's training rows, or None if they cannot be read and the user passed rows for the report."""
        try:
            return self.run.split().train
        except DataError:
            if self.named is None:
                raise
            return None

    @property
    def name(self) -> str:
        """Return the name of the run folder."""
        return self.run.folder.name

    @property
    def learned_prior(self) -> bool:
        """Tell whether the prior p(z) was learned, rather than fixed as N(0, I)."""
        return not isinstance(self.run.model.prior, StandardNormal)

    @property
    def binary(self) -> bool:
        """Tell whether p(x|z) is a distribution over zeros and ones."""
        return self.run.schema.kind == "binary" or self.run.transform.binarizes

    @cached_property
    def table(self) -> TableFigures:
        """Measure how well the run has learned the columns of a mixed table."""
        return self.run.as_table_run().table_figures(
            self.rows(self.held_out), self.rows(self.train) if self.train else None
        )

    @property
    def log_probability(self) -> str:
        """Return the report's name for log p(x)."""
        return "log-probability" if self.run.schema.discrete else "log-density"

    @cached_property
    def squared_error(self) -> float:
        """Measure the mean of (x − reconstruction)² over all held-out values, in squared units of the data."""
        total = 0.0
        for first, block in self.held_out.blocks():
            made = self.run.reconstruct(self.source(self.held_out.crop(first, first + len(block))))
            total += float(np.square(made - block.astype(np.float64)).sum())
        return total / (len(self.held_out) * math.prod(self.run.schema.shape))

    def subset(self, limit: int) -> Part:
        """Return at most `limit` rows, spread over all held-out rows because data are often sorted by class."""
        return self.held_out.subset(limit, self.run.recipe.seed)

    def rows(self, part: Part) -> Rows:
        """Prepare rows as inputs of the model."""
        return Rows(part, self.run.transform, self.run.recipe.seed)

    def source(self, part: Part) -> Source:
        """Wrap rows in a `Source`, which the methods of a run accept as data."""
        return Source(part.take(0, len(part)), picture=self.run.schema.picture, context=part.take_context())


class TableSubject(Subject):
    """Hold a run that was trained on a mixed table, with its held-out rows and metrics.

    The rows are numeric codes, with NaN for missing cells.
    """

    mixed = True
    values_word = "columns"

    def with_run(self, other: Run) -> Subject:
        """Evaluate another run on the held-out rows of this table, and return a `TableSubject` for that run."""
        source = other.open(self.cells())
        return TableSubject(other, all_rows(source), other.evaluate(source.frame), source)

    log_probability = "log-probability (log-density of continuous columns)"

    def cells(self) -> Any:
        """Return the original cells of the held-out rows as an Arrow table."""
        given = self.named or self._own_source()
        if given.frame is None:
            raise RunError(f"The rows of the run '{self.run.path}' are not a table", mend="Pass the rows to report on")
        rows, first, parts = self.held_out.index, 0, []
        for piece in given.frame.read():
            inside = rows[(rows >= first) & (rows < first + len(piece))]
            parts.append(piece.take(inside - first))
            first += len(piece)
        return pa.concat_tables(parts)

    def _own_source(self) -> Source:
        """Return the source that contains the held-out rows of the run."""
        source, test = self.run.source
        return test or source.test or source
