"""What a user can give that does not fit: one message with its culprit, exit code 2, and every file as it was."""

import contextlib
import errno
import gzip
import json
import os
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

import vaekit
from builders import read_numbers, write_sealed
from vaekit.data import open_source
from vaekit.folder import run_folder
from vaekit.folder.parsing import METRICS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
REAL = ("--set", "data.kind=real")
"""One kind for the whole table."""


@pytest.fixture(autouse=True)
def _here(workplace):
    """Every test has a folder of its own."""


@pytest.fixture
def train(expect_refusal, tiny_set):
    """Training that must be refused; no run folder may be left."""

    def run(source, *options, words=()):
        return expect_refusal("train", source, "--out", "run", *tiny_set, *options, words=words)

    return run


@pytest.fixture
def pictures(workplace):
    folder = workplace / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(RNG.integers(0, 256, (4, 5)).astype(np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def copied(table_run, workplace):
    """A run folder that may be damaged."""
    shutil.copytree(table_run.path, workplace / "copied")
    return workplace / "copied"


def npy(values, **options):
    np.save("x.npy", values, **options)
    return "x.npy"


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_missing_source(train):
    train("measurements.csv", words=["The source 'measurements.csv' does not exist"])
    train("digts", words=["Did you mean 'digits'?"])


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv", "x.parquet"])
def test_an_empty_file(train, workplace, name):
    (workplace / name).touch()
    train(name, words=["The source ", "is an empty file", name])


def test_an_empty_folder(train, workplace):
    (workplace / "empty").mkdir()
    train("empty", words=["holds no tables, pictures, tars or IDX files", "empty"])


def test_a_file_of_an_unknown_kind(train, workplace):
    (workplace / "x.xlsx").write_bytes(b"PK")
    train("x.xlsx", words=["must end in one of .npy, .npz, .parquet, .pq, .csv, .tsv", "'x.xlsx'"])


def test_a_test_source_that_is_missing_or_other(train, table, write_csv, workplace):
    train(table, "--test", "nowhere.csv", words=["The source 'nowhere.csv' does not exist"])
    write_csv(workplace / "t.csv", X[:, :2], ("length", "mass"))
    train(table, "--test", "t.csv", words=["lack columns that the model was trained on: 'share', 'heat'"])


@pytest.mark.parametrize("damage", [lambda b: b[:40], lambda b: b[: len(b) // 2], lambda b: b"hello", lambda b: b""])
def test_a_corrupt_picture_is_named(train, pictures, damage):
    path = pictures / "07.png"
    path.write_bytes(damage(path.read_bytes()))
    train(pictures, words=["every picture must be readable", "07.png", "Repair or remove it"])


def test_mixed_sizes_are_refused_and_then_brought_to_one(train, call, pictures, tiny_set):
    Image.fromarray(np.zeros((9, 5), np.uint8)).save(pictures / "07.png")
    message = train(pictures, words=["all pictures must have the same size", "4x5 ('00.png')", "9x5 ('07.png')"])
    assert "data.size=4x5" in message  # what the message says works
    outcome = call("train", pictures, "--out", "run", *tiny_set, "--set", "data.size=4x5")
    assert (outcome.code, outcome.out) == (0, "Trained: run\n")
    assert vaekit.load("run").schema.shape == (4, 5, 1)
    assert call("encode", "run", pictures, "--out", "z.npy").code == 0  # and goes on working
    assert np.load("z.npy").shape == (12, 2)


@pytest.mark.parametrize("size", ["28", "28x", "0x5", "axb", "28x28x3"])
def test_a_size_that_is_none(train, pictures, size):
    train(pictures, "--set", f"data.size={size}", words=["'data.size'"])


@pytest.mark.parametrize("cut", [-20, 12])
def test_a_truncated_idx_file_is_named(train, workplace, cut):
    content = b"\0\0\x08\x03" + struct.pack(">3I", 20, 4, 4) + RNG.integers(0, 256, 320).astype(np.uint8).tobytes()
    (workplace / "idx").mkdir()
    (workplace / "idx" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content)[:cut])
    train("idx", words=["an IDX file must be undamaged", "train-images-idx3-ubyte.gz"])
    (workplace / "idx" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content[:cut]))
    train("idx", words=["an IDX file must be undamaged", "train-images-idx3-ubyte.gz"])


def test_a_cache_that_cannot_be_made(train, pictures, workplace, monkeypatch):
    (workplace / "file").touch()
    monkeypatch.setenv("VAEKIT_CACHE", str(workplace / "file"))
    train(pictures, words=["file"])


@pytest.mark.parametrize(("bad", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_numbers_that_are_none_are_named_with_row_and_column(train, write_csv, workplace, bad, name):
    values = X.copy()
    values[17, 1] = bad
    train(npy(values), *REAL, words=["must be a finite number", f"{name} in row 17, column 1"])
    write_csv(workplace / "x.csv", values, ("a", "b", "c"))
    train("x.csv", *REAL, words=["column 'b'", "row 17"])


@pytest.mark.parametrize(("bad", "name"), [(np.inf, "inf"), (-np.inf, "-inf")])
def test_infinite_cells_of_a_mixed_table_are_named(train, write_csv, workplace, bad, name):
    values = X.copy()
    values[17, 1] = bad
    train(npy(values), words=["every number must be finite", f"{name} in column 'column1', row 17"])
    write_csv(workplace / "x.csv", values, ("a", "b", "c"))
    train("x.csv", words=["every number must be finite", f"{name} in column 'b', row 17"])


def test_an_empty_cell_among_rows_of_numbers_is_named(train, write_csv, workplace):
    rows = X.tolist()
    rows[9][2] = ""
    write_csv(workplace / "x.csv", rows, ("a", "b", "c"))
    train("x.csv", *REAL, words=["empty cell", "column 'c'", "row 9"])


def test_a_column_of_text_among_rows_of_numbers_is_named(train, write_csv, workplace):
    rows = X.tolist()
    rows[9][2] = "cat"
    write_csv(workplace / "x.csv", rows, ("a", "b", "animal"))
    train("x.csv", *REAL, words=["every column must hold numbers", "column 'animal'"])


def test_a_ragged_table(train, write_csv, workplace):
    rows = X.tolist()
    rows[9].append(1.0)
    write_csv(workplace / "x.csv", rows, ("a", "b", "c"))
    train("x.csv", words=["the same number of cells", "Expected 3 columns, got 4", "x.csv"])


def test_a_header_without_rows(train, write_csv, workplace):
    write_csv(workplace / "x.csv", [], ("a", "b"))
    train("x.csv", words=["has a line of names but no rows"])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_fewer_rows_than_a_split_needs(train, rows):
    train(npy(X[:rows]), words=["Too few rows are left for training", f"of {rows} rows, "])


def test_nothing_varies(train, pictures):
    train(npy(np.full((30, 4), 2.5)), *REAL, words=["examples are identical"])
    train("x.npy", words=["No column of the table can be modelled", "'column0' is constant"])
    for path in pictures.iterdir():
        Image.fromarray(np.full((4, 5), 128, np.uint8)).save(path)
    train(pictures, words=["examples are identical"])


def test_an_empty_column_alone(train, write_csv, workplace):
    write_csv(workplace / "x.csv", [["", 7]] * 30, ("a", "b"))
    train("x.csv", words=["No column of the table can be modelled: no cell of 'a' has a value; 'b' is constant"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([["a", 1]], dtype=object), ["plain numeric array"]),
        (X + 1j, ["must hold real numbers", "complex128"]),
        (np.array(3.0), ["an example per row", "shape ()"]),
        (X[:, 0], ["an example per row", "shape (40,)"]),
        (np.zeros((9, 2, 2, 2, 2)), ["an example per row", "shape (9, 2, 2, 2, 2)"]),
        (np.array([["a", "b"]]), ["must hold real numbers", "<U1"]),
        (np.zeros((4, 2), "M8[D]"), ["must hold real numbers", "datetime64"]),
        (np.zeros((0, 3)), ["must not be empty"]),
    ],
)
def test_arrays_of_other_kinds(train, values, words):
    train(npy(values, allow_pickle=True), words=["x.npy", *words])


def test_pickles_in_an_npz_are_refused_and_not_run(train):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, ("ran",))

    np.savez("x.npz", X=np.array([[Trap()]], dtype=object))
    train("x.npz", words=["plain numeric arrays", "x.npz"])
    assert not os.path.exists("ran")


def test_an_npz_without_a_known_name(train):
    np.savez("x.npz", first=X, second=X)
    train("x.npz", words=["must hold rows under one of the names", "first, second"])


# --- constant columns ------------------------------------------------------------------------------------------------


def test_constant_columns_are_left_out_said_aloud_and_put_back(call, workplace, write_csv, tiny_set):
    values = X.copy()
    values[:, 1] = 5.25
    write_csv(workplace / "x.csv", values, ("a", "b", "c"))
    outcome = call("train", "x.csv", "--out", "run", *tiny_set, *REAL)
    assert outcome.code == 0
    assert "Left out of the likelihood, because they never vary: 1 column" in outcome.err
    assert "column 'b'" in outcome.err
    run = vaekit.load("run")
    assert run.model.decoder.likelihood.event_shape == (2,)
    for verb, rest in (("reconstruct", ["x.csv"]), ("sample", [])):
        assert call(verb, "run", *rest, "--out", f"{verb}.csv").code == 0
        source = read_numbers(f"{verb}.csv")
        assert source.columns == ("a", "b", "c")
        assert np.unique(source.values[:, 1]).tolist() == [5.25]
        assert source.values[:, 0].std() > 0
    two = vaekit.train(
        values[:, [0, 2]], settings=[*tiny_set[1::2], REAL[1]], out="two"
    )  # the likelihood is of the others alone
    np.testing.assert_allclose(run.score_samples(values).mean(), two.score_samples(values[:, [0, 2]]).mean(), atol=1.0)
    assert np.isfinite(run.score_samples(values)).all()


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_grey_data_have_no_bernoulli_likelihood(train):
    train(
        "digits",
        "--set",
        "likelihood=bernoulli",
        words=["the data must be binary for likelihood=bernoulli", "grey levels", "data.binarize=dynamic"],
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--recipe", "digit"], ["'digit'", "Did you mean 'digits'?"]),
        (["--recipe", "nothing.toml"], ["nothing.toml"]),
        (["--set", "latent_dims=3"], ["'latent_dims'", "Did you mean 'latent_dim'?"]),
        (["--set", "likelihood=gausian"], ["'gausian'", "Did you mean 'gaussian'?"]),
        (["--set", "encoder=mpl"], ["There is no encoder 'mpl'"]),
        (["--set", "latent_dim=0"], ["'latent_dim' must be greater than 0", "Got 0"]),
        (["--set", "latent_dim=-3"], ["'latent_dim' must be greater than 0", "Got -3"]),
        (["--set", "latent_dim=two"], ["'latent_dim' must be", "'two'"]),
        (["--set", "latent_dim"], ["key=value", "'latent_dim'"]),
        (["--seed", "9999999999"], ["'seed' must be"]),
        (["--set", "encoder=convolutional"], ["'encoder.hidden'", "belongs to encoder=mlp"]),
    ],
)
def test_recipes_that_are_none(train, table, options, words):
    train(table, *options, words=words)


def test_a_network_that_does_not_fit_the_data(expect_refusal, table):
    words = ["encoder=convolutional takes pictures, not tables", "encoder=mlp"]
    expect_refusal("train", table, "--out", "run", "--set", "encoder=convolutional", words=words)


def test_several_mistakes_are_told_at_once(train, table):
    settings = ["trainig.epochs=3", "latent_dims=2", "training.batch_size=0", "data.test=2"]
    options = [part for setting in settings for part in ("--set", setting)]
    train(
        table, *options, words=["'training.epochs'?", "'latent_dim'?", "'training.batch_size' must", "'data.test' must"]
    )


def test_a_recipe_file_with_a_section_that_is_none(train, table, workplace):
    (workplace / "r.toml").write_text("encoder = 3\n")
    train(table, "--recipe", "r.toml", words=["encoder"])


def test_auto_may_be_asked_for(call, table, tiny_set):
    outcome = call("train", table, "--out", "run", *tiny_set, "--set", "latent_dim=auto")
    assert (outcome.code, outcome.out) == (0, "Trained: run\n")


# --- where to --------------------------------------------------------------------------------------------------------


def test_a_run_is_never_written_over(train, expect_refusal, table, copied, tiny_set):
    words = ["new or empty folder", "holds a run already", "vaekit train --resume copied"]
    expect_refusal("train", table, "--out", "copied", *tiny_set, words=words)


def test_other_files_are_never_mixed_with_a_run(expect_refusal, table, workplace, tiny_set):
    (workplace / "thesis").mkdir()
    (workplace / "thesis" / "chapter.tex").write_text("years of work")
    expect_refusal("train", table, "--out", "thesis", *tiny_set, words=["holds other files already", "'thesis'"])
    expect_refusal("train", table, "--out", "thesis/chapter.tex", *tiny_set, words=["is a file"])
    expect_refusal("train", table, "--out", "thesis/chapter.tex/run", *tiny_set, words=["cannot be written"])


def test_no_source_at_all(expect_refusal):
    expect_refusal("train", words=["There is no data to train on"])


@pytest.mark.parametrize(
    ("verb", "out", "words"),
    [
        ("encode", "z.cvs", ["--out must end in", "Did you mean '.csv'?"]),
        ("score", "z.png", ["unless pictures are written"]),
        ("reconstruct", "folder", ["unless pictures are written"]),
        ("sample", "z", ["unless pictures are written"]),
    ],
)
def test_wrong_endings(expect_refusal, table_run, table, verb, out, words):
    source = [] if verb == "sample" else [table]
    expect_refusal(verb, table_run.path, *source, "--out", out, words=words)


def test_a_folder_in_the_place_of_the_file(expect_refusal, table_run, workplace):
    (workplace / "x.npy").mkdir()
    expect_refusal("sample", table_run.path, "--out", "x.npy", words=["--out is the folder 'x.npy'. Choose a file"])


# --- run folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["evaluate", "sample", "describe", "report"])
def test_no_run(expect_refusal, verb, workplace):
    (workplace / "empty").mkdir()
    out = ["--out", "x.npy"] if verb == "sample" else []
    expect_refusal(
        verb, "nowhere", *out, words=["does not exist" if verb == "describe" else "There is no run folder", "'nowhere'"]
    )
    if verb != "describe":
        expect_refusal(verb, "empty", *out, words=["is not a run folder", "has no provenance.json", "'empty'"])


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_weights(expect_refusal, copied, keep):
    path = copied / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    expect_refusal(
        "sample", copied, "--out", "x.npy", words=["weights.safetensors' is damaged", "Restore it from a copy"]
    )


def test_missing_weights(expect_refusal, copied):
    (copied / "weights.safetensors").unlink()
    expect_refusal("sample", copied, "--out", "x.npy", words=["has no weights.safetensors"])


def test_weights_of_another_model(expect_refusal, copied, digits_run):
    shutil.copy(digits_run.path / "weights.safetensors", copied)
    expect_refusal("sample", copied, "--out", "x.npy", words=["weights.safetensors' does not fit recipe.toml"])


@pytest.mark.parametrize("name", ["recipe.toml", "schema.json", "provenance.json"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\xff\xfe\0", lambda b: b"", None])
def test_damaged_descriptions(expect_refusal, copied, name, damage):
    path = copied / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    expect_refusal("sample", copied, "--out", "x.npy", words=[name])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("recipe.toml", "latent_dim = 2", "latent_dim = 0"),
        ("recipe.toml", "latent_dim = 2", 'latent_dim = "auto"'),
        ("recipe.toml", "latent_dim = 2", "latent_dims = 2"),
        ("recipe.toml", "latent_dim = 2", "latent_dim = 3"),
        ("recipe.toml", 'name = "gaussian"', 'name = "gausian"'),
        ("recipe.toml", 'name = "gaussian"', 'name = "auto"'),
        ("recipe.toml", 'name = "gaussian"', 'name = "bernoulli"'),
        ("recipe.toml", 'name = "mlp"', 'name = "convolutional"'),
        ("schema.json", '"real"', '"unreal"'),
        ("schema.json", '"float64"', '"floaty"'),
        ("schema.json", '"affine"', '"magic"'),
        ("schema.json", '"transform"', '"transforms"'),
        ("schema.json", '"schema"', '"schemas"'),
    ],
)
def test_descriptions_that_were_meddled_with(expect_refusal, copied, name, old, new):
    path = copied / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    write_sealed(path, text.replace(old, new))
    message = expect_refusal("sample", copied, "--out", "x.npy")
    assert name in message
    assert "pydantic" not in message


@pytest.mark.parametrize("verb", ["evaluate", "describe", "train"])
def test_a_provenance_that_lacks_what_it_should_tell(expect_refusal, copied, verb):
    (copied / "provenance.json").write_text('{"format": 3}')
    expect_refusal(verb, *(["--resume"] if verb == "train" else []), copied, words=["provenance.json"])


def test_a_folder_from_a_newer_version(expect_refusal, copied):
    path = copied / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    for arguments in (["sample", copied, "--out", "x.npy"], ["evaluate", copied], ["train", "--resume", copied]):
        expect_refusal(*arguments, words=["made by a newer version", "format 99", "Install a newer vaekit"])


def test_damaged_metrics(expect_refusal, copied):
    write_sealed(copied / "metrics.csv", f"{','.join(METRICS)}\n1,many\n")
    expect_refusal("describe", copied, words=["is not a row of numbers"])


# --- new data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "score"])
def test_data_of_another_shape(expect_refusal, table_run, digits_run, verb):
    npy(X)
    expect_refusal(verb, table_run.path, "x.npy", "--out", "y.npy", words=["shape (4,)", "(3,)"])
    expect_refusal(verb, table_run.path, "digits", "--out", "y.npy", words=["shape (4,)", "(8, 8, 1)"])
    expect_refusal(verb, digits_run.path, "x.npy", "--out", "y.npy", words=["shape (8, 8, 1)", "(3,)"])


def test_data_out_of_range(expect_refusal, digits_run):
    values = open_source("digits").values[:5].astype(np.int64)
    values[3, 2, 1, 0] = 17
    npy(values)
    words = ["integers from 0 to 16", "17 in row 3, pixel (2, 1), channel 0"]
    expect_refusal("score", digits_run.path, "x.npy", "--out", "y.npy", words=words)


def test_new_numbers_that_are_none(expect_refusal, table_run):
    values = np.ones((9, 4))
    values[6, 3] = np.nan
    npy(values)
    expect_refusal("encode", table_run.path, "x.npy", "--out", "y.npy", words=["nan in row 6, column 'heat'"])


def test_columns_in_another_order_are_mended_and_missing_ones_refused(
    call, expect_refusal, table_run, table, write_csv, workplace
):
    rows, names = read_numbers(table).values, ["length", "mass", "share", "heat"]
    order = [2, 0, 3, 1]
    write_csv(workplace / "other.csv", rows[:, order], [names[i] for i in order])
    for verb in ("encode", "score", "reconstruct"):
        assert call(verb, table_run.path, table, "--out", "a.npy").code == 0
        assert call(verb, table_run.path, "other.csv", "--out", "b.npy").code == 0
        np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))
    write_csv(workplace / "less.csv", rows[:, order[1:]], [names[i] for i in order[1:]])
    expect_refusal(
        "score",
        table_run.path,
        "less.csv",
        "--out",
        "y.npy",
        words=["lack columns that the model was trained on: 'share'"],
    )


def test_the_source_of_a_run_has_changed_or_gone(call, expect_refusal, workplace, table, tiny_set):
    shutil.copy(table, "mine.csv")
    assert call("train", "mine.csv", "--out", "run", *tiny_set).code == 0
    lines = (workplace / "mine.csv").read_text().splitlines()
    (workplace / "mine.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    for arguments in (["evaluate", "run"], ["train", "--resume", "run"]):
        expect_refusal(*arguments, words=["no longer holds the rows that the run was trained on", "mine.csv"])
    (workplace / "mine.csv").unlink()
    expect_refusal("evaluate", "run", words=["The source", "mine.csv' does not exist"])
    assert call("evaluate", "run", table, "--samples", 2, "--json").code == 0  # given rows can still be measured


# --- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["digits"],
        ["--seed", "3"],
        ["--set", "latent_dim=3"],
        ["--recipe", "digits"],
        ["--out", "x"],
        ["--test", "digits"],
    ],
)
def test_resuming_stands_alone(expect_refusal, copied, options):
    expect_refusal("train", *options, "--resume", copied, words=["--resume takes no other options"])


def test_resuming_nothing(expect_refusal):
    expect_refusal("train", "--resume", "nowhere", words=["There is no run folder", "'nowhere'"])


def test_a_damaged_state(expect_refusal, copied):
    path = copied / "state" / "good.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    expect_refusal("train", "--resume", copied, words=["state/good.safetensors' is damaged"])


# --- the disk --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(room):
    """A disk that is full once `room` files of tensors are written."""
    save, count = run_folder.save_file, []

    def save_some(*arguments, **options):
        count.append(1)
        if len(count) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "save_file", save_some)
        yield


@pytest.mark.parametrize("room", [0, 1, 2, 3, 4])
def test_a_full_disk_loses_nothing_and_training_goes_on_afterwards(call, table, workplace, room):
    """Whichever write fails, what was saved stays whole, and the run ends as if the disk had never been full."""
    content = [
        "training.epochs=3",
        "training.validations=3",
        "encoder.hidden=[8]",
        "decoder.hidden=[8]",
        "latent_dim=2",
    ]
    options = [part for setting in content for part in ("--set", setting)]
    assert call("train", table, "--out", "whole", *options).code == 0
    with full_disk(1 + room):  # the first file is written with the folder
        outcome = call("train", table, "--out", "run", *options)
    assert outcome.code == 2
    message = outcome.err[outcome.err.index("vaekit: ") :]  # after the choices and the progress
    assert "The disk is full" in message
    assert "What was saved before is intact" in message
    assert "Traceback" not in outcome.err
    assert list((workplace / "run").rglob(".*")) == []  # no halves are left
    if room >= 2:
        assert np.isfinite(vaekit.load("run").score_samples(str(table))).all()
    assert call("train", "--resume", "run").code == 0
    finished, resumed = (vaekit.load(name).model.state_dict() for name in ("whole", "run"))
    assert all((finished[key] == resumed[key]).all() for key in finished)


def test_a_full_disk_while_rows_are_written(call, table_run, workplace, monkeypatch):
    (workplace / "x.npy").write_bytes(b"the day before")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    outcome = call("sample", table_run.path, "--out", "x.npy")
    assert outcome.code == 2
    assert "The disk is full" in outcome.err
    assert (workplace / "x.npy").read_bytes() == b"the day before"
    assert [p.name for p in workplace.iterdir()] == ["x.npy"]
