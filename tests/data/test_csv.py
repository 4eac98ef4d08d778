"""Text files as people have them: codes, dates of many countries, marks of missing cells, separators, headers."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tables_on_disk import open_csv, open_written
from vaekit.data import open_source
from vaekit.data.readers import csv
from vaekit.data.tables.inference import infer_columns
from vaekit.errors import DataError


def lines(head, cells):
    return head + "\n" + "".join(f"{cell}\n" for cell in cells)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["02116", "10001"], "string"),
        (["-07", "12"], "string"),
        (["0", "0.5", "-0.25"], "double"),
        (["00"], "string"),
        (["0", "10"], "int64"),
        (["+4912", "+4930"], "string"),
        (["+1", "-1"], "double"),
        (["+1.5", "2"], "string"),
        (["9007199254740992"], "int64"),
        (["9007199254740993"], "string"),
        (["-9007199254740993"], "string"),
        (["89312914177763170669"], "string"),
        (["12345678901234567890.5", "1"], "double"),
        (["12E5", "7E2"], "string"),
        (["12E5", "7.5"], "double"),
        (["1e-5", "2e-5"], "double"),
        (["1.1", "1.10", "2.0"], "string"),
        (["1", "1.0"], "string"),
        (["1.10", "2.50"], "double"),
        (["-0.0", "0.0", "1.0"], "double"),
    ],
)
def test_numbers_are_numbers_only_where_nothing_is_lost(write, cells, kind):
    assert str(open_csv(write(lines("a,b", [f"{cell},x" for cell in cells]))).schema.field("a").type) == kind


def test_of_many_numbers_two_that_are_one_are_noted(write):
    cells = [f"{i / 7:.3f}" for i in range(60)] + ["2.000", "2.0"]
    frame = open_csv(write(lines("a", cells)))
    assert str(frame.schema.field("a").type) == "double"
    (column,) = infer_columns(frame)
    assert column.note == "2.0 and 2.000 are the same number"


def test_codes_that_are_numbers_to_a_library_stay_apart(write):
    (column,) = infer_columns(open_csv(write(lines("code", ["7", "07", "007", "12"] * 9))))
    assert sorted(column.categories) == ["007", "07", "12", "7"]


def test_codes_with_zeros_are_not_numbers_with_a_word_among_them(write):
    cells = [f"{i:05d}" for i in range(60)] * 3 + ["A12"]
    assert infer_columns(open_csv(write(lines("code", cells))))[0].kind == "categorical"


@pytest.mark.parametrize(
    ("cells", "form", "first"),
    [
        (["31.12.2020", "01.02.2021"], "%d.%m.%Y", datetime.datetime(2020, 12, 31)),
        (["12/31/2020", "02/01/2021"], "%m/%d/%Y", datetime.datetime(2020, 12, 31)),
        (["31-12-2020", "01-02-2021"], "%d-%m-%Y", datetime.datetime(2020, 12, 31)),
        (["2020/12/31", "2021/02/01"], "%Y/%m/%d", datetime.datetime(2020, 12, 31)),
        (["2020.12.31", "2021.02.01"], "%Y.%m.%d", datetime.datetime(2020, 12, 31)),
        (["31 Dec 2020", "01 Feb 2021"], "%d %b %Y", datetime.datetime(2020, 12, 31)),
        (["December 31, 2020", "May 01, 2021"], "%B %d, %Y", datetime.datetime(2020, 12, 31)),
        (["31.12.2020 17:30", "01.02.2021 08:05"], "%d.%m.%Y %H:%M", datetime.datetime(2020, 12, 31, 17, 30)),
        (["12/31/2020 05:39 PM", "1/2/2021 12:01 AM"], "%m/%d/%Y %I:%M %p", datetime.datetime(2020, 12, 31, 17, 39)),
        (["20201231", "20210201", "20210301"], "%Y%m%d", datetime.datetime(2020, 12, 31)),
    ],
)
def test_dates_of_other_countries_are_read_and_written_in_their_form(write, cells, form, first):
    frame = open_csv(write(lines("when,x", [f'"{cell}",{i}' for i, cell in enumerate(cells * 20)])))
    column = infer_columns(frame)[0]
    assert (column.kind, column.form) == ("datetime", form)
    codes = column.code(pa.array(cells))
    moment = datetime.datetime.fromtimestamp(codes[0] / 1e6, datetime.UTC).replace(tzinfo=None)
    assert moment == first
    assert [str(cell) for cell in column.decode(codes[:1]).to_pylist()] == cells[:1]


def test_a_date_in_iso_form_is_read_whatever_the_form_of_the_column(write):
    column = infer_columns(open_csv(write(lines("when", ["31.12.2020", "01.02.2021"] * 9))))[0]
    assert column.code(pa.array(["2020-12-31"])) == column.code(pa.array(["31.12.2020"]))
    moment = pa.array([datetime.date(2020, 12, 31)])
    assert column.code(moment) == column.code(pa.array(["31.12.2020"]))


def test_dates_of_two_readings_are_left_as_they_are_and_named(write):
    path = write(lines("when", ["01/02/2020", "03/04/2020", "05/06/2021"] * 9))
    (column,) = infer_columns(open_csv(path))
    assert column.kind == "categorical"
    assert "%m/%d/%Y or %d/%m/%Y" in column.note
    assert "data.columns.when=datetime" in column.note
    (declared,) = infer_columns(open_csv(path), {"when": "datetime"})
    assert (declared.kind, declared.form) == ("datetime", "%m/%d/%Y")


def test_dates_of_an_unknown_form_are_named(write):
    cells = [f"{d:02d}.{m:02d}.{y}" for d in range(1, 28) for m in (1, 7) for y in (19, 20)]
    assert "look like dates" in infer_columns(open_csv(write(lines("when", cells))))[0].note


def test_eight_digits_that_are_no_days_are_numbers(write):
    cells = [20200101 + 31 * i for i in range(200)]
    assert (
        infer_columns(open_csv(write(lines("n,x", [f"{cell},{i}" for i, cell in enumerate(cells)]))))[0].kind
        != "datetime"
    )


@pytest.mark.parametrize(
    ("odd", "example"),
    [("2021-02-30", "2020-12-31"), ("0000-00-00", "2020-12-31"), ("2021-13-01", "2020-12-31"), ("soon", "2020-12-31")],
)
def test_the_cell_that_is_no_date_is_blamed(write, odd, example):
    cells = [f"2021-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(200)]
    cells[149] = odd
    with pytest.raises(
        DataError, match=f"are dates such as {example}, but the cell in row 149 \\(line 151 of 'x.csv'\\) is '{odd}'"
    ):
        infer_columns(open_csv(write(lines("day", cells))))


def test_the_cell_that_is_no_date_of_another_form_is_blamed(write):
    cells = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021" for i in range(200)]
    cells[17] = "30.02.2021"
    with pytest.raises(
        DataError,
        match=r"are dates such as \d\d.\d\d.2021, but the cell in row 17 \(line 19 of 'x.csv'\) is '30.02.2021'",
    ):
        infer_columns(open_csv(write(lines("day", cells))))


def test_a_cell_without_a_zone_is_blamed(write):
    cells = [f"2021-01-{1 + i % 28:02d}T12:{i % 60:02d}:00Z" for i in range(100)]
    cells[41] = cells[41].rstrip("Z")
    with pytest.raises(
        DataError,
        match=r"must all have a time zone, or all be without one.* in row 41 \(line 43 of 'x.csv'\), without a time zone",
    ):
        infer_columns(open_csv(write(lines("t", cells))))


def test_a_word_among_numbers_is_named_with_its_line_and_its_remedy(write):
    """Lines are counted as an editor counts them: with comments, blank lines and cells of several lines."""
    rows = ["1.5,a", '2.5,"two\nlines"', "", "NA,c", "3.25,d", "n.d.,e", "4.5,f", "n.d.,g", "5.5,h", "?,i"]
    for name in ("x.csv", "x.csv.gz"):
        with pytest.raises(DataError) as told:
            infer_columns(open_csv(write("# a comment\nx,y\n" + "\n".join(rows) + "\n", name)))
        assert str(told.value) == (
            "Most cells of column 'x' are numbers such as 12.5, but the cell in row 4 "
            f"(line 9 of '{name}') is 'n.d.', and 1 further cell is not a number. If 'n.d.' means that the value is missing, "
            """set data.missing=["NA", "?", "n.d."]. Otherwise correct the cell, or declare data.columns.x=categorical or ignore."""
        )
        column, _ = infer_columns(
            open_csv(write("# a comment\nx,y\n" + "\n".join(rows) + "\n", name), marks=("?", "NA", "n.d."))
        )
        assert (column.kind, dict(column.missing)) == ("real", {"n.d.": 2, "NA": 1, "?": 1})


def test_the_line_of_a_row_in_several_files(write):
    first, second = write("x\n1\n2\n\n4\n", "a.csv"), write("x\n5\nsoon\nlater\nnever\n8\n9\n10\n11\n", "b.csv")
    with pytest.raises(
        DataError, match=r"in row 5 \(line 3 of 'b.csv'\) is 'soon', and 2 further cells are not numbers"
    ):
        infer_columns(csv.open_csv([csv.CsvShard.local(path) for path in (first, second)]))


def test_missing_cells_are_counted_with_their_words(write):
    path = write(lines("a,b", ["None,1", "x,", "None,NA", "?,2", "y,3"]))
    a, b = infer_columns(open_csv(path))
    assert (a.missing, b.missing) == ((("None", 2), ("?", 1)), (("", 1), ("NA", 1)))
    (kept, _) = infer_columns(open_csv(path, marks=("?",)), {"b": "ignore"})
    assert kept.missing == (("?", 1),)
    assert set(kept.categories) | {value for value, _ in kept.rare} == {"None", "x", "y"}


@pytest.mark.parametrize(("mark", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"), (" ", "spaces")])  # fmt: skip
def test_what_separates_cells_is_found_and_said(write, mark, name):
    frame = open_csv(write(lines(mark.join("abc"), [mark.join(map(str, (i, i / 7, "x"))) for i in range(9)])))
    assert frame.names == ("a", "b", "c")
    assert frame.said == f"line 1 names the columns, cells are separated by {name}"


def test_text_of_two_words_is_one_column(write):
    frame = open_csv(write(lines("town", ["New York", "Los Angeles", "San Diego"])))
    assert frame.table().to_pydict() == {"town": ["New York", "Los Angeles", "San Diego"]}
    assert frame.said == "line 1 names the columns"


def test_columns_aligned_by_spaces_are_refused_with_the_way(write):
    with pytest.raises(DataError, match=r"separated by several spaces.*Separate the cells by commas"):
        open_csv(write("a   b\n1   2\n3  4\n"))


def test_lines_above_the_table(write):
    sep = open_csv(write("sep=;\na;b\n1;2\n"))
    assert (sep.names, sep.said) == (("a", "b"), "line 2 names the columns, cells are separated by semicolons")
    comment = open_csv(write("# units: mm\n# and s\na,b\n1,2\n"))
    assert comment.table().to_pydict() == {"a": [1], "b": [2]}
    assert open_csv(write("#a,b\n1,2\n")).names == ("#a", "b")
    with pytest.raises(
        DataError, match=r"is 1 in line 1 of .*'Report of 2024'.* but 2 in the lines after it.*Remove line 1"
    ):
        open_csv(write("Report of 2024\n\na,b\n1,2\n3,4\n"))


@pytest.mark.parametrize(
    ("content", "named", "rows"),
    [
        (lines("A,B", ["A,B", "B,A"]), True, 2),
        (lines("g1,0.5", ["g2,0.25", "g3,1"]), False, 3),
        (lines("Bonn,2020-01-01", ["Ulm,2020-01-02"]), False, 2),
        (lines("town,2019,2020,2021", ["Bonn,5,6,7", "Ulm,1,1,2"]), True, 2),
        (lines("town,2019,2020", ["Bonn,2018,2019"]), False, 2),
    ],
)
def test_whether_the_first_line_names_the_columns(write, content, named, rows):
    frame = open_csv(write(content))
    assert (frame.named, frame.rows) == (named, rows)
    assert ("no line names" not in frame.said) == named


def test_the_user_settles_whether_there_is_a_header(write):
    path = write(lines("Bonn,large", ["Ulm,small"]))
    assert open_csv(path, header=False).table().to_pydict() == {
        "column0": ["Bonn", "Ulm"],
        "column1": ["large", "small"],
    }
    numbers = write(lines("1,2", ["3,4"]))
    assert open_csv(numbers, header=True).table().to_pydict() == {"1": [3], "2": [4]}


def test_a_header_whose_names_are_cells_too_is_doubted_aloud(write):
    assert "data.header=false" in open_csv(write(lines("A,B", ["A,B", "B,A"]))).notes[0]
    assert open_csv(write(lines("a,b", ["A,B", "B,A"]))).notes == ()


def test_a_first_row_may_be_of_several_lines(write):
    frame = open_csv(write('\n\n"x\ny",1\nz,2\n'))
    assert frame.table().to_pydict() == {"column0": ["x\ny", "z"], "column1": [1, 2]}


def test_an_empty_line_of_a_single_column_is_a_missing_cell(write):
    frame = open_csv(write("x\n1.5\n\n2.5\n\n"))
    assert frame.table().to_pydict() == {"x": [1.5, None, 2.5, None]}
    headless = open_csv(write("\n1.5\n\n2.5\n"))
    assert headless.table().to_pydict() == {"column0": [None, 1.5, None, 2.5]}


def test_row_numbers_in_disorder_are_no_count(write):
    rng = np.random.default_rng(0)
    cells = [f"{i},{x:.2f}" for i, x in zip(rng.permutation(400)[:90], rng.normal(size=90), strict=True)]
    assert [c.kind for c in infer_columns(open_csv(write(lines(",x", cells))))] == ["identifier", "real"]
    assert [c.kind for c in infer_columns(open_csv(write(lines("n,x", cells))))] == ["count", "real"]


def known(write, content):
    path = write(content, "train.csv")
    return infer_columns(open_csv(path))


def test_with_known_columns_a_file_of_one_row_needs_no_header(write):
    columns = known(write, lines("age,town", [f"{20 + 7 * i % 9},{'ab'[i % 2]}" for i in range(40)]))
    for content, names, rows in (
        ("31,a\n", ("column0", "column1"), 1),
        ("age,town\n31,a\n", ("age", "town"), 1),
        ("town;age\na;31\n", ("town", "age"), 1),
    ):
        frame = open_source(write(content), known=columns).frame
        assert (frame.names, frame.rows) == (names, rows)
    made_up = known(write, lines("31,a", [f"{20 + 7 * i % 9},{'ab'[i % 2]}" for i in range(40)]))
    assert open_source(write("31,b\n"), known=made_up).frame.rows == 1


def test_known_columns_leave_cells_as_they_are_written(write):
    columns = known(write, lines("a,b", [f"{i % 7}, 0{i % 3}" for i in range(60)]))
    frame = open_written(write("a,b\n 1.0 ,02\nNA,?\n"), columns, None, ("NA", "?"))
    assert frame.table().to_pydict() == {"a": [" 1.0 ", "NA"], "b": ["02", "?"]}
    assert frame.cells(frame.table(), "a").to_pylist() == ["1.0", None]


@pytest.mark.parametrize("cut", [30, 300, 3000])
@pytest.mark.parametrize("flip", [0, 12, 200])
def test_a_damaged_packed_file_is_refused(write, cut, flip):
    path = write(lines("a,b", [f"{i},{i * i % 977}" for i in range(4000)]), "x.csv.gz")
    content = bytearray(path.read_bytes())
    content[flip] ^= 0xFF
    path.write_bytes(content[: len(content) - cut])
    with pytest.raises(DataError, match=r"x\.csv\.gz"):
        open_csv(path).table()


def test_a_packed_file_that_grows_without_end_is_refused(write, monkeypatch):
    monkeypatch.setenv("VAEKIT_LARGEST", "1e6")
    path = write(b"a,b\n" + b"1,2\n" * 4_000_000, "x.csv.gz")
    with pytest.raises(DataError, match=r"'x\.csv\.gz'.*VAEKIT_LARGEST"):
        open_csv(path)


def test_a_line_without_end_is_refused(write):
    with pytest.raises(DataError, match="must be shorter than"):
        open_csv(write("a,b\n1,2\n3," + "x" * (1 << 23)))


def test_a_quote_that_is_never_closed_is_refused(write):
    with pytest.raises(DataError, match="is not closed"):
        open_csv(write('a,b\n1,2\n3,"x\n5,6\n7,8\n'))
    assert open_csv(write('a,b\n1,2\n3,"x\ny"\n')).table()["b"].to_pylist() == ["2", "x\ny"]


@pytest.mark.parametrize("day", ["0000-01-01", "0001-01-01 00:00:00+14:00", "9999-12-31 23:00:00-12:00"])
def test_days_beyond_the_calendar_are_no_dates(write, day):
    frame = open_csv(write(lines("day", [day, day])))
    assert str(frame.schema.field("day").type) == "string"
