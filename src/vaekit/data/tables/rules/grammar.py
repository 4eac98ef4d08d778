"""Read rules from text. The grammar is closed: a text becomes a record, and nothing in it is executed."""

from __future__ import annotations

import datetime
import re
from functools import cache
from typing import Any

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

from vaekit.data.tables.rules.base import Rule
from vaekit.data.tables.rules.combinations import Dependence, Fixed, TextSlice
from vaekit.data.tables.rules.linear import Equality, Sum
from vaekit.data.tables.rules.order import Order
from vaekit.errors import DataError

GRAMMAR = r"""
?start: order | linear | part | dependence | fixed
order: side RELATION side
linear: name "==" SIGN? name (SIGN name)*
part: name "==" name "[" (place | range) "]"
place: NUMBER
range: NUMBER? ":" NUMBER
dependence: name "->" name
fixed: "fixed" "(" name ("," name)+ ")"
?side: name | number | date
name: NAME | QUOTED
number: SIGN? NUMBER
date: DATE

RELATION: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
DATE.2: /\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?/
NUMBER: /(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
NAME: /[^\W\d][\w.]*/
QUOTED: /"([^"\\]|\\.)+"|`([^`\\]|\\.)+`/
%ignore /\s+/
"""
FORMS = "`a <= b`, `a <= 100`, `a == b`, `total == x + y`, `a == b[0:2]`, `city -> country` or `fixed(a, b)`"
PLAIN = re.compile(r"[^\W\d][\w.]*")
EPOCH = datetime.datetime(1970, 1, 1)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


def read_rule(text: str) -> Rule:
    """Read a rule.

    Args:
        text: the rule; names with spaces or signs stand in double quotes or backticks.

    Returns:
        The rule, which has learned nothing from data yet.

    Raises:
        DataError: if the text has no form of a rule, or names a column twice.

    Examples:
        >>> read_rule("total == x + `net price`").columns
        ('total', 'x', 'net price')
    """
    try:
        rule = _rule(_parser().parse(text), text.strip())
    except UnexpectedInput as error:
        raise _syntax_error(text, error) from error
    repeated = [name for i, name in enumerate(rule.columns) if name in rule.columns[:i]]
    if repeated:
        raise DataError(f"The rule '{rule.text}' has the column '{repeated[0]}' twice", mend="Name each column once")
    return rule


def _syntax_error(text: str, error: UnexpectedInput) -> DataError:
    place = error.pos_in_stream
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        place = None
    fault = f"cannot be read from character {place + 1} on: '{text[place:]}'" if place is not None else "ends too early"
    hint = "Write == for an equality, and" if re.search(r"[^=<>]=(?!=)", text) else "Write"
    mend = f"{hint} {FORMS}. Other names than letters, digits and _ stand in quotes"
    return DataError(f"The rule '{text}' {fault}", mend=mend)


def _rule(tree: Tree[Token], text: str) -> Rule:
    parts: list[Any] = tree.children
    if tree.data == "order":
        return _order(parts, text)
    if tree.data == "linear":
        return _linear(parts, text)
    if tree.data == "part":
        start, stop = _range(parts[2], text)
        return TextSlice(text=text, target_column=_name(parts[0]), source=_name(parts[1]), start=start, stop=stop)
    names = [_name(part) for part in parts]
    if tree.data == "dependence":
        return Dependence(text=text, source=names[0], target_column=names[1])
    return Fixed(text=text, names=tuple(names))


def _order(parts: list[Any], text: str) -> Order:
    left, relation, right = _side(parts[0], text), str(parts[1]), _side(parts[2], text)
    if not isinstance(left, str) and not isinstance(right, str):
        raise DataError(f"The rule '{text}' compares two constants", mend="Name a column")
    lower, upper = (left, right) if relation.startswith("<") else (right, left)
    dated = "date" in (parts[0].data, parts[2].data)
    return Order(text=text, lower=lower, upper=upper, strict="=" not in relation, dated=dated)


def _linear(parts: list[Any], text: str) -> Rule:
    total, terms, sign = _name(parts[0]), [], 1
    for part in parts[1:]:
        if isinstance(part, Token):
            sign = 1 if part == "+" else -1
        else:
            terms.append((_name(part), sign))
    kind = Equality if len(terms) == 1 and terms[0][1] == 1 else Sum
    return kind(text=text, total=total, terms=tuple(terms))


def _range(tree: Tree[Token], text: str) -> tuple[int, int]:
    numbers = [str(token) for token in tree.children]
    if not all(number.isdigit() for number in numbers):
        raise DataError(f"the places in the rule '{text}' must be whole numbers", f"'{':'.join(numbers)}'")
    first, last = int(numbers[0]) if len(numbers) == 2 or tree.data == "place" else 0, int(numbers[-1])
    stop = last + 1 if tree.data == "place" else last
    if stop <= first:
        raise DataError(f"The part of the text in the rule '{text}' is empty", mend="Write it as in b[0:2]")
    return first, stop


def _side(tree: Tree[Token], text: str) -> str | float:
    if tree.data == "name":
        return _name(tree)
    if tree.data == "number":
        return float("".join(map(str, tree.children)))
    try:
        moment = datetime.datetime.fromisoformat(str(tree.children[0]))
    except ValueError as error:
        raise DataError(f"the constant of the rule '{text}' must be a date", f"'{tree.children[0]}'") from error
    return float((moment - EPOCH) // datetime.timedelta(microseconds=1))


def _name(tree: Tree[Token]) -> str:
    word = str(tree.children[0])
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] in '"`' else word


def write_name(name: str) -> str:
    """Write the name of a column as it stands in a rule.

    Examples:
        >>> write_name("total"), write_name("net price")
        ('total', '"net price"')
    """
    if PLAIN.fullmatch(name) and name != "fixed":
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
