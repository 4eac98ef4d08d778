"""Find equalities, sums and orders among columns of numbers and dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Literal

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.rules.base import complete
from vaekit.data.tables.rules.linear import Sum
from vaekit.data.tables.rules.proposals.candidates import HOLDS, LEAST_ROWS, SCREENED, Table, often

Array = npt.NDArray[np.float64]
Terms = tuple[tuple[str, Literal[1, -1]], ...]
BY_CHANCE = 0.05
"""An order is proposed if rows of independent columns would break it at least this often."""
ROWS_SUMMED = 60
"""Rows with which most sums are refused."""
MOST_TERMS = 8
"""Most terms of a sum that is proposed."""
MOSTLY = 0.98
"""A term of a sum must not have one value in a greater share of the rows."""
SUBSETS, ROWS_SOLVED, ROWS_OTHER = 3, 300, 5
"""How often linear relations are solved for, and with how many rows, since a few rows may break a rule; among them rows
in which a column differs from 0."""


def find_equalities(table: Table) -> Iterator[tuple[str, str]]:
    """Yield pairs of columns with the same values; each column is the second of at most one pair."""
    taken: set[str] = set()
    for first, second in combinations(table.values, 2):
        if first in taken or second in taken or table.scales[first].sort != table.scales[second].sort:
            continue
        a, b = table.values[first], table.values[second]
        head = slice(SCREENED)
        if np.mean(a[head] == b[head]) < HOLDS * np.mean(~np.isnan(a[head] + b[head])) - 0.01:
            continue
        there = complete(table.values, (first, second))
        a, b = a[there], b[there]
        if often(a == b) and often((a == b)[(a != _mode(a)) | (b != _mode(b))]):
            taken.add(second)
            yield first, second


def _mode(values: Array) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def find_orders(table: Table, names: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield lower column, upper column, and whether they always differ.

    Orders that follow from the ranges of the columns are left out: rows of independent columns would break the order
    of a pair that is proposed.
    """
    for lower, upper in permutations(names, 2):
        if table.scales[lower].sort != table.scales[upper].sort:
            continue
        a, b = table.values[lower], table.values[upper]
        if np.mean(a[:SCREENED] > b[:SCREENED]) > 1.01 - HOLDS:
            continue
        there = complete(table.values, (lower, upper))
        a, b = a[there], b[there]
        if not often(a <= b):
            continue
        some = np.sort(b[:SCREENED])
        by_chance = np.mean(np.searchsorted(some, a[:SCREENED], "left")) / max(len(some), 1)
        if by_chance >= BY_CHANCE and by_chance * len(a) >= LEAST_ROWS and np.mean(a == b) < MOSTLY:
            whole = table.scales[lower].step and table.scales[upper].step
            yield lower, upper, bool(whole and not (a == b).any())


def find_sums(table: Table, names: Sequence[str]) -> Iterator[tuple[str, Terms]]:
    """Yield totals with their terms; no relation follows from those before it."""
    usable = [name for name in names if table.scales[name].sort == "number" and _varies(table.values[name])]
    place = {name: i for i, name in enumerate(usable)}
    known = np.empty((0, len(usable)))
    for total, terms in (*_sums_of_two(table, usable), *_longer_sums(table, usable)):
        relation = np.zeros((1, len(usable)))
        relation[0, [place[total], *(place[name] for name, _ in terms)]] = [-1, *(sign for _, sign in terms)]
        more = np.concatenate([known, relation])
        if np.linalg.matrix_rank(more) > len(known) and _is_sum(table, total, terms):
            known = more
            yield total, terms


def _varies(values: Array) -> bool:
    values = values[~np.isnan(values)]
    return len(values) > 0 and int(np.count_nonzero(values != _mode(values))) >= LEAST_ROWS


def _is_sum(table: Table, total: str, terms: Terms) -> bool:
    """Return whether a sum holds, also in the rows in which a term differs from its most frequent value."""
    rule = Sum(text="", total=total, terms=terms).fit(table.values, table.scales)
    there = complete(table.values, rule.columns)
    holds = rule.holds(table.values)
    holds = holds[there]
    cells = [table.values[name][there] for name, _ in terms]
    return often(holds) and all(often(holds[values != _mode(values)]) for values in cells)


def _sums_of_two(table: Table, names: Sequence[str]) -> Iterator[tuple[str, Terms]]:
    """Yield candidates total == x + y that hold in some rows."""
    X = np.stack([table.values[name][:SCREENED] for name in names], 1) if names else np.empty((0, 0))
    crowded = np.argsort(np.isnan(X).sum(1), kind="stable")[:ROWS_SUMMED]
    rows = np.unique(np.concatenate([crowded, np.arange(min(len(X), ROWS_SUMMED))]))
    X = X[rows]
    steps = np.array([table.scales[name].step for name in names])
    for i, j in combinations(range(len(names)), 2):
        both = X[:, i] + X[:, j]
        size = np.abs(X[:, i]) + np.abs(X[:, j])
        wrong = np.abs(X - both[:, None]) > steps / 2 + 1e-6 * size[:, None]
        there = ~np.isnan(X + both[:, None])
        hits = (wrong.sum(0) <= (1.01 - HOLDS) * there.sum(0) + 1) & (there.sum(0) >= LEAST_ROWS / 4)
        for t in np.flatnonzero(hits).tolist():
            if t not in (i, j):
                yield names[t], ((names[i], 1), (names[j], 1))


def _longer_sums(table: Table, names: Sequence[str]) -> Iterator[tuple[str, Terms]]:
    """Yield candidates with several terms: columns that depend linearly on those before them, with coefficients ±1."""
    often_there = [n for n in names if np.isnan(table.values[n]).mean() < 0.5]
    if len(often_there) < 3:
        return
    steps = [table.scales[name].step for name in often_there]
    X = np.stack([table.values[name] for name in often_there], 1)
    X = X[~np.isnan(X).any(1)]
    for subset in range(SUBSETS):
        part = X[subset::SUBSETS]
        other = [np.flatnonzero(column)[:ROWS_OTHER] for column in part.T]
        part = part[np.unique(np.concatenate([np.arange(min(len(part), ROWS_SOLVED)), *other]))]
        if len(part) >= LEAST_ROWS + len(often_there):
            yield from _relations(part, often_there, steps)


def _relations(X: Array, names: Sequence[str], steps: Sequence[float]) -> Iterator[tuple[str, Terms]]:
    """Yield the columns that are sums of those before them, up to the last digit."""
    scale: Array = np.abs(X).max(0)
    basis: list[int] = []
    for column, step in enumerate(steps):
        own = X[:, basis] / scale[basis]
        weights = np.linalg.lstsq(own, X[:, column], rcond=1e-12)[0] if basis else np.empty(0)
        slack = 1e-7 * scale[column] + (0.6 * step if step < 1 else 0.0)
        if np.abs(X[:, column] - own @ weights).max() > slack:
            basis.append(column)
            continue
        weights = weights / scale[basis]
        signs = np.round(weights)
        if not signs.any():
            continue
        used = np.flatnonzero(signs)
        if np.abs(weights - signs).max() < 1e-4 and np.abs(signs).max() == 1 and 2 <= len(used) <= MOST_TERMS:
            yield _as_total({column: -1} | {basis[i]: int(signs[i]) for i in used}, column, names)


def _as_total(relation: dict[int, int], last: int, names: Sequence[str]) -> tuple[str, Terms]:
    """Write a relation Σ sign · column = 0 as a total: the column that alone has its sign, or the last one."""
    alone = [c for c, sign in relation.items() if list(relation.values()).count(sign) == 1]
    total = alone[0] if alone and len(relation) > 2 else last
    flip = -relation[total]
    terms = sorted((column, sign * flip) for column, sign in relation.items() if column != total)
    return names[total], tuple((names[column], 1 if sign > 0 else -1) for column, sign in terms)
