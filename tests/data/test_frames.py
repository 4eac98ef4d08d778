"""Tables as frames: CSV and Parquet files, data frames of pandas, polars and Arrow."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables_on_disk import open_csv, open_parquet
from vaekit.data import open_source
from vaekit.data.readers import csv as csv_module
from vaekit.data.readers import pieces as pieces_module
from vaekit.data.readers.headers import is_header
from vaekit.data.readers.libraries import open_frame
from vaekit.data.tables import frame as frame_module
from vaekit.data.tables import written
from vaekit.errors import DataError


def columns(frame):
    return frame.table().to_pydict()


MIXED = "age,city,paid,day,ok\n31,Bonn,1.5,2020-02-29,true\n47,Köln,2,2021-01-01,false\n,?,NA,null,-\n"
MIXED_COLUMNS = {
    "age": [31, 47, None],
    "city": ["Bonn", "Köln", None],
    "paid": [1.5, 2.0, None],
    "day": [datetime.date(2020, 2, 29), datetime.date(2021, 1, 1), None],
    "ok": [True, False, None],
}


@pytest.mark.parametrize("name", ["x.csv", "x.CSV", "x.csv.gz", "x.tsv.gz"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_has_types_names_and_missing_cells(write, name, separator, newline):
    path = write(MIXED.replace(",", separator).replace("\n", newline), name)
    frame = open_csv(path)
    assert columns(frame) == MIXED_COLUMNS
    assert [str(kind) for kind in frame.schema.types] == ["int64", "string", "double", "date32[day]", "bool"]
    assert (frame.rows, frame.named) == (3, True)
    assert columns(frame) == MIXED_COLUMNS  # rows are given anew


@pytest.mark.parametrize("cell", written.MISSING)
def test_what_says_that_there_is_no_value(write, cell):
    frame = open_csv(write(f"a,b,c\n1,{cell},{cell}\n{cell}, {cell} ,x\n"))
    assert columns(frame) == {"a": [1, None], "b": [None, None], "c": [None, "x"]}


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "9007199254740992"], "int64", [1, -2, 9007199254740992]),
        (["007", "1"], "string", ["007", "1"]),
        (["1", "2.5"], "double", [1.0, 2.5]),
        (["1e3", ".5", "+2", "-1"], "double", [1000.0, 0.5, 2.0, -1.0]),
        (["True", "FALSE"], "bool", [True, False]),
        (["true", "1"], "string", ["true", "1"]),
        (["0x10", "0x11"], "string", ["0x10", "0x11"]),
        (["1,234", "5,678"], "string", ["1,234", "5,678"]),
        (["1", "x"], "string", ["1", "x"]),
        (
            ["2020-01-01", "2020-01-02 10:00"],
            "timestamp[s]",
            [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2, 10)],
        ),
        (["2020-01-01T10:00:00.5"], "timestamp[us]", [datetime.datetime(2020, 1, 1, 10, 0, 0, 500000)]),
        (["2020-01-01", "2020-02-30"], "string", ["2020-01-01", "2020-02-30"]),
        (["2020-01-01", "17"], "string", ["2020-01-01", "17"]),
        (["two\nlines", 'a "word"'], "string", ["two\nlines", 'a "word"']),
    ],
)
def test_types_are_told_from_all_cells(write, cells, kind, values):
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    frame = open_csv(write("a,b\n" + "".join(f"{cell},0\n" for cell in quoted)))
    assert str(frame.schema.field("a").type) == kind
    assert columns(frame)["a"] == values


def test_dates_with_a_zone_are_moments(write):
    found = columns(open_csv(write("a\n2020-01-01T10:00:00+02:00\n")))["a"]
    assert found == [datetime.datetime(2020, 1, 1, 8, tzinfo=datetime.UTC)]


def test_types_of_later_blocks_count(write, monkeypatch):
    monkeypatch.setattr(csv_module, "BLOCK", 64)
    lines = [f"{i},{i},{i}\n" for i in range(100)] + ["100.5,word,\n"]
    frame = open_csv(write("a,b,c\n" + "".join(lines)))
    assert [str(kind) for kind in frame.schema.types] == ["double", "string", "int64"]
    found = columns(frame)
    assert found["a"] == [*map(float, range(100)), 100.5]
    assert found["b"] == [*map(str, range(100)), "word"]
    assert found["c"] == [*range(100), None]


def test_batches_are_bounded(write, monkeypatch):
    monkeypatch.setattr(pieces_module, "BATCH", 7)
    frame = open_csv(write("a\n" + "".join(f"{i}\n" for i in range(100))))
    sizes = [len(table) for table in frame.read()]
    assert max(sizes) == 7
    assert sum(sizes) == frame.rows == 100
    monkeypatch.setattr(frame_module, "BATCH", 8)
    assert [len(piece.table()) for piece in open_frame(pa.table({"a": range(20)})).pieces()] == [8, 8, 4]


@pytest.mark.parametrize(
    ("first", "rows", "expected"),
    [
        (["a", "b"], [["1", "2"]], True),
        (["1", "2"], [["1", "2"]], False),
        (["0", "1"], [["5", "6"]], True),
        (["", "0", "1"], [["0", "5", "6"]], True),
        (["city", "size"], [["Bonn", "large"], ["Ulm", "small"]], True),
        (["Bonn", "large"], [["Bonn", "small"], ["Ulm", "small"]], True),
        (["39", "State-gov", "77516"], [["50", "Private", "83311"], ["38", "State-gov", "1"]], False),
        (["id", "2019", "2020"], [["1", "2", "3"]], True),
        (["yes", "id"], [["yes", "1"], ["no", "2"]], True),
        (["2020-01-01", "5"], [["2020-01-02", "6"]], False),
        (["true", "5"], [["false", "6"]], False),
        (["a", "b"], [], True),
        (["?", "5"], [["x", "6"]], False),
    ],
)
def test_headers(first, rows, expected):
    assert is_header(first, rows) is expected


def test_without_a_header_columns_are_numbered(write):
    frame = open_csv(write("1,cat\n2,dog\n3,cat\n"))
    assert columns(frame) == {"column0": [1, 2, 3], "column1": ["cat", "dog", "cat"]}
    assert not frame.named
    assert frame.in_order(["n", "animal"]).names == ("n", "animal")


@pytest.mark.parametrize("start", [0, 1])
def test_an_index_without_a_name_is_left_out(write, start):
    rows = "".join(f"{i + start},{2 * i}\n" for i in range(5))
    assert columns(open_csv(write(f",a\n{rows}"))) == {"a": [0, 2, 4, 6, 8]}
    assert columns(open_csv(write(",a\n1,5\n3,6\n"))) == {"column0": [1, 3], "a": [5, 6]}
    assert columns(open_csv(write("column0,a\n0,5\n1,6\n"))) == {"column0": [0, 1], "a": [5, 6]}
    assert columns(open_csv(write('"",a\nMazda,5\nFord,6\n'))) == {"column0": ["Mazda", "Ford"], "a": [5, 6]}


def test_space_around_cells_and_a_byte_order_mark_are_no_part_of_them(write):
    frame = open_csv(write(b"\xef\xbb\xbf a , b\n 1, cat \n 2,dog\n"))
    assert columns(frame) == {"a": [1, 2], "b": ["cat", "dog"]}


def test_empty_lines_before_and_between_are_no_rows(write):
    assert columns(open_csv(write("\n\na,b\n\n1,2\n\n3,4\n\n"))) == {"a": [1, 3], "b": [2, 4]}


def test_a_decimal_comma_leaves_semicolons_to_separate(write):
    assert columns(open_csv(write("1,5;2,5\n3,5;4,5\n"))) == {"column0": ["1,5", "3,5"], "column1": ["2,5", "4,5"]}


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("a,b\n1,2\n3,4,5\n", "x.csv", r"the same number of cells.*Expected 2 columns, got 3"),
        ("a,b,a\n1,2,3\n", "x.csv", r"different names.*'a' twice"),
        ("a,b\n", "x.csv", "has a line of names but no rows"),
        ("a,b", "x.csv", "has a line of names but no rows"),
        ("\n \n", "x.csv", "The source .* is an empty file"),
        ("größe,b\n1,2\n".encode("latin-1"), "x.csv", r"encoded in UTF-8.*x\.csv.*Save it as UTF-8"),
        (b"a,b\n" + b"1,2\n" * 9000 + "größe,2\n".encode("latin-1"), "x.csv", "encoded in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "x.csv", "encoded in UTF-8"),
    ],
)
def test_bad_csv_files(write, content, name, words):
    with pytest.raises(DataError, match=words):
        open_csv(write(content, name))


def test_a_packed_file_that_is_cut_short_or_is_none(write):
    path = write("a,b\n" + "".join(f"{i},{i * i % 977}\n" for i in range(40000)), "x.csv.gz")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:20], b"a,b\n1,2\n"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"must be undamaged.*x\.csv\.gz"):
            open_csv(path)


def test_a_file_that_changes_between_readings_is_refused(write):
    path = write("a\n1\n2\n")
    frame = open_csv(path)
    path.write_text("a\n1\nword\n")
    with pytest.raises(DataError, match=r"x\.csv' changed while it was read"):
        frame.table()


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8).map(str.strip)
CELL = TEXT.filter(lambda t: t and t not in written.MISSING and t.lower() not in ("true", "false"))


@given(st.lists(st.tuples(st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.none() | CELL), min_size=1))
def test_arrow_writes_what_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    table = pa.table(dict(zip(("whole", "real", "text"), map(list, zip(*rows, strict=True)), strict=True)))
    table = pa.table([*table.columns[:2], table["text"].cast(pa.string())], names=table.column_names)
    pyarrow.csv.write_csv(table, path)
    found = columns(open_csv(path))
    assert found["whole"] == [row[0] for row in rows]
    assert found["real"] == [row[1] for row in rows]
    kept = open_csv(path).schema.field("text").type
    assert kept != pa.string() or found["text"] == [row[2] for row in rows]


def test_parquet_is_read_in_batches_with_its_types(tmp_path, monkeypatch):
    table = pa.table(
        {"a": pa.array([1, None, 3], pa.int16()), "b": ["x", "y", None], "c": pa.array([1.5, 2, 3], pa.float32())}
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    frame = open_parquet(tmp_path / "x.parquet")
    assert frame.table() == table
    assert (frame.rows, frame.named) == (3, True)
    monkeypatch.setattr(pieces_module, "BATCH", 2)
    assert [len(part) for part in frame.read()] == [2, 1]


def test_an_index_of_pandas_in_parquet_is_left_out(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[5, 7]).to_parquet(tmp_path / "x.parquet")
    assert columns(open_parquet(tmp_path / "x.parquet")) == {"a": [1, 2]}
    assert columns(open_frame(pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=[5, 7])))) == {"a": [1, 2]}


@pytest.mark.parametrize("damage", [lambda b: b[:-10], lambda b: b[:-200], lambda b: b"hello", lambda b: b""])
def test_damaged_parquet(tmp_path, damage):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pa.table({"a": range(1000)}), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"must be undamaged.*x\.parquet"):
        open_parquet(path)


def test_parquet_that_is_damaged_within(tmp_path):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pa.table({"a": np.random.default_rng(0).normal(size=5000)}), path)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"must be undamaged.*x\.parquet"):
        open_parquet(path).table()


PANDAS = pd.DataFrame(
    {
        "int": [1, 2, 3],
        "Int": pd.array([1, None, 3], "Int64"),
        "float": [0.5, np.nan, 1.5],
        "Float32": pd.array([0.5, None, 1.5], "Float32"),
        "bool": [True, False, True],
        "boolean": pd.array([True, None, False], "boolean"),
        "object": ["x", None, "z"],
        "string": pd.array(["x", None, "z"], "string"),
        "category": pd.Categorical(["x", None, "z"], categories=["z", "x"], ordered=True),
        "coded": pd.Categorical([5, 7, None]),
        "day": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
        "moment": pd.to_datetime(["2020-01-01 10:00", None, "2020-01-03 00:00"]).tz_localize("Europe/Berlin"),
        "date": [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 3)],
    },
    index=[7, 8, 9],
)


def test_pandas_and_back():
    frame = open_frame(PANDAS)
    table = frame.table()
    assert table["Int"].to_pylist() == [1, None, 3]
    assert table["float"].to_pylist() == [0.5, None, 1.5]
    assert table["category"].to_pylist() == ["x", None, "z"]
    assert frame.schema.field("category").type.ordered
    assert table["date"].to_pylist() == PANDAS["date"].tolist()
    back = frame.library.answer(table)
    pd.testing.assert_frame_equal(back, PANDAS)


def test_pandas_results_of_other_types_and_further_columns_stay():
    frame = open_frame(pd.DataFrame({0: [1, 2], "a": [1, 2]}))
    assert frame.names == ("0", "a")
    back = frame.library.answer(pa.table({"0": [1, None], "a": [0.5, 1.5], "score": [1.0, 2.0]}))
    pd.testing.assert_frame_equal(back, pd.DataFrame({0: [1.0, np.nan], "a": [0.5, 1.5], "score": [1.0, 2.0]}))


POLARS = pl.DataFrame(
    {
        "int": [1, None, 3],
        "small": pl.Series([1, 2, 3], dtype=pl.UInt8),
        "float": [0.5, None, 1.5],
        "bool": [True, None, False],
        "text": ["x", None, "z"],
        "category": pl.Series(["x", None, "z"], dtype=pl.Categorical),
        "enum": pl.Series(["x", None, "z"], dtype=pl.Enum(["z", "x"])),
        "day": [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 3)],
        "moment": [datetime.datetime(2020, 1, 1, 10), None, datetime.datetime(2020, 1, 3)],
    }
)


@pytest.mark.parametrize("given_as", [POLARS, POLARS.lazy()])
def test_polars_and_back(given_as):
    frame = open_frame(given_as)
    assert frame.names == tuple(POLARS.columns)
    for name in frame.names:
        assert frame.table()[name].to_pylist() == POLARS[name].to_list()
    back = frame.library.answer(frame.table())
    assert isinstance(back, pl.DataFrame)
    assert back.equals(POLARS)
    assert back.schema == POLARS.schema


def test_results_that_do_not_fit_polars_types_stay():
    back = open_frame(POLARS).library.answer(pa.table({"enum": ["other"], "small": [0.5], "score": [0.5]}))
    assert back.to_dict(as_series=False) == {"enum": ["other"], "small": [0.5], "score": [0.5]}


def test_arrow_is_itself():
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    assert open_frame(table).table() == table
    assert open_frame(table).library.answer(table).equals(table)
    assert open_frame(table.to_batches()[0]).table() == table


@pytest.mark.parametrize(
    "value", [np.ones((3, 2)), [[1, 2]], "digits", {"a": [1]}, None, 3, pd.Series([1, 2]), pl.Series([1])]
)
def test_what_is_no_data_frame(value):
    assert open_frame(value) is None


def test_narwhals_is_imported_only_when_needed():
    import subprocess
    import sys

    code = (
        "import sys, numpy, pyarrow; from vaekit.data.readers.libraries import open_frame;"
        "open_frame(numpy.ones((2, 2))), open_frame(pyarrow.table({'a': [1]}));"
        "print(sorted({'narwhals', 'polars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            pd.DataFrame({"a": [1, 2, 3, "x"]}),
            r"column 'a' must have the same type. Got 'x' in row 3, text among numbers instead\. .*pandas\.to_numeric\(frame\['a'\]",
        ),
        (
            pd.DataFrame({"a": ["x", None, 7, "y"]}),
            r"column 'a' must have the same type. Got 7 in row 2, a number among text .* frame\['a'\].astype\(str\)",
        ),
        (pd.DataFrame({"a": [1 + 2j]}), "column 'a' of type complex128"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' twice"),
        (pd.DataFrame({"a": []}), "The source holds no examples: "),
        (pd.DataFrame(index=[1, 2]), "The source holds no examples: "),
        (pl.DataFrame(), "The source holds no examples: "),
        (pa.table([[1], [2]], names=["a", "a"]), "'a' twice"),
    ],
)
def test_bad_data_frames(value, words):
    with pytest.raises(DataError, match=words):
        open_frame(value)


def test_numbers_side_by_side():
    from decimal import Decimal

    given = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [Decimal("0.25"), Decimal(3)]})
    source = open_source(given).as_numbers()
    assert source.values.tolist() == [[1, 1, 0.25], [2, 0, 3]]
    assert source.columns == ("a", "b", "c")
    assert open_source(pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int16})).as_numbers().values.dtype == np.int16
    with pytest.raises(DataError, match=r"an empty cell in column 'a', row 1 \(1 of its 2 cells"):
        open_source(pd.DataFrame({"a": [0.5, np.nan]})).as_numbers()
    with pytest.raises(DataError, match=r"every column must hold numbers\. Got column 'b' of type string instead"):
        open_source(pa.table({"a": [1], "b": ["x"]})).as_numbers()
