"""A trained run on a mixed table: rows go in and come out as tables with the same column names and types."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from vaekit.data import RowNoise, Rows, RowStream, Source, open_source
from vaekit.data.tables.arrays import LABEL, ArrayLibrary
from vaekit.data.tables.coding import code_values, write_back
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.frame import PlainLibrary
from vaekit.data.tables.rules.rule_set import Blank, keep, round_of
from vaekit.errors import DataError, VaekitError, did_you_mean, shorten
from vaekit.evaluation import TableFigures, measure_tables
from vaekit.evaluation.calibration import Calibration, measure_calibration
from vaekit.evaluation.tables.patterns import measure_marginals
from vaekit.runs.filling_run import FillingRun
from vaekit.runs.missing import blank_rows
from vaekit.runs.model_run import row_numbers
from vaekit.runs.pattern import write_pattern
from vaekit.runs.rules import condition, draw_new
from vaekit.runs.run import Run

Array = npt.NDArray[Any]
FEW_DRAWS = 4
"""A condition gets a warning if its effective sample size is this many times smaller than the number of rows."""
MOST_SEARCHED = 1_000_000
"""Most training rows that are searched for a combination of categories."""


class TableRun(FillingRun):
    """A run that was trained on a mixed table.

    Rows come back as they were given: data frames in their library (pandas, polars or Arrow), arrays as arrays, rows of a
    file as an Arrow table. Any cell of the given rows may be missing.
    """

    mean_dtype = np.float64  # in single precision, dates would be wrong by minutes
    reads_tables = True

    @property
    def column_names(self) -> list[str]:
        """Return the names of all columns, in the order of training."""
        return [column.name for column in self.schema.table]

    def facts(self) -> list[tuple[str, str]]:
        """Return what the run holds as names and texts, as for other data, and whether its intervals are recalibrated."""
        found = self.recalibration
        rows = "not recalibrated" if found is None else f"recalibrated on {found.rows} validation rows"
        return [*super().facts(), ("intervals", rows)]

    def as_table_run(self) -> TableRun:
        """Return this run, which is a `TableRun` already."""
        return self

    def pieces(self, X: object, text: bool = False) -> Iterator[Any]:
        """Yield new rows in pieces, so that a file need not fit into memory."""
        opened = open_source(X, self.recipe.data, known=self.schema.cells)
        frame = opened.as_frame(labels=LABEL in self.recipe.data.context)
        yield from (replace(frame, library=PlainLibrary()) if text and frame.marks is not None else frame).pieces()

    def record_types(self, source: Source, start: Run | None = None) -> None:
        """Record the library and types of the training data in a typical row, unless they are rows of a file or an array."""
        if start is not None:
            self.row, kept = start.row, {key: start.provenance.get(key) for key in ("library", "pattern")}
            self.provenance |= kept
            return
        frame = source.frame
        if frame is None or frame.array or not frame.library.name:
            return
        given = {column.name: next(frame.read())[column.name][0].as_py() for column in self.schema.context}
        made = self.decode(np.zeros((1, self.recipe.latent_dim)), given)
        cells = {c.name: made[c.name] if c.name in made.column_names else pa.nulls(1) for c in self.schema.table}
        self.row = write_pattern(self._frame_of(source).library.convert(pa.table(cells)))
        self.__dict__.pop("library", None)
        self.provenance |= {"library": frame.library.name, "pattern": hashlib.sha256(self.row).hexdigest()}

    def score_samples(self, X: object, samples: int | None = None, marginal: bool = False) -> npt.NDArray[np.float64]:
        """Estimate log p(x) of each row with the importance-weighted bound, in nats.

        Missing cells are left out. If cells depend on each other (`likelihood=autoregressive_mixed`), a cell then sees the
        observed cells before it. This gives a distribution for each pattern of missing cells, but only nearly the marginal
        of complete rows.

        Args:
            X: rows, as in `encode`.
            samples: number of draws K; the recipe's `evaluation.samples` by default.
            marginal: whether to compute the marginal of complete rows: missing cells are drawn, too, and their importance
                weights averaged. It takes up to seven times as long. For other likelihoods it is the same number.

        Returns:
            Array (n,), float64: lower bounds in expectation, with densities in the units of the data.
        """
        if marginal:
            return measure_marginals(self._table_model(samples), self.rows(X))[1]
        return super().score_samples(X, samples)

    def reconstruct(self, X: object) -> Any:
        """Decode the posterior mean of each row to a typical row: the likeliest categories and the medians of numbers.

        Args:
            X: rows, as in `encode`.

        Returns:
            A table of n rows; cells that X lacks are filled, too.
        """
        source = self.open(X)
        codes = self._map(self.prepare(source), self._there_and_back)
        return self._native(self.rules.settle(codes)[0], source)

    def decode(self, z: npt.ArrayLike, given: Mapping[str, Any] | None = None) -> Any:
        """Decode latent vectors, shape (n, latent_dim), to a table with a typical row for each."""
        return self._own(self.rules.settle(super().decode(z, given))[0], given or {})

    def sample(
        self,
        n: int,
        seed: int = 0,
        mean: bool = False,
        given: Mapping[str, Any] | None = None,
        complete: bool = False,
        start: int = 0,
    ) -> Any:
        """Draw new rows: z ~ p(z), then every cell from p(x|z), and then which cells are missing.

        Row i is a function of the seed and i. Cells that break a rule (`data.rules`) are drawn again, unless they are missing.

        Numbers stay within the bounds of their columns. A text or category that fewer than `data.least_count` rows have is
        not drawn. Identifiers and long texts are left out.

        Args:
            n: number of rows, ≥ 1.
            seed: the same seed gives the same rows.
            mean: whether to return typical rows rather than draws.
            given: a value for each given column, as in `condition`. A column that the model is conditional on may also
                have a list of n values.
            complete: whether to draw complete rows. By default cells are missing as in the training rows, except given ones;
                typical rows are always complete.
            start: number of the first row, ≥ 0.

        Returns:
            A table of n rows.
        """
        given, numbers = given or {}, row_numbers(n, start, seed)
        if set(given) - {column.name for column in self.schema.context}:
            if mean:
                raise VaekitError(
                    "`mean=True` cannot be used together with `given`", mend="For conditional means use `impute`"
                )
            return self.condition(n, given, seed, complete, start)[0]
        if mean:
            return self._own(self.rules.settle(super().sample(n, seed, mean, given, start=start))[0], given)
        if self.schema.rules:
            return self._own(self._draw_obeying(numbers, seed, given, complete), given)
        codes = super().sample(n, seed, mean, given, start=start)
        uniform = RowNoise(numbers[:, None], seed).uniform((codes.shape[1],), RowStream.SAMPLE_RARE)
        codes = self._cells.draw_rare(torch.from_numpy(codes), uniform).numpy()
        return self._own(self._blank(numbers, given, seed, complete)(codes, np.arange(n), 0), given)

    def _draw_obeying(
        self, numbers: npt.NDArray[np.int64], seed: int, given: Mapping[str, Any], complete: bool
    ) -> npt.NDArray[np.float64]:
        """Draw codes of new rows that obey the rules."""
        context = self.context(given, len(numbers))

        def tiles(z: torch.Tensor, rows: npt.NDArray[np.int64]) -> Iterator[Any]:
            return self._tiles(z, None if context is None else context[rows])

        blank = self._blank(numbers, given, seed, complete)
        return draw_new(self._table_model(None), self.rules, numbers, seed, tiles, blank)

    def _blank(self, numbers: npt.NDArray[np.int64], given: Mapping[str, Any], seed: int, complete: bool) -> Blank:
        """Return a function that draws which cells of drawn rows are missing; given cells are not."""
        pattern = self.missing
        if complete or pattern is None:
            return keep
        kept = {i for i, name in enumerate(self.schema.columns) if name in given}
        context = self.context_codes(given, len(numbers))

        def blank(codes: Array, rows: npt.NDArray[np.int64], attempt: int) -> Array:
            noise = RowNoise.of_attempt(numbers[rows], round_of(attempt), seed)
            uniform = noise.uniform((len(pattern.order),), RowStream.SAMPLE_MISSING).numpy()
            own = None if context is None else context[rows]
            return blank_rows(pattern, self.transform, codes, own, uniform, kept)

        return blank

    def condition(
        self, n: int, given: Mapping[str, Any], seed: int = 0, complete: bool = False, start: int = 0
    ) -> tuple[Any, float]:
        """Draw new rows with some cells given, by importance resampling from the joint distribution.

        Row i is a function of the given cells, the seed and i: every 5,000 rows choose from 20,000 proposals of their own.

        Args:
            n: number of rows, ≥ 1.
            given: values of any columns; they must include all columns that the model is conditional on.
            seed: the same seed gives the same rows.
            complete: whether to draw complete rows, as in `sample`.
            start: number of the first row, ≥ 0.

        Returns:
            A table of n rows, and its effective sample size. If that is far below n, many rows share a latent vector.

        Warns:
            UserWarning: if the effective sample size is below n/4, or no training row has the given categories together.

        Raises:
            DataError: for an unknown column, an impossible value, or values that leave no way to obey a rule.
        """
        numbers = row_numbers(n, start, seed)
        context = {column.name: given[column.name] for column in self.schema.context if column.name in given}
        row = self._row({name: value for name, value in given.items() if name not in context})
        model, encoded = self._table_model(None), self.context(context, 1)
        blank = self._blank(numbers, given, seed, complete)
        codes, size = condition(model, self.rules, row, numbers, seed, encoded, blank)
        self._warn_of(given, row, size, n)
        return self._own(codes, context, row), size

    def _warn_of(self, given: Mapping[str, Any], row: npt.NDArray[np.float64], size: float, n: int) -> None:
        """Warn if the model knows little of a condition: few effective draws, or a combination that no training row has."""
        shown = shorten(", ".join(f"{name}={value}" for name, value in given.items()))
        if size < n / FEW_DRAWS:
            warnings.warn(
                f"The {n} rows come from about {max(1, round(size))} different draws (the effective sample size), because the "
                f"model rarely draws rows with {shown}",
                stacklevel=4,
            )
        named = [c.kind in CATEGORICAL for c in self.schema.modelled] & ~np.isnan(row)
        train = self._training_rows() if named.sum() > 1 and self.provenance["rows"]["train"] <= MOST_SEARCHED else None
        if train and not any((block[:, named] == row[named]).all(1).any() for _, block in train.part.blocks()):
            names = [column.name for column, chosen in zip(self.schema.modelled, named, strict=True) if chosen]
            combined = shorten(" and ".join(f"{name}={given[name]}" for name in names))
            warnings.warn(f"No training row has {combined} together, so these rows are extrapolated", stacklevel=4)

    def _row(self, given: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Return a row of numeric codes with the given cells, and NaN elsewhere."""
        names = list(self.schema.columns)
        row = np.full(len(names), np.nan)
        for name, value in given.items():
            if name not in names:
                raise DataError("a given column must be a modelled column", f"'{name}'", did_you_mean(name, names))
            (row[names.index(name)],) = code_values(self.schema.modelled[names.index(name)], [value])
        return row

    def table_figures(self, rows: Rows, train: Rows | None, samples: int | None = None) -> TableFigures:
        """Measure how well the model fits the columns of a table: marginals, associations, hidden and missing cells.

        Args:
            rows: held-out rows.
            train: training rows; None if they are not available.
            samples: draws K; the recipe's `evaluation.samples` by default.
        """
        return measure_tables(self._table_model(samples), rows, train, self.sample_at, self.missing)

    def _measure_calibration(self, rows: Rows, scores: npt.NDArray[Any], samples: int) -> Calibration:
        table = self._table_model(samples)
        return measure_calibration(table.model, rows, scores, samples, table, self.missing, self.recalibration)

    def _own(
        self, codes: npt.NDArray[np.float64], given: Mapping[str, Any], row: npt.NDArray[np.float64] | None = None
    ) -> Any:
        """Convert codes of new rows to a table in the library of the training data, or to an array.

        Args:
            codes: codes of new rows, shape (n, C).
            given: values of the context.
            row: codes of given cells, NaN elsewhere, shape (C,).
        """
        codes = self._cells.withhold(codes, row)
        context = self.context_codes(given, len(codes))
        cells = {c.name: c.decode(context[:, i]) for i, c in enumerate(self.schema.context) if context is not None}
        if not self.schema.array:
            return self.library.convert(write_back(codes, self.schema.table, pa.table(cells)))
        unknown = {c.name: pa.nulls(len(codes)) for c in self.schema.table if c.kind in ("identifier", "text")}
        return ArrayLibrary().answer(write_back(codes, self.schema.table, pa.table(unknown | cells)))
