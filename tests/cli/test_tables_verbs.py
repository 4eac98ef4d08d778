"""The verbs of mixed tables on the command line."""

import csv
import sqlite3

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import vaekit


def make_people(rows=150, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    work = np.where(age > 60, "retired", rng.choice(["city", "farm"], rows))
    hole = rng.random((rows, 2)) < 0.2
    return pa.table(
        {
            "name": [f"person {i}" for i in range(rows)],
            "age": pa.array(age, mask=hole[:, 0]),
            "work": pa.array(work, mask=hole[:, 1]),
            "income": rng.lognormal(10, 0.5, rows),
            "since": pa.array(np.datetime64("2020-01-01") + rng.integers(0, 900, rows)),
            "planet": ["Earth"] * rows,
        }
    )


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "people.csv"
    table = make_people()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        writer.writerows([["" if v is None else v for v in row.values()] for row in table.to_pylist()])
    return path


TINY_TABLE = {"training.epochs": 3, "training.validations": 1, "encoder.hidden": [16], "decoder.hidden": [16],
              "objective.samples": 2, "evaluation.samples": 5, "training.batch_size": 32}  # fmt: skip


@pytest.fixture(scope="module")
def people_run(people, tmp_path_factory):
    return vaekit.train(people, settings=TINY_TABLE, out=tmp_path_factory.mktemp("runs") / "people").path


def test_describe_says_what_each_column_is(call, people):
    out = call("describe", people).out
    kinds = {line.split()[0]: line.split()[1] for line in out.splitlines() if len(line.split()) > 2}
    assert (kinds["age"], kinds["work"], kinds["since"], kinds["planet"]) == (
        "count",
        "categorical",
        "datetime",
        "constant",
    )
    assert kinds["name"] in ("identifier", "text")
    assert "'name' is left out, also of drawn rows" in out


def test_a_kind_can_be_declared_and_a_wrong_name_is_refused(call, people, expect_refusal):
    out = call("describe", people, "--set", "data.columns.age=real").out
    assert next(line for line in out.splitlines() if line.startswith("age")).split()[1] == "real"
    expect_refusal("describe", people, "--set", "data.columns.agee=real", words=("agee", "'age'"))
    expect_refusal("describe", people, "--set", "data.columns.age=tall", words=("data.columns", "tall"))


def test_impute_fills_the_holes_and_nothing_else(call, people, people_run, tmp_path):
    assert (
        call("impute", people_run, people, "--out", tmp_path / "f.csv", "--uncertainty", tmp_path / "u.csv").code == 0
    )
    before, after, spread = read(people), read(tmp_path / "f.csv"), read(tmp_path / "u.csv")
    assert list(before[0]) == list(after[0])
    assert any(row["age"] == "" for row in before)
    for old, new, sure in zip(before, after, spread, strict=True):
        assert old["name"] == new["name"]
        for column in ("age", "work", "since"):
            if old[column]:
                assert new[column] == old[column]
                assert sure[column] == ""
            else:
                assert new[column]
                assert float(sure[column]) > 0
        assert 0 < int(new["age"]) < 200
        assert new["work"] in ("city", "farm", "retired")


def test_draws_stand_under_each_other_and_differ(call, people, people_run, tmp_path):
    assert call("impute", people_run, people, "--draws", 3, "--out", tmp_path / "d.csv").code == 0
    rows = read(tmp_path / "d.csv")
    assert [row["draw"] for row in rows].count("2") == 150
    holes = [i for i, row in enumerate(read(people)) if not row["age"]]
    first, second = ([rows[k * 150 + i]["age"] for i in holes] for k in (0, 1))
    assert first != second


@pytest.mark.parametrize(("ending", "taken", "name"), [("csv", ["draw"], "draw_1"), ("parquet", ["draw", "draw_1"], "draw_2")])  # fmt: skip
def test_draws_beside_columns_of_that_name(call, tmp_path, ending, taken, name):
    rng = np.random.default_rng(1)
    cells = {each: pa.array(rng.integers(1, 7, 80)) for each in taken}
    table = pa.table(cells | {"x": pa.array(rng.normal(size=80), mask=rng.random(80) < 0.2)})
    pq.write_table(table, tmp_path / "x.parquet")
    run = vaekit.train(tmp_path / "x.parquet", settings=TINY_TABLE, out=tmp_path / "run").path
    with pytest.warns(UserWarning, match=f"Column '{name}' numbers the draws") as told:
        done = call("impute", run, tmp_path / "x.parquet", "--draws", 2, "--out", tmp_path / f"d.{ending}")
    assert done.code == 0
    assert len(told) == 1
    out = pq.read_table(tmp_path / "d.parquet") if ending == "parquet" else pyarrow.csv.read_csv(tmp_path / "d.csv")
    assert out.column_names == [name, *table.column_names]
    assert out[name].to_pylist() == [1] * 80 + [2] * 80
    assert out["draw"].to_pylist() == 2 * table["draw"].to_pylist()


def test_text_goes_out_as_it_came_in(call, tmp_path):
    rng = np.random.default_rng(2)
    words = ["02116", "plain", 'a "quoted" one', "with, comma", "two\nlines", "größe"]
    lines = [(words[i % 6], "" if i % 5 == 0 else f"{rng.normal():.3f}") for i in range(90)]
    with (tmp_path / "x.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("word, or so", "x"), *lines])
    run = vaekit.train(tmp_path / "x.csv", settings=TINY_TABLE, out=tmp_path / "run").path
    assert call("impute", run, tmp_path / "x.csv", "--out", tmp_path / "f.csv").code == 0
    given, filled = ((tmp_path / name).read_text(encoding="utf-8") for name in ("x.csv", "f.csv"))
    assert [row["word, or so"] for row in read(tmp_path / "f.csv")] == [word for word, _ in lines]
    texts = [text.replace(',"', "\n").split("\n") for text in (given, filled)]
    assert len(texts[0]) == len(texts[1])
    assert filled.startswith('"word, or so",x\n02116,')  # no quotes where there were none
    assert filled.splitlines()[2] == given.splitlines()[2]


def test_columns_of_lists_are_refused_in_csv_and_kept_in_parquet(call, expect_refusal, tmp_path):
    rng = np.random.default_rng(3)
    lists = pa.array([[i, i + 1] for i in range(60)])
    table = pa.table(
        {"tags": lists, "x": pa.array(rng.normal(size=60), mask=rng.random(60) < 0.2), "y": rng.normal(size=60)}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    run = vaekit.train(tmp_path / "x.parquet", settings=TINY_TABLE, out=tmp_path / "run").path
    words = ("Choose a .parquet file", "'tags'", "list<")
    expect_refusal("impute", run, tmp_path / "x.parquet", "--out", tmp_path / "f.csv", words=words)
    assert call("impute", run, tmp_path / "x.parquet", "--out", tmp_path / "f.parquet").code == 0
    assert pq.read_table(tmp_path / "f.parquet")["tags"].to_pylist() == lists.to_pylist()


def test_describe_shows_some_hundred_columns_and_counts_the_others(call, tmp_path):
    rng = np.random.default_rng(4)
    pq.write_table(pa.table({f"c{i}": rng.normal(size=40) for i in range(230)}), tmp_path / "x.parquet")
    out = call("describe", tmp_path / "x.parquet").out
    assert "c199 " in out
    assert "c200 " not in out
    assert "… and 30 further columns: 30 real" in out


def test_given_cells_hold_in_every_row(call, people_run, tmp_path, expect_refusal):
    done = call(
        "sample", people_run, "-n", 40, "--given", "work=farm", "--given", "age=33", "--out", tmp_path / "s.csv"
    )
    assert "Effective sample size" in done.err
    rows = read(tmp_path / "s.csv")
    assert {(row["work"], row["age"], row["planet"]) for row in rows} == {("farm", "33", "Earth")}
    assert len({row["income"] for row in rows}) > 20
    expect_refusal("sample", people_run, "--given", "wrok=farm", "--out", tmp_path / "t.csv", words=("wrok", "'work'"))
    expect_refusal("sample", people_run, "--given", "work=sea", "--out", tmp_path / "t.csv", words=("sea",))
    expect_refusal("sample", people_run, "--given", "work", "--out", tmp_path / "t.csv", words=("COLUMN=VALUE",))
    expect_refusal("sample", people_run, "--given", "age=old", "--out", tmp_path / "t.csv", words=("a number", "old"))


def test_score_explains_the_strange_cell(call, people_run, tmp_path):
    strange = make_people(5, seed=3).set_column(3, "income", pa.array([1e4, 2e4, 3e7, 2e4, 1e4]))
    pq.write_table(strange, tmp_path / "new.parquet")
    assert call("score", people_run, tmp_path / "new.parquet", "--explain", "--out", tmp_path / "s.csv").code == 0
    rows = read(tmp_path / "s.csv")
    assert rows[2]["strangest"] == "income"
    assert float(rows[2]["surprise_income"]) == max(float(row["surprise_income"]) for row in rows) > 3
    assert int(np.argmin([float(row["log_likelihood"]) for row in rows])) == 2


def test_p_values_are_ranks_among_the_rows_held_out(call, people_run, tmp_path, expect_refusal):
    strange = make_people(5, seed=3).set_column(3, "income", pa.array([1e4, 2e4, 3e9, 2e4, 1e4]))
    pq.write_table(strange, tmp_path / "new.parquet")
    done = call("score", people_run, tmp_path / "new.parquet", "--p-value", "--out", tmp_path / "s.csv")
    assert "multiples of 1/16: 15 rows were held out" in done.err
    rows, run = read(tmp_path / "s.csv"), vaekit.load(people_run)
    scores = run.score_samples(strange)
    held_out = run.score_samples(run.source[0].frame.table().take(run.split().test.index))
    np.testing.assert_allclose([float(row["log_likelihood"]) for row in rows], scores, rtol=1e-5)
    expected = [(1 + (held_out <= score).sum()) / 16 for score in scores]
    assert [float(row["p_value"]) for row in rows] == expected
    assert expected[2] == 1 / 16
    score = ("score", people_run, tmp_path / "new.parquet", "--out", tmp_path / "t.csv")
    expect_refusal(*score, "--p-value", "--explain", words=("--explain and --p-value",))
    expect_refusal(*score, "--p-value", "--samples", "5", words=("--p-value and --samples",))
    expect_refusal(*score, "--marginal", "--explain", words=("--explain and --marginal",))


def test_score_sums_missing_cells_out(call, tmp_path):
    out, people = tmp_path / "run", make_people(80, seed=1)
    vaekit.train(people, recipe="autoregressive-table", settings=TINY_TABLE, out=out)
    first = people.slice(0, 4).set_column(0, people.column_names[0], pa.nulls(4, people[0].type))
    pq.write_table(first, tmp_path / "new.parquet")
    done = call("score", out, tmp_path / "new.parquet", "--marginal", "--samples", "5", "--out", tmp_path / "s.csv")
    assert done.code == 0
    run = vaekit.load(out)
    summed, plain = (run.score_samples(first, 5, marginal=given) for given in (True, False))
    found = [float(row["log_likelihood"]) for row in read(tmp_path / "s.csv")]
    np.testing.assert_allclose(found, summed, rtol=1e-6)
    assert np.abs(summed - plain).max() > 1e-3


def test_p_values_of_a_detector(call, tmp_path):
    X = np.random.default_rng(0).normal(size=(90, 2))
    settings = TINY_TABLE | {"training.epochs": 1}
    detector = vaekit.VAEOutlierDetector(calibration=40, settings=settings, random_state=0).fit(X)
    detector.save(tmp_path / "run")
    np.save(tmp_path / "x.npy", X)
    done = call("score", tmp_path / "run", tmp_path / "x.npy", "--p-value", "--out", tmp_path / "s.csv")
    assert done.code == 0
    rows = read(tmp_path / "s.csv")
    assert [float(row["p_value"]) for row in rows] == detector.p_values(X).tolist()
    assert [float(row["score"]) for row in rows] == detector.score_samples(X).tolist()


def test_encode_and_score_of_a_table_do_not_depend_on_the_order_of_its_columns(call, people, people_run, tmp_path):
    table = make_people(20, seed=5)
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.select(table.column_names[::-1]), tmp_path / "b.parquet")
    for name in ("a", "b"):
        assert call("score", people_run, tmp_path / f"{name}.parquet", "--out", tmp_path / f"{name}.csv").code == 0
        assert call("encode", people_run, tmp_path / f"{name}.parquet", "--out", tmp_path / f"{name}.npy").code == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (np.load(tmp_path / "a.npy") == np.load(tmp_path / "b.npy")).all()


def test_what_cannot_be_read_is_refused_with_its_place(call, people, people_run, tmp_path, expect_refusal):
    text = people.read_text(encoding="utf-8")
    bad = tmp_path / "bad.csv"
    cases = (
        (text.replace("since", "when", 1), ("'since'",)),
        (text.replace("2020-", "then ", 1), ("'since'", "a date", "row")),
    )
    for content, words in cases:
        bad.write_text(content, encoding="utf-8")
        expect_refusal("score", people_run, bad, "--out", tmp_path / "x.csv", words=words)
    expect_refusal("impute", people_run, people, "--out", tmp_path / "x.npy", words=(".csv or .parquet",))
    before = people.read_bytes()
    expect_refusal("impute", people_run, people, "--out", people, words=("the file that is read",))
    assert people.read_bytes() == before


def test_verbs_of_tables_refuse_other_runs(digits_run, expect_refusal, tmp_path):
    expect_refusal("impute", digits_run.path, "digits", "--out", tmp_path / "x.csv", words=("mixed table",))
    expect_refusal(
        "sample",
        digits_run.path,
        "--given",
        "a=1",
        "--out",
        tmp_path / "x.csv",
        words=("cannot be given a", "--recipe conditional-vae"),
    )


def test_a_query_trains(call, tmp_path):
    path = tmp_path / "people.db"
    table = make_people(80).drop_columns(["since"])
    with sqlite3.connect(path) as base:
        base.execute("create table people (name text, age integer, work text, income real, planet text)")
        base.executemany("insert into people values (?,?,?,?,?)", [tuple(r.values()) for r in table.to_pylist()])
    settings = [part for key, value in TINY_TABLE.items() for part in ("--set", f"{key}={value}")]
    query = "select age, work, income from people order by name"
    done = call("train", f"sqlite:///{path}", "--query", query, "--out", tmp_path / "run", *settings)
    assert done.code == 0, done.err
    run = vaekit.load(tmp_path / "run")
    assert run.schema.columns == ("age", "work", "income")
    assert run.split().train.fingerprint(run.schema.dtype) == run.provenance["fingerprint"]


def test_a_run_on_a_table_resumes(people, people_run, tmp_path):
    again = vaekit.train(people, settings=TINY_TABLE, out=tmp_path / "again")
    assert (again.path / "weights.safetensors").read_bytes() == (people_run / "weights.safetensors").read_bytes()
    assert vaekit.train(resume=again.path).evaluate(samples=5) == again.evaluate(samples=5)


def test_of_many_left_out_columns_only_some_are_named(call, tmp_path):
    table = pa.table({"x": np.arange(40) % 7 / 8, **{f"c{i}": ["same"] * 40 for i in range(50)}})
    pq.write_table(table, tmp_path / "x.parquet")
    out = call("describe", tmp_path / "x.parquet").out
    assert out.count("is left out: constant") == 20
    assert "30 further columns are left out, too." in out
