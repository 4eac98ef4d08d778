"""A run on a mixed table: it fills the missing cells of rows, says how sure it is, and explains cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from vaekit.data import Rows, Source, Split
from vaekit.data.blanks import blank_cells
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.coding import fill, write_back
from vaekit.data.tables.dates import DAY
from vaekit.data.tables.frame import Frame, PlainLibrary
from vaekit.data.tables.rules import RuleSet
from vaekit.errors import VaekitError, at_least_one
from vaekit.evaluation import TableModel
from vaekit.evaluation.calibration import recalibrate
from vaekit.folder import INTERVALS
from vaekit.models import VariationalAutoEncoder
from vaekit.runs.cells import fillable_cells, row_ids
from vaekit.runs.intervals import check_level, fill_intervals, tabulate_intervals
from vaekit.runs.rules import Emptier, fill_draws, fill_means
from vaekit.runs.run import Run


class FillingRun(Run):
    """A run on a mixed table that fills cells and explains them; `TableRun` adds what makes new rows."""

    @cached_property
    def rules(self) -> RuleSet:
        """Return the rules that drawn and filled rows obey (`data.rules`)."""
        layout = self._cells.layout
        last_first = self._cells.slot_columns[list(layout.order or range(layout.slots))][::-1].tolist()
        return RuleSet(self.schema.modelled, self.schema.rules, list(dict.fromkeys(last_first))[::-1])

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
        codes = self._empty(source, blanks)(codes, np.arange(len(codes)))
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
        ids: str | None = None,
    ) -> list[Any]:
        """Return complete tables with missing cells drawn from p(x_missing|x_observed), for multiple imputation.

        The draws of a row depend on its cells, its identifier and the seed. So rows with equal cells have draws of their
        own, and a row has the same draws among other rows if it has the same identifier.

        Args:
            X: rows, as in `encode`.
            draws: number of tables M, ≥ 1.
            samples: number of draws K of z for each row; each table uses one of them.
            seed: another seed gives other draws.
            columns: names of the columns to fill, as in `impute`.
            where: which cells may be filled, as in `impute`.
            blanks: whether structural blanks are filled, as in `impute`.
            ids: name of a column that identifies rows; by default the position of a row, in its file or in X.

        Returns:
            M tables of n rows.

        Raises:
            DataError: if the column of identifiers is missing, or has an empty cell.
        """
        source = self.open(X)
        allowed = fillable_cells(self._frame_of(source).names, len(source.values), columns, where)
        rows, n_draws = self.prepare(source), at_least_one(draws, "draws")
        empty = self._empty(source, blanks)
        codes = fill_draws(self.rules, self._table_model(samples), rows, n_draws, seed, row_ids(source, ids), empty)
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

    def _native(self, codes: npt.NDArray[np.float64], source: Source) -> Any:
        """Convert codes to rows of the type that the user passed, such as a pandas data frame.

        Args:
            codes: numeric codes, shape (n, C).
            source: the rows that the user passed.
        """
        ordered = self._frame_of(source)
        kept = self._kept(ordered, "constant")
        return ordered.library.answer(write_back(codes, self.schema.table, ordered.table().select(kept)))

    def _empty(self, source: Source, blanks: bool) -> Emptier:
        """Return a function that empties structural blanks of filled rows, so that rules do not see them."""
        missing, context = np.isnan(source.values) & (not blanks), source.context

        def empty(codes: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            own = None if context is None else context[rows]
            return np.where(missing[rows] & blank_cells(self.schema.table, codes, own), np.nan, codes)

        return empty

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
