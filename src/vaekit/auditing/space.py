"""The space of all rows: the values of each cell, the rows one by one, and rows made up at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vaekit.errors import VaekitError, did_you_mean
from vaekit.evaluation.grid import MOST_POINTS, Axis, Grid, listed_axis, real_axis

Array = npt.NDArray[np.float64]
Kind = Literal["binary", "levels", "counts", "real"]
LINES = 2
"""Most real cells of a row for a grid."""
COARSEST = 100
"""Least number of points on a real line."""
MOST_COUNT = 64
"""The greatest count that is summed over, if there are no rows to tell."""


@dataclass(frozen=True)
class Cell:
    """Describes the values that one number of a row can have.

    Args:
        values: listed values, each with a probability.
        real: whether other real numbers are possible, too, with a density.
        width: a density at x counts as the probability of an interval of this width around x.
    """

    values: tuple[float, ...] = ()
    real: bool = False
    width: float = 1.0


@dataclass(frozen=True)
class Space:
    """Describes all rows that are possible.

    Args:
        shape: shape of one row.
        cells: the values of each number of a row, in C order.
        complete: whether no other values are possible; counts are unlimited, so their list is not complete.
        title: the kind of the data in words.
    """

    shape: tuple[int, ...]
    cells: tuple[Cell, ...]
    complete: bool = True
    title: str = ""

    @classmethod
    def of(cls, event: Sequence[int], kind: str, levels: int, rows: Array | None) -> Space:
        """Describe rows in which every number has the same kind of values.

        Args:
            event: shape of one row.
            kind: `binary`, `levels`, `counts` or `real`.
            levels: number of levels L of `levels`: 0, …, L − 1; 0 otherwise.
            rows: rows that show how large counts are, or None.

        Raises:
            VaekitError: for an unknown kind, an impossible shape, or levels without their number.
        """
        if kind not in get_args(Kind):
            raise VaekitError(
                f"`kind` must be one of {', '.join(get_args(Kind))}",
                repr(kind),
                did_you_mean(str(kind), get_args(Kind)),
            )
        shape = tuple(event)
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            raise VaekitError(
                "`event` must be the shape of one row, without the batch", str(event), "For example `event=(3, 3)`"
            )
        if (kind == "levels") != (levels > 0) or levels == 1:
            must = (
                "`levels` must be the number of levels, at least 2"
                if kind == "levels"
                else "`levels` needs `kind='levels'`"
            )
            raise VaekitError(must, str(levels))
        size, words = math.prod(shape), "×".join(map(str, shape))
        if kind == "real":
            return cls(shape, (Cell(real=True),) * size, title=f"{words} real numbers")
        if kind == "counts":
            most = MOST_COUNT if rows is None or not rows.size else 4 * int(rows.max()) + 40
            cell = Cell(tuple(map(float, range(most + 1))))
            return cls(shape, (cell,) * size, False, f"{words} counts, as far as {most}")
        count = levels or 2
        told = "binary numbers" if count == 2 else f"numbers with {count} levels"
        return cls(shape, (Cell(tuple(map(float, range(count)))),) * size, title=f"{words} {told}")

    @property
    def real(self) -> npt.NDArray[np.bool_]:
        """Return which cells may be real numbers, shape (D,)."""
        return np.array([cell.real for cell in self.cells])

    @property
    def combinations(self) -> int:
        """Return the number of combinations of listed values; a cell of real numbers counts as one."""
        return math.prod(max(1, len(cell.values)) for cell in self.cells)

    @property
    def listed(self) -> bool:
        """Return whether every cell has listed values only."""
        return not self.real.any()

    def check(self, rows: Array) -> None:
        """Refuse rows of another shape, or with values that are not possible.

        Raises:
            VaekitError: names the first value that is wrong.
        """
        if rows.shape[1:] != self.shape or not len(rows):
            raise VaekitError(f"`rows` must have the shape (n, {', '.join(map(str, self.shape))})", str(rows.shape))
        for cell, column in zip(self.cells, rows.reshape(len(rows), -1).T, strict=True):
            wrong = ~np.isfinite(column) if cell.real else ~np.isin(column, cell.values)
            if wrong.any():
                possible = "finite numbers" if cell.real else f"{cell.values[0]:g} … {cell.values[-1]:g}"
                must = f"the numbers in `rows` must be possible values of {self.title}: {possible}"
                raise VaekitError(must, f"{column[wrong.argmax()]:g} in row {wrong.argmax()}")

    def grid(self, rows: Array | None, most: int) -> Grid | None:
        """Return a grid over all rows, or None if it would need more than `most` points.

        Args:
            rows: rows that show where real numbers lie, shape (n, *shape); without them a grid around 0 of scale 1.
            most: greatest number of points.
        """
        lines = int(self.real.sum())
        if lines > LINES or self.combinations > most:
            return None
        on_lines = min(MOST_POINTS, most) // self.combinations
        if lines and on_lines ** (1 / lines) < COARSEST:
            return None
        flat = np.array([-1.0, 0.0, 1.0])[:, None].repeat(len(self.cells), 1)
        flat = flat if rows is None else rows.reshape(len(rows), -1)
        return Grid.of([_axis(cell, draws, lines, on_lines) for cell, draws in zip(self.cells, flat.T, strict=True)])

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Make up n rows at random: every listed value is equally likely, real numbers are standard normal."""
        columns = [rng.choice(cell.values, n) if cell.values else rng.normal(size=n) for cell in self.cells]
        return np.stack(columns, 1).reshape(n, *self.shape)


def _axis(cell: Cell, draws: Array, lines: int, most: int) -> Axis:
    """Return the points of one cell: its listed values, and points on the real line."""
    listed = listed_axis(cell.values)
    if not cell.real:
        return listed
    others = draws[~np.isin(draws, cell.values)]
    line = real_axis(others if len(others) else draws, lines, most)
    points = np.concatenate([listed.points, line.points])
    weights = np.concatenate([listed.weights, line.weights / cell.width])
    return Axis(points, weights, np.concatenate([listed.coarse, line.coarse / cell.width], 1))
