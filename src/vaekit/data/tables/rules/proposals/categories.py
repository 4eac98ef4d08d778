"""Find parts of texts, functional dependences and fixed combinations among columns with categories."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations, permutations

import numpy as np

from vaekit.data.tables.rules.proposals.candidates import HOLDS, LEAST_ROWS, SCREENED, Integers, Table, often

LEAST_GROUP = 5
"""A dependence is counted in rows whose source has at least this many rows."""
CONSTANT = 0.95
"""A column with one value in a greater share of the rows is nearly constant, and depends on anything."""
MOST_COMBINED = 2000
"""Most combinations that two columns might have, of which some are fixed."""
UNUSED, ROWS_EACH = 0.2, 20
"""Combinations are proposed if this share of the rows of independent columns would have another combination, and if
there are this many rows for each combination."""


def find_slices(table: Table) -> Iterator[tuple[str, str, int]]:
    """Yield target, source and length of targets that are the first letters of their sources."""
    texts = [name for name in table.categories if table.scales[name].sort == "text"]
    words = np.array(table.scales.texts, object)
    lengths = {
        name: {len(word) for word in words[np.unique(values[~np.isnan(values)]).astype(int)]}
        for name, values in ((name, table.values[name]) for name in texts)
    }
    for source, target in permutations(texts, 2):
        if len(lengths[target]) != 1 or table.counts[target] >= table.counts[source]:
            continue
        (length,) = lengths[target]
        there = ~np.isnan(table.values[source] + table.values[target])
        own, whole = (words[table.values[name][there].astype(int)] for name in (target, source))
        holds = np.array([a == b[:length] for a, b in zip(own, whole, strict=True)], bool)
        if often(holds) and max(lengths[source]) > length and _share(table, target) <= CONSTANT:
            yield target, source, length


def _share(table: Table, name: str) -> float:
    """Return the share of the most frequent value of a column."""
    labels = table.labels[name]
    counts = np.bincount(labels[labels >= 0])
    return float(counts.max(initial=0) / max(counts.sum(), 1))


def find_dependences(table: Table) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (source, target) of functional dependences, with the rows in which they hold and could be tested.

    Of two columns that determine each other, the first one is the source. Chains are not shortened.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    targets = [name for name in table.values if table.counts[name] >= 2 and _share(table, name) <= CONSTANT]
    for source in table.categories:
        for target in targets:
            several = 2 <= table.counts[target] <= table.counts[source]
            if source == target or not several or (target, source) in found:
                continue
            holds, rows = _determined(*table.pairs(source, target, SCREENED), least=1)
            if holds < (HOLDS - 0.01) * rows:
                continue
            a, b = table.pairs(source, target)
            holds, rows = _determined(a, b, LEAST_GROUP)
            mode = np.bincount(b).max(initial=0)
            if rows >= max(LEAST_ROWS, len(a) / 2) and holds >= HOLDS * rows and mode <= CONSTANT * len(b):
                found[source, target] = holds, rows
    return found


def _determined(a: Integers, b: Integers, least: int) -> tuple[int, int]:
    """Return in how many rows b is the most frequent one of their group a, and how many rows groups have.

    Args:
        a: the group of each row.
        b: another label of each row.
        least: smaller groups do not count.
    """
    if not len(a):
        return 0, 0
    width = int(b.max()) + 1
    pairs, counts = np.unique(a * width + b, return_counts=True)
    groups = pairs // width
    sizes, most = np.zeros(int(a.max()) + 1, int), np.zeros(int(a.max()) + 1, int)
    np.add.at(sizes, groups, counts)
    np.maximum.at(most, groups, counts)
    large = sizes >= least
    return int(most[large].sum()), int(sizes[large].sum())


def without_chains(pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs that do not follow from others: a → c is left out beside a → b and b → c.

    Examples:
        >>> without_chains([("a", "c"), ("a", "b"), ("b", "c")])
        [('a', 'b'), ('b', 'c')]
    """
    kept = set(pairs)
    names = {name for pair in pairs for name in pair}
    return [(a, c) for a, c in pairs if not any((a, b) in kept and (b, c) in kept for b in names)]


def find_fixed(table: Table, related: Collection[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return pairs of columns with few of the possible combinations, and how many rows show it.

    A row counts as one in which the rule holds if another row has the same combination.

    Args:
        table: the rows.
        related: pairs of columns of which the first determines the second. Combinations of the second follow from those
            of the first.
    """
    joined = {frozenset(pair) for pair in related}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for first, second in combinations(table.categories, 2):
        possible = 4 <= table.counts[first] * table.counts[second] <= MOST_COMBINED
        if frozenset((first, second)) in joined or not possible:
            continue
        if _unused(_cross(table, first, second, SCREENED)) < UNUSED / 2:  # more rows have more combinations
            continue
        counts = _cross(table, first, second)
        rows = int(counts.sum())
        holds = rows - int((counts == 1).sum())
        enough = rows >= LEAST_ROWS and rows >= ROWS_EACH * int(np.count_nonzero(counts))
        if enough and holds >= HOLDS * rows and _unused(counts) >= UNUSED:
            found[first, second] = holds, rows
    finer = {(a, b): {frozenset((c, b)) for c, d in related if d == a} for a, b in (*found, *(p[::-1] for p in found))}
    pairs = {frozenset(pair) for pair in found}
    return {(a, b): rows for (a, b), rows in found.items() if not pairs & (finer[a, b] | finer[b, a])}


def _cross(table: Table, first: str, second: str, most: int | None = None) -> Integers:
    """Count the combinations of two columns in the rows (at most the first `most`) that have both."""
    a, b = table.pairs(first, second, most)
    shape = table.counts[first], table.counts[second]
    counts: Integers = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)
    return counts


def _unused(counts: Integers) -> float:
    """Return the share of the rows of independent columns that would have a combination which no row has."""
    independent = np.outer(counts.sum(1), counts.sum(0)) / max(counts.sum(), 1) ** 2
    return float(independent[counts == 0].sum())
