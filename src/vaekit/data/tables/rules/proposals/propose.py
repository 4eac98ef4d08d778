"""Propose rules that training rows obey: a small set, in which none follows from the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.columns import Column
from vaekit.data.tables.rules.base import Rule
from vaekit.data.tables.rules.conflicts import check_rules
from vaekit.data.tables.rules.grammar import read_rule, write_name
from vaekit.data.tables.rules.proposals.candidates import Table
from vaekit.data.tables.rules.proposals.categories import find_dependences, find_fixed, find_slices, without_chains
from vaekit.data.tables.rules.proposals.numbers import Terms, find_equalities, find_orders, find_sums
from vaekit.errors import DataError

Array = npt.NDArray[np.float64]
MOST_SEARCHED = 30_000
"""Most training rows in which rules are searched."""


@dataclass(frozen=True)
class Proposal:
    """Holds a rule that training rows obey.

    Args:
        text: the rule, as `data.rules` takes it.
        holds: the number of rows that obey it.
        tested: the number of rows in which it could be tested.
    """

    text: str
    holds: int
    tested: int


def propose_rules(columns: Sequence[Column], codes: Array, accepted: Sequence[Rule] = ()) -> tuple[Proposal, ...]:
    """Find rules that at least 99.9 % of the rows obey.

    Rules that say little are left out: of nearly constant columns, of ranges that do not overlap, of groups of few
    rows, and rules that follow from others.

    Args:
        columns: the modelled columns.
        codes: codes of training rows, shape (n, C), NaN where a cell is missing.
        accepted: rules that the user has accepted already; nothing is proposed that contradicts them.

    Returns:
        The proposals, all of which can be accepted together.
    """
    table = Table.of(columns, codes)
    proposals: list[Proposal] = []
    rules = [read_rule(rule.text) for rule in accepted]
    for texts, counted in _candidates(table):
        for text in texts:
            rule = read_rule(text)
            try:
                check_rules([*rules, rule])
            except DataError:
                continue
            rules.append(rule)
            fitted = rule.fit(table.values, table.scales).tally(table.values)
            proposals.append(Proposal(text, *(counted or (fitted.tested - fitted.broken, fitted.tested))))
            break
    return tuple(proposals)


def _candidates(table: Table) -> Iterator[tuple[list[str], tuple[int, int] | None]]:
    """Yield rules, each in the ways to write it, with the rows that obey it and that test it, if they are counted."""
    equal = list(find_equalities(table))
    for first, second in equal:
        yield [f"{write_name(second)} == {write_name(first)}"], None
    doubles = {second for _, second in equal}
    numbers = [name for name in table.numbers if name not in doubles]
    sums = list(find_sums(table, numbers))
    for total, terms in sums:
        yield _ways_to_write(total, terms), None
    yield from _of_categories(table, doubles)
    below = {(lower, upper): strict for lower, upper, strict in find_orders(table, numbers)}
    implied = {(name, total) for total, terms in sums for name, _ in terms}
    for lower, upper in without_chains(below):
        if (lower, upper) not in implied:
            sign = "<" if below[lower, upper] else "<="
            yield [f"{write_name(lower)} {sign} {write_name(upper)}"], None


def _ways_to_write(total: str, terms: Terms) -> list[str]:
    """Return the ways to write a sum, with each of its columns as the total."""
    relation = [(total, -1), *terms]
    ways = []
    for name, sign in relation:
        rest = sorted(((other, -own * sign) for other, own in relation if other != name), key=lambda term: -term[1])
        words = [f"{'+' if own > 0 else '-'} {write_name(other)}" for other, own in rest]
        ways.append(f"{write_name(name)} == {' '.join(words).removeprefix('+ ')}")
    return ways


def _of_categories(table: Table, doubles: set[str]) -> Iterator[tuple[list[str], tuple[int, int] | None]]:
    sliced = [each for each in find_slices(table) if not doubles & set(each[:2])]
    for target, source, length in sliced:
        place = "0" if length == 1 else f"0:{length}"
        yield [f"{write_name(target)} == {write_name(source)}[{place}]"], None
    depends = {pair: rows for pair, rows in find_dependences(table).items() if not doubles & set(pair)}
    parts = {(source, target) for target, source, _ in sliced}
    same = {target for source, target in depends if table.counts[source] == table.counts[target]}
    chosen = without_chains([pair for pair in depends if pair[0] not in same])
    for source, target in sorted(chosen, key=lambda pair: table.counts[pair[0]]):
        if (source, target) not in parts:
            yield [f"{write_name(source)} -> {write_name(target)}"], depends[source, target]
    for pair, rows in find_fixed(table, [*depends, *parts]).items():
        if not doubles & set(pair):
            yield [f"fixed({', '.join(map(write_name, pair))})"], rows
