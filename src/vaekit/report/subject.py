"""What a report is about: a run with its held-out rows and what was measured on them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import Part, Rows, Source, whole
from vaekit.errors import DataError, RunError
from vaekit.evaluation import Figures
from vaekit.models import StandardNormal
from vaekit.runs.run import Run

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Subject:
    """A run on some held-out rows.

    Args:
        run: the run.
        held_out: the rows it is judged by.
        figures: its figures on them.
        named: the rows as they were opened, where they are not those of the run's own source.
    """

    run: Run
    held_out: Part
    figures: Figures
    named: Source | None = None

    @classmethod
    def of(cls, run: Run, rows: object | None = None) -> Subject:
        """A run on rows, by default the held-out ones of its own source."""
        if rows is None:
            return cls(run, run.split().test, run.evaluate())
        named = run.open(rows)
        return cls(run, run.checked(named).part, run.evaluate(rows), named)

    def judge(self, other: Run) -> Subject:
        """Another run on the same held-out rows."""
        if self.mixed:
            source = other.open(self.cells())
            return Subject(other, whole(source), other.evaluate(source.frame), source)
        return Subject(other, self.held_out, other.evaluate(self._source(self.held_out)), self.named)

    @cached_property
    def train(self) -> Part | None:
        """The training rows; None where they cannot be had and other rows were named."""
        try:
            return self.run.split().train
        except DataError:
            if self.named is None:
                raise
            return None

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.run.path.resolve().name

    @property
    def learned_prior(self) -> bool:
        """Whether p(z) was learned, and so need not be N(0, I)."""
        return not isinstance(self.run.model.prior, StandardNormal)

    @property
    def mixed(self) -> bool:
        """Whether each column of its rows has a kind of its own: rows are then codes of their cells, NaN where one is missing."""
        return self.run.schema.kind == "mixed"

    @property
    def binary(self) -> bool:
        """Whether p(x|z) speaks of zeros and ones."""
        return self.run.schema.kind == "binary" or self.run.transform.binarizes

    @cached_property
    def squared_error(self) -> float:
        """Mean over held-out rows and values of (x − reconstruction)², in squared units of the data as given."""
        total = 0.0
        for first, block in self.held_out.blocks():
            made = self.reconstruct(self.held_out.between(first, first + len(block)))
            total += float(np.square(made - block.astype(np.float64)).sum())
        return total / (len(self.held_out) * math.prod(self.run.schema.shape))

    def cells(self) -> Any:
        """The held-out rows of a mixed table as they were given, an Arrow table: another run has codes of its own for them."""
        given = self.named or self._own_source()
        if given.frame is None:
            raise RunError("a run on a mixed table must have rows", f"'{self.run.path}'")
        rows, first, parts = self.held_out.index, 0, []
        for piece in given.frame.read():
            inside = rows[(rows >= first) & (rows < first + len(piece))]
            parts.append(piece.take(inside - first))
            first += len(piece)
        return pa.concat_tables(parts)

    def _own_source(self) -> Source:
        """Where the held-out rows of the run's own source are."""
        source, test = self.run.source
        return test or source.test or source

    def some(self, limit: int) -> Part:
        """At most this many held-out rows, spread over all of them: sources are often sorted by class."""
        return self.held_out.some(limit, self.run.recipe.seed)

    def reconstruct(self, rows: Part) -> Array:
        """Rows and back, in units of the data as given."""
        return self.run.reconstruct(self._source(rows))

    def encode(self, rows: Part) -> Array:
        """Posterior means, or codes."""
        return self.run.encode(self._source(rows))

    def sample(self, rows: Part, mean: bool = False) -> Array:
        """As many new rows as these, given what they were given; codes of a mixed table's."""
        return self.run.sample_at(self._context(rows), len(rows), mean=mean)

    def decode(self, z: Array, row: Part) -> Array:
        """Means of p(x|z), given what one row was given."""
        return self.run.decode_at(z, self._context(replace(row, index=row.index.repeat(len(z)))))

    def _context(self, rows: Part) -> Any:
        return Rows(rows, self.run.transform).context()

    def _source(self, rows: Part) -> Source:
        # said outright, so that nobody has to guess from the shape whether they are pictures
        return Source(rows.take(0, len(rows)), picture=self.run.schema.picture, context=rows.given())
