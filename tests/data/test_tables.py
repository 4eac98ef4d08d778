import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import tables_on_disk
from vaekit.data import Source
from vaekit.errors import DataError


def open_csv(path):
    return Source.of_frame(tables_on_disk.open_csv(path)).as_numbers()


def open_parquet(path):
    return Source.of_frame(tables_on_disk.open_parquet(path)).as_numbers()


@pytest.fixture
def csv(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "x.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    def write(**columns):
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    return write


def test_a_header_is_recognised_by_not_being_numbers(csv):
    named = open_csv(csv("a,b\n1,2.5\n3,4\n"))
    assert named.columns == ("a", "b")
    assert named.values.tolist() == [[1.0, 2.5], [3.0, 4.0]]
    unnamed = open_csv(csv("1,2.5\n3,4\n"))
    assert unnamed.columns == ()
    assert unnamed.values.tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_years_among_the_names_leave_a_header_a_header(csv):
    source = open_csv(csv("id,2019,2020\n1,2,3\n"))
    assert source.columns == ("id", "2019", "2020")
    assert source.values.tolist() == [[1, 2, 3]]


def test_whole_numbers_stay_whole_if_all_are(csv):
    assert open_csv(csv("a,b\n1,2\n3,9007199254740992\n")).values.tolist() == [[1, 2], [3, 9007199254740992]]
    with pytest.raises(DataError, match=r"every column must hold numbers\. Got column 'b' of type string"):
        open_csv(csv("a,b\n1,2\n3,9007199254740993\n"))  # which a double would merge with its neighbour
    assert open_csv(csv("a,b\n1,2\n")).values.dtype == np.int64
    assert open_csv(csv("a,b\n1,2.0\n")).values.dtype == np.float64


def test_true_and_false_are_one_and_nought(csv, parquet):
    source = open_csv(csv("a,b\ntrue,false\nfalse,true\n"))
    assert source.values.tolist() == [[1, 0], [0, 1]]
    assert source.values.dtype == np.uint8
    assert open_parquet(parquet(a=[True, False])).values.tolist() == [[1], [0]]


def test_quoted_names_windows_lines_and_a_missing_last_newline(csv):
    source = open_csv(csv('"a, or b",c\r\n1,2\r\n3,4'))
    assert source.columns == ("a, or b", "c")
    assert source.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "a,b\n1,2\n3,4\n"])
def test_a_byte_order_mark_is_no_part_of_the_data(csv, text):
    source = open_csv(csv(text, "utf-8-sig"))
    assert source.values.tolist() == [[1, 2], [3, 4]]
    assert source.columns in ((), ("a", "b"))


def test_an_empty_cell_in_the_first_row_does_not_make_it_a_header(csv):
    with pytest.raises(DataError, match="empty cell"):
        open_csv(csv("1,,3\n4,5,6\n7,8,9\n"))


def test_empty_cells_are_told_with_their_column_and_first_row(csv):
    with pytest.raises(DataError, match=r"an empty cell in column 'b', row 1 \(2 of its 3 cells"):
        open_csv(csv("a,b\n1,2\n3,\n5,\n"))


def test_a_column_of_text_is_named(csv, parquet):
    with pytest.raises(DataError, match=r"column 'animal' of type string.*Leave it out, or encode it as numbers"):
        open_csv(csv("a,animal\n1,cat\n2,dog\n"))
    with pytest.raises(DataError, match="column 'animal' of type string"):
        open_parquet(parquet(a=[1, 2], animal=["cat", "dog"]))


def test_dates_are_no_numbers(parquet):
    with pytest.raises(DataError, match="column 'day' of type date32"):
        open_parquet(parquet(day=[datetime.date(2020, 1, 1)]))


def test_lines_of_different_length_are_refused_with_the_number_of_the_line(csv):
    with pytest.raises(DataError, match=r"the same number of cells.*Expected 2 columns, got 3") as error:
        open_csv(csv("a,b\n1,2\n3,4,5\n"))
    assert "3" in str(error.value).partition("Expected")[0].rpartition("x.csv")[2]


def test_two_columns_of_one_name_are_refused(csv):
    with pytest.raises(DataError, match=r"different names.*'a' twice"):
        open_csv(csv("a,b,a\n1,2,3\n"))


def test_a_header_alone_holds_no_examples(csv):
    with pytest.raises(DataError, match="has a line of names but no rows"):
        open_csv(csv("a,b\n"))


def test_names_in_another_encoding_are_refused_in_words(csv):
    with pytest.raises(DataError, match=r"x\.csv"):
        open_csv(csv("größe,b\n1,2\n", "latin-1"))


def test_parquet_keeps_values_and_names(parquet):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.integers(-5, 5, 50)
    source = open_parquet(parquet(a=a, b=b))
    assert source.columns == ("a", "b")
    np.testing.assert_array_equal(source.values, np.column_stack([a, b]))
    whole = open_parquet(parquet(b=b.astype(np.int32)))
    assert whole.values.dtype == np.int32


def test_parquet_with_nulls_is_refused(parquet):
    with pytest.raises(DataError, match=r"an empty cell in column 'b', row 2 \(1 of its 3 cells"):
        open_parquet(parquet(a=[1.0, 2.0, 3.0], b=[1, 2, None]))


@pytest.mark.parametrize("damage", [lambda b: b[:-10], lambda b: b"hello", lambda b: b""])
def test_a_damaged_parquet_is_named(parquet, damage):
    path = parquet(a=[1.0, 2.0])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"must be undamaged.*x\.parquet"):
        open_parquet(path)


def test_a_parquet_without_columns_holds_no_examples(parquet):
    with pytest.raises(DataError, match="The source holds no examples"):
        open_parquet(parquet())


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_recognised(tmp_path, separator):
    (tmp_path / "x.csv").write_text("\n".join(separator.join(row) for row in (("a", "b"), ("1", "2.5"), ("3", "4"))))
    source = open_csv(tmp_path / "x.csv")
    assert source.columns == ("a", "b")
    np.testing.assert_array_equal(source.values, [[1, 2.5], [3, 4]])


def test_a_header_of_counted_columns_is_no_row(tmp_path):
    (tmp_path / "x.csv").write_text("0,1,2\n5,6,7\n8,9,1\n")
    source = open_csv(tmp_path / "x.csv")
    assert source.columns == ("0", "1", "2")
    np.testing.assert_array_equal(source.values, [[5, 6, 7], [8, 9, 1]])


@pytest.mark.parametrize("header", [",a,b", ",0,1"])
def test_the_index_of_a_data_frame_is_left_out(tmp_path, header):
    (tmp_path / "x.csv").write_text(f"{header}\n0,5,6\n1,8,9\n")
    source = open_csv(tmp_path / "x.csv")
    assert source.columns == tuple(header.split(",")[1:])
    np.testing.assert_array_equal(source.values, [[5, 6], [8, 9]])
