"""A trained run on a mixed table: rows go in and come out as tables with the same column names and types."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from vaekit.data import Rows, SeedStream, Source, Split, open_source
from vaekit.data.blanks import blank_cells
from vaekit.data.tables.arrays import LABEL, ArrayLibrary
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.coding import code_values, fill, write_back
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.data.tables.dates import DAY
from vaekit.data.tables.frame import Frame, PlainLibrary
from vaekit.data.tables.rules import RuleSet
from vaekit.errors import DataError, VaekitError, at_least_one, did_you_mean, shorten
from vaekit.evaluation import TableFigures, TableModel, measure_tables
from vaekit.evaluation.calibration import Calibration, measure_calibration, recalibrate
from vaekit.folder import INTERVALS
from vaekit.models import VariationalAutoEncoder
from vaekit.runs.cells import fillable_cells
from vaekit.runs.intervals import check_level, fill_intervals, tabulate_intervals
from vaekit.runs.missing import blank_rows
from vaekit.runs.pattern import write_pattern
from vaekit.runs.rules import condition, draw_new, fill_draws, fill_means
from vaekit.runs.run import Run

Array = npt.NDArray[Any]
FEW_DRAWS = 4
"""A condition gets a warning if its effective sample size is this many times smaller than the number of rows."""
MOST_SEARCHED = 1_000_000
"""Most training rows that are searched for a combination of categories."""


class TableRun(Run):
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

    @cached_property
    def rules(self) -> RuleSet:
        """Return the rules that drawn and filled rows obey (`data.rules`)."""
        return RuleSet(self.schema.modelled, self.schema.rules)

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
    ) -> Any:
        """Draw new rows: z ~ p(z), then every cell from p(x|z), and then which cells are missing.

        Rows that break a rule (`data.rules`) are drawn again.

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

        Returns:
            A table of n rows.
        """
        given = given or {}
        if set(given) - {column.name for column in self.schema.context}:
            if mean:
                raise VaekitError(
                    "`mean=True` cannot be used together with `given`", mend="For conditional means use `impute`"
                )
            return self.condition(n, given, seed, complete)[0]
        if mean:
            return self._own(self.rules.settle(super().sample(n, seed, mean, given))[0], given)
        if self.schema.rules:
            codes = self._draw_obeying(n, seed, given)
        else:
            codes = super().sample(n, seed, mean, given)
            rare = torch.from_numpy(SeedStream.SAMPLE_RARE.rng(seed).random(codes.shape))
            codes = self._cells.draw_rare(torch.from_numpy(codes), rare).numpy()
        return self._own(codes if complete else self._with_missing(codes, given, seed), given)

    def _draw_obeying(self, n: int, seed: int, given: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Draw codes of n new rows that obey the rules."""
        context = self.context(given, at_least_one(n, "n"))

        def blocks(z: torch.Tensor, rows: npt.NDArray[np.int64]) -> Iterator[Any]:
            return self._at(z, None if context is None else context[rows])

        return draw_new(self._table_model(None), self.rules, n, seed, blocks)

    def _with_missing(
        self, codes: npt.NDArray[np.float64], given: Mapping[str, Any], seed: int
    ) -> npt.NDArray[np.float64]:
        """Draw which cells of drawn rows are missing; given cells are not."""
        if self.missing is None:
            return codes
        uniform = SeedStream.SAMPLE_MISSING.rng(seed).random((len(codes), len(self.missing.order)))
        kept = {i for i, name in enumerate(self.schema.columns) if name in given}
        return blank_rows(self.missing, self.transform, codes, self.context_codes(given, len(codes)), uniform, kept)

    def condition(self, n: int, given: Mapping[str, Any], seed: int = 0, complete: bool = False) -> tuple[Any, float]:
        """Draw new rows with some cells given, by importance resampling from the joint distribution.

        Args:
            n: number of rows, ≥ 1.
            given: values of any columns; they must include all columns that the model is conditional on.
            seed: the same seed gives the same rows.
            complete: whether to draw complete rows, as in `sample`.

        Returns:
            A table of n rows, and its effective sample size. If that is far below n, many rows share a latent vector.

        Warns:
            UserWarning: if the effective sample size is below n/4, or no training row has the given categories together.

        Raises:
            DataError: for an unknown column, an impossible value, or values that leave no way to obey a rule.
        """
        at_least_one(n, "n")
        context = {column.name: given[column.name] for column in self.schema.context if column.name in given}
        row = self._row({name: value for name, value in given.items() if name not in context})
        model, encoded = self._table_model(None), self.context(context, 1)
        codes, size = condition(self.rules, row, n, seed, lambda m, own: model.condition(row, m, own, encoded))
        self._warn_of(given, row, size, n)
        return self._own(codes if complete else self._with_missing(codes, given, seed), context, row), size

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

    def impute(
        self,
        X: object,
        samples: int | None = None,
        columns: Collection[str] | None = None,
        where: object | None = None,
        blanks: bool = False,
    ) -> Any:
        """Fill the missing cells of rows: numbers with the conditional mean, categories with the likeliest category.

        Means are rounded to values that the column can take (whole numbers, cents, days).

        Args:
            X: rows, as in `encode`.
            samples: number of draws K of z for each row; the recipe's `evaluation.samples` by default.
            columns: names of the columns to fill; missing cells of other columns stay missing. All by default.
            where: truth values that say which cells may be filled: one for each row, shape (n,), or an array or a data
                frame with one for each cell of X.
            blanks: whether to fill structural blanks, too: cells that are empty because of the cell of another column.

        Returns:
            A table of n rows.

        Raises:
            DataError: for an unknown column, or if `where` does not fit the rows.

        References:
            Mattei and Frellsen, "MIWAE", 2019.
        """
        source, model = self.open(X), self._table_model(samples)
        allowed = fillable_cells(self._frame_of(source).names, len(source.values), columns, where)
        codes = model.cells.round(torch.from_numpy(model.impute(self.prepare(source))[0])).numpy()
        return self._filled(fill_means(self.rules, codes, source.values), source, allowed, blanks)

    def uncertainty(self, X: object, samples: int | None = None, blanks: bool = False) -> Any:
        """Return the uncertainty of each cell that `impute` fills.

        Args:
            X: rows, as in `encode`.
            samples: number of draws K, as in `impute`.
            blanks: whether structural blanks are filled, as in `impute`.

        Returns:
            A table of n rows with the modelled columns: standard deviations of filled numbers (of dates in days),
            probabilities of filled categories, and empty cells where nothing was filled. An array has NaN in the other
            columns.
        """
        source = self.open(X)
        codes, spread = self._table_model(samples).impute(self.prepare(source))
        if not blanks:
            spread = np.where(blank_cells(self.schema.table, codes, source.context), np.nan, spread)
        days = np.array([1 / DAY if column.kind == "datetime" else 1.0 for column in self.schema.modelled])
        return self._figures(spread * days, source)

    def intervals(self, X: object, level: float = 0.9, samples: int | None = None, blanks: bool = False) -> Any:
        """Return an interval or a set of values for each missing cell, which holds the true value with a given probability.

            P(lower ≤ x_m ≤ upper | x_o) ≥ level

        An interval of a number, a date or an ordered level has equal tails. A set has the most probable values of a column
        without order, as few as have the probability together. Both come from the importance-weighted distribution of the
        cell, Σ_k w_k p(x_m|z_k), by its quantiles and not by draws. Their levels are recalibrated on validation rows that did
        not choose the weights, if there were enough. Each cell is judged for itself, and rules (`data.rules`) are not used.

        Args:
            X: rows, as in `encode`.
            level: probability L, between 0 and 1.
            samples: number of draws K of z for each row; the recipe's `evaluation.samples` by default.
            blanks: whether structural blanks have intervals, too.

        Returns:
            A table of n rows: `NAME.lower` and `NAME.upper` of each column with intervals, in its type, and `NAME.set` with
            a list of values of each other column; empty where a cell is not missing. Rows of an array get an Arrow table.

        Raises:
            VaekitError: if the level is not between 0 and 1.

        References:
            Mattei and Frellsen, "MIWAE", 2019, for the distribution; Vovk, Gammerman and Shafer, "Algorithmic Learning in a
            Random World", 2005, for the levels.

        Examples:
            >>> import tempfile, vaekit
            >>> cells = {"a": [None, *np.linspace(0, 1, 99)], "b": ["x", "y"] * 50}
            >>> run = vaekit.train(pa.table(cells), settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
            >>> run.intervals(pa.table(cells)).column_names
            ['a.lower', 'a.upper', 'b.set']
        """
        check_level(level)
        source, model = self.open(X), self._table_model(samples)
        found = fill_intervals(model, self.prepare(source), level, self.recalibration, blanks)
        frame = self._frame_of(source)
        library = PlainLibrary() if frame.array else frame.library
        return library.add_labels(tabulate_intervals(found, self.schema.modelled))

    def recalibrate(self, split: Split) -> str:
        """Recalibrate the levels of intervals on validation rows that did not choose the weights, and write them.

        Args:
            split: the rows of the run.

        Returns:
            Name of the file in the run folder.
        """
        rows = Rows(split.divide_validation()[1], self.transform, self.recipe.seed)
        if (found := recalibrate(self._table_model(None), rows, self.missing)) is not None:
            self.folder.write(INTERVALS, found.model_dump(mode="json"))
        return INTERVALS

    def impute_draws(
        self,
        X: object,
        draws: int,
        samples: int | None = None,
        seed: int = 0,
        columns: Collection[str] | None = None,
        where: object | None = None,
        blanks: bool = False,
    ) -> list[Any]:
        """Return complete tables with missing cells drawn from p(x_missing|x_observed), for multiple imputation.

        Args:
            X: rows, as in `encode`.
            draws: number of tables M, ≥ 1.
            samples: number of draws K of z for each row; each table uses one of them.
            seed: another seed gives other draws.
            columns: names of the columns to fill, as in `impute`.
            where: which cells may be filled, as in `impute`.
            blanks: whether structural blanks are filled, as in `impute`.

        Returns:
            M tables of n rows.
        """
        source = self.open(X)
        allowed = fillable_cells(self._frame_of(source).names, len(source.values), columns, where)
        rows, n_draws = self.prepare(source), at_least_one(draws, "draws")
        codes = fill_draws(self.rules, self._table_model(samples), rows, n_draws, seed)
        return [self._filled(each, source, allowed, blanks) for each in codes]

    def explain(self, X: object, samples: int | None = None) -> Any:
        """Return how strange each cell is given the rest of its row, in nats.

        That is −log p(cell|rest of row) minus the usual value of this number in the cell's column.

        Args:
            X: rows, as in `encode`.
            samples: number of draws K for each cell.

        Returns:
            A table of n rows with the modelled columns: 0 is usual, far above 0 is strange; empty where a cell is missing.
            An array has NaN in the other columns.
        """
        source = self.open(X)
        return self._figures(self._table_model(samples).explain(self.prepare(source)), source)

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

    def _table_model(self, samples: int | None) -> TableModel:
        if not isinstance(self.model, VariationalAutoEncoder):
            raise VaekitError(f"The model in '{self.path}' is not a variational autoencoder of a mixed table")
        return TableModel(self.model, self.schema, self._cells, self._samples(samples))

    @property
    def _cells(self) -> Cells:
        if self.transform.cells is None:
            raise VaekitError(f"The model in '{self.path}' is not a model of a mixed table")
        return self.transform.cells

    def _figures(self, cells: npt.NDArray[np.float64], source: Source) -> Any:
        """Convert numbers for the modelled cells, shape (n, C), to a table in the library of the rows.

        A NaN becomes an empty cell.
        """
        frame = self._frame_of(source)
        columns = {n: pa.array(c, mask=np.isnan(c)) for n, c in zip(self.schema.columns, cells.T, strict=True)}
        if frame.array:  # an array keeps its columns
            empty = pa.nulls(len(cells), pa.float64())
            columns = {column.name: columns.get(column.name, empty) for column in self.schema.table}
        return frame.library.add_labels(pa.table(columns))

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

    def _native(self, codes: npt.NDArray[np.float64], source: Source) -> Any:
        """Convert codes to rows of the type that the user passed, such as a pandas data frame.

        Args:
            codes: numeric codes, shape (n, C).
            source: the rows that the user passed.
        """
        ordered = self._frame_of(source)
        kept = self._kept(ordered, "constant")
        return ordered.library.answer(write_back(codes, self.schema.table, ordered.table().select(kept)))

    def _filled(
        self,
        codes: npt.NDArray[np.float64],
        source: Source,
        allowed: Mapping[str, npt.NDArray[np.bool_]],
        blanks: bool,
    ) -> Any:
        """Fill missing cells of the rows that the user passed with codes of shape (n, C); all other cells stay.

        Args:
            codes: numeric codes, shape (n, C).
            source: the rows that the user passed.
            allowed: for some columns, which of their cells may be filled; all missing cells of other columns are.
            blanks: whether structural blanks are filled, too.
        """
        if not blanks:
            stay = zip(self.schema.columns, blank_cells(self.schema.table, codes, source.context).T, strict=True)
            allowed = {**allowed, **{name: ~blank & allowed.get(name, True) for name, blank in stay}}
        ordered = self._frame_of(source)
        given, kept = ordered.table(), self._kept(ordered)
        found = write_back(codes, self.schema.table, given.select(kept))
        cells, filled = dict(zip(found.column_names, found.columns, strict=True)), set(ordered.names).difference(kept)
        for column in (column for column in self.schema.table if column.name in filled):
            empty = ordered.cells(given, column.name).is_null(nan_is_null=True)
            if column.name in allowed:
                empty = pc.and_(empty, pa.array(allowed[column.name]))
            made = cells[column.name]
            cells[column.name] = fill(column, given[column.name], empty, made, ordered.marks is not None)
        return ordered.library.answer(pa.table(cells))

    def _kept(self, frame: Frame, *further: str) -> list[str]:
        """Return the columns of a frame that stay as given, because they are not modelled."""
        kinds, there = ("identifier", "text", *further), set(frame.names)
        return [c.name for c in self.schema.table if (c.context or c.kind in kinds) and c.name in there]

    def _frame_of(self, source: Source) -> Frame:
        """Return the table that the user passed, with the columns of training that it has, in their order."""
        frame = source.frame
        if frame is None:
            raise VaekitError("The rows do not come from a table", mend="Pass a data frame, a file or an array")
        by_position, there = not frame.named and len(frame.names) == len(self.schema.table), set(frame.names)
        return frame.in_order([c.name for c in self.schema.table if by_position or c.name in there])
