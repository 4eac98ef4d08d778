"""What a column is was settled in training: the same row has the same numbers, whatever a library takes its cells for."""

import contextlib
import csv
import datetime
import io
import random
import sqlite3

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

import vaekit
from vaekit.cli.app import app
from vaekit.errors import DataError

TINY = {
    "training.epochs": 3,
    "training.validations": 1,
    "latent_dim": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "objective.samples": 2,
    "evaluation.samples": 20,
}
HEAD = ["insured", "room", "grade", "seen", "flag", "when", "year", "age", "price"]


def made(rows, seed=0):
    rng = random.Random(seed)
    return [
        [
            rng.choice(["TRUE", "TRUE", "FALSE", "unknown"]),
            rng.choice(["007", "A12", "B40", "012"]),
            rng.choice(["1.0", "2.0", "3+"]),
            rng.choice(["2020-01-01", "2021-06-01", "n.d."]),
            rng.choice(["TRUE", "FALSE"]),
            f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.{rng.randint(2019, 2022)}",
            f"{rng.randint(2019, 2022)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}",
            str(rng.randint(0, 60)),
            f"{rng.lognormvariate(3, 0.5):.2f}",
        ]
        for _ in range(rows)
    ]


TRAIN = made(300)
ROW = ["TRUE", "007", "1.0", "2020-01-01", "FALSE", "31.12.2020", "20200229", "30", "12.50"]
OTHER = ["unknown", "A12", "3+", "n.d.", "TRUE", "01.02.2021", "20210301", "7", "8.10"]


def text_of(rows, head=HEAD):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("known")


@pytest.fixture(scope="module")
def run(folder):
    (folder / "train.csv").write_text(text_of(TRAIN))
    return vaekit.train(folder / "train.csv", settings=TINY, out=folder / "run")


@pytest.fixture
def write(tmp_path):
    def make(rows, name="x.csv", head=HEAD):
        (tmp_path / name).write_text(text_of(rows, head))
        return tmp_path / name

    return make


def test_what_was_learned(run):
    kinds = {column.name: (column.kind, column.type) for column in run.schema.table}
    assert kinds == {
        "insured": ("categorical", "string"),
        "room": ("categorical", "string"),
        "grade": ("categorical", "string"),
        "seen": ("categorical", "string"),
        "flag": ("binary", "bool"),
        "when": ("datetime", "string"),
        "year": ("datetime", "int64"),
        "age": ("count", "int64"),
        "price": ("positive", "double"),
    }


READERS = {
    "pandas": pd.read_csv,
    "pandas of Arrow": lambda path: pd.read_csv(path, dtype_backend="pyarrow"),
    "polars": lambda path: pl.read_csv(path, try_parse_dates=True),
    "Arrow": pyarrow.csv.read_csv,
    "text": lambda path: pd.read_csv(path, dtype=str),
}


def test_a_row_alone_and_in_company_is_the_same_row_for_every_reader(run, write):
    alone, company = write([ROW], "alone.csv"), write([ROW, OTHER], "company.csv")
    expected = run.score_samples(company)
    code = run.encode(company)
    assert run.score_samples(alone) == pytest.approx(expected[:1], rel=1e-5)
    for name, read in READERS.items():
        assert run.score_samples(read(alone)) == pytest.approx(expected[:1], rel=1e-5), name
        assert run.score_samples(read(company)) == pytest.approx(expected, rel=1e-5), name
        np.testing.assert_allclose(run.encode(read(alone)), code[:1], rtol=1e-4, atol=1e-5)
    pa.parquet.write_table(pyarrow.csv.read_csv(alone), alone.with_suffix(".parquet"))
    assert run.score_samples(alone.with_suffix(".parquet")) == pytest.approx(expected[:1], rel=1e-5)


def test_explanations_and_reconstructions_are_the_same_too(run, write):
    alone, company = write([ROW], "alone.csv"), write([ROW, OTHER], "company.csv")
    first = {name: cells[0].as_py() for name, cells in zip(HEAD, run.explain(company).columns, strict=True)}
    for read in READERS.values():
        found = nw.from_native(run.explain(read(alone))).rows(named=True)[0]
        assert found == pytest.approx(first, rel=1e-3, abs=1e-4)
    assert run.reconstruct(alone).equals(run.reconstruct(company).slice(0, 1))


def test_held_out_rows_are_read_as_the_training_rows_are(folder, write):
    test = write([ROW, ROW])
    run = vaekit.train(folder / "train.csv", test=test, settings=TINY, out=test.parent / "run")
    figures = run.evaluate()
    assert figures.log_likelihood.value == pytest.approx(run.score_samples(write([ROW, OTHER], "y.csv"))[0], rel=1e-5)


def test_types_that_go_out_are_those_of_training(run, write):
    holes = [["", *ROW[1:]], [*ROW[:3], "", *ROW[4:-2], "", ROW[-1]]]
    filled = run.impute(write(holes))
    types = {column.name: str(column.arrow_type) for column in run.schema.table}
    assert {field.name: str(field.type) for field in filled.schema} == types
    empty = run.impute(write([["TRUE", *[""] * 8]]))
    assert {field.name: str(field.type) for field in empty.schema} == types
    frame = pd.read_csv(io.StringIO(text_of([["TRUE", "007", *[""] * 7]])))
    out = run.impute(frame)
    assert out["flag"].dtype == bool
    assert out["age"].dtype == np.int64
    assert out["price"].dtype == np.float64
    assert out["room"].tolist() == ["007"]


def cells_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def command(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output + str(result.exception)
    return result


def test_cells_that_were_there_come_back_as_they_were_written(run, write, tmp_path):
    written = [
        [" TRUE", "007", "1.0", "2020-01-01", "true", "1.2.2021", "20210301", "030", "12.50"],
        ["never", "07", "n.a.", "2020-13-01", "FALSE", "2020-12-31", "20210301", "7.0", "1e1"],
        ["", "", "NA", "", "?", "", "", "-", "None"],
    ]
    path = write(written)
    command("impute", run.path, path, "--out", tmp_path / "filled.csv")
    head, *filled = cells_of(tmp_path / "filled.csv")
    assert head == HEAD
    assert filled[:2] == written[:2]
    assert "" not in filled[2]
    insured, room, grade, seen, flag, when, year, age, price = filled[2]
    assert insured in ("TRUE", "FALSE", "unknown")
    assert room in ("007", "A12", "B40", "012")
    assert grade in ("1.0", "2.0", "3+")
    assert seen in ("2020-01-01", "2021-06-01", "n.d.")
    assert flag in ("TRUE", "FALSE")
    assert len(when) == 10
    assert when[2] == when[5] == "."
    assert len(year) == 8
    assert year.isdigit()
    assert age.isdigit()
    assert float(price) == round(float(price), 2)


def test_drawn_cells_are_written_as_the_training_file_has_them(run, tmp_path):
    command("sample", run.path, "-n", 20, "--out", tmp_path / "drawn.csv")
    _, *rows = cells_of(tmp_path / "drawn.csv")
    assert {row[4] for row in rows} <= {"TRUE", "FALSE"}
    assert all(row[5][2] == row[5][5] == "." for row in rows)


def test_a_database_is_read_as_the_training_rows_were(tmp_path):
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t (code, paid, x)")
        cells = [(["007", "A1", "012"][i % 3], ["1", "2", "n.a."][i % 3], i % 7 + 0.5) for i in range(90)]
        database.executemany("insert into t values (?, ?, ?)", cells)
        database.execute("create table one (code, paid, x)")
        database.execute("insert into one values ('007', 1, 2.5)")
    settings = {**TINY, "data.query": "select * from t"}
    run = vaekit.train(f"sqlite:///{path}", settings=settings, out=tmp_path / "run")
    whole = run.score_samples(pd.DataFrame({"code": ["007"], "paid": ["1"], "x": [2.5]}))
    assert run.score_samples(pl.DataFrame({"code": [7], "paid": [1], "x": [2.5]})) == pytest.approx(whole, rel=1e-5)
    assert run.score_samples(pa.table({"code": [7], "paid": [1.0], "x": ["2.5"]})) == pytest.approx(whole, rel=1e-5)


def test_given_cells_are_matched_too(folder, write):
    settings = {**TINY, "data.context": ["insured", "room", "flag"]}
    run = vaekit.train(folder / "train.csv", settings=settings, out=write([ROW]).parent / "given")
    expected = run.score_samples(write([ROW, OTHER], "y.csv"))[:1]
    for read in READERS.values():
        assert run.score_samples(read(write([ROW]))) == pytest.approx(expected, rel=1e-5)
    as_text = run.sample(3, given={"insured": "TRUE", "room": "007", "flag": "TRUE"})
    assert run.sample(3, given={"insured": True, "room": 7, "flag": True}).equals(as_text)
    with pytest.raises(DataError, match=r"its value in row 1 is not in the training data"):
        run.score_samples(write([ROW, ["maybe", *ROW[1:]]]))


def test_numbers_that_may_be_two_codes_are_refused(tmp_path):
    rng = random.Random(0)
    (tmp_path / "x.csv").write_text(
        text_of([[rng.choice(["07", "007", "12"]), rng.gauss(0, 1)] for _ in range(90)], ["c", "x"])
    )
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    with pytest.raises(
        DataError,
        match=r"The value 7 in column 'c' could mean '0?07' or '0?07', two different values in training",
    ):
        run.score_samples(pd.DataFrame({"c": [7], "x": [0.0]}))
    assert run.score_samples(pd.DataFrame({"c": [12], "x": [0.0]})) == pytest.approx(
        run.score_samples(pd.DataFrame({"c": ["12"], "x": [0.0]})), rel=1e-6
    )


def test_numbers_that_are_neither_true_nor_false_are_refused(run):
    frame = pd.read_csv(io.StringIO(text_of([ROW, OTHER]))).assign(flag=[1, 2])
    with pytest.raises(
        DataError, match=r"column 'flag' must be true or false, as in training, or empty. Got '2.0' in row 1"
    ):
        run.score_samples(frame)


def test_a_table_of_one_kind_is_read_as_numbers(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3)).round(2)
    (tmp_path / "x.csv").write_text(text_of(X.tolist(), ["a", "b", "c"]))
    run = vaekit.train(tmp_path / "x.csv", settings={**TINY, "data.kind": "real"}, out=tmp_path / "run")
    (tmp_path / "one.csv").write_text("a,b,c\n+1,02,3e0\n")
    np.testing.assert_allclose(run.score_samples(tmp_path / "one.csv"), run.score_samples([[1.0, 2.0, 3.0]]), rtol=1e-5)
    (tmp_path / "bad.csv").write_text("a,b,c\n1,two,3\n")
    with pytest.raises(DataError, match="every column must hold numbers"):
        run.score_samples(tmp_path / "bad.csv")


def test_narrow_numbers_match_the_texts_and_categories_that_they_were(tmp_path):
    rng = random.Random(0)
    rows = [
        [rng.choice(["0.3", "1.1", "1.10"]), rng.choice(["0.1", "0.7", "2.5"]), rng.gauss(0, 1)] for _ in range(150)
    ]
    (tmp_path / "x.csv").write_text(text_of(rows, ["grade", "dose", "x"]))
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    expected = run.score_samples(pd.DataFrame({"grade": ["0.3"], "dose": ["0.7"], "x": [0.5]}))
    for kind in (np.float32, np.float64):
        frame = pd.DataFrame(
            {"grade": np.array([0.3], kind), "dose": np.array([0.7], kind), "x": np.array([0.5], kind)}
        )
        assert run.score_samples(frame) == pytest.approx(expected, rel=1e-5), kind
    narrow = vaekit.train(
        pl.DataFrame(
            {"dose": pl.Series([float(row[1]) for row in rows], dtype=pl.Float32), "x": [row[2] for row in rows]}
        ),
        settings=TINY,
        out=tmp_path / "narrow",
    )
    wide = narrow.score_samples(pl.DataFrame({"dose": [0.7], "x": [0.5]}))
    assert wide == pytest.approx(narrow.score_samples(pl.DataFrame({"dose": ["0.7"], "x": [0.5]})), rel=1e-5)


def test_times_are_matched_to_texts(tmp_path):
    rng = random.Random(0)
    rows = [[rng.choice(["10:00", "11:30", "none"]), rng.gauss(0, 1)] for _ in range(90)]
    (tmp_path / "x.csv").write_text(text_of(rows, ["at", "x"]))
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    table = pa.table({"at": pa.array([datetime.time(10), datetime.time(11, 30)]), "x": [0.0, 0.0]})
    assert run.score_samples(table) == pytest.approx(
        run.score_samples(pa.table({"at": ["10:00", "11:30"], "x": [0.0, 0.0]})), rel=1e-6
    )
    run.score_samples(
        pa.table({"at": pa.array([datetime.timedelta(hours=10)]), "x": [0.0]})
    )  # never seen, and no traceback


def test_words_for_missing_cells_are_missing_wherever_a_run_reads_them(tmp_path):
    rows = [["NA" if i % 9 == 4 else str(1000 + 7 * i), f"{i % 7}.5"] for i in range(90)]
    (tmp_path / "x.csv").write_text(text_of(rows, ["id", "x"]))
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    for found in (run.impute(tmp_path / "x.csv"), run.reconstruct(tmp_path / "x.csv")):
        assert str(found["id"].type) == "int64"
        assert found["id"].null_count == 10


def test_moments_that_come_late_in_a_file_keep_their_clocks(tmp_path):
    day = datetime.datetime(2020, 1, 1)
    cells = [str((day + datetime.timedelta(i)).date()) for i in range(1500)]
    cells[1400:] = [str(day + datetime.timedelta(i, 37_800)) for i in range(100)]
    (tmp_path / "x.csv").write_text(text_of([[cell, i % 5 + 0.5] for i, cell in enumerate(cells)], ["t", "x"]))
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    command("sample", run.path, "-n", 200, "--out", tmp_path / "drawn.csv")
    _, *rows = cells_of(tmp_path / "drawn.csv")
    assert {len(row[0]) for row in rows} == {19}


def test_pieces_of_a_file_go_out_in_one_type(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    run = vaekit.train(
        pd.DataFrame({"x": rng.normal(size=90), "g": rng.choice(["a", "b"], 90)}), settings=TINY, out=tmp_path / "run"
    )
    monkeypatch.setattr("vaekit.data.readers.parquet.BATCH", 50)
    table = pa.table({"x": pa.array([*range(99), None]), "g": ["a", "b"] * 50})
    pa.parquet.write_table(table, tmp_path / "x.parquet", row_group_size=50)
    for ending in ("csv", "parquet"):
        command("impute", run.path, tmp_path / "x.parquet", "--out", tmp_path / f"filled.{ending}")
    filled = pa.parquet.read_table(tmp_path / "filled.parquet")
    assert str(filled["x"].type) == "double"
    assert filled["x"].to_pylist()[:99] == [*range(99)]


def test_a_file_of_truth_values_is_one_of_zeros_and_ones_to_its_own_run(tmp_path):
    rng = random.Random(0)
    rows = [[rng.choice(["TRUE", "FALSE"]) for _ in range(3)] for _ in range(90)]
    (tmp_path / "x.csv").write_text(text_of(rows, ["a", "b", "c"]))
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    assert run.schema.kind == "binary"
    numbers = np.array([[cell == "TRUE" for cell in row] for row in rows], np.uint8)
    np.testing.assert_allclose(run.score_samples(tmp_path / "x.csv"), run.score_samples(numbers), rtol=1e-6)


def test_a_run_of_an_array_gives_a_frame_its_own_names_back():
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[::9, 1] = np.nan
    model = vaekit.VAE(epochs=1, random_state=0, settings={"encoder.hidden": [8], "decoder.hidden": [8]}).fit(X)
    frame = pd.DataFrame(X[:9], columns=["a", "b", "c"], index=list("stuvwxyz#"))
    with pytest.warns(UserWarning, match="feature names"):
        filled = model.impute(frame)
    assert list(filled.columns) == ["a", "b", "c"]
    assert list(filled.index) == list(frame.index)
    np.testing.assert_array_equal(filled["a"], frame["a"])


def test_words_and_blanks_of_a_text_file_mean_the_same_in_frames(tmp_path):
    rng = random.Random(0)
    rows = [[f" {rng.choice(['P', 'S', '', 'NA'])}", round(rng.gauss(0, 1), 2)] for _ in range(120)]
    path = tmp_path / "x.csv"
    path.write_text(text_of(rows, ["w", "x"]))
    run = vaekit.train(path, settings=TINY, out=tmp_path / "run")
    expected, filled = run.score_samples(path), run.impute(path)["w"].to_pylist()
    given = [row[0] for row in rows]
    for frame in (
        pd.read_csv(path, keep_default_na=False),
        pl.read_csv(path),
        pyarrow.csv.read_csv(path),
        pa.table({"w": pa.array(given, pa.large_string()), "x": [row[1] for row in rows]}),
    ):
        np.testing.assert_allclose(run.score_samples(frame), expected, rtol=1e-5)
        cells = run.impute(frame)["w"]
        cells = cells.to_pylist() if isinstance(frame, pa.Table) else list(cells)
        assert [cell.strip() for cell in cells] == filled
        assert [cell for cell, old in zip(cells, given, strict=True) if old.strip() in ("P", "S")] == [
            old for old in given if old.strip() in ("P", "S")
        ]
    assert run.sample(2, given={"w": " P"}) == run.sample(2, given={"w": "P"})


def test_a_clock_among_days_is_kept_or_refused(tmp_path):
    (tmp_path / "x.csv").write_text(
        text_of([[f"2020-0{1 + i % 9}-{1 + i % 28:02d}", i % 7 + 0.5] for i in range(150)], ["d", "x"])
    )
    run = vaekit.train(tmp_path / "x.csv", settings=TINY, out=tmp_path / "run")
    (tmp_path / "y.csv").write_text(text_of([["2020-02-03 10:00", ""]], ["d", "x"]))
    moment = datetime.datetime(2020, 2, 3, 10)
    assert run.impute(tmp_path / "y.csv")["d"].to_pylist() == [moment]
    assert run.impute(pa.table({"d": ["2020-02-03 10:00"], "x": [None]}))["d"].to_pylist() in (
        ["2020-02-03 10:00"],
        [moment],
    )
    with pytest.raises(DataError, match="must be a day without a time"):
        run.sample(1, given={"d": "2020-01-05 10:00"})


def test_rows_without_names_of_their_own_are_matched_by_position(tmp_path):
    X = np.random.default_rng(0).normal(size=(90, 2))
    X[::9, 1] = np.nan
    run = vaekit.train(X, settings=TINY, out=tmp_path / "run")
    for frame in (pd.DataFrame(X), pl.DataFrame(X, nan_to_null=True), pd.DataFrame(X, columns=["a", "b"])):
        np.testing.assert_allclose(run.score_samples(frame), run.score_samples(X), rtol=1e-6)
    assert list(run.impute(pd.DataFrame(X, columns=["a", "b"])).columns) == ["a", "b"]


def test_a_run_of_a_database_takes_files_too(tmp_path):
    path = tmp_path / "x.db"
    cells = [(["p", "q"][i % 2], i % 7 + 0.5) for i in range(90)]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table t (a text, x real)")
        database.executemany("insert into t values (?, ?)", cells)
    settings = {**TINY, "data.query": "select * from t"}
    (tmp_path / "x.csv").write_text(text_of(cells, ["a", "x"]))
    run = vaekit.train(f"sqlite:///{path}", test=tmp_path / "x.csv", settings=settings, out=tmp_path / "run")
    assert run.score_samples(tmp_path / "x.csv") == pytest.approx(
        run.score_samples(pd.DataFrame(cells, columns=["a", "x"])), rel=1e-6
    )
    with pytest.raises(DataError, match=r"data\.query must be used with a database"):
        vaekit.train(tmp_path / "x.csv", settings=settings, out=tmp_path / "no")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"t": pd.NaT}, "the value of 't' must be given"),
        ({"t": float("nan")}, "the value of 't' must be given"),
        ({"n": 10**30}, "the value of 'n' must have the type int8"),
        ({"n": 3.5}, "the value of 'n' must be a multiple of 1"),
    ],
)
def test_values_that_cannot_be_are_refused(timed, given, words):
    with pytest.raises(DataError, match=words):
        timed.sample(1, given=given)


def test_values_of_other_classes_are_taken(timed):
    assert timed.sample(1, given={"t": np.datetime64("2020-01-05")})["t"].tolist() == [pd.Timestamp("2020-01-05")]
    assert timed.sample(1, given={"at": "03:30"})["at"].tolist() == [datetime.time(3, 30)]
    cut = pd.Interval(0, 1)
    assert timed.sample(1, given={"cut": cut})["cut"].tolist() == [cut]
    assert {type(cell) for cell in timed.sample(9)["code"].tolist()} == {int}


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    frame = pd.DataFrame(
        {
            "t": pd.to_datetime("2020-01-01") + pd.to_timedelta(range(60), unit="D"),
            "n": pd.array([i % 40 for i in range(60)], "Int8"),
            "at": [datetime.time(i % 24, 30) for i in range(60)],
            "cut": pd.Categorical([pd.Interval(i % 2, i % 2 + 1) for i in range(60)]),
            "code": pd.Categorical([10 * (1 + i % 3) for i in range(60)]),
        }
    )
    return vaekit.train(frame, settings=TINY, out=tmp_path_factory.mktemp("timed") / "run")
