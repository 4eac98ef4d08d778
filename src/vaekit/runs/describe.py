"""Describe data before training: their columns, and the choices that `auto` would make."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vaekit import html
from vaekit.data import Column, Part, Schema, make_notes, make_schema, open_both, split_source
from vaekit.data.tables.cells import near_columns
from vaekit.data.tables.rules.proposals import MOST_SEARCHED, Proposal, propose_rules
from vaekit.errors import shorten
from vaekit.recipe import load_recipe, resolve

MOST_ROWS = 100_000
"""Most training rows in which columns are compared."""
MOST_NAMED, LONGEST_NAME = 5, 30
"""Most values that are named as rare, and the characters of each that are shown."""
HEAD = ("column", "kind", "because", "missing")
RULES = ("rule", "holds in")
ACCEPT = 'No rule is applied unless it is accepted, as in settings={"data.rules": [...]}.'


@dataclass(frozen=True, repr=False)
class Description:
    """Hold what is known of data before training.

    Args:
        facts: names and values: the source, the number of rows, the form of a row.
        notes: sentences about how the rows are read.
        columns: the columns of a mixed table; empty for other data.
        choices: the choices that `auto` would make, with reasons.
        proposals: rules that the training rows of a mixed table obey. None is applied unless `data.rules` has it.
    """

    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    choices: tuple[str, ...]
    proposals: tuple[Proposal, ...] = ()

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return for each column its name, its kind, the reason for this kind, and its missing cells."""
        return [describe_column(column) for column in self.columns]

    def rules(self) -> list[tuple[str, str]]:
        """Return for each proposed rule its text, and the training rows in which it holds."""
        return [(each.text, f"{each.holds:,} of {each.tested:,} rows") for each in self.proposals]

    @property
    def accepting(self) -> str:
        """Return the setting that accepts all proposed rules, as the command line takes it."""
        texts = json.dumps([each.text for each in self.proposals], ensure_ascii=False)
        return f"--set {shlex.quote(f'data.rules={texts}')}"

    def __repr__(self) -> str:
        lines = html.aligned(self.facts) + [f"· {note}" for note in self.notes]
        if self.columns:
            lines += ["", *html.aligned([HEAD, *self.rows()])]
        if self.proposals:
            lines += ["", *html.aligned([RULES, *self.rules()]), ACCEPT]
        return "\n".join([*lines, "", "`vaekit.train` would choose:", *(f"· {note}" for note in self.choices)])

    def _repr_html_(self) -> str:
        columns = html.table(HEAD, self.rows()) if self.columns else html.notes([])
        rules = html.table(RULES, self.rules()) + html.notes([ACCEPT]) if self.proposals else ""
        parts = html.pairs(self.facts), html.notes(self.notes), columns, rules
        return "".join([*parts, html.notes(["vaekit.train would choose:", *self.choices])])


def describe(source: object, settings: Mapping[str, Any] | Iterable[str] = ()) -> Description:
    """Show how data would be modelled.

    Args:
        source: data, as `vaekit.train` takes them.
        settings: dotted keys and values that replace those of the recipe.

    Returns:
        A record that prints as tables, in a notebook too.

    Raises:
        DataError: if the data cannot be used.

    Examples:
        >>> describe("digits").facts[2]
        ('example', 'picture of 8 × 8 × 1')
    """
    recipe = load_recipe("auto", settings)
    opened, _ = open_both(source, None, recipe.data, recipe.mixed)
    if opened.frame is not None:
        recipe = load_recipe("table", settings)
    split = split_source(opened, None, recipe.seed, recipe.data)
    schema = make_schema(opened, split.train, recipe.data.kind, recipe.data.rules)
    _, choices = resolve(recipe, schema, len(split.train))
    counts = f"{len(split.train)} to train, {len(split.validation)} to choose the model, {len(split.test)} held out"
    said = [("file", opened.frame.said)] if opened.frame is not None and opened.frame.said else []
    facts = [("source", opened.origin), *said, ("rows", counts), *describe_schema(schema)]
    notes = [*make_notes(opened, schema), *_near_notes(schema, split.train)]
    return Description(tuple(facts), tuple(notes), schema.table, tuple(choices), _propose(schema, split.train))


def _near_notes(schema: Schema, train: Part) -> list[str]:
    """Return sentences on columns whose cells are often near each other."""
    if not schema.modelled:
        return []
    groups = near_columns(schema.modelled, train.take(0, min(len(train), MOST_ROWS)))
    return [
        f"Cells of these columns are often near each other or equal in a row: {', '.join(group)}." for group in groups
    ]


def _propose(schema: Schema, train: Part) -> tuple[Proposal, ...]:
    """Return the rules that training rows of a mixed table seem to obey."""
    if schema.kind != "mixed":
        return ()
    some = train.subset(MOST_SEARCHED, seed=0)
    return propose_rules(schema.modelled, some.take(0, len(some)), schema.rules)


def describe_schema(schema: Schema) -> list[tuple[str, str]]:
    """Return the form of a row, the kind of its values and the names of its columns as texts."""
    size = " × ".join(str(s) for s in schema.shape)
    rows = [
        ("example", f"{'picture' if schema.picture else 'row'} of {size}"),
        ("kind", schema.kind + (f", {schema.levels} levels" if schema.levels else "") + f" ({schema.dtype})"),
    ]
    rows += [("rule", rule.text) for rule in schema.rules]
    if schema.columns and not schema.table:
        shown = ", ".join(schema.columns[:12])
        rows.append(("columns", shown + (f", … {len(schema.columns)} in all" if len(schema.columns) > 12 else "")))
    return rows


def describe_column(column: Column) -> tuple[str, str, str, str]:
    """Return a column's name, its kind, why it has this kind and what is drawn, and its missing cells by their words.

    Values that too few rows have are named, since a misspelt word is one of them.
    """
    total = sum(count for _, count in column.missing)
    missing = ", ".join(f"{count} {word}" for word, count in column.words) or (str(total) if total else "")
    kind = f"{column.kind}, given" if column.context else column.kind
    rare = [column.listed[code] for code in column.withheld]
    named = [shorten(str(value), LONGEST_NAME) for value in rare if value is not None]
    more = f" and {len(named) - MOST_NAMED:,} more" if len(named) > MOST_NAMED else ""
    told = f"rare: {', '.join(named[:MOST_NAMED])}{more}" if named else ""
    return column.name, kind, "; ".join(filter(None, (column.full_reason, told))), missing
