"""What goes in as a data frame comes back as one: its row labels, its names, its types, and each cell that was given."""

import datetime as dt
import zoneinfo
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vaekit
from vaekit.data.readers.libraries import open_frame
from vaekit.data.readers.raw_columns import cast_exactly, label_categories
from vaekit.data.tables import frame as frame_module
from vaekit.errors import DataError

SETTINGS = {"training.epochs": 1, "encoder.hidden": [8], "decoder.hidden": [8], "objective.samples": 1}
ROWS = 60


def train(frame, folder):
    return vaekit.train(frame, settings=SETTINGS | {"evaluation.samples": 3}, out=folder)


# --- row labels and names of columns ---------------------------------------------------------------------------------

INDEXES = {
    "strings": pd.Index([f"r{i}" for i in range(ROWS)], name="who"),
    "days": pd.date_range("2020-01-01", periods=ROWS, tz="Asia/Tokyo"),
    "disorder": pd.Index(np.random.default_rng(3).permutation(ROWS) + 100),
    "twice the same": pd.Index([7, 8] * (ROWS // 2)),
    "two levels": pd.MultiIndex.from_product([["a", "b"], range(ROWS // 2)], names=["half", None]),
    "intervals": pd.interval_range(0, ROWS),
}


@pytest.fixture(scope="module")
def numbers():
    """A frame of pandas with holes in one of its columns, and what a run that saw it fills."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "k": rng.poisson(50, ROWS).astype(float)})
    frame.loc[::4, "k"] = np.nan
    return frame


@pytest.fixture(scope="module")
def run(numbers, tmp_path_factory):
    return train(numbers, tmp_path_factory.mktemp("runs") / "numbers")


@pytest.mark.parametrize("index", list(INDEXES))
def test_row_labels_of_pandas_come_back(numbers, run, index):
    expected = run.impute(numbers)["k"].to_numpy()
    given = numbers.set_axis(INDEXES[index])
    answers = [run.impute(given), run.reconstruct(given), *run.impute_draws(given, 2)]
    for answer in answers:
        pd.testing.assert_index_equal(answer.index, given.index)
    np.testing.assert_array_equal(answers[0]["k"], expected)
    there = given["k"].notna().to_numpy()
    for answer in (answers[0], *answers[2:]):
        np.testing.assert_array_equal(answer["k"][there], given["k"][there])


def test_a_column_is_filled_by_its_own_row(numbers, run):
    shuffled = numbers.sample(frac=1, random_state=0)
    filled = shuffled["k"].fillna(run.impute(shuffled)["k"])
    np.testing.assert_allclose(filled.sort_index(), run.impute(numbers)["k"], atol=1)
    assert filled.notna().all()


def test_pieces_of_a_frame_have_their_own_rows(numbers, run, monkeypatch):
    monkeypatch.setattr(frame_module, "BATCH", 25)
    labelled = numbers.set_axis(INDEXES["disorder"])
    expected = run.impute(labelled)
    for given in (labelled, pl.from_pandas(labelled), pa.Table.from_pandas(labelled)):
        pieces = list(open_frame(given).pieces())
        assert [(piece.first, piece.rows) for piece in pieces] == [(0, 25), (25, 25), (50, 10)]
        answers = [run.impute(piece) for piece in pieces]
        if isinstance(given, pd.DataFrame):
            pd.testing.assert_frame_equal(pd.concat(answers), expected)
        elif isinstance(given, pl.DataFrame):
            assert pl.concat(answers)["k"].to_list() == expected["k"].to_list()
        else:
            pd.testing.assert_frame_equal(pa.concat_tables(answers).to_pandas(), expected)


@pytest.mark.parametrize(
    "header",
    [
        pd.MultiIndex.from_tuples([("size", "x"), ("number", "k")], names=["what", "name"]),
        pd.Index([10, 2]),
        pd.Index(["k", "x"], name="columns"),
    ],
)
def test_names_of_columns_come_back_as_what_they_are(numbers, header, tmp_path):
    frame = numbers.set_axis(header, axis=1)
    trained = train(frame, tmp_path / "run")
    for answer in (trained.impute(frame), trained.reconstruct(frame), trained.impute_draws(frame, 1)[0]):
        pd.testing.assert_index_equal(answer.columns, header)
    backwards = frame.iloc[:, ::-1]
    answer = trained.impute(backwards)
    pd.testing.assert_index_equal(answer.columns, backwards.columns)
    pd.testing.assert_frame_equal(answer.iloc[:, ::-1], trained.impute(frame))


@pytest.mark.parametrize("make", [pl.from_pandas, lambda f: pa.Table.from_pandas(f, preserve_index=False)])
def test_columns_of_other_libraries_keep_their_order(numbers, run, make):
    answer = run.impute(make(numbers[["k", "x"]]))
    assert list(getattr(answer, "column_names", None) or answer.columns) == ["k", "x"]


def test_arrow_keeps_its_metadata_and_the_index_of_pandas_within(numbers, run):
    labelled = numbers.set_axis(INDEXES["disorder"])
    table = pa.Table.from_pandas(labelled)
    answer = run.impute(table)
    assert answer.schema.equals(table.schema, check_metadata=True)
    pd.testing.assert_frame_equal(answer.to_pandas(), run.impute(labelled))


# --- types, and cells that were given --------------------------------------------------------------------------------


def filled(frame, value, kind=None):
    """What comes back where a run fills the second cell of the only column with a value of its own Arrow type."""
    opened = open_frame(frame)
    (seen,) = opened.table().columns
    if pa.types.is_dictionary(seen.type):
        seen = seen.cast(seen.type.value_type)
    kind = kind or seen.type
    cells = seen.cast(kind)
    found = pa.chunked_array([*cells.slice(0, 1).chunks, pa.array([value], kind), *cells.slice(2).chunks])
    return opened.library.answer(pa.table({opened.names[0]: found}))


DAY, NEXT = dt.date(2020, 1, 31), dt.date(2021, 12, 31)
NOON = dt.datetime(2020, 1, 31, 12)
TOKYO = zoneinfo.ZoneInfo("Asia/Tokyo")
BERLIN = pa.timestamp("us", "Europe/Berlin")
HOURS = pd.Period("2020-01-31 05", "h")
BINS = pd.IntervalIndex.from_breaks(pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]), closed="left")

PANDAS = {
    "Int64": (pd.array([2**60 + 1, None, 3], "Int64"), 7, 7),
    "UInt64": (pd.array([2**63 + 1, None, 3], "UInt64"), 7, 7),
    "Float32": (pd.array([0.1, None, 3], "Float32"), 0.5, 0.5),
    "float32": (np.array([0.1, np.nan, 3], np.float32), 0.5, 0.5),
    "boolean": (pd.array([True, None, False], "boolean"), True, True),
    "string": (pd.array(["007", None, "b"], "string"), "b", "b"),
    "text with NaN": (pd.array(["007", None, "b"], pd.StringDtype("pyarrow", na_value=np.nan)), "b", "b"),
    "pyarrow integers": (pd.array([2**60 + 1, None, 3], "int64[pyarrow]"), 7, 7),
    "pyarrow decimals": (
        pd.array([Decimal("0.10"), None, Decimal("3.00")], pd.ArrowDtype(pa.decimal128(20, 2))),
        Decimal("0.50"),
        Decimal("0.50"),
    ),
    "pyarrow moments": (pd.array([NOON, None, NOON], pd.ArrowDtype(BERLIN)), NOON, pd.Timestamp(NOON, tz="UTC")),
    "nanoseconds": (pd.to_datetime(["2020-01-01 00:00:00.000000001", None, "2020"], format="ISO8601"), NOON, NOON),
    "zone": (pd.to_datetime([NOON, None, NOON]).tz_localize("Asia/Tokyo"), NOON, pd.Timestamp(NOON, tz="UTC")),
    "days": (pd.Series([DAY, None, DAY], dtype=object), NEXT, NEXT),
    "decimals": (pd.Series([Decimal("0.10"), None, Decimal(3)], dtype=object), Decimal("0.50"), Decimal("0.50")),
    "truth": (pd.Series([True, None, False], dtype=object), True, True),
    "text": (pd.Series(["x", np.nan, "y"], dtype=object), "z", "z"),
    "numbers of several types": (pd.Series([Decimal("0.1"), None, 0.25], dtype=object), 0.5, 0.5),
    "huge numbers": (pd.Series([2**70 + 1, None, 3], dtype=object), 0.5, 0.5),
    "days and moments": (pd.Series([DAY, None, NOON], dtype=object), NOON, NOON),
    "sparse": (pd.arrays.SparseArray([0, np.nan, 1.5], fill_value=0.0), 0.5, 0.5),
    "sparse truth": (pd.arrays.SparseArray([False, False, True]), True, True),
    "periods": (pd.PeriodIndex(["2020Q2", None, "2021Q1"], freq="Q-FEB"), DAY, pd.Period(DAY, "Q-FEB")),
    "hours": (pd.PeriodIndex([HOURS, None, HOURS + 1]), NOON, pd.Period(NOON, "h")),
    "period objects": (pd.Series([HOURS, None, HOURS + 1], dtype=object), NOON, pd.Period(NOON, "h")),
    "intervals": (BINS.take([0, -1, 0]).where([True, False, True]), str(BINS[1]), BINS[1]),
    "interval objects": (pd.Series([BINS[0], None, BINS[0]], dtype=object), str(BINS[1]), BINS[1]),
    "categories of intervals": (pd.Categorical.from_codes([0, -1, 0], BINS, ordered=True), str(BINS[1]), BINS[1]),
    "categories of days": (pd.Categorical([DAY, None, NEXT]), "2021-12-31", NEXT),
    "categories of moments": (pd.Categorical(pd.to_datetime([NOON, None, DAY])), str(NOON), pd.Timestamp(NOON)),
    "categories of hours": (pd.Categorical([HOURS, None, HOURS + 1]), str(HOURS), HOURS),
    "categories of truth": (pd.Categorical([True, None, False], ordered=True), True, True),
    "categories of numbers": (pd.Categorical([5, None, 7]), 7.0, 7),
    "categories of decimals": (pd.Categorical([Decimal("0.10"), None, Decimal(7)]), 7.0, Decimal(7)),
    "categories of several types": (pd.Categorical([5, None, "five"]), "5", 5),
    "ordered categories": (pd.Categorical(["b", None, "a"], ["b", "a", "c"], ordered=True), "c", "c"),
}


@pytest.mark.parametrize("name", list(PANDAS))
def test_pandas_types_and_cells(name):
    column, value, expected = PANDAS[name]
    given = pd.DataFrame({"c": column}, index=["r", "s", "t"]) if not isinstance(column, pd.Series) else column
    given = given.to_frame("c").set_axis(["r", "s", "t"]) if isinstance(given, pd.Series) else given
    answer = filled(given, value)
    assert answer["c"].dtype == given["c"].dtype
    assert answer["c"].iloc[1] == expected
    for row in (0, 2):
        assert answer["c"].iloc[row] == given["c"].iloc[row]
        assert type(answer["c"].iloc[row]) is type(given["c"].iloc[row])
    assert list(answer.index) == ["r", "s", "t"]
    pd.testing.assert_frame_equal(open_frame(given).library.answer(open_frame(given).table()), given)


ARROW = {
    "int64": (pa.array([2**60 + 1, None, 3]), 7),
    "uint64": (pa.array([2**64 - 1, None, 3], pa.uint64()), 7),
    "float32": (pa.array([0.1, None, 3], pa.float32()), 0.5),
    "decimals": (pa.array([Decimal("1.10"), None, Decimal("3.00")]), Decimal("0.50")),
    "large text": (pa.array(["007", None, "b"], pa.large_string()), "c"),
    "nanoseconds": (pa.array([1577836800000000001, None, 0], pa.timestamp("ns")), NOON),
    "zone": (pa.array([NOON, None, NOON], BERLIN), NOON.replace(tzinfo=dt.UTC)),
    "days": (pa.array([DAY, None, NEXT]), NEXT),
    "truth": (pa.array([True, None, False]), True),
}
ARROW_ONLY = {
    "a view of text": (pa.array(["007", None, "b"], pa.string_view()), "c"),
    "categories of large text": (pa.array(["a", None, "b"], pa.large_string()).dictionary_encode(), "b"),
    "categories of days": (pa.array([DAY, None, NEXT]).dictionary_encode(), NEXT),
    "categories of moments": (
        pa.array([NOON, None, NOON], pa.timestamp("s", "Asia/Tokyo")).dictionary_encode(),
        NOON.replace(tzinfo=dt.UTC).astimezone(TOKYO),
    ),
    "categories of truth": (pa.array([True, None, False]).dictionary_encode(), True),
    "categories of numbers": (pa.array([5, None, 7], pa.int8()).dictionary_encode(), 7),
    "categories of decimals": (pa.array([Decimal("1.10"), None, Decimal("2.00")]).dictionary_encode(), Decimal("2.00")),
    "categories of bytes": (pa.array([b"a", None, b"\xff"]).dictionary_encode(), b"\xff"),
    "ordered days": (
        pa.DictionaryArray.from_arrays(pa.array([0, None, 1], pa.int8()), pa.array([NEXT, DAY]), ordered=True),
        DAY,
    ),
}


def written(value):
    """A value of a category as a run gives it."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return float(value) if isinstance(value, Decimal) else str(value) if isinstance(value, dt.date) else value


@pytest.mark.parametrize("name", [*ARROW, *ARROW_ONLY])
def test_arrow_types_and_cells(name):
    column, value = (ARROW | ARROW_ONLY)[name]
    given = pa.table({"c": column}, metadata={"source": "here"})
    answer = filled(given, written(value) if name in ARROW_ONLY else value)
    assert answer.schema.equals(given.schema, check_metadata=True)
    cells = [
        each["c"].cast(pa.int64()).to_pylist() if name == "nanoseconds" else each["c"].to_pylist()
        for each in (answer, given)
    ]
    assert [cells[0][0], cells[0][2]] == [cells[1][0], cells[1][2]]
    if name != "nanoseconds":
        assert cells[0][1] == value


@pytest.mark.parametrize("name", list(ARROW))
def test_polars_types_and_cells(name):
    column, value = ARROW[name]
    given = pl.DataFrame({"c": pl.from_arrow(column)})
    answer = filled(given, value)
    assert answer.schema == given.schema
    assert answer["c"].gather([0, 2]).equals(given["c"].gather([0, 2]))
    assert answer["c"][1] == value


@pytest.mark.parametrize("kind", [pl.Enum(["z", "y", "x"]), pl.Categorical])
def test_lists_of_polars(kind):
    given = pl.DataFrame({"c": pl.Series(["x", None, "z"], dtype=kind)})
    answer = filled(given, "z")
    assert answer.schema == given.schema
    assert answer["c"].to_list() == ["x", "z", "z"]


@pytest.mark.parametrize(
    "column",
    [
        [b"a", None, b"b"],
        [[1], None, [2, 3]],
        [{"a": 1}, None, {"a": 2}],
        [dt.timedelta(1), None, dt.timedelta(0, 0, 1)],
    ],
)
def test_what_is_not_modelled_comes_back_as_it_was(column):
    for given in (pa.table({"c": column}), pl.DataFrame({"c": column})):
        opened = open_frame(given)
        assert opened.library.answer(opened.table()).equals(given)
    frame = pd.DataFrame({"c": pd.Series(column, dtype=object)}, index=[3, 4, 5])
    opened = open_frame(frame)
    pd.testing.assert_frame_equal(opened.library.answer(opened.table()), frame)


@pytest.mark.parametrize(
    ("column", "value", "kind", "expected"),
    [
        (pd.array([1, None, 3], "Int64"), 0.5, pa.float64(), pd.Series([1, 0.5, 3])),
        (pd.Categorical(["a", None, "b"], ordered=True), "c", None, pd.Series(["a", "c", "b"])),
        (pd.Categorical(["a", None, "b"]), "c", None, pd.Series(pd.Categorical(["a", "c", "b"]))),
        (pd.Categorical([DAY, None, NEXT]), "2020", None, pd.Series(["2020-01-31", "2020", "2021-12-31"])),
        (np.array([1.0, np.nan, 3.0]), 2, pa.int64(), pd.Series([1.0, 2.0, 3.0])),
        (pd.array([True, None, True], "boolean"), "unknown", pa.string(), pd.Series(["true", "unknown", "true"])),
        (BINS.take([0, 0, 0]), "no interval", None, pd.Series([str(BINS[0]), "no interval", str(BINS[0])])),
    ],
)
def test_what_a_type_of_pandas_does_not_hold_is_in_the_type_of_training(column, value, kind, expected):
    answer = filled(pd.DataFrame({"c": column}), value, kind)["c"]
    pd.testing.assert_series_equal(answer, expected, check_names=False)


@pytest.mark.parametrize("make", [pa.table, pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize(
    ("given", "found", "expected"),
    [
        (pa.array([2**60 + 1, None, 3]), [2.0**60, 2.6, 3.0], pa.array([2**60 + 1, 3, 3])),
        (
            pa.array([1577836800000000001, None, 0], pa.timestamp("ns")),
            pa.array([1577836800000000, 1_000_000, 0], pa.timestamp("us")),
            pa.array([1577836800000000001, 1_000_000_000, 0], pa.timestamp("ns")),
        ),
        (
            pa.array([0.1, None, 3], pa.float32()),
            [np.float32(0.1).item(), 0.7, 3.0],
            pa.array([0.1, 0.7, 3], pa.float32()),
        ),
    ],
)
def test_no_digit_of_a_given_cell_is_lost(make, given, found, expected):
    column = {pa.table: given, pl.DataFrame: pl.from_arrow(given)}
    column[pd.DataFrame] = pd.Series(pd.arrays.ArrowExtensionArray(given))
    opened = open_frame(make({"c": column[make]}))
    answer = opened.library.answer(pa.table({"c": found}))["c"]
    answer = answer.to_arrow() if make is pl.DataFrame else pa.array(answer) if make is pd.DataFrame else answer
    assert answer.type == given.type
    answer = answer.chunks if isinstance(answer, pa.ChunkedArray) else [answer]
    assert pa.concat_arrays(answer).equals(expected)


@pytest.mark.parametrize(
    ("found", "dtype"),
    [(pa.array(["a", "b"]), object), (pa.array([1, 2]), np.int64), (pa.array([True, False]), np.bool_)],
)
@pytest.mark.parametrize("empty", [[None, None], [np.nan, np.nan], pd.Series([None, None], dtype=object)])
def test_a_column_without_a_cell_or_a_type_takes_that_of_training(found, dtype, empty):
    answer = open_frame(pd.DataFrame({"c": empty})).library.answer(pa.table({"c": found}))["c"]
    assert answer.dtype == dtype
    assert answer.tolist() == found.to_pylist()
    for given in (pl.DataFrame({"c": [None, None]}), pa.table({"c": [None, None]})):
        other = open_frame(given).library.answer(pa.table({"c": found}))["c"]
        assert list(other.to_list() if isinstance(given, pl.DataFrame) else other.to_pylist()) == found.to_pylist()


def test_a_column_without_a_cell_keeps_a_type_that_someone_chose():
    for kind in ("Int32", pd.CategoricalDtype(["b", "a"]), "string", "Sparse[float64]"):
        frame = pd.DataFrame({"c": pd.Series([None, None], dtype=kind)})
        cells = pa.array(["a", "b"]) if not isinstance(kind, str) or kind == "string" else pa.array([1, 2], pa.int32())
        answer = open_frame(frame).library.answer(pa.table({"c": cells}))["c"]
        assert answer.dtype == frame["c"].dtype
        assert answer.tolist() == cells.to_pylist()


# --- what a model reads ----------------------------------------------------------------------------------------------


def test_categories_have_the_same_labels_in_every_library():
    days = pa.array([DAY, NEXT]).dictionary_encode()
    for frame in (
        pd.DataFrame({"c": pd.Categorical([DAY, NEXT])}),
        pa.table({"c": days}),
        pd.DataFrame({"c": pd.Series(pd.arrays.ArrowExtensionArray(days))}),
    ):
        assert open_frame(frame).table()["c"].to_pylist() == ["2020-01-31", "2021-12-31"]
    moments = [dt.datetime(2020, 1, 31), NOON]
    for frame in (
        pd.DataFrame({"c": pd.Categorical(pd.to_datetime(moments))}),
        pa.table({"c": pa.array(moments).dictionary_encode()}),
    ):
        assert open_frame(frame).table()["c"].to_pylist() == ["2020-01-31 00:00:00", "2020-01-31 12:00:00"]


def test_labels_of_odd_categories():
    assert label_categories([b"red", b"\xff", dt.timedelta(1, 2), pd.Timedelta(1, "D"), None]) == [
        "red",
        "\\xff",
        "1 day, 0:00:02",
        "1 day, 0:00:00",
        None,
    ]
    with pytest.raises(DataError, match=r"must differ when written as text\. Got '1' twice"):
        open_frame(pd.DataFrame({"c": pd.Categorical([1, "1"])}))


def test_intervals_that_come_again_are_a_list_in_their_order():
    often, once = BINS.take([1, 0, 1, 0]), pd.interval_range(0, 4)
    frame = pd.DataFrame({"often": often, "once": once})
    table = open_frame(frame).table()
    assert table.schema.field("often").type.ordered
    assert next(open_frame(frame).read())["often"].chunk(0).dictionary.to_pylist() == [str(BINS[0]), str(BINS[1])]
    assert table["once"].type == pa.string()


def test_periods_are_read_as_their_first_day_or_moment():
    frame = pd.DataFrame(
        {
            "quarter": pd.PeriodIndex(["2020Q2", None], freq="Q-FEB"),
            "week": pd.PeriodIndex(["2020-02-05", None], freq="W"),
            "hour": pd.PeriodIndex([HOURS, None]),
            "millisecond": pd.PeriodIndex(["1969-12-31 23:59:59.999", None], freq="ms"),
        }
    )
    table = open_frame(frame).table()
    assert table["quarter"].to_pylist() == [dt.date(2019, 6, 1), None]
    assert table["week"].to_pylist() == [dt.date(2020, 2, 3), None]
    assert table["hour"].to_pylist() == [dt.datetime(2020, 1, 31, 5), None]
    assert table["millisecond"].cast(pa.int64()).to_pylist() == [-1_000_000, None]


def test_objects_are_read_as_what_they_are():
    frame = pd.DataFrame(
        {
            "when": pd.Series([DAY, NOON, np.datetime64("2020-01-31T13")], dtype=object),
            "number": pd.Series([1, Decimal("0.5"), np.float32(0.25)], dtype=object),
            "huge": pd.Series([2**63, -1, None], dtype=object),
        }
    )
    table = open_frame(frame).table()
    assert table["when"].to_pylist() == [dt.datetime(2020, 1, 31), NOON, dt.datetime(2020, 1, 31, 13)]
    assert table["number"].to_pylist() == [1, 0.5, 0.25]
    assert table["huge"].to_pylist() == [2.0**63, -1, None]


def test_sparse_columns_are_read_as_what_they_hold():
    from scipy import sparse

    matrix = sparse.csr_matrix(np.array([[0, 2.5], [1, 0]]))
    frame = pd.DataFrame.sparse.from_spmatrix(matrix, index=["a", "b"], columns=["p", "q"])
    opened = open_frame(frame)
    assert opened.table().to_pydict() == {"p": [0, 1], "q": [2.5, 0]}
    pd.testing.assert_frame_equal(opened.library.answer(opened.table()), frame)


@pytest.mark.parametrize(
    ("found", "kind"), [(1.5, pa.int64()), (300, pa.int8()), (NOON, pa.date32()), (-1, pa.uint8())]
)
def test_casts_that_lose_something_are_none(found, kind):
    assert cast_exactly(pa.array([found]), kind) is None


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "index", "words"),
    [
        (
            [1, 2.5, Decimal(3), np.int8(4), "n/a"],
            None,
            r"column 'c' must have the same type\. Got 'n/a' in row 4, text among numbers instead\. "
            r"Replace cells of other types with missing values, as with frame\['c'\] = pandas\.to_numeric\(frame\['c'\], errors=\"coerce\"\)",
        ),
        ([1, 2.5, None, True], None, "Got True in row 3, a truth value among numbers"),
        (["a", np.nan, 7, "b"], list("wxyz"), r"Got 7 in row 2 \(index 'y'\), a number among text .*astype\(str\)"),
        ([DAY, NOON, "soon"], None, r"Got 'soon' in row 2, text among dates .*pandas\.to_datetime\(frame\['c'\]"),
        ([dt.timedelta(1), pd.Timedelta("2 h"), 5], None, r"Got 5 in row 2, a number among lengths .*to_timedelta"),
        ([{1}, {2}, (1, 2)], [5, 6, 7], r"Got \(1, 2\) in row 2 \(index 7\), tuple among set"),
        ([[1, 2], [3, 4], "x"], None, "Got 'x' in row 2, text among list"),
        (
            [NOON.replace(tzinfo=dt.UTC), None, NOON],
            None,
            r"a time zone, or all be without one\. Got datetime.*without a time zone in row 2",
        ),
    ],
)
def test_the_odd_cell_is_blamed(cells, index, words):
    with pytest.raises(DataError, match=words):
        open_frame(pd.DataFrame({"c": pd.Series(cells, dtype=object, index=index)}))


def test_objects_of_polars_are_refused():
    with pytest.raises(DataError, match=r"type that Arrow supports\. Got column 'o' of Python objects"):
        open_frame(pl.DataFrame({"o": pl.Series([{1}, {2}], dtype=pl.Object)}))


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd():
    """A frame with a column of each of the types that Arrow does not have, cells missing in each."""
    rng = np.random.default_rng(1)
    width = rng.normal(size=ROWS)
    frame = pd.DataFrame(
        {
            "width": width,
            "band": pd.cut(width, [-9, -0.5, 0.5, 9]),
            "bin": pd.arrays.IntervalArray(BINS.take(rng.integers(0, 2, ROWS))),
            "quarter": pd.Categorical(pd.PeriodIndex(rng.choice(["2020Q1", "2020Q4"], ROWS), freq="Q")),
            "hour": pd.PeriodIndex(pd.Timestamp(NOON) + pd.to_timedelta(rng.integers(0, 99, ROWS), "h"), freq="h"),
            "day": pd.Categorical(rng.choice([DAY, NEXT], ROWS)),
            "dose": pd.arrays.SparseArray(rng.poisson(0.6, ROWS).astype(float), fill_value=0),
        },
        index=[f"r{i}" for i in range(ROWS)],
    )
    for place in range(1, frame.shape[1] - 1):
        frame.iloc[place::7, place] = None
    return frame


@pytest.fixture(scope="module")
def odd_run(odd, tmp_path_factory):
    return train(odd, tmp_path_factory.mktemp("runs") / "odd")


def test_odd_types_are_modelled_and_filled(odd, odd_run):
    kinds = {column.name: column.kind for column in odd_run.schema.table}
    assert kinds["band"] == "ordinal"
    assert kinds["bin"] == "ordinal"
    assert kinds["quarter"] == kinds["day"] == "binary"
    assert kinds["hour"] == "datetime"
    filled = vaekit.load(odd_run.path).impute(odd)
    assert filled.dtypes.equals(odd.dtypes)
    assert filled.index.equals(odd.index)
    for name in odd:
        there = odd[name].notna()
        assert (filled[name][there] == odd[name][there]).all()
        assert filled[name].notna().all()
        gone = filled[name][~there]
        if isinstance(odd[name].dtype, pd.CategoricalDtype | pd.IntervalDtype):
            assert set(gone) <= set(odd[name].dropna())


def test_a_run_draws_labels_and_first_moments(odd_run):
    drawn = odd_run.sample(20, complete=True).to_dict("list")
    assert set(map(str, drawn["band"])) <= {"(-9.0, -0.5]", "(-0.5, 0.5]", "(0.5, 9.0]"}
    assert set(map(str, drawn["bin"])) <= set(map(str, BINS))
    assert set(map(str, drawn["quarter"])) <= {"2020Q1", "2020Q4"}
    assert set(map(str, drawn["day"])) <= {str(DAY), str(NEXT)}
    assert all(isinstance(hour, pd.Period) for hour in drawn["hour"])


def test_labels_score_as_the_categories_that_they_stand_for(odd, odd_run):
    plain = pa.table(
        {
            "width": odd["width"].to_numpy(),
            **{
                name: pa.array([None if pd.isna(c) else str(c) for c in odd[name]])
                for name in ("band", "bin", "quarter", "day")
            },
            "hour": pa.array([None if pd.isna(c) else c.start_time for c in odd["hour"]], pa.timestamp("us")),
            "dose": odd["dose"].to_numpy(),
        }
    )
    np.testing.assert_array_equal(odd_run.score_samples(plain), odd_run.score_samples(odd))
