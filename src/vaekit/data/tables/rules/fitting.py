"""Read rules, check them against the columns and the training rows, and learn what they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.columns import Column
from vaekit.data.tables.rules.base import Rule
from vaekit.data.tables.rules.conflicts import check_rules
from vaekit.data.tables.rules.grammar import read_rule
from vaekit.data.tables.rules.scales import make_scales
from vaekit.errors import DataError, did_you_mean

Array = npt.NDArray[np.float64]
MOST_BROKEN = 0.5
"""A rule that is broken by a greater share of the training rows is refused."""
MOST_FITTED = 1_000_000
"""Most training rows that rules are checked against."""


def read_rules(texts: Sequence[str], table: Sequence[Column]) -> list[Rule]:
    """Read rules and check them against each other and the columns.

    Args:
        texts: the rules, as in `data.rules`.
        table: all columns of the table.

    Raises:
        DataError: if a rule cannot be read, names a column that is not modelled or of a wrong kind, or contradicts
            another rule.
    """
    rules = [read_rule(text) for text in texts]
    modelled = {column.name: column for column in table if column.modelled}
    for rule in rules:
        for name in rule.columns:
            if name not in modelled:
                raise _unknown(rule, name, table)
    check_rules(rules)
    named = dict.fromkeys(name for rule in rules for name in rule.columns)
    scales = make_scales([modelled[name] for name in named])
    for rule in rules:
        rule.check(scales)
    return rules


def _unknown(rule: Rule, name: str, table: Sequence[Column]) -> DataError:
    column = next((column for column in table if column.name == name), None)
    if column is None:
        names = [column.name for column in table if column.modelled]
        return DataError(
            f"the rule '{rule.text}' must name columns of the table", f"'{name}'", did_you_mean(name, names)
        )
    why = "is in data.context" if column.context else f"is of the kind {column.kind}"
    fault = f"The rule '{rule.text}' names the column '{name}', which {why} and is not modelled"
    return DataError(fault, mend="Leave the rule out, or have the column modelled")


def fit_rules(texts: Sequence[str], table: Sequence[Column], codes: Array) -> tuple[Rule, ...]:
    """Read rules, and learn from training rows what they need.

    Args:
        texts: the rules, as in `data.rules`.
        table: all columns of the table.
        codes: codes of the modelled columns in training rows, shape (n, C), NaN where a cell is missing.

    Returns:
        The rules, with the numbers of training rows that obey and break them.

    Raises:
        DataError: in the cases of `read_rules`, and if more than half of the rows break a rule.
    """
    rules = read_rules(texts, table)
    modelled = [column for column in table if column.modelled]
    named = {name for rule in rules for name in rule.columns}
    scales = make_scales([column for column in modelled if column.name in named])
    values = {c.name: scales[c.name].values(codes[:, i]) for i, c in enumerate(modelled) if c.name in named}
    fitted = []
    for rule in rules:
        learned = rule.fit(values, scales).tally(values)
        if learned.broken > MOST_BROKEN * learned.tested:
            told = f"{learned.broken:,} of {learned.tested:,} training rows break the rule '{rule.text}'"
            raise DataError(told, mend="Leave it out of data.rules, or correct it")
        fitted.append(learned)
    return tuple(fitted)


def describe_rule(rule: Rule) -> str:
    """Say how many training rows a rule could be tested in and how many break it, for notes."""
    if not rule.tested:
        return f"The rule '{rule.text}' could not be tested: no training row has all of its cells."
    if not rule.broken:
        return f"The rule '{rule.text}' holds in all {rule.tested:,} training rows that have its cells."
    share = 100 * rule.broken / rule.tested
    return f"The rule '{rule.text}' is broken by {rule.broken:,} of {rule.tested:,} training rows ({share:.2g} %)."
