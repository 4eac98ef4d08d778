"""Leave out of the rules of a table what only few training rows show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from vaekit.data import Column
from vaekit.data.tables.rules import AnyRule
from vaekit.data.tables.rules.combinations import NOWHERE, Combinations, TextSlice
from vaekit.data.tables.rules.order import Order
from vaekit.data.tables.rules.scales import Scales, make_scales
from vaekit.runs.sharing.categories import Pruned
from vaekit.runs.sharing.rebuild import rebuild

Listing = TypeVar("Listing", bound=Combinations)


def prune_rules(
    rules: Sequence[AnyRule],
    before: Sequence[Column],
    after: Sequence[Column],
    pruned: Mapping[str, Pruned],
    least: int,
    ends: bool,
) -> tuple[AnyRule, ...]:
    """Return the rules without rare combinations, and without the extremes of differences.

    Args:
        rules: the rules.
        before: the modelled columns.
        after: the same columns as they are shared.
        pruned: those with values left out, by name.
        least: least number of training rows of a combination that stays.
        ends: whether the extremes of differences move inwards.
    """
    named = {name for rule in rules for name in rule.columns}
    old, new = (make_scales([c for c in columns if c.name in named]) for columns in (before, after))
    found: list[AnyRule] = []
    for rule in rules:
        if isinstance(rule, Order):
            found.append(_blunt_order(rule, least) if ends else rule)
        elif isinstance(rule, Combinations):
            kept = _prune_combinations(rule, old, new, pruned, least)
            found += [kept] if kept.combinations else []
        else:
            found.append(rule)
    return tuple(found)


def _prune_combinations(rule: Listing, old: Scales, new: Scales, pruned: Mapping[str, Pruned], least: int) -> Listing:
    """Return a rule without rare combinations; the places of texts change where texts are left out."""
    table, counts = rule.table, np.array(rule.counts, np.int64)
    moved = table.copy()
    for j, name in enumerate(rule.columns):
        if (how := pruned.get(name)) is not None or old[name].sort == "text":
            codes = old[name].codes(table[:, j])
            codes = codes if how is None else how.recode(codes)
            moved[:, j] = np.where(table[:, j] == NOWHERE, NOWHERE, new[name].values(codes))
    kept = ~np.isnan(moved).any(1)
    if not isinstance(rule, TextSlice):  # its combinations follow from the texts
        kept &= counts >= least
    order = np.lexsort(moved[kept].T[::-1])  # the rules search in increasing values
    return rule.with_counts(moved[kept][order], counts[kept][order])


def _blunt_order(rule: Order, least: int) -> Order:
    """Return a rule whose differences begin and end where enough training rows lie."""
    steps = len(rule.differences) - 1
    rows = rule.tested - rule.broken
    cut = min(steps // 2, math.ceil(least / max(rows, 1) * steps))
    inner = np.array(rule.differences)[cut : steps + 1 - cut]
    ends = np.pad(inner, cut, mode="edge")
    return rebuild(rule, differences=tuple(ends.tolist()))
