"""The grammar of rules: every form, every refusal, and sets of rules that contradict each other."""

import pytest

from vaekit.data import Column
from vaekit.data.tables.rules import Dependence, Equality, Fixed, Order, Sum, TextSlice
from vaekit.data.tables.rules.fitting import read_rules
from vaekit.data.tables.rules.grammar import read_rule, write_name
from vaekit.errors import DataError

DAY_US = 86_400_000_000


def order(text, lower, upper, strict=False, dated=False):
    return Order(text=text, lower=lower, upper=upper, strict=strict, dated=dated)


@pytest.mark.parametrize(
    "rule",
    [
        order("a <= b", "a", "b"),
        order("a<b", "a", "b", strict=True),
        order("a >= b", "b", "a"),
        order(" a > b ", "b", "a", strict=True),
        order("a <= 100", "a", 100.0),
        order("-2.5e1 < a", -25.0, "a", strict=True),
        order("d >= 1970-01-02", float(DAY_US), "d", dated=True),
        order("d < 1970-01-01 12:00", "d", DAY_US / 2, strict=True, dated=True),
        Equality(text="a == b", total="a", terms=(("b", 1),)),
        Sum(text="t == x + y - w", total="t", terms=(("x", 1), ("y", 1), ("w", -1))),
        Sum(text="t == -x", total="t", terms=(("x", -1),)),
        TextSlice(text="g == s[0]", target_column="g", source="s", start=0, stop=1),
        TextSlice(text="g == s[0:2]", target_column="g", source="s", start=0, stop=2),
        TextSlice(text="g == s[:3]", target_column="g", source="s", start=0, stop=3),
        TextSlice(text="g == s[1:3]", target_column="g", source="s", start=1, stop=3),
        Dependence(text="city -> country", source="city", target_column="country"),
        Fixed(text="fixed(a, b,c)", names=("a", "b", "c")),
        order("Sepal.Length <= größe_2", "Sepal.Length", "größe_2"),
        order('"net price" <= `a-b`', "net price", "a-b"),
        order(r'"say \"x\"" <= fixed_rate', 'say "x"', "fixed_rate"),
    ],
    ids=lambda rule: rule.text,
)
def test_each_form_becomes_a_record(rule):
    assert read_rule(rule.text) == rule.model_copy(update={"text": rule.text.strip()})


@pytest.mark.parametrize("name", ["a", "net price", 'say "x"', "back\\slash", "`tick`", "fixed", "2nd", "x-y", "ü.1"])
def test_a_written_name_is_read_again(name):
    assert read_rule(f"{write_name(name)} <= other").columns == (name, "other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = b", ("character 3", "'= b'", "Write == for an equality")),
        ("a <=", ("ends too early", "`a <= b`")),
        ("", ("ends too early",)),
        ("a <= b <= c", ("character 8", "'<= c'")),
        ("net price <= b", ("character 5", "stand in quotes")),
        ("a != b", ("character 3",)),
        ("a == 5", ("character 6",)),
        ("fixed(a)", ("character 8",)),
        ("__import__('os')", ("cannot be read",)),
        ("1 <= 2", ("two constants",)),
        ("a == b[2:1]", ("empty",)),
        ("a == b[0.5]", ("whole numbers", "0.5")),
        ("a <= a", ("'a' twice",)),
        ("t == x + x", ("'x' twice",)),
        ("d <= 2020-13-01", ("must be a date", "2020-13-01")),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text, words):
    with pytest.raises(DataError) as refusal:
        read_rule(text)
    for word in words:
        assert word in str(refusal.value)


TABLE = (
    Column(name="a", kind="count", type="int64", spacing=1.0),
    Column(name="b", kind="real", type="double"),
    Column(name="c", kind="ordinal", type="int64", categories=(1.0, 2.0, 5.0)),
    Column(name="day", kind="datetime", type="date32[day]", spacing=float(DAY_US)),
    Column(name="s", kind="categorical", type="string", categories=("A1", "B2")),
    Column(name="g", kind="categorical", type="string", categories=("A", "B")),
    Column(name="h", kind="categorical", type="string", categories=("x", "y")),
    Column(name="id", kind="identifier", type="string"),
    Column(name="age", kind="count", type="int64", context=True),
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bb <= a", ("'bb'", "Did you mean 'b'?")),
        ("id -> g", ("'id'", "identifier", "not modelled")),
        ("age <= a", ("'age'", "data.context")),
        ("g <= h", ("numbers or dates", "'g' (categorical, of texts)")),
        ("a <= day", ("both numbers or both dates", "'day' (datetime)")),
        ("day <= 5", ("'day' (datetime)", "as the constant is")),
        ("a <= 2020-01-01", ("'a' (count)", "dates")),
        ("a == g", ("same sort", "'a' is count")),
        ("a == b + day", ("must be numbers", "'day'")),
        ("g == a[0]", ("categories of text", "'a'")),
        ("a -> g", ("categories on the left", "data.columns.a=categorical")),
        ("fixed(g, b)", ("must be categories", "data.columns.b=categorical")),
    ],
)
def test_columns_of_a_wrong_kind_are_refused(text, words):
    with pytest.raises(DataError) as refusal:
        read_rules([text], TABLE)
    for word in words:
        assert word in str(refusal.value)


def test_numbers_dates_and_ordered_categories_stand_in_rules():
    texts = ["a <= b", "a <= c", "day <= 2020-01-01", "g == s[0]", "h -> b", "fixed(c, h)"]
    assert [rule.text for rule in read_rules(texts, TABLE)] == texts


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["t == x + y", "t == w"], ("Two rules compute the column 't'", "'t == w'")),
        (["x == y", "y == x"], ("in a circle", "'x == y' and 'y == x'")),
        (["x == y + z", "y == w", "w == x"], ("in a circle",)),
        (["x < y", "y < x"], ("No row can obey 'x < y' and 'y < x' together",)),
        (["x <= y", "y <= z", "x > z"], ("No row can obey",)),
        (["x <= y", "y <= x"], ("columns are equal", "==")),
        (["x == y", "x < y"], ("'x < y' contradicts an equality",)),
        (["x >= 5", "x <= 3"], ("No row can obey",)),
        (["x >= 5", "x <= y", "y < 5"], ("No row can obey",)),
        (["x <= y", "y >= x"], ("is there twice",)),
    ],
)
def test_rules_that_contradict_each_other_are_refused(texts, words):
    table = [Column(name=name, kind="real", type="double") for name in "txyzw"]
    with pytest.raises(DataError) as refusal:
        read_rules(texts, table)
    for word in words:
        assert word in str(refusal.value)


def test_rules_that_agree_are_kept():
    table = [Column(name=name, kind="real", type="double") for name in "txyzw"]
    texts = ["t == x + y", "x == w", "x <= t", "y <= z", "z <= 5", "z >= 5", "w <= 9"]
    assert [rule.text for rule in read_rules(texts, table)] == texts
