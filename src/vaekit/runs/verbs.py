"""What a run does with rows, as objects: `Score`, `Encode`, `Impute` and others, each with its options.

The command line, `vaekit.mapper` and `vaekit.map_files` take them, so that each writes the same table for a row.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data import Frame, Schema
from vaekit.data.tables.frame import PlainLibrary
from vaekit.evaluation import p_values
from vaekit.runs.alarms import outlier_scores
from vaekit.runs.doubles import in_float64
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun

Content = Literal["data", "numbers", "table"]
"""The content of results: rows like the data, numbers such as codes, or a table with columns of any type."""


@dataclass(frozen=True)
class RowVerb(ABC):
    """A function of a run and some rows, whose result for a row does not depend on the others."""

    name: ClassVar[str]
    """The name of the verb."""
    content: ClassVar[Content] = "table"
    """The content of its results."""
    needs_table: ClassVar[bool] = True
    """Whether the run must be one of a mixed table."""
    by_position: ClassVar[bool] = False
    """Whether a row's result depends on its position in the source."""

    @abstractmethod
    def apply(self, run: Any, rows: Any) -> Any:
        """Return the results of rows, an array (n, ...) or an Arrow table of n rows (or n for each draw)."""

    def column(self, run: Run) -> str:  # noqa: ARG002
        """Return the name of the columns of an array whose features have no names in the schema."""
        return "x"

    def prepare(self, run: Run) -> Run:
        """Return the run as the verb uses it.

        Raises:
            VaekitError: if the run must be one of a mixed table, and is not.
        """
        return run.as_table_run() if self.needs_table else run

    def table(self, run: Run, rows: Any) -> pa.Table:
        """Return the results of rows as an Arrow table, with a column for each feature of an array."""
        made = self.apply(run, rows)
        return made if isinstance(made, pa.Table) else as_table(made, run.schema, self.column(run))

    @property
    def options(self) -> dict[str, Any]:
        """Return the values of the options that its results depend on, for a record."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Score(RowVerb):
    """Return log p(x) of each row in nats.

    Args:
        samples: draws K of the importance-weighted bound; the recipe's number by default.
    """

    samples: int | None = None
    name, content, needs_table = "score", "numbers", False

    def apply(self, run: Run, rows: Any) -> Any:
        """Return the scores, shape (n, 1)."""
        return run.score_samples(rows, self.samples)[:, None]

    def column(self, run: Run) -> str:
        """Return what the model calls its score."""
        return run.model.score_name


@dataclass(frozen=True)
class MarginalScore(Score):
    """Return the marginal log p of the observed cells of each row of a table, in nats.

    Args:
        samples: draws K, as in `Score`.
    """

    needs_table = True

    @property
    def options(self) -> dict[str, Any]:
        """Return the draws, and that missing cells are summed out."""
        return {"marginal": True, "samples": self.samples}

    def apply(self, run: Run, rows: Any) -> Any:
        """Return the scores, shape (n, 1)."""
        return run.as_table_run().score_samples(rows, self.samples, marginal=True)[:, None]


@dataclass(frozen=True)
class RankedScore(RowVerb):
    """Return the score of each row, and its p-value among the scores of held-out rows.

    Args:
        held_out: scores of the held-out rows, in increasing order.
    """

    held_out: tuple[float, ...]
    name, needs_table = "score", False

    @property
    def options(self) -> dict[str, Any]:
        """Return the number of held-out rows, and the digest of their scores."""
        digest = hashlib.sha256(np.array(self.held_out).tobytes()).hexdigest()
        return {"p_value": True, "held_out": len(self.held_out), "digest": digest}

    def prepare(self, run: Run) -> Run:
        """Return the run in double precision, as estimators score rows, so that the scores of equal rows are equal."""
        return in_float64(run)

    def apply(self, run: Run, rows: Any) -> pa.Table:
        """Return a table of two columns."""
        scores = outlier_scores(run, rows)
        name = run.model.score_name if run.detection is None else "score"
        return pa.table({name: scores, "p_value": p_values(scores, np.array(self.held_out))})


@dataclass(frozen=True)
class ExplainedScore(RowVerb):
    """Return the score and the strangest column of each row, and the strangeness of each of its cells.

    Args:
        samples: draws K, as in `Score`.
    """

    samples: int | None = None
    name = "score"

    @property
    def options(self) -> dict[str, Any]:
        """Return the draws, and that scores are explained."""
        return {"explain": True, "samples": self.samples}

    def apply(self, run: TableRun, rows: Any) -> pa.Table:
        """Return a table with the score, the column `strangest`, and `surprise_…` for each column."""
        reasons = run.explain(_as_arrow(rows), self.samples)
        matrix = np.stack([column.to_numpy(zero_copy_only=False) for column in reasons.columns], 1)
        nothing = np.isnan(matrix).all(1)
        strangest = np.where(np.isnan(matrix), -np.inf, matrix).argmax(1)
        names = [None if empty else reasons.column_names[i] for i, empty in zip(strangest, nothing, strict=True)]
        cells = {f"surprise_{name}": reasons[name] for name in reasons.column_names}
        scores = run.score_samples(rows, self.samples)
        return pa.table({run.model.score_name: scores, "strangest": pa.array(names, pa.string()), **cells})


@dataclass(frozen=True)
class Explain(RowVerb):
    """Return how strange each cell is given the rest of its row, in nats.

    Args:
        samples: draws K for each cell.
    """

    samples: int | None = None
    name = "explain"

    def apply(self, run: TableRun, rows: Any) -> Any:
        """Return a table with the modelled columns."""
        return run.explain(rows, self.samples)


@dataclass(frozen=True)
class Encode(RowVerb):
    """Return the latent code of each row, the mean of q(z|x)."""

    name, content, needs_table = "encode", "numbers", False

    def apply(self, run: Run, rows: Any) -> Any:
        """Return the codes, shape (n, latent_dim)."""
        return run.encode(rows)

    def column(self, run: Run) -> str:  # noqa: ARG002
        """Return `z`."""
        return "z"


@dataclass(frozen=True)
class Reconstruct(RowVerb):
    """Return the model's reconstruction of each row."""

    name, content, needs_table = "reconstruct", "data", False

    def apply(self, run: Run, rows: Any) -> Any:
        """Return rows like the data."""
        return run.reconstruct(rows)


@dataclass(frozen=True)
class Impute(RowVerb):
    """Fill the missing cells of rows: numbers with conditional means, categories with the likeliest.

    Args:
        samples: draws K of z for each row.
        blanks: whether structural blanks are filled, too.
    """

    samples: int | None = None
    blanks: bool = False
    name = "impute"

    def apply(self, run: TableRun, rows: Any) -> Any:
        """Return complete rows."""
        return run.impute(rows, self.samples, blanks=self.blanks)


@dataclass(frozen=True)
class ImputeDraws(RowVerb):
    """Fill the missing cells of rows several times, with draws from p(x_missing|x_observed).

    Args:
        draws: number of tables M, ≥ 1.
        samples: draws K of z for each row.
        seed: another seed gives other draws.
        blanks: whether structural blanks are filled, too.
    """

    draws: int
    samples: int | None = None
    seed: int = 0
    blanks: bool = False
    name, by_position = "impute", True

    def apply(self, run: TableRun, rows: Frame) -> pa.Table:
        """Return the tables one after the other, with a new first column for the number of the draw."""
        tables, name = [], "draw"
        made = run.impute_draws(rows, self.draws, self.samples, self.seed, blanks=self.blanks)
        for i, table in enumerate(made):
            found = table if isinstance(table, pa.Table) else pa.table(dict(zip(rows.names, table.T, strict=True)))
            name = find_free_name("draw", found.column_names)
            tables.append(found.add_column(0, name, pa.array([i + 1] * len(found))))
        if name != "draw" and rows.first == 0:
            told = f"Column '{name}' numbers the draws, because the data have a column 'draw'."
            warnings.warn(told, stacklevel=2)
        return pa.concat_tables(tables)


@dataclass(frozen=True)
class Uncertainty(RowVerb):
    """Return the standard deviation or the probability of each cell that `Impute` fills.

    Args:
        samples: draws K of z for each row.
        blanks: whether structural blanks are filled, too.
    """

    samples: int | None = None
    blanks: bool = False
    name = "uncertainty"

    def apply(self, run: TableRun, rows: Any) -> Any:
        """Return a table with the modelled columns."""
        return run.uncertainty(_as_arrow(rows), self.samples, self.blanks)


@dataclass(frozen=True)
class Intervals(RowVerb):
    """Return an interval or a set of likely values for each missing cell.

    Args:
        level: probability of an interval or a set to hold the true value.
        samples: draws K of z for each row.
        blanks: whether structural blanks have intervals, too.
        lists: whether sets are lists; otherwise they are text with the values between bars.
    """

    level: float = 0.9
    samples: int | None = None
    blanks: bool = False
    lists: bool = True
    name = "intervals"

    def apply(self, run: TableRun, rows: Any) -> pa.Table:
        """Return a table with `NAME.lower` and `NAME.upper`, or `NAME.set`, for each modelled column."""
        found: pa.Table = run.intervals(_as_arrow(rows), self.level, self.samples, self.blanks)
        if self.lists:
            return found
        columns = [
            pc.binary_join(cells.cast(pa.list_(pa.string())), " | ") if pa.types.is_list(cells.type) else cells
            for cells in found.columns
        ]
        return pa.table(dict(zip(found.column_names, columns, strict=True)))


@dataclass(frozen=True)
class Draw(RowVerb):
    """Draw new rows; the rows that it takes are their numbers.

    Args:
        seed: the same seed gives the same rows.
        given: pairs of a column and its value.
        complete: whether to draw complete rows.
    """

    seed: int = 0
    given: tuple[tuple[str, Any], ...] = ()
    complete: bool = False
    name, content, needs_table = "sample", "data", False

    def prepare(self, run: Run) -> Run:
        """Return the run without the library of its training data, so that it draws Arrow tables."""
        return replace(run, row=None)

    def apply(self, run: Run, rows: range) -> Any:
        """Return the rows with these numbers."""
        return run.sample(len(rows), self.seed, given=dict(self.given), complete=self.complete, start=rows.start)


def _as_arrow(rows: Any) -> Any:
    """Return rows whose results are Arrow tables, also if they are an array."""
    return replace(rows, library=PlainLibrary(), array=False) if isinstance(rows, Frame) else rows


def find_free_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a new column, with a number appended if the name is already in use.

    Examples:
        >>> find_free_name("draw", ["x"]), find_free_name("draw", ["draw", "draw_1"])
        ('draw', 'draw_2')
    """
    names = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1)))
    return next(each for each in names if each not in taken)


def as_table(values: npt.NDArray[Any], schema: Schema, name: str) -> pa.Table:
    """Return rows (n, ...) as an Arrow table with a column for each flattened feature."""
    columns = values.reshape(len(values), -1).T
    return pa.table(dict(zip(column_names(values, schema, name), columns, strict=True)))


def column_names(values: npt.NDArray[Any], schema: Schema, name: str) -> list[str]:
    """Return one column name for each value in a row: the schema's names, or `name` with an index."""
    count = math.prod(values.shape[1:])
    if schema.columns and values.shape[1:] == schema.shape:
        return list(schema.columns)
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]
