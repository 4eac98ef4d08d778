"""A trained run on a mixed table: rows go in and come out as tables, with their columns' names, order and types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import SeedStream, Source
from vaekit.data.tables.arrays import LABEL, as_array, without_labels
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.coding import code_values, draw_rare, fill, write_back
from vaekit.data.tables.dates import DAY
from vaekit.errors import DataError, VaekitError, at_least_one, did_you_mean
from vaekit.evaluation import TableModel
from vaekit.models import VariationalAutoEncoder
from vaekit.runs.run import Run, repeated

Array = npt.NDArray[Any]


class TableRun(Run):
    """A model of a mixed table, as `vaekit.train` returns and `vaekit.load` reads it.

    Data frames come back as the library they were given in (pandas, polars or Arrow), arrays as arrays, and what was read
    from a file as an Arrow table. Cells may be missing wherever rows are given.
    """

    mean_dtype = np.float64  # in single precision, dates would be wrong by minutes

    def reconstruct(self, X: object) -> Any:
        """A typical row for the posterior mean of each row: the likeliest category, the middle of a number's distribution.

        Args:
            X: rows, as in `encode`.

        Returns:
            A table of n rows; every cell is the model's, missing ones included.
        """
        source = self.open(X)
        codes = self._map(self.checked(source), self._there_and_back)
        return self._native(codes, source)

    def decode(self, z: npt.ArrayLike, given: Mapping[str, Any] | None = None) -> Any:
        """A typical row for each latent vector, shape (n, latent_dim); a table of n rows."""
        return self._own(super().decode(z, given), given or {})

    def sample(self, n: int, seed: int = 0, mean: bool = False, given: Mapping[str, Any] | None = None) -> Any:
        """New rows: z ~ p(z), then every cell from p(x|z); categories are drawn by their probabilities.

        Args:
            n: how many, ≥ 1.
            seed: the same seed gives the same rows.
            mean: whether to return typical rows rather than draws.
            given: columns and the value that they have in all rows, as `condition` takes them. A column that the model is
                given may have a list of n values, too.

        Returns:
            A table of n rows.
        """
        given = given or {}
        if set(given) - {column.name for column in self.schema.context}:
            if mean:
                raise VaekitError("`mean` must be left out where cells are given, as `impute` gives means", "mean=True")
            return self.condition(n, given, seed)[0]
        codes = super().sample(n, seed, mean, given)
        if not mean:
            codes = draw_rare(codes, self.schema.modelled, SeedStream.SAMPLE_RARE.rng(seed).random(codes.shape))
        return self._own(codes, given)

    def condition(self, n: int, given: Mapping[str, Any], seed: int = 0) -> tuple[Any, float]:
        """New rows in which some cells are given, by importance resampling from the joint distribution.

        Args:
            n: how many, ≥ 1.
            given: columns and their values, any subset; of a conditional model with all that it is given.
            seed: the same seed gives the same rows.

        Returns:
            A table of n rows, and the effective sample size behind it: far below n, rows repeat each other's latent vector.

        Raises:
            DataError: for an unknown column or an impossible value.
        """
        at_least_one(n, "n")
        beside = {column.name: given[column.name] for column in self.schema.context if column.name in given}
        row = self._row({name: value for name, value in given.items() if name not in beside})
        codes, size = self._table_model(None).condition(row, n, seed, self.context(beside, 1))
        return self._own(codes, beside), size

    def _row(self, given: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Codes of the cells of a row that are given, NaN elsewhere."""
        names = list(self.schema.columns)
        row = np.full(len(names), np.nan)
        for name, value in given.items():
            if name not in names:
                raise DataError("a given column must be one that is modelled", f"'{name}'", did_you_mean(name, names))
            (row[names.index(name)],) = code_values(self.schema.modelled[names.index(name)], [value])
        return row

    def impute(self, X: object, samples: int | None = None) -> Any:
        """The same rows with their missing cells filled: conditional means of numbers, likeliest values of lists.

        A mean is given as the nearest value that the column can have, where it has steps (whole numbers, cents, days).

        Args:
            X: rows, as in `encode`.
            samples: draws K of z for each row; the recipe's `evaluation.samples` by default.

        Returns:
            A table of n rows.

        References:
            Mattei and Frellsen, "MIWAE", 2019.
        """
        source, model = self.open(X), self._table_model(samples)
        return self._native(model.cells.round(model.impute(self.checked(source))[0]), source, keep=True)

    def uncertainty(self, X: object, samples: int | None = None) -> pa.Table:
        """How sure `impute` is: of each filled number its standard deviation (of dates in days), of each filled category its probability.

        Args:
            X: rows, as in `encode`.
            samples: draws K, as in `impute`.

        Returns:
            An Arrow table of numbers with the modelled columns, empty where a cell was there.
        """
        spread = self._table_model(samples).impute(self.checked(self.open(X)))[1]
        days = np.array([1 / DAY if column.kind == "datetime" else 1.0 for column in self.schema.modelled])
        return self._figures(spread * days)

    def impute_draws(self, X: object, draws: int, samples: int | None = None, seed: int = 0) -> list[Any]:
        """Complete tables whose missing cells are drawn from p(x_missing|x_observed): multiple imputation.

        Args:
            X: rows, as in `encode`.
            draws: how many tables, M ≥ 1.
            samples: draws K of z for each row, of which each table follows one.
            seed: another seed gives other draws.

        Returns:
            M tables of n rows.
        """
        source = self.open(X)
        codes = self._table_model(samples).draw(self.checked(source), at_least_one(draws, "draws"), seed)
        return [self._native(each, source, keep=True) for each in codes]

    def explain(self, X: object, samples: int | None = None) -> pa.Table:
        """Which cells make a row strange: −log p(cell|others of its row), less what is usual for such a cell, in nats.

        Args:
            X: rows, as in `encode`.
            samples: draws K for each cell.

        Returns:
            An Arrow table of numbers with the modelled columns: 0 is usual, far above 0 strange; empty where a cell is missing.
        """
        return self._figures(self._table_model(samples).explain(self.checked(self.open(X))))

    def _table_model(self, samples: int | None) -> TableModel:
        cells = self.transform.cells
        if not isinstance(cells, Cells) or not isinstance(self.model, VariationalAutoEncoder):
            raise VaekitError("a table run must have cells and a likelihood", f"'{self.path}'")
        return TableModel(self.model, self.schema, cells, self._samples(samples))

    def _figures(self, cells: npt.NDArray[np.float64]) -> pa.Table:
        """A number for each modelled cell, shape (n, C), as a table; empty where it is NaN."""
        columns = {n: pa.array(c, mask=np.isnan(c)) for n, c in zip(self.schema.columns, cells.T, strict=True)}
        return pa.table(columns)

    def _own(self, codes: npt.NDArray[np.float64], given: Mapping[str, Any]) -> Any:
        """Rows of the model's own making: an Arrow table, or an array where it was trained on one, NaN in left-out columns."""
        cells = {
            column.name: column.decode(code_values(column, repeated(column.name, given[column.name], len(codes))))
            for column in self.schema.context
        }
        if not self.schema.array:
            return write_back(codes, self.schema.table, pa.table(cells))
        unknown = {c.name: pa.nulls(len(codes)) for c in self.schema.table if c.kind in ("identifier", "text")}
        table = write_back(codes, self.schema.table, pa.table(unknown | cells))
        return without_labels(table) if LABEL in cells else as_array(table)

    def _native(self, codes: npt.NDArray[np.float64], source: Source, keep: bool = False) -> Any:
        """Rows that answer given ones, in the library of these; `keep` leaves every cell that is there as it was given."""
        frame = source.frame
        if frame is None:
            raise VaekitError("rows must have come from a table", "a source without one")
        there = set(frame.names)
        by_place = not frame.named and len(there) == len(self.schema.table)
        names = [c.name for c in self.schema.table if by_place or c.name in there]
        there = set(names)
        ordered = frame.in_order(names)
        given = ordered.table()
        fixed = () if keep else ("constant",)  # whose missing cells can be filled, too
        left_out = [
            c.name
            for c in self.schema.table
            if (c.context or c.kind in ("identifier", "text", *fixed)) and c.name in there
        ]
        found = write_back(codes, self.schema.table, given.select(left_out))
        if keep:
            cells, kept = dict(zip(found.column_names, found.columns, strict=True)), there.difference(left_out)
            for column in (column for column in self.schema.table if column.name in kept):
                empty = ordered.cells(given, column.name).is_null(nan_is_null=True)
                made = cells[column.name]
                cells[column.name] = fill(column, given[column.name], empty, made, frame.marks is not None)
            found = pa.table(cells)
        return ordered.native(found)
