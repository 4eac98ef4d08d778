"""Refuse sets of rules that cannot be obeyed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vaekit.data.tables.rules.base import Rule
from vaekit.data.tables.rules.linear import Equality
from vaekit.data.tables.rules.order import Order
from vaekit.errors import DataError


def check_rules(rules: Sequence[Rule]) -> None:
    """Refuse rules that contradict each other, or that leave open which column is computed from which.

    Raises:
        DataError: names the rules.
    """
    computed: dict[str, Rule] = {}
    for i, rule in enumerate(rules):
        if any(rule.model_copy(update={"text": other.text}) == other for other in rules[:i]):
            raise DataError(f"The rule '{rule.text}' is there twice", mend="Leave one out")
        if rule.target is None:
            continue
        if (other := computed.get(rule.target)) is not None:
            fault = f"Two rules compute the column '{rule.target}': '{other.text}' and '{rule.text}'"
            raise DataError(fault, mend="Leave one out, or write it with another column on the left")
        computed[rule.target] = rule
    sort_computing(rules)
    _check_orders(rules)


def sort_computing(rules: Sequence[Rule]) -> list[Rule]:
    """Return the rules that compute a column, each after those that compute its sources.

    Raises:
        DataError: if columns are computed from each other in a circle.
    """
    waiting = [rule for rule in rules if rule.target is not None]
    found: list[Rule] = []
    while waiting:
        open_targets = {rule.target for rule in waiting}
        ready = [rule for rule in waiting if not open_targets & set(rule.sources)]
        if not ready:
            listed = " and ".join(f"'{rule.text}'" for rule in waiting)
            fault = f"Columns are computed from each other in a circle by {listed}"
            raise DataError(fault, mend="Leave one of these rules out")
        found += ready
        waiting = [rule for rule in waiting if rule not in ready]
    return found


def sort_ordered(rules: Sequence[Order]) -> list[str]:
    """Return the columns of rules of order, lower ones first; the rules have no circle."""
    above: dict[str, set[str]] = {name: set() for rule in rules for name in rule.columns}
    for rule in rules:
        if len(rule.columns) == 2:
            above[str(rule.lower)].add(str(rule.upper))
    found: list[str] = []
    while len(found) < len(above):
        waiting = [name for name in above if name not in found]
        found += [name for name in waiting if not any(name in above[other] for other in waiting)]
    return found


def _check_orders(rules: Sequence[Rule]) -> None:
    """Refuse orders with a circle, and constants that leave no value between them."""
    same = _equal_columns(rules)
    orders = [rule for rule in rules if isinstance(rule, Order)]
    above: dict[str | float, list[tuple[str | float, Order]]] = {}
    for rule in orders:
        lower, upper = (same.get(side, side) if isinstance(side, str) else side for side in (rule.lower, rule.upper))
        above.setdefault(lower, []).append((upper, rule))
    for start in above:
        _search(start, above, [], start)


def _search(
    place: str | float,
    above: Mapping[str | float, list[tuple[str | float, Order]]],
    path: list[Order],
    start: str | float,
) -> None:
    """Follow the orders upwards from a start, and refuse a way back to it or to a constant that is not above it."""
    for upper, rule in above.get(place, []):
        way = [*path, rule]
        if rule in path:
            continue
        said = " and ".join(f"'{each.text}'" for each in way)
        if upper == start and isinstance(start, str):
            if len(way) == 1:
                raise DataError(f"The rule {said} contradicts an equality of its columns", mend="Leave one of them out")
            if any(each.strict for each in way):
                raise DataError(f"No row can obey {said} together", mend="Leave one of them out")
            raise DataError(f"The rules {said} say that columns are equal", mend="Write the equality with ==")
        if isinstance(upper, str):
            _search(upper, above, way, start)
        elif isinstance(start, float) and (upper < start or (upper == start and any(each.strict for each in way))):
            raise DataError(f"No row can obey {said} together", mend="Leave one of them out")


def _equal_columns(rules: Sequence[Rule]) -> dict[str, str]:
    """Return for each column of an equality one column that stands for all columns equal to it."""
    same: dict[str, str] = {}
    for rule in rules:
        if isinstance(rule, Equality):
            first, second = (same.get(name, name) for name in rule.columns)
            same |= {first: second, second: second}
            same = {name: second if kept == first else kept for name, kept in same.items()}
    return same
