"""What `describe` and `train` say of a file: how it was understood, and which cells are missing."""

import numpy as np
import pytest
from typer.testing import CliRunner

import vaekit
from vaekit.cli.app import app


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    veneer, region = rng.choice(["Brick", "None", "Stone"], 90), rng.choice(["APAC", "EMEA", "NA"], 90)
    lines = [f"{v},{r},{a}" for v, r, a in zip(veneer, region, rng.integers(50, 300, 90), strict=True)]
    (tmp_path / "x.csv").write_text("veneer,region,area\n" + "\n".join(lines) + "\n")
    return tmp_path / "x.csv", int((veneer == "None").sum()), int((region == "NA").sum())


def describe(*words):
    result = CliRunner().invoke(app, ["describe", *map(str, words)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_missing_cells_are_counted_with_their_words(table):
    path, none, na = table
    said = describe(path)
    assert "line 1 names the columns, cells are separated by commas" in said
    assert f"{none} 'None'" in said
    assert f"{na} 'NA'" in said
    total = f"Missing cells: {none + na} (veneer {none} written 'None', region {na} written 'NA')."
    swapped = f"Missing cells: {none + na} (region {na} written 'NA', veneer {none} written 'None')."
    assert (total if none >= na else swapped) in said
    assert "data.missing lists the words that count as missing." in said


def test_the_user_says_which_words_count(table):
    path, _, na = table
    said = describe(path, "--set", 'data.missing=["NA"]')
    assert f"Missing cells: {na} (region {na} written 'NA')" in said
    assert "3 text values" in said  # None is a kind of veneer
    assert "Missing cells" not in describe(path, "--set", "data.missing=[]")


def test_the_marks_of_training_are_those_of_every_verb(table, tmp_path):
    path, none, _ = table
    settings = {"data.missing": ["NA"], "training.epochs": 1, "encoder.hidden": [8], "decoder.hidden": [8]}
    run = vaekit.train(path, settings=settings, out=tmp_path / "run")
    filled = run.impute(path)
    assert filled["veneer"].to_pylist().count("None") == none
    assert "NA" not in filled["region"].to_pylist()
    assert run.recipe.data.missing == ("NA",)


def test_a_header_can_be_declared(tmp_path):
    (tmp_path / "x.csv").write_text("".join(f"{'ab'[i % 2]},{'xyz'[i % 3]}\n" for i in range(60)))
    said = describe(tmp_path / "x.csv")
    assert (
        "Line 1 was read as column names, although some names also occur as cells. To read it as a row, set data.header=false."
        in said
    )
    said = describe(tmp_path / "x.csv", "--set", "data.header=false")
    assert "no line names the columns" in said
    assert "column0 binary" in said


def test_an_array_with_a_missing_cell_says_so(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[7, 1] = np.nan
    np.save(tmp_path / "x.npy", X)
    assert (
        "Missing cells: 1 (column1 1). An array with missing cells is modelled column by column, as a table is."
        in describe(tmp_path / "x.npy")
    )


def test_dates_in_doubt_are_named(tmp_path):
    (tmp_path / "x.csv").write_text(
        "when,x\n" + "".join(f"0{1 + i % 9}/0{1 + i % 5}/2020,{i / 7:.2f}\n" for i in range(90))
    )
    said = describe(tmp_path / "x.csv")
    assert "Column 'when': cells may be dates of the form %m/%d/%Y or %d/%m/%Y" in said
    assert "when datetime declared; dates from" in describe(tmp_path / "x.csv", "--set", "data.columns.when=datetime")
