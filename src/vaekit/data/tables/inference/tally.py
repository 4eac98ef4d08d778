"""What is to be known of a column before its kind can be told, gathered in one reading and in bounded memory."""

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

DISTINCT = 20_000
"""So many different values of a column are counted; of more, the most frequent."""
SAMPLE, SAMPLE_CELLS = 20_000, 4_000_000
"""Rows and cells that are drawn for what is judged from a sample."""
UNIQUE = 0.95
"""From this share of different cells on, they are nearly all different."""
LONGEST = 200
"""Characters after which text is cut: longer cells are no categories."""

Array = npt.NDArray[np.float64]


@dataclass
class Tally:
    """What was seen of a column.

    Args:
        name: its name.
        type: its Arrow type.
        rows: cells that are there.
        missing: cells that are not.
        low: the least number.
        high: the greatest number.
        monotone: whether every number is greater than the one before, or every one less.
        exact: whether all different values were counted.
        share: how many of the cells differ from all before, as a share, while all were counted.
        cut: whether a text was too long.
        levels: the values of a categorical type with an order, in that order.
        seen: what the reader saw of it.
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
        """What its cells are."""
        return family(self.type)

    @cached_property
    def counts(self) -> dict[Any, int]:
        """Values and how often each was seen, by descending count, then value."""
        if self._values is None:
            return {}
        table = pa.table({"v": self._values, "n": self._counts.astype(np.int64)})
        table = table.sort_by([("n", "descending"), ("v", "ascending")])
        values = table["v"].to_numpy().tolist() if self.family == "number" else table["v"].to_pylist()
        return dict(zip(values, table["n"].to_pylist(), strict=True))

    @property
    def distinct(self) -> int:
        """How many different values were counted."""
        return len(self._values) if self._values is not None else 0

    @property
    def usual(self) -> tuple[Any, float]:
        """The most frequent value, and the share of the cells that it is."""
        if self.exact:
            value, count = next(iter(self.counts.items()))
            return value, count / self.rows
        values, counts = np.unique(self.numbers[~np.isnan(self.numbers)], return_counts=True)
        return float(values[counts.argmax()]), float(counts.max() / counts.sum())

    @property
    def integer(self) -> bool:
        """Whether all numbers are whole."""
        return self._grid.decimals == 0

    @cached_property
    def sample(self) -> Any:
        """Cells of the sampled rows, the same rows of every column."""
        kind = to_plain(pa.nulls(0, self.type)).type if self.family != "other" else pa.string()
        return pa.chunked_array(self._sample, kind).combine_chunks()

    @cached_property
    def numbers(self) -> Array:
        """Numbers in the sampled rows, dates as microseconds, shape (rows,), NaN where missing."""
        cells = self.sample.cast(pa.int64()) if self.family == "date" else self.sample
        return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))

    @cached_property
    def quantiles(self) -> Array:
        """Numbers below which 1 %, 5 %, 25 %, 50 %, 75 %, 95 % and 99 % of the sample lie."""
        found = self.numbers[~np.isnan(self.numbers)]
        middle = found if len(found) else np.array([self.low, self.high])
        return np.quantile(middle, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])

    @cached_property
    def rounding(self) -> float:
        """Distance of the lattice on which the numbers lie; 0 where there is none."""
        values = np.array(sorted(self.counts)) if self.exact and self.family == "number" else np.empty(0)
        return self._grid.spacing(values, self.distinct)

    @property
    def spacing(self) -> float:
        """The same; 0 where it is too fine to matter to the likelihood."""
        return drop_if_fine(self.rounding, self.quantiles[4] - self.quantiles[2] or self.high - self.low)

    @property
    def marks(self) -> tuple[tuple[str, int], ...]:
        """How missing cells are written, and how many are written so."""
        return self.seen.missing or ((("", self.missing),) if self.missing else ())

    @property
    def huge(self) -> bool:
        """Whether whole numbers are so large that a double does not tell them apart."""
        return pa.types.is_integer(self.type) and max(-self.low, self.high) > EXACT

    def add(self, cells: Any, first_row: int, drawn: npt.NDArray[np.int64]) -> None:
        """Take in further rows.

        Args:
            cells: an Arrow array.
            first_row: the number of its first row.
            drawn: which of its rows belong to the sample.

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
            # Of numbers no list is made, and what hardly ever comes twice is none.
            self._counting = self.exact or (self.family == "text" and self.share < UNIQUE)
        if len(values) > 2 * DISTINCT:  # what is frequent comes again
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
            raise DataError(
                f"every number must be finite, and at most {LARGEST:g} in size",
                f"{cells[row].as_py():g} in column '{self.name}', row {first_row + row}",
                f"Mend the cell, or leave it empty; data.columns.{self.name}=ignore leaves the column out",
            )
        self._grid.add(x)
        signs = np.sign(np.diff(x, prepend=self._last))
        if len(signs):
            self._direction = self._direction or float(signs[0])
            self.monotone = self.monotone and self._direction != 0 and bool((signs == self._direction).all())
        self._last = x[-1:]


def tally_columns(frame: Frame, ignored: set[str]) -> list[Tally]:
    """What is to be known of each column, from all rows.

    Args:
        frame: the rows.
        ignored: columns that are not looked at.

    Returns:
        One for each column of the frame, in order.

    Raises:
        DataError: if a number is infinite or too large.
    """
    tallies = [Tally(column.name, column.type, frame.seen.get(column.name, Seen())) for column in frame.schema]
    size = min(SAMPLE, max(SAMPLE_CELLS // len(tallies), 1000), frame.rows)
    drawn = np.sort(np.random.default_rng(0).choice(frame.rows, size, replace=False))
    row = 0
    for table in frame.read():
        here = drawn[(drawn >= row) & (drawn < row + len(table))] - row
        for tally, cells in zip(tallies, table.columns, strict=True):
            if tally.name not in ignored:
                tally.add(cells, row, here)
        row += len(table)
    return tallies
