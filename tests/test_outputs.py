import csv
import errno
import io
import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

from builders import read_numbers
from vaekit.cli.outputs import (
    MOST_ON_A_SHEET,
    check_out,
    write_rows,
    write_tables,
)
from vaekit.data import Schema
from vaekit.errors import RunError, VaekitError
from vaekit.pictures import Scale, tile
from vaekit.runs.verbs import column_names

RNG = np.random.default_rng(0)
TABLE = Schema(kind="real", shape=(3,), columns=("a", "b", "c"))
GREY = Schema(kind="levels", shape=(5, 4, 1), levels=17, picture=True, dtype="uint8")
COLOUR = Schema(kind="levels", shape=(5, 4, 3), levels=256, picture=True, dtype="uint8")


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "parquet"])
def test_rows_return_as_they_were_written(tmp_path, ending, dtype):
    values = (RNG.normal(size=(20, 3)) * 100).astype("int8" if dtype == "uint8" else dtype).astype(dtype)
    out = tmp_path / "new" / f"x.{ending}"
    write_rows(out, values, TABLE, "x")
    read = read_numbers(out).values
    if ending != "csv":
        assert read.dtype == dtype
    np.testing.assert_array_equal(read.astype(dtype), values)
    assert [p.name for p in out.parent.iterdir()] == [out.name]


def test_an_npz_holds_the_rows_under_their_name(tmp_path):
    write_rows(tmp_path / "x.npz", np.ones((2, 5)), TABLE, "z")
    with np.load(tmp_path / "x.npz") as archive:
        assert archive.files == ["z"]


def test_columns_have_the_names_of_the_data_or_of_the_verb(tmp_path):
    assert column_names(np.ones((2, 3)), TABLE, "x") == ["a", "b", "c"]
    assert column_names(np.ones((2, 2)), TABLE, "z") == ["z0", "z1"]
    assert column_names(np.ones((2, 1)), TABLE, "log_likelihood") == ["log_likelihood"]
    assert column_names(np.ones((2, 5, 4, 1)), GREY, "x") == [f"x{i}" for i in range(20)]
    write_rows(tmp_path / "x.csv", np.ones((2, 3)), TABLE, "x")
    assert pyarrow.csv.read_csv(tmp_path / "x.csv").column_names == ["a", "b", "c"]
    write_rows(tmp_path / "z.parquet", np.ones((2, 2)), TABLE, "z")
    assert pyarrow.parquet.read_table(tmp_path / "z.parquet").column_names == ["z0", "z1"]


def test_csv_is_quoted_where_it_must_be_and_missing_cells_are_empty(tmp_path):
    table = pa.table(
        {
            "a,b": pa.array(["02116", "", None, 'say "x"', "a,b", "two\nlines", "cr\r", "ü ; \t '"]),
            "number": pa.array([1.0, 0.1, None, 1e20, -1e-7, float("inf"), 2, 3]),
            "label": pa.array(["x", None, "y,", "x", "x", "x", "x", "x"]).dictionary_encode(),
            "day": pa.array([0, 1, 2, 3, None, 5, 6, 2_932_896], pa.date32()),
            "yes": pa.array([True, False, None, True, True, True, True, True]),
        }
    )
    assert write_tables(tmp_path / "x.csv", [table.slice(0, 3), table.slice(3)]) == 8
    text = (tmp_path / "x.csv").read_bytes().decode()
    assert re.split(r"(?<=\n)", text)[:4] == [
        '"a,b",number,label,day,yes\n',
        "02116,1,x,1970-01-01,true\n",
        ",0.1,,1970-01-02,false\n",
        ',,"y,",1970-01-03,\n',
    ]
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert [line[0] for line in lines[1:]] == [cell or "" for cell in table["a,b"].to_pylist()]
    assert [float(line[1] or "nan") for line in lines[5:]] == [-1e-7, math.inf, 2, 3]
    assert lines[-1][3] == "9999-12-31"


def test_the_only_column_of_a_csv_leaves_no_line_empty(tmp_path):
    table = pa.table({"x": pa.array(["a", None, "", "b"])})
    write_tables(tmp_path / "x.csv", [table])
    assert (tmp_path / "x.csv").read_text() == 'x\na\n""\n""\nb\n'


def test_pictures_in_a_table_are_flattened_row_by_row(tmp_path):
    values = RNG.integers(0, 17, (6, 5, 4, 1)).astype(np.uint8)
    write_rows(tmp_path / "x.csv", values, GREY, "x")
    np.testing.assert_array_equal(read_numbers(tmp_path / "x.csv").values, values.reshape(6, -1))


@pytest.mark.parametrize("schema", [GREY, COLOUR])
def test_a_folder_of_pictures_holds_their_levels(tmp_path, schema):
    values = RNG.integers(0, schema.levels, (12, *schema.shape))
    write_rows(tmp_path / "made", values, schema, "x")
    files = sorted((tmp_path / "made").iterdir())
    assert [f.name for f in files] == [f"{i:02d}.png" for i in range(12)]
    read = np.stack([pixels(f) for f in files]).reshape(values.shape)
    np.testing.assert_array_equal(np.round(read / 255 * (schema.levels - 1)), values)
    if schema is COLOUR:
        np.testing.assert_array_equal(read, values)


def test_levels_span_black_to_white_whatever_is_among_them():
    def shades(values, levels):
        return Scale.of(values, levels).bytes(values).tolist()

    assert shades(np.array([0, 4, 8]), 17) == [0, 64, 128]
    assert shades(np.array([-4.0, 0.0, 4.0]), 0) == [0, 128, 255]
    assert shades(np.array([3.0, 3.0]), 0) == [0, 0]
    assert shades(np.array([-5.0, 40.0]), 17) == [0, 255]  # no wrapping


def test_a_contact_sheet_shows_each_picture_in_its_place(tmp_path):
    values = RNG.integers(0, 256, (5, 40, 33, 3))
    schema = Schema(kind="levels", shape=(40, 33, 3), levels=256, picture=True)
    write_rows(tmp_path / "x.png", values, schema, "x")
    sheet = pixels(tmp_path / "x.png")
    assert sheet.shape == (2 * 42 + 2, 3 * 35 + 2, 3)
    for i in range(5):
        top, left = 2 + (i // 3) * 42, 2 + (i % 3) * 35
        np.testing.assert_array_equal(sheet[top : top + 40, left : left + 33], values[i])
    assert (sheet[44:, 2 + 2 * 35 :] == 255).all()  # the last place is empty
    assert (sheet[:2] == 255).all()


def test_small_pictures_are_enlarged_without_blurring(tmp_path):
    values = RNG.integers(0, 17, (4, 5, 4, 1))
    write_rows(tmp_path / "x.png", values, GREY, "x")
    sheet = pixels(tmp_path / "x.png")
    zoom = 32 // 5
    assert sheet.shape == (2 * (5 * zoom + 2) + 2, 2 * (4 * zoom + 2) + 2)
    first = sheet[2 : 2 + 5 * zoom, 2 : 2 + 4 * zoom]
    np.testing.assert_array_equal(first, (values[0, ..., 0] / 16 * 255).round().repeat(zoom, 0).repeat(zoom, 1))


def test_a_contact_sheet_has_an_end(tmp_path):
    write_rows(
        tmp_path / "x.png",
        np.zeros((MOST_ON_A_SHEET + 100, 32, 1, 1)),
        Schema(kind="levels", shape=(32, 1, 1), levels=2, picture=True),
        "x",
    )
    assert pixels(tmp_path / "x.png").shape == (20 * 34 + 2, 20 * 3 + 2)


def test_columns_of_a_sheet_may_be_chosen():
    assert tile(np.zeros((6, 3, 3, 1), np.uint8), columns=6, zoom=1, gap=2, border=2).shape == (7, 32, 1)


@pytest.mark.parametrize(
    ("name", "schema", "words"),
    [
        (
            "x.cvs",
            TABLE,
            r"must end in .npy, .npz, .csv, .parquet, .png, or name a folder. Got '.*x.cvs' instead. Did you mean '.csv'\?",
        ),
        ("x.txt", GREY, "must end in"),
        ("x.png", TABLE, "unless pictures are written"),
        ("folder", TABLE, "unless pictures are written"),
        ("there.npy", TABLE, "--out is the folder '.*there.npy'. Choose a file"),
    ],
)
def test_names_that_could_not_be_written_are_refused_before_any_work(tmp_path, name, schema, words):
    (tmp_path / "there.npy").mkdir()
    with pytest.raises(VaekitError, match=words):
        check_out(tmp_path / name, schema, "data")


@pytest.mark.parametrize("name", ["x.npy", "x.NPZ", "x.csv", "x.parquet", "x.png", "folder"])
def test_names_that_can_be_written_pass(tmp_path, name):
    check_out(tmp_path / name, GREY, "data")


@pytest.mark.parametrize("name", ["x.png", "folder"])
def test_codes_are_no_pictures(tmp_path, name):
    with pytest.raises(VaekitError, match="unless pictures are written"):
        write_rows(tmp_path / name, np.ones((3, 2)), GREY, "z")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.png", "folder"])
def test_channels_that_no_picture_has_are_refused_in_words(tmp_path, name):
    schema = Schema(kind="real", shape=(4, 4, 5), picture=True)
    with pytest.raises(VaekitError, match="channels"):
        write_rows(tmp_path / name, np.ones((3, 4, 4, 5)), schema, "x")
    assert list(tmp_path.iterdir()) == []


def test_pictures_do_not_go_among_other_files(tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(RunError, match="holds other files already"):
        write_rows(tmp_path, np.zeros((2, 5, 4, 1)), GREY, "x")
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("ending", "target"),
    [
        ("npy", "numpy.save"),
        ("npz", "numpy.savez_compressed"),
        ("csv", "vaekit.cli.outputs.CSVWriter.write_table"),
        ("parquet", "pyarrow.parquet.ParquetWriter.write_table"),
        ("png", "PIL.Image.Image.save"),
    ],
)
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, ending, target):
    out = tmp_path / f"x.{ending}"
    out.write_text("the day before")
    monkeypatch.setattr(target, full)
    with pytest.raises(RunError, match="The disk is full") as error:
        write_rows(out, np.ones((3, 5, 4, 1)), GREY, "x")
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "the day before"
    assert "--resume" not in str(error.value)  # there is nothing to resume


def test_a_folder_of_pictures_that_could_not_be_finished_is_not_left_half_full(tmp_path, monkeypatch):
    save, count = Image.Image.save, []

    def save_some(self, *arguments, **options):
        count.append(1)
        return full() if len(count) == 3 else save(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", save_some)
    with pytest.raises(RunError, match="The disk is full"):
        write_rows(tmp_path / "made", np.zeros((5, 5, 4, 1)), GREY, "x")
    assert list(tmp_path.iterdir()) == []
