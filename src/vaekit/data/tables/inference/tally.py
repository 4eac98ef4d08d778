"""Summaries of the cells of columns, gathered in one pass and bounded memory, to infer their kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vaekit.data.tables.columns import LARGEST
from vaekit.data.tables.frame import Frame, Seen
from vaekit.data.tables.inference.grid import GridFinder, drop_if_fine
from vaekit.data.tables.types import family, to_plain
from vaekit.data.tables.written import EXACT
from vaekit.errors import DataError
from vaekit.reporters import track

DISTINCT = 20_000
"""Most different values of a column that are counted; of more values, the most frequent are counted."""
SAMPLE, SAMPLE_CELLS = 20_000, 4_000_000
"""Most rows, and most cells, of the random sample."""
UNIQUE = 0.95
"""With a larger share of different cells, nearly all cells of a column count as different."""
LONGEST = 200
"""Characters after which text is cut; longer cells are not categories."""

Array = npt.NDArray[np.float64]


@dataclass
class Tally:
    """Summarises the cells of a column, to infer its kind.

    Args:
        name: its name.
        type: its Arrow type.
        rows: number of cells with a value.
        missing: number of missing cells.
        low: the least number.
        high: the greatest number.
        monotone: whether the numbers only increase, or only decrease.
        exact: whether all different values were counted.
        share: share of different values among the cells, as long as all were counted.
        cut: whether a text was cut.
        levels: the values of an ordered categorical type, in order.
        seen: what the reader noticed.
    """

    name: str
    type: Any
    seen: Seen = field(default_factory=Seen)
    rows: int = 0
    missing: int = 0
    low: float = np.inf
    high: float = -np.inf
    monotone: bool = True
    exact: bool = True
    share: float = 1.0
    cut: bool = False
    levels: tuple[Any, ...] = ()
    _last: Array = field(default_factory=lambda: np.empty(0))
    _direction: float = 0.0
    _counting: bool = True
    _values: Any = None
    _counts: Array = field(default_factory=lambda: np.empty(0))
    _grid: GridFinder = field(init=False)
    _sample: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._grid = GridFinder(self.type)

    @property
    def family(self) -> Literal["number", "truth", "date", "text", "other"]:
        """Return the family of the column's type."""
        return family(self.type)

    @cached_property
    def counts(self) -> dict[Any, int]:
        """Return the different values and their counts, sorted by descending count and then by value."""
        if self._values is None:
            return {}
        table = pa.table({"v": self._values, "n": self._counts.astype(np.int64)})
        table = table.sort_by([("n", "descending"), ("v", "ascending")])
        values = table["v"].to_numpy().tolist() if self.family == "number" else table["v"].to_pylist()
        return dict(zip(values, table["n"].to_pylist(), strict=True))

    @property
    def distinct(self) -> int:
        """Return the number of different values that were counted."""
        return len(self._values) if self._values is not None else 0

    @property
    def usual(self) -> tuple[Any, float]:
        """Return the most frequent value and its share of the cells."""
        if self.exact:
            value, count = next(iter(self.counts.items()))
            return value, count / self.rows
        values, counts = np.unique(self.numbers[~np.isnan(self.numbers)], return_counts=True)
        return float(values[counts.argmax()]), float(counts.max() / counts.sum())

    @property
    def integer(self) -> bool:
        """Return whether all numbers are integers."""
        return self._grid.decimals == 0

    @cached_property
    def sample(self) -> Any:
        """Return the cells of the sampled rows, which are the same rows for every column."""
        kind = to_plain(pa.nulls(0, self.type)).type if self.family != "other" else pa.string()
        return pa.chunked_array(self._sample, kind).combine_chunks()

    @cached_property
    def numbers(self) -> Array:
        """Return the numbers of the sampled rows, dates in microseconds, shape (rows,), NaN where missing."""
        cells = self.sample.cast(pa.int64()) if self.family == "date" else self.sample
        return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))

    @cached_property
    def quantiles(self) -> Array:
        """Return the quantiles of the sample at 1, 5, 25, 50, 75, 95 and 99 %."""
        found = self.numbers[~np.isnan(self.numbers)]
        middle = found if len(found) else np.array([self.low, self.high])
        return np.quantile(middle, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])

    @cached_property
    def rounding(self) -> float:
        """Return the spacing of the grid on which all numbers lie; 0 if there is no grid."""
        values = np.array(sorted(self.counts)) if self.exact and self.family == "number" else np.empty(0)
        return self._grid.spacing(values, self.distinct)

    @property
    def spacing(self) -> float:
        """Return the spacing of the grid, or 0 if the column counts as continuous."""
        return drop_if_fine(self.rounding, self.quantiles[4] - self.quantiles[2] or self.high - self.low)

    @property
    def marks(self) -> tuple[tuple[str, int], ...]:
        """Return the words that mark missing cells, with their counts."""
        return self.seen.missing or ((("", self.missing),) if self.missing else ())

    @property
    def huge(self) -> bool:
        """Return whether integers are too large for a double to distinguish."""
        return pa.types.is_integer(self.type) and max(-self.low, self.high) > EXACT

    def add(self, cells: Any, first_row: int, drawn: npt.NDArray[np.int64]) -> None:
        """Add a block of cells to the summary.

        Args:
            cells: an Arrow array.
            first_row: the number of its first row.
            drawn: the rows that belong to the sample.

        Raises:
            DataError: if a number is infinite or too large.
        """
        if self.family == "other":
            self.missing += cells.null_count
            self.rows += len(cells) - cells.null_count
            return
        if pa.types.is_dictionary(self.type) and self.type.ordered and not self.levels:
            self.levels = tuple(cells.chunk(0).dictionary.to_pylist())
        cells = to_plain(cells)
        if self.family == "text":
            self.cut = self.cut or (pc.max(pc.utf8_length(cells)).as_py() or 0) > LONGEST
            cells = pc.utf8_slice_codeunits(cells, 0, LONGEST)
        self._sample.append(cells.take(pa.array(drawn)))
        present = cells.drop_null()
        self.missing += cells.null_count
        self.rows += len(present)
        self._count(present)
        if self.family in ("number", "date") and len(present):
            self._measure(cells, present, first_row)

    def _count(self, present: Any) -> None:
        if not self._counting:
            return
        found = pc.value_counts(present)
        values, counts = found.field(0), found.field(1).to_numpy()
        if self._values is not None:
            both = pa.concat_arrays([self._values, values]).dictionary_encode()
            weights = np.concatenate([self._counts, counts])
            values, counts = both.dictionary, np.bincount(both.indices.to_numpy(), weights, len(both.dictionary))
        if self.exact and self.rows:
            self.share = len(values) / self.rows
            self.exact = len(values) <= DISTINCT
            # Counting ends for numbers of many values, and for text that hardly ever repeats.
            self._counting = self.exact or (self.family == "text" and self.share < UNIQUE)
        if len(values) > 2 * DISTINCT:  # frequent values occur again later
            most = np.sort(np.argsort(-counts, kind="stable")[:DISTINCT])
            values, counts = values.take(pa.array(most)), counts[most]
        self._values, self._counts = values, counts

    def _measure(self, cells: Any, present: Any, first_row: int) -> None:
        if self.family == "date":
            present = present.cast(pa.int64())
        x = present.cast(pa.float64(), safe=False).to_numpy()
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        if max(-self.low, self.high) > LARGEST:
            row = pc.index(pc.greater(pc.abs(cells), LARGEST), value=True).as_py()
            must = f"every number must be finite, and at most {LARGEST:g} in size"
            mend = f"Correct the cell, or leave it empty; data.columns.{self.name}=ignore leaves the column out"
            raise DataError(must, f"{cells[row].as_py():g} in column '{self.name}', row {first_row + row}", mend)
        self._grid.add(x)
        signs = np.sign(np.diff(x, prepend=self._last))
        if len(signs):
            self._direction = self._direction or float(signs[0])
            self.monotone = self.monotone and self._direction != 0 and bool((signs == self._direction).all())
        self._last = x[-1:]


def tally_columns(frame: Frame, ignored: set[str]) -> list[Tally]:
    """Summarise the cells of each column of a table in one pass over all rows.

    Args:
        frame: the rows.
        ignored: columns that are skipped.

    Returns:
        A summary of each column, in order.

    Raises:
        DataError: if a number is infinite or too large.
    """
    tallies = [Tally(column.name, column.type, frame.seen.get(column.name, Seen())) for column in frame.schema]
    size = min(SAMPLE, max(SAMPLE_CELLS // len(tallies), 1000), frame.rows)
    drawn = np.sort(np.random.default_rng(0).choice(frame.rows, size, replace=False))
    row = 0
    with track(frame.rows) as advance:
        for table in frame.read():
            here = drawn[(drawn >= row) & (drawn < row + len(table))] - row
            for tally, cells in zip(tallies, table.columns, strict=True):
                if tally.name not in ignored:
                    tally.add(cells, row, here)
            row += len(table)
            advance(len(table))
    return tallies
