"""Change free cells of rows that break rules: order by moving numbers, combinations by choosing one of the training rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.rules.combinations import Combinations
from vaekit.data.tables.rules.draft import Draft
from vaekit.data.tables.rules.order import Order

Array = npt.NDArray[np.float64]
BLOCK = 1 << 22
"""Most pairs of a row and a combination that are compared at once."""


def move_in_order(
    draft: Draft,
    orders: Sequence[Order],
    names: Sequence[str],
    computed: Collection[str],
    uniform: Sequence[Array | None],
) -> None:
    """Move numbers that break rules of order: to the nearest value that obeys, or by a drawn difference.

    Lower columns come first. So a number that is too low is raised above those below it, but not beyond the fixed
    numbers above it.

    Args:
        draft: the rows.
        orders: the rules of order.
        names: their columns, lower ones first (see `sort_ordered`).
        computed: columns that are not moved, because other rules compute them.
        uniform: for each rule numbers in (0, 1), shape (n,), that choose differences; None moves to the nearest value.
    """
    ceiling = _ceilings(draft, orders, names, computed)
    for name in names:
        scale, values = draft.scales[name], draft.values[name]
        low, high = np.full(len(draft), scale.low), ceiling[name]
        raised, lowered = low, high
        for i, rule in enumerate(orders):
            shift = 0.0 if (own := uniform[i]) is None else rule.draw_difference(own)
            if rule.upper == name:
                base = _known(rule.side(draft.values, rule.lower), -np.inf)
                least = scale.at_least(base, rule.strict)
                raised = np.where(least > low, np.maximum(scale.at_least(base + shift, False), least), raised)
                low = np.maximum(low, least)
            elif rule.lower == name:
                base = ceiling[rule.upper] if isinstance(rule.upper, str) else np.full(len(draft), rule.upper)
                most = scale.at_most(base, rule.strict)
                lowered = np.where(most <= high, np.minimum(scale.at_most(base - shift, False), most), lowered)
        moved = np.where(
            values < low, np.minimum(raised, high), np.where(values > high, np.maximum(lowered, low), values)
        )
        wrong = ~draft.immovable(name, computed) & (low <= high) & (moved != values)
        draft.put(name, moved, wrong)


def _ceilings(
    draft: Draft, orders: Sequence[Order], names: Sequence[str], computed: Collection[str]
) -> dict[str, Array]:
    """Return the greatest value that each cell may have below the immovable cells above it, by column."""
    ceiling: dict[str, Array] = {}
    for name in reversed(names):
        scale = draft.scales[name]
        high = np.full(len(draft), scale.high)
        for rule in orders:
            if rule.lower == name:
                above = ceiling[rule.upper] if isinstance(rule.upper, str) else np.full(len(draft), rule.upper)
                high = np.minimum(high, scale.at_most(above, rule.strict))
        missing = np.isnan(draft.values[name])
        fixed = draft.immovable(name, computed)
        ceiling[name] = np.where(missing, np.inf, np.where(fixed, draft.values[name], high))
    return ceiling


def _known(values: Array, otherwise: float) -> Array:
    return np.where(np.isnan(values), otherwise, values)


def choose_combination(draft: Draft, rule: Combinations, computed: Collection[str], uniform: Array | None) -> None:
    """Give rows that break a rule of combinations one of the training rows' combinations.

    Only combinations with the fixed cells are chosen, and of these the ones that keep most of the other cells: one in
    proportion to its number of training rows, or the most frequent one.

    Args:
        draft: the rows.
        rule: the rule.
        computed: columns that are not changed, because other rules compute them.
        uniform: numbers in (0, 1), shape (n,), that choose the combination; None chooses the most frequent one.
    """
    rows, table, counts = np.flatnonzero(~rule.holds(draft.values)), rule.table, np.array(rule.counts, np.float64)
    stay = [name for name in computed if name != rule.target]
    for block in np.array_split(rows, max(1, -(-len(rows) * max(1, len(table)) // BLOCK))):
        if not len(block) or not len(table):
            continue
        possible, kept = np.ones((len(block), len(table)), bool), np.zeros((len(block), len(table)), int)
        for i, name in enumerate(rule.columns):
            same = draft.values[name][block, None] == table[None, :, i]
            possible &= same | ~draft.immovable(name, stay)[block, None]
            kept += same
        kept = np.where(possible & (counts > 0), kept, -1)
        weight = np.where((kept == kept.max(1, keepdims=True)) & (kept >= 0), counts, 0.0)
        reached = weight.cumsum(1)
        chosen = weight.argmax(1)
        if uniform is not None:
            chosen = (reached <= uniform[block, None] * reached[:, -1:]).sum(1).clip(max=len(table) - 1)
        found = np.zeros(len(draft), bool)
        found[block] = reached[:, -1] > 0
        for i, name in enumerate(rule.columns):
            values = np.full(len(draft), np.nan)
            values[block] = table[chosen, i]
            draft.put(name, values, found & (values != draft.values[name]))
