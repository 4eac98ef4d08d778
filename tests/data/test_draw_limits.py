"""What may be drawn from a column: which ends look like limits, what is declared, and which values too few rows have."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from vaekit.data.readers.libraries import open_frame
from vaekit.data.tables.inference import infer_columns
from vaekit.errors import DataError, RecipeError
from vaekit.recipe import Recipe, load_recipe
from vaekit.runs.describe import describe

RNG = np.random.default_rng(0)
N = 900
DAYS = [datetime.date(2020, 1, 5) + datetime.timedelta(days=int(d)) for d in [0, 300, *RNG.integers(0, 300, N - 2)]]


def microseconds(*date):
    return (datetime.date(*date) - datetime.date(1970, 1, 1)).days * 86_400e6


def one(cells, declared=None, least=1, kind=None):
    ranges = {} if declared is None else {"x": declared}
    (column,) = infer_columns(open_frame(pa.table({"x": cells})), {"x": kind} if kind else {}, (), ranges, least)
    return column


@pytest.mark.parametrize(
    ("cells", "bounds", "words"),
    [
        (RNG.permutation(np.arange(N) % 24), (0, 23), "drawn from 0 to 23 (many rows there)"),
        (RNG.permutation(np.arange(N) % 31 + 1), (1, 31), "drawn from 1 to 31 (many rows there)"),
        (RNG.normal(50, 9, N) + 100, (0, None), "drawn from 0 (never negative)"),
        (-RNG.gamma(2, 1, N), (None, 0), "drawn to 0 (never positive)"),
        (RNG.normal(0, 1, N), (None, None), ""),
        (np.minimum(np.round(RNG.normal(80, 15, N), 1), 100.0), (0, 100), "drawn from 0 (never negative) to 100 (many rows there)"),
        (np.append(np.round(RNG.normal(20, 3, N), 1), 100.0), (0, 100), "drawn from 0 (never negative) to 100 (a share)"),
        (np.maximum(np.round(RNG.normal(60, 300, N)), 18), (18, None), "drawn from 18 (many rows there)"),
        (np.append(np.round(RNG.normal(400, 30, 5 * N)), [600] * 11), (0, 600), "drawn from 0 (never negative) to 600 (many rows there)"),
        (np.append(np.round(RNG.normal(400, 30, 5 * N)), [600] * 9), (0, None), "drawn from 0 (never negative)"),
        (RNG.uniform(0, 1, N), (0, 1), ""),
        (DAYS, (microseconds(2020, 1, 5), microseconds(2020, 10, 31)), "drawn from 2020-01-05 to 2020-10-31 (the first and the last date)"),
        ([f"{day:%d.%m.%Y}" for day in DAYS], (microseconds(2020, 1, 5), microseconds(2020, 10, 31)), "drawn from 2020-01-05 to 2020-10-31 (the first and the last date)"),
    ],
)  # fmt: skip
def test_ends_that_look_like_limits(cells, bounds, words):
    column = one(cells)
    assert column.bounds == bounds
    assert column.draws == words
    assert (column.lowest, column.highest) in ((0, None), (None, None), (0, 1))  # what is guessed refuses nothing


def test_a_limit_is_read_from_a_sample_of_many_values():
    x = np.append(RNG.normal(0, 1, 30_000), [5.0] * 600)
    assert one(x).bounds == (None, 5.0)
    assert one(np.append(x, [6.0])).bounds == (None, None)


@pytest.mark.parametrize(
    ("cells", "declared", "bounds"),
    [
        (np.arange(N) % 20, (0, 23), (0, 23)),
        (np.arange(N) % 24 + RNG.integers(0, 40, N), (-5.5, ""), (-5, None)),  # a number that the column can have
        (np.round(RNG.uniform(0, 1, N), 1), ("", 0.3 * 7), (None, 2.1)),
        (RNG.gamma(2, 1, N), ("", 99.5), (None, 99.5)),
        (DAYS, ("2019-12-31", "2021-06-30"), (microseconds(2019, 12, 31), microseconds(2021, 6, 30))),
        ([f"{day:%d.%m.%Y}" for day in DAYS], ("2019-12-31", ""), (microseconds(2019, 12, 31), None)),
    ],
)
def test_declared_ranges_are_kept_in_place_of_guesses(cells, declared, bounds):
    column = one(cells, declared)
    if column.kind != "ordinal":
        assert column.bounds == (column.lowest, column.highest) == bounds
        assert column.draws.endswith("(declared)")
        assert column.impossible(bounds[0] - 1 if bounds[0] is not None else bounds[1] + 1).startswith(
            ("at", "between")
        )


@pytest.mark.parametrize(
    ("cells", "declared", "words"),
    [
        ([3, 24, 5, 30] * 20, (0, 23), r"column 'x' must be within data.ranges.x=\[0, 23\]. Got 24 in row 1"),
        ([1, 2, 3] * 20, (2, ""), r"must be within data.ranges.x=\[2, null\]. Got 1 in row 0"),
        (DAYS, ("2020-06-01", ""), r"within data.ranges.x=\[2020-06-01, null\]. Got 2020-01-05"),
        (["a", "b"] * 20, (0, 1), "data.ranges.x must be the range of a column of numbers or dates. Got .*binary"),
        ([7] * 20, (0, 9), "of a column of numbers or dates. Got .*constant"),
        (RNG.normal(size=40), ("a", "b"), "data.ranges.x must hold numbers. Got 'a'"),
        (DAYS, ("2020-13-01", ""), "data.ranges.x must hold dates such as 2020-12-31. Got '2020-13-01'"),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be(cells, declared, words):
    with pytest.raises(DataError, match=words):
        one(cells, declared)


def test_a_range_of_an_unknown_column_is_refused():
    frame = open_frame(pa.table({"hour": np.arange(N) % 24}))
    with pytest.raises(DataError, match=r"data.ranges must name columns of the data. Got 'hours'.*'hour'"):
        infer_columns(frame, ranges={"hours": (0, 23)})


@pytest.mark.parametrize("given", ["[0, null]", [0, None], (0, ""), "[0, \"\"]"])  # fmt: skip
def test_ranges_in_settings(given):
    recipe = load_recipe("table", {"data.ranges.a.b": given})
    assert recipe.data.ranges == {"a.b": (0.0, "")}
    assert Recipe.model_validate(recipe.as_json()) == recipe
    assert load_recipe("table", ["data.ranges.day=[2020-01-01, 2020-02-01]"]).data.ranges["day"] == ("2020-01-01", "2020-02-01")  # fmt: skip
    assert load_recipe("auto", ["data.ranges.x=[0, 1]"]).mixed


@pytest.mark.parametrize("given", ["[0", 3, [1], [2, 1], [1, 1], [1, "b"], {"a": 1}])
def test_settings_that_are_no_ranges(given):
    with pytest.raises(RecipeError, match=r"'data.ranges' must be \[least, greatest\], such as \[0, 23\]"):
        load_recipe("table", {"data.ranges.x": given})


@pytest.mark.parametrize(
    ("cells", "kind", "withheld"),
    [
        (["a"] * 50 + ["b"] * 5 + ["c"] * 4 + ["d"], None, ["c", "d"]),
        (["yes"] * 56 + ["no"] * 4, None, ["no"]),
        ([True] * 56 + [False] * 4, None, []),  # not names
        ([1, 2, 3] * 20 + [4], "ordinal", []),
        ([10115, 80331] * 20 + [20095] * 4, "categorical", [20095.0]),
        (pa.array(["low", "high", "high"] * 20 + ["top"]).dictionary_encode(), None, ["top"]),
    ],
)
def test_values_that_too_few_rows_have_are_withheld(cells, kind, withheld):
    column = one(cells, kind=kind, least=5)
    values = [*column.categories, *(value for value, _ in column.rare)]
    assert [values[code] for code in column.withheld] == withheld
    assert one(cells, kind=kind, least=1).withheld == ()
    one_value = len(withheld) == 1
    expected = (
        f"{len(withheld)} value{'' if one_value else 's'} of fewer than 5 rows {'is' if one_value else 'are'} not drawn"
    )
    assert column.draws == (expected if withheld else "")


def test_describe_says_what_is_drawn():
    table = pa.table({"hour": np.arange(N) % 24, "name": ["a"] * (N - 2) + ["b", "c"], "id": np.arange(N)})
    found = describe(table)
    hour, name, _ = (because for _, _, because, _ in found.rows())
    assert hour == "24 whole numbers from 0 to 23; drawn from 0 to 23 (many rows there)"
    assert name == "3 text values; 2 values of fewer than 5 rows are not drawn; rare: b, c"
    assert (
        "Column 'id' is left out, also of drawn rows: identifier, whole numbers, almost all different." in found.choices
    )
    assert describe(table, {"data.least_count": 1}).rows()[1][2] == "3 text values"


def test_describe_names_a_few_rare_values_and_shortens_long_ones():
    rare = ["a" * 100, *(f"rare {i}" for i in range(7))]
    table = pa.table({"name": ["usual"] * N + rare, "n": np.arange(N + 8) % 24})
    because = describe(table).rows()[0][2]
    shown, more = because.partition("; rare: ")[2].split(" and ")
    assert more == "3 more"
    assert shown == f"{'a' * 15}…{'a' * 14}, rare 0, rare 1, rare 2, rare 3"
