import numpy as np
import pytest
from sklearn.datasets import load_digits

from builders import read_numbers
from vaekit.data import Source, open_source
from vaekit.errors import DataError

X = np.arange(12.0).reshape(4, 3)


def test_digits_are_scikit_learns_with_seventeen_levels():
    source, bunch = open_source("digits"), load_digits()
    np.testing.assert_array_equal(source.values[..., 0], bunch.images)
    np.testing.assert_array_equal(source.labels, bunch.target)
    assert source.values.dtype == np.uint8
    assert (source.levels, source.picture, source.origin) == (17, True, "digits")


def test_a_source_is_itself_and_an_array_is_in_memory():
    source = Source(X)
    assert open_source(source) is source
    assert open_source(X).origin == "memory"
    np.testing.assert_array_equal(open_source(X).values, X)


@pytest.mark.parametrize("name", ["x.npy", "x.NPY", "x.npz", "x.csv", "x.CSV", "x.parquet"])
def test_the_ending_chooses_the_reader(name, workplace):
    import pyarrow as pa
    import pyarrow.parquet

    lower = name.lower()
    if lower == "x.npy":
        with open(name, "wb") as file:
            np.save(file, X)
    elif lower == "x.npz":
        np.savez(name, X=X)
    elif lower == "x.csv":
        np.savetxt(name, X, delimiter=",")
    else:
        pyarrow.parquet.write_table(pa.table({c: X[:, i] for i, c in enumerate("abc")}), name)
    for form in (name, workplace / name):
        source = read_numbers(form)
        np.testing.assert_array_equal(source.values, X)
        assert source.origin == str(workplace / name)  # absolute, to be found again from elsewhere


def test_a_tilde_is_the_home_folder(monkeypatch, workplace):
    monkeypatch.setenv("HOME", str(workplace))
    np.save("x.npy", X)
    assert open_source("~/x.npy").origin == str(workplace / "x.npy")


def test_a_missing_source_offers_the_nearest_name(workplace):
    np.save("measurements.npy", X)
    with pytest.raises(DataError, match=r"Got 'measurement.npy' instead. Did you mean 'measurements.npy'\?"):
        open_source("measurement.npy")
    with pytest.raises(DataError, match=r"Did you mean 'digits'\?"):
        open_source("digit")
    with pytest.raises(DataError, match=r"Give 'digits', a .npy, .npz, .csv or .parquet file, or a folder"):
        open_source("nowhere/at/all")


def test_unknown_endings_and_empty_files_are_refused(workplace):
    (workplace / "x.txt").write_text("1 2 3")
    with pytest.raises(
        DataError, match=r"must end in one of .npy, .npz, .csv, .tsv, .csv.gz, .tsv.gz, .parquet. Got 'x.txt'"
    ):
        open_source("x.txt")
    for name in ("x.npy", "x.npz", "x.csv", "x.parquet"):
        (workplace / name).touch()
        with pytest.raises(DataError, match=f"must hold examples. Got an empty file, .*{name}"):
            open_source(name)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_that_one_is_in(name):
    with pytest.raises(DataError, match=r"must be named\. Got an empty name"):
        open_source(name)


def test_labels_never_become_data():
    rows = open_source("digits").values
    assert rows.shape == (1797, 8, 8, 1)
    assert rows.max() == 16
