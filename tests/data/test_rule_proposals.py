"""Rules that are found in small tables made by hand, and trivial ones that are not."""

import numpy as np
import pandas as pd
import pytest

from vaekit.data import open_both
from vaekit.data.tables.rules.fitting import fit_rules
from vaekit.data.tables.rules.proposals import propose_rules
from vaekit.recipe import load_recipe

ROWS = 1000
RNG = np.random.default_rng


def propose(frame, accepted=(), **kinds):
    options = load_recipe("table", {f"data.columns.{name}": kind for name, kind in kinds.items()}).data
    source, _ = open_both(pd.DataFrame(frame), None, options, mixed=True)
    columns = [column for column in source.table if column.modelled]
    rules = fit_rules(accepted, source.table, source.values)
    return {each.text: (each.holds, each.tested) for each in propose_rules(columns, source.values, rules)}


def texts(frame, **kinds):
    return sorted(propose(frame, **kinds))


def gamma(rng, n=ROWS):
    return rng.gamma(2, 10, n).round(2)


def missing(values, rng, share=0.2):
    return np.where(rng.random(len(values)) < share, np.nan, values)


def test_orders():
    rng = RNG(0)
    low = gamma(rng)
    high = (low + gamma(rng)).round(2)
    later = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(1, 300, ROWS), unit="D")
    frame = {
        "high": missing(high, rng),
        "low": low,
        "end": later,
        "start": later - pd.to_timedelta(rng.integers(1, 90, ROWS), unit="D"),
    }
    both = int(frame["high"].size - np.isnan(frame["high"]).sum())
    assert propose(frame) == {"low < high": (both, both), "start < end": (ROWS, ROWS)}


def test_an_order_may_be_broken_by_one_row_in_a_thousand_but_not_by_three():
    rng = RNG(1)
    low = rng.integers(0, 50, ROWS)
    frame = pd.DataFrame({"low": low, "high": low + rng.integers(0, 40, ROWS)})
    frame.loc[:0, "low"] = 60
    frame.loc[:0, "high"] = 0
    assert propose(frame) == {"low <= high": (999, 1000)}
    frame.loc[:2, "low"] = 60
    frame.loc[:2, "high"] = 0
    assert propose(frame) == {}


def test_a_chain_of_orders_is_said_once():
    rng = RNG(2)
    a = rng.integers(0, 30, ROWS)
    b = a + rng.integers(0, 30, ROWS)
    assert texts({"c": b + rng.integers(0, 30, ROWS), "a": a, "b": b}) == ["a <= b", "b <= c"]


def test_an_order_that_follows_from_the_ranges_is_none():
    rng = RNG(3)
    frame = {
        "age": rng.integers(20, 60, ROWS),
        "year": rng.integers(1990, 2020, ROWS),
        "zero": (rng.random(ROWS) < 0.03) * 5,
    }
    frame["shifted"] = frame["age"] * 0.1
    assert texts(frame) == []
    age = rng.integers(20, 60, 5 * ROWS)  # ranges that hardly overlap: by chance, one row in a hundred would break it
    assert texts({"age": age, "small": np.minimum(rng.integers(0, 25, 5 * ROWS), age)}) == []


def test_sums():
    rng = RNG(4)
    x, y, fee = gamma(rng), gamma(rng), np.where(rng.random(ROWS) < 0.03, gamma(rng), 0.0)
    parts = [gamma(rng) for _ in range(4)]
    frame = {
        "y": y,
        "x": missing(x, rng),
        "fee": fee,
        "total": (x + y).round(2),
        "paid": (x + y + fee).round(2),
        "p0": parts[0],
        "p1": parts[1],
        "p2": parts[2],
        "p3": parts[3],
        "all": (parts[0] + parts[1] - parts[2] + parts[3]).round(2),
    }
    found = propose(frame)
    there = int((~np.isnan(frame["x"])).sum())
    assert found["total == y + x"] == (there, there)
    assert found["paid == fee + total"] == (ROWS, ROWS)
    assert found["all == p0 + p1 + p3 - p2"] == (ROWS, ROWS)
    assert [
        text
        for text in found
        if "==" in text and text not in ("total == y + x", "paid == fee + total", "all == p0 + p1 + p3 - p2")
    ] == []
    assert not {"x < total", "x <= total", "y < total", "y <= total"} & set(found)  # they follow from the sum


def test_a_difference_is_written_as_a_sum():
    rng = RNG(5)
    gross, tax = gamma(rng) + 50, gamma(rng)
    assert "gross == tax + net" in propose({"gross": gross, "tax": tax, "net": (gross - tax).round(2)})


def test_equalities_and_what_follows_from_them():
    rng = RNG(6)
    x, y = gamma(rng), gamma(rng)
    colour = rng.choice(["red", "blue"], ROWS)
    frame = {"x": x, "y": y, "again": x, "total": (x + y).round(2), "colour": colour, "paint": colour}
    assert texts(frame) == ["again == x", "paint == colour", "total == x + y"]


def test_columns_that_are_mostly_zero_are_not_equal():
    rng = RNG(7)
    frame = {"a": (rng.random(20_000) < 5e-4) * 3.0, "b": (rng.random(20_000) < 5e-4) * 3.0, "c": gamma(rng, 20_000)}
    assert texts(frame, a="real", b="real") == []


def test_parts_of_texts_and_dependences():
    rng = RNG(8)
    city = rng.choice(["Paris", "Lyon", "Rome", "Milan", "Oslo"], ROWS)
    country = pd.Series(city).map({"Paris": "FR", "Lyon": "FR", "Rome": "IT", "Milan": "IT", "Oslo": "NO"})
    sub = rng.choice([f"{letter}{i}" for letter in "ABC" for i in range(1, 4)], ROWS)
    frame = {
        "sub": sub,
        "grade": [text[0] for text in sub],
        "city": city,
        "country": country,
        "zone": country.map({"FR": "mid", "IT": "mid", "NO": "north"}),
        "code": country.map({"FR": 33, "IT": 39, "NO": 47}),
        "free": rng.choice(["u", "v", "w"], ROWS),
    }
    found = propose(frame, code="categorical")
    assert set(found) == {"grade == sub[0]", "city -> country", "country -> zone", "country -> code"}
    assert found["grade == sub[0]"] == (ROWS, ROWS)


def test_a_dependence_of_nearly_unique_or_nearly_constant_columns_is_none():
    rng = RNG(9)
    frame = {
        "name": [f"n{i}" for i in rng.integers(0, 400, ROWS)],  # groups of two or three rows
        "colour": rng.choice(["red", "blue"], ROWS),
        "big": rng.choice(list("abcde"), ROWS),
    }
    frame["steady"] = np.where((frame["big"] == "a") & (rng.random(ROWS) < 0.2), "odd", "usual")
    frame["colour"] = pd.Series(frame["name"]).map(lambda name: "red" if int(name[1:]) % 2 else "blue")
    assert texts(frame, name="categorical") == []


def test_names_are_quoted_and_accepted_rules_are_not_proposed_again():
    rng = RNG(10)
    low = rng.integers(0, 40, ROWS)
    frame = {"net price": low, "gross price": low + rng.integers(0, 40, ROWS)}
    text = '"net price" <= "gross price"'
    assert propose(frame) == {text: (ROWS, ROWS)}
    assert propose(frame, accepted=[text]) == {}


def test_fixed_combinations():
    rng = RNG(11)
    pairs = [("wife", "female"), ("husband", "male"), ("child", "female"), ("child", "male")]
    chosen = np.array(pairs)[rng.integers(0, 4, ROWS)]
    frame = {"role": chosen[:, 0], "sex": chosen[:, 1], "free": rng.choice(["u", "v", "w"], ROWS)}
    assert propose(frame) == {"fixed(role, sex)": (ROWS, ROWS)}
    frame["role"][:3] = ["wife"] * 3  # combinations that occur three times are no accident
    frame["sex"][:3] = ["male"] * 3
    assert "fixed(role, sex)" not in propose(frame)


def test_combinations_of_a_coarser_column_follow():
    rng = RNG(15)
    pairs = [("Paris", "u"), ("Lyon", "v"), ("Lyon", "u"), ("Rome", "w"), ("Rome", "u"), ("Milan", "w")]
    chosen = np.array(pairs)[rng.integers(0, len(pairs), ROWS)]
    country = pd.Series(chosen[:, 0]).map({"Paris": "FR", "Lyon": "FR", "Rome": "IT", "Milan": "IT"})
    frame = {"country": country, "kind": chosen[:, 1], "city": chosen[:, 0]}
    assert texts(frame) == ["city -> country", "fixed(kind, city)"]


def test_many_small_combinations_are_not_fixed():
    rng = RNG(12)
    frame = {"a": rng.choice([f"a{i}" for i in range(30)], ROWS), "b": rng.choice([f"b{i}" for i in range(30)], ROWS)}
    assert texts(frame) == []


def test_all_proposals_can_be_accepted_together():
    rng = RNG(13)
    a = rng.choice([f"a{i}" for i in range(8)], ROWS)
    b = pd.Series(a).map({f"a{i}": f"b{i // 2}" for i in range(8)})
    x, y, z, w = (rng.integers(0, 50, ROWS) for _ in range(4))
    swap = np.where(rng.random(ROWS) < 0.5, x + y, z + w)
    frame = pd.DataFrame({"a": a, "b": b, "x": x, "y": y, "t": x + y, "z": z, "u": x + y - z, "swap": swap})
    found = propose(frame)
    assert {"a -> b", "t == x + y", "z == t - u"} <= {*found}  # t is computed once
    source, _ = open_both(frame, None, load_recipe("table").data, mixed=True)
    rules = fit_rules(list(found), source.table, source.values)
    assert [(rule.tested - rule.broken, rule.tested) for rule in rules] == [found[rule.text] for rule in rules]


def test_no_rules_in_noise():
    rng = RNG(14)
    frame = {f"x{i}": rng.normal(size=300) for i in range(8)} | {
        f"c{i}": rng.choice(list("abc"), 300) for i in range(6)
    }
    assert propose(frame) == {}


@pytest.mark.parametrize("rows", [3, 15])
def test_few_rows_tell_nothing(rows):
    frame = {"a": np.arange(rows) + 0.5, "b": np.arange(rows) + 1.25, "c": ["x", "y", "z"] * (rows // 3)}
    assert propose(frame) == {}
