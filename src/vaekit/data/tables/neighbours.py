"""Columns of numbers whose cells are often near, or equal to, the cell of another column in the same row.

    near    |t(x) − t(x′)| < .05         t the map of the column to normal scores, x′ the cell of the other column
    equal   x = x′

A pair counts if this happens in many more rows than between cells of different rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.marginals import Marginal

Array = npt.NDArray[np.float64]

CLOSE = 0.05
"""Normal scores of a column that differ by less than this are near."""
LEAST_SHARE, EXCESS = 0.01, 2.0
"""Least share of the rows in which the cells of a pair are near, in all and as a multiple of that by chance."""
LEAST_ROWS = 10
"""Least number of rows in which the cells of a pair are near."""
TOLERATED = 1e-3
"""Share of the cells whose normal score in single precision may belong to a neighbouring value on the grid."""
MOST_ROWS, MOST_CELLS = 5_000, 20_000_000
"""Most rows, and most comparisons of cells."""
MOST_NEIGHBOURS = 8
"""Most columns to which the cells of a column are compared."""


def find_neighbours(columns: Sequence[Marginal], codes: Array) -> tuple[tuple[int, ...], ...]:
    """Return for each column the other columns whose cells are often near its own, the most frequent first.

    Args:
        columns: R columns of numbers.
        codes: their cells, NaN where missing, shape (n, R).

    Returns:
        Positions of other columns, for each of the R columns.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x = np.column_stack([bill := rng.normal(size=2000), rng.normal(size=2000), bill + 0.01])
        >>> line = Marginal(knots=(-1, 1), scores=(-1, 1), tails=(1, 1))
        >>> find_neighbours([line] * 3, x)
        ((2,), (), (0,))
    """
    rng, count = np.random.default_rng(0), len(columns)
    rows = min(len(codes), MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // max(1, count * count)))
    some = codes[np.sort(rng.permutation(len(codes))[:rows])]
    numbers = np.column_stack(
        [np.where(_at_point_mass(c, x), np.nan, x) for c, x in zip(columns, some.T, strict=True)] or [some]
    )
    other = numbers[rng.permutation(rows)]
    excess = np.zeros((count, count))
    for own, column in enumerate(columns):
        score = column.forward(numbers[:, own])[:, None]
        near = (np.abs(column.forward(numbers) - score) < CLOSE).sum(0)
        chance = (np.abs(column.forward(other) - score) < CLOSE).sum(0)
        enough = (near >= LEAST_ROWS) & (near >= LEAST_SHARE * rows) & (near > EXCESS * chance)
        excess[own] = np.where(enough, near - chance, 0)
    np.fill_diagonal(excess, 0)
    excess = np.maximum(excess, excess.T)  # either of the two may come first in a row
    best = np.argsort(-excess, 1, kind="stable")[:, :MOST_NEIGHBOURS]
    return tuple(tuple(int(i) for i in own if excess[at, i] > 0) for at, own in enumerate(best))


def _at_point_mass(column: Marginal, x: Array) -> npt.NDArray[np.bool_]:
    if not column.point_masses:
        return np.zeros(x.shape, bool)
    return column.point_mass(x) < len(column.point_masses)


def are_exact(columns: Sequence[Marginal], codes: Array) -> tuple[bool, ...]:
    """Return for each column whether a normal score in single precision still tells to which value on the grid it belongs.

    Only cells of such columns can be equal to a cell of another column; a density has no equal values.
    """
    return tuple(_is_exact(c, x[~np.isnan(x) & ~_at_point_mass(c, x)]) for c, x in zip(columns, codes.T, strict=True))


def _is_exact(column: Marginal, x: Array) -> bool:
    if not column.spacing:
        return False
    found = column.inverse(column.score_cells(x)[0].astype(np.float32).astype(np.float64))
    return bool((np.abs(found - x) > 0.5 * column.spacing).sum() <= TOLERATED * len(x))
