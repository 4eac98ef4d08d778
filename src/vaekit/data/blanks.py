"""Structural blanks: cells that are empty because another cell says so, such as the partner's income of a single person.

A column has structural blanks if it is empty in all training rows where a categorical column has certain values, and
mostly filled where that column has some other value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from vaekit.data.part import Part
from vaekit.data.tables.columns import CATEGORICAL, Column

Array = npt.NDArray[np.float64]

LEAST = 30
"""Fewest rows with a value from which a rule about this value is inferred."""
FILLED = 0.8
"""Least share of filled cells where the explaining column has some other value."""
SEARCHED = 20_000
"""Training rows in which explanations are searched; they are then checked in all training rows."""
MOST_COLUMNS = 200
"""Most columns that are tried as explanations; those with the fewest values are preferred."""


def find_blanks(part: Part, table: Sequence[Column]) -> tuple[Column, ...]:
    """Find the structural blanks of each column.

    Of several explanations, the one of most empty cells is chosen, and then the one with the fewest values. The explaining
    column has fewer missing cells than the column it explains, or as many and is an earlier column.

    Args:
        part: encoded training rows.
        table: all columns of the table.

    Returns:
        The columns, with `blank_where`.
    """
    known = _known(table)
    explaining = [i for i, column in enumerate(known) if column.kind in CATEGORICAL]
    explaining = sorted(explaining, key=lambda i: len(known[i].categories))[:MOST_COLUMNS]
    rows = part.subset(SEARCHED, 0)
    found = _search(rows, known, sorted(explaining), range(part.event_shape[0]))
    if len(rows) < len(part):
        found = _search(part, known, sorted({k for k, _ in found.values()}), sorted(found))
    rules = {
        known[j].name: (known[k].name, tuple(known[k].categories[v] for v in values))
        for j, (k, values) in found.items()
    }
    return tuple(c.model_copy(update={"blank_where": rules[c.name]}) if c.name in rules else c for c in table)


def blank_cells(table: Sequence[Column], codes: Array, context: Array | None = None) -> npt.NDArray[np.bool_]:
    """Return which cells are structural blanks.

    Args:
        table: all columns of the table.
        codes: codes of the modelled columns, shape (n, C), NaN where a cell is missing.
        context: codes of the context columns, if there are any.

    Returns:
        Shape (n, C).

    Examples:
        >>> kind = Column(name="kind", kind="binary", type="string", categories=("joint", "single"))
        >>> partner = Column(name="partner", kind="real", type="double", blank_where=("kind", ("single",)))
        >>> blank_cells([kind, partner], np.array([[0.0, 5.0], [1.0, 5.0]])).tolist()
        [[False, False], [False, True]]
    """
    both = codes if context is None else np.column_stack([codes, context])
    found = np.zeros(codes.shape, dtype=bool)
    for column, (other, values) in blank_rules(table).items():
        found[:, column] = np.isin(both[:, other], values)
    return found


def blank_rules(table: Sequence[Column]) -> dict[int, tuple[int, list[int]]]:
    """Return for each modelled column with structural blanks the column that explains them, and the codes of its values.

    Columns are counted as modelled columns, followed by the context.
    """
    known = _known(table)
    names = [column.name for column in known]
    found = {}
    for i, column in enumerate(known):
        if column.modelled and column.blank_where is not None:
            other = names.index(column.blank_where[0])
            found[i] = other, [known[other].categories.index(value) for value in column.blank_where[1]]
    return found


def _known(table: Sequence[Column]) -> list[Column]:
    """Return the columns that have codes: the modelled ones, then the context."""
    return [column for column in table if column.modelled] + [column for column in table if column.context]


def _search(
    part: Part, known: Sequence[Column], explaining: Sequence[int], columns: Sequence[int]
) -> dict[int, tuple[int, list[int]]]:
    """Return for each column with structural blanks the explaining column, and the codes of its values.

    Args:
        part: encoded rows.
        known: the columns that have codes.
        explaining: the columns that are tried as explanations.
        columns: the columns to explain.
    """
    rows, empty, total = _count(part, known, explaining, columns)
    rank = np.lexsort((np.arange(len(known)), total)).argsort()
    most, fewest = np.zeros(len(columns)), np.zeros(len(columns))
    found: dict[int, tuple[int, list[int]]] = {}
    for k in explaining:
        count = rows[k][:, None]
        always = (count >= LEAST) & (empty[k] == count)
        filled = ((count >= LEAST) & (empty[k] <= (1 - FILLED) * count)).any(0)
        possible = filled & (rank[k] < rank[list(columns)])
        covered, values = np.where(always, count, 0).sum(0) * possible, always.sum(0)
        better = (covered > most) | ((covered == most) & (covered > 0) & (values < fewest))
        most, fewest = np.where(better, covered, most), np.where(better, values, fewest)
        found |= {columns[i]: (k, np.flatnonzero(always[:, i]).tolist()) for i in np.flatnonzero(better).tolist()}
    return found


def _count(
    part: Part, known: Sequence[Column], explaining: Sequence[int], columns: Sequence[int]
) -> tuple[dict[int, Array], dict[int, Array], Array]:
    """Count the rows with each value of the explaining columns, their empty cells, and all missing cells.

    Returns:
        For each explaining column with V values, the rows (V,) and the empty cells of each column (V, columns); and the
        missing cells of each known column.
    """
    sizes = {k: len(known[k].categories) for k in explaining}
    rows = {k: np.zeros(size) for k, size in sizes.items()}
    empty = {k: np.zeros((size, len(columns))) for k, size in sizes.items()}
    total, context = np.zeros(len(known)), part.take_context()
    for start, block in part.blocks():
        codes = block if context is None else np.column_stack([block, context[start : start + len(block)]])
        missing = np.isnan(codes)
        total += missing.sum(0)
        for k, size in sizes.items():
            here = np.flatnonzero(codes[:, k] < size)  # neither missing nor rare
            values = codes[here, k].astype(np.int64)
            chosen = csr_array((np.ones(len(here)), (values, here)), shape=(size, len(codes)))
            rows[k] += chosen.sum(1)
            empty[k] += chosen @ missing[:, list(columns)].astype(np.float64)
    return rows, empty, total
