import os
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from scipy import sparse
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, TensorDataset

from builders import read_numbers
from vaekit.data import Source, limits, open_source
from vaekit.data.options import DataOptions
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
    with pytest.raises(
        DataError, match=r"The source 'measurement.npy' does not exist. Did you mean 'measurements.npy'\?"
    ):
        open_source("measurement.npy")
    with pytest.raises(DataError, match=r"Did you mean 'digits'\?"):
        open_source("digit")
    with pytest.raises(
        DataError, match=r"Pass 'digits', a .npy, .npz, .csv, .parquet, .arrow or .tar file, a folder or a pattern"
    ):
        open_source("nowhere/at/all")


def test_unknown_endings_and_empty_files_are_refused(workplace):
    (workplace / "x.txt").write_text("1 2 3")
    with pytest.raises(
        DataError, match=r"must end in one of .npy, .npz, .parquet, .pq, .csv, .tsv, .*.arrows, .tar. Got 'x.txt'"
    ):
        open_source("x.txt")
    for name in ("x.npy", "x.npz", "x.csv", "x.parquet"):
        (workplace / name).touch()
        with pytest.raises(DataError, match=f"The source .*{name}' is an empty file"):
            open_source(name)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_that_one_is_in(name):
    with pytest.raises(DataError, match=r"The name of the source is empty"):
        open_source(name)


def test_labels_never_become_data():
    rows = open_source("digits").values
    assert rows.shape == (1797, 8, 8, 1)
    assert rows.max() == 16


def pictures(place, n, level=0):
    """A folder of n pictures of one level each, counted up from a first one."""
    place.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.fromarray(np.full((2, 2), level + i, np.uint8)).save(place / f"{i}.png")


def firsts(source):
    """The first pixel of each picture, with its label."""
    labels = [None] * len(source.values) if source.labels is None else source.labels.tolist()
    return list(zip(source.values[:, 0, 0, 0].tolist(), labels, strict=True))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALID"])
@pytest.mark.parametrize("train", ["train", "Train", "training"])
def test_a_validation_folder_chooses_the_model_and_classes_are_one_level_down(workplace, train, name):
    for part, level, n in ((train, 0, 3), (name, 100, 1)):
        pictures(workplace / part / "cat", n, level)
        pictures(workplace / part / "dog", n, level + 50)
    source = open_source(".")
    cats, dogs = [(i, "cat") for i in range(3)], [(50 + i, "dog") for i in range(3)]
    assert firsts(source) == [*cats, *dogs]
    assert firsts(source.validation) == [(100, "cat"), (150, "dog")]
    assert source.test is None
    assert source.notes == ("The 2 validation pictures are used to choose the best weights.",)


def test_beside_a_test_folder_nothing_vanishes(workplace):
    for part, level in (("train", 0), ("val", 100), ("TEST", 200), ("later", 60)):
        pictures(workplace / part / "cat", 2, level)
    source = open_source(".")
    assert [firsts(part) for part in (source, source.validation, source.test)] == [
        [(level, "cat"), (level + 1, "cat")] for level in (0, 100, 200)
    ]
    assert source.notes[-1] == "Skipped 2 pictures in 'workplace' that are outside of its parts."


def test_a_folder_of_training_pictures_alone(workplace):
    for kind in ("cat", "dog"):
        pictures(workplace / "train" / kind, 1)
    assert firsts(open_source(".")) == [(0, "cat"), (0, "dog")]


def test_a_held_out_folder_beside_its_classes_is_no_class(workplace):
    for place, level in (("cat", 0), ("dog", 10), ("val/cat", 20), ("val/dog", 30), ("test/dog", 40)):
        pictures(workplace / place, 1, level)
    source = open_source(".")
    assert firsts(source) == [(0, "cat"), (10, "dog")]
    assert firsts(source.validation) == [(20, "cat"), (30, "dog")]
    assert firsts(source.test) == [(40, "dog")]


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_class_may_be_called_as_a_part_is(workplace, name):
    pictures(workplace / name, 1)
    pictures(workplace / "car", 1)
    assert firsts(open_source(".")) == [(0, "car"), (0, name)]


def test_parts_that_cannot_be_told_apart_are_named(workplace):
    for name in ("val", "test"):
        pictures(workplace / name, 1)
    with pytest.raises(DataError, match=r"must have a sub-folder named train\. Got only 'val' and 'test'"):
        open_source(".")
    for name in ("train", "valid"):
        pictures(workplace / name, 1)
    with pytest.raises(DataError, match=r"one folder of validation pictures\. Got 'val' and 'valid'"):
        open_source(".")


def test_parts_of_sixteen_bits_have_the_levels_of_all(workplace):
    for name, greatest in (("train", 900), ("val", 4000)):
        (workplace / name).mkdir()
        for i in range(2):
            Image.fromarray(np.full((2, 2), greatest + i, np.uint16)).save(workplace / name / f"{i}.png")
    assert open_source(".").levels == 4096


def test_a_picture_is_a_row(workplace):
    pictures(workplace, 3, 7)
    source = open_source("1.png")
    assert (source.values.tolist(), source.labels) == ([[[[8], [8]], [[8], [8]]]], None)
    assert source.origin == str(workplace / "1.png")
    assert open_source("1.png", DataOptions(size="3x1")).values.shape == (1, 3, 1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
def test_a_pipe_is_not_waited_for(workplace):
    os.mkfifo("x.csv")
    with pytest.raises(DataError, match=r"\(a pipe or a device\)"):
        open_source("x.csv")


class Pairs(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.zeros(3), i


class Shelf:
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return [1.0, 2.0][i]


T = torch.zeros(4, 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (TensorDataset(T), r"a TensorDataset of 1 tensor instead\. Pass dataset\.tensors\[0\]"),
        (TensorDataset(T, T), r"a TensorDataset of 2 tensors instead\. Pass dataset\.tensors\[0\]"),
        (
            DataLoader(TensorDataset(T)),
            r"a DataLoader of a TensorDataset of 1 tensor instead.*loader\.dataset\.tensors\[0\]",
        ),
        (Pairs(), r"a Pairs instead\. Pass torch\.stack\(\[x for x, \*_ in dataset\]\)"),
        (
            DataLoader(Pairs()),
            r"a DataLoader of a Pairs instead\. Pass torch\.stack\(\[x for x, \*_ in loader\.dataset",
        ),
        (Shelf(), r"a Shelf of 2 items instead\. Pass numpy\.stack"),
        ((row for row in X), r"a generator instead\. Pass numpy\.stack"),
        ({1.0, 2.0}, "a set of 2 items"),
        ([pa.table({"a": [1]})], r"a list of 1 Tables instead\. Combine the data frames"),
        ([sparse.eye_array(2)] * 2, "objects such as a dia_array"),
        ([torch.zeros(2), torch.zeros(3)], "The data cannot be read as a rectangular array"),
        (["a.png", "b.PNG"], r"a list of 2 paths \('a\.png', …\) instead\. Pass the folder, or \[PIL"),
        ([{"a": 1}, [2]], "records must all be dictionaries. Got a list in row 1"),
        ({"a": [1, 2], "b": [1]}, "the same number of cells. Got 2 in 'a', 1 in 'b'"),
        (
            {"a": [1, "x", 2]},
            r"all cells of column 'a' must have the same type\. Got 'x' of type str in row 1 among cells of type int",
        ),
        ({"a": [1j, 2j]}, "'a' must hold numbers, truth values, text or dates. Got cells of type complex"),
        ({}, "an empty dictionary"),
        ({3: 7}, "Got int for '3'"),
        (np.array([["a", "b"]]), "numpy turns rows of several types into text"),
        (np.ma.masked_array([[1j]], [[True]]), "must hold real numbers"),
        (sparse.csr_array(np.eye(2) * 1j), r"a sparse matrix must hold real numbers.*complex128 and shape \(2, 2\)"),
        (np.zeros(3, [("a", "f8", (2,))]), "each field of a structured array must hold one value"),
        (torch.empty(3, 2, device="meta"), "a tensor must hold real numbers"),
    ],
)
def test_what_only_looks_like_rows_is_named_with_the_way(value, words):
    with pytest.raises(DataError, match=words):
        open_source(value)


@pytest.mark.parametrize(
    "form", ["csr_matrix", "csc_array", "coo_array", "lil_matrix", "dok_array", "bsr_array", "dia_array"]
)
@pytest.mark.parametrize("dtype", ["i8", "f4", "?"])
def test_sparse_matrices_are_dense_arrays(form, dtype):
    values = (np.random.default_rng(0).poisson(0.4, (30, 7))).astype(dtype)
    source = open_source(getattr(sparse, form)(values))
    np.testing.assert_array_equal(source.values, values)
    assert source.values.dtype == (np.uint8 if dtype == "?" else dtype)
    assert not source.picture


def test_large_sparse_matrices_go_to_a_file_block_by_block(monkeypatch):
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", 1000)
    values = np.random.default_rng(0).poisson(0.4, (3000, 7))
    found = open_source(sparse.csr_array(values)).values
    assert isinstance(found.base, np.memmap)
    np.testing.assert_array_equal(found, values)
    with pytest.raises(DataError, match=r"TiB in the sparse matrix of shape \(1000000, 1000000\)"):
        open_source(sparse.csr_array((10**6, 10**6)))


def test_annotated_data_are_their_matrix_with_names():
    class AnnData:
        """What is read of the class of this name, which is not installed here."""

        X, var_names = sparse.csr_array(np.array([[0, 2], [1, 0], [3, 0]], np.float32)), ["GeneA", "GeneB"]

    AnnData.__module__ = "anndata._core.anndata"
    source = open_source(AnnData())
    assert source.values.tolist() == [[0, 2], [1, 0], [3, 0]]
    assert source.columns == ("GeneA", "GeneB")


CELLS = {"n": [1, 2, None], "town": ["Ulm", None, "Bonn"]}


@pytest.mark.parametrize(
    "rows",
    [
        CELLS,
        {"n": np.ma.masked_array([1, 2, 9], [0, 0, 1]), "town": CELLS["town"]},
        [{"n": 1, "town": "Ulm"}, {"n": 2, "town": None}, {"town": "Bonn"}],
        tuple({"town": t, "n": n} for n, t in zip(*CELLS.values(), strict=True)),
        np.ma.array(
            [(1, b"Ulm"), (2, b""), (9, b"Bonn")], [("n", "i8"), ("town", "S4")], mask=[(0, 0), (0, 1), (1, 0)]
        ),
    ],
)
def test_records_and_columns_are_tables(rows):
    frame = open_source(rows).frame
    assert {name: frame.table()[name].to_pylist() for name in ("n", "town")} == CELLS
    assert frame.named


def test_structured_arrays_come_from_files_too(workplace):
    np.save("x.npy", np.array([(1, 0.5, "a"), (2, 1.5, "ä")], [("n", "<i4"), ("x", "f8"), ("c", "U1")]))
    source = open_source("x.npy")
    assert source.frame.table().to_pydict() == {"n": [1, 2], "x": [0.5, 1.5], "c": ["a", "ä"]}
    assert source.origin == str(workplace / "x.npy")


@pytest.mark.parametrize(
    "rows", [[[1, "a"], [2.5, None]], np.array([[1, "a"], [2.5, None]], object), [(1, "a"), (2.5, None)]]
)
def test_rows_of_several_types_are_a_table_without_names(rows):
    frame = open_source(rows).frame
    assert not frame.named
    assert frame.table().to_pydict() == {"column0": [1, 2.5], "column1": ["a", None]}


def test_objects_that_are_all_numbers_are_an_array_with_holes_and_long_numbers_stay_long():
    assert np.isnan(open_source([[1, None], [True, 2.5]]).values).tolist() == [[False, True], [False, False]]
    long = open_source(np.array([[10**20 + 1], [3], [None]], object)).frame.table()["column0"]
    assert long.to_pylist() == ["100000000000000000001", "3", None]
    masked = np.ma.masked_array([[2**53 + 1, 1], [4, 5]], [[False, True], [False, False]])
    assert open_source(masked).frame.table()["column0"].to_pylist() == [2**53 + 1, 4]


def test_named_arrays_are_read_as_those_of_a_file():
    arrays = {"x_train": X, "y_train": [1, 2, 3, 4], "x_val": X[:1], "feature_names": ["a"]}
    source = open_source(arrays)
    np.testing.assert_array_equal(source.values, X)
    assert (source.labels.tolist(), source.validation.values.tolist()) == ([1, 2, 3, 4], X[:1].tolist())
    np.testing.assert_array_equal(open_source(load_digits()).values, load_digits().data)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "?"])
def test_masked_cells_are_missing(dtype):
    values, mask = (X % 2).astype(dtype), X > 9
    masked = np.ma.masked_array(np.where(mask, np.array(9).astype(dtype), values), mask)
    for given in (masked, list(masked), Source(masked)):
        found = open_source(given).values
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, np.where(mask, np.nan, values.astype(float)))
    plain = open_source(np.ma.masked_array(values, False)).values
    assert plain.dtype == (np.uint8 if dtype == "?" else dtype)


def test_pictures_of_pillow_are_read_as_files_are():
    rng = np.random.default_rng(0)
    greys, bits = rng.integers(0, 256, (3, 4, 5)).astype(np.uint8), rng.random((3, 4, 5)) < 0.5
    np.testing.assert_array_equal(open_source([Image.fromarray(g) for g in greys]).values[..., 0], greys)
    one = open_source([Image.fromarray(b) for b in bits])
    np.testing.assert_array_equal(one.values[..., 0], bits)
    assert one.levels == 2
    palette = Image.fromarray(greys[0]).convert("P")
    colours = open_source([palette, Image.fromarray(greys[1])]).values
    np.testing.assert_array_equal(colours, np.stack([np.asarray(palette.convert("RGB")), np.stack([greys[1]] * 3, -1)]))
    assert open_source(Image.fromarray(greys[0])).values.shape == (1, 4, 5, 1)
    with pytest.raises(DataError, match="must have the same size"):
        open_source([Image.new("L", (2, 3)), Image.new("L", (3, 2))])


def test_lists_of_tensors_are_stacked_whether_they_have_gradients_or_not():
    rows = [torch.tensor(row, requires_grad=i == 1) for i, row in enumerate(X)]
    np.testing.assert_array_equal(open_source(rows).values, X)


def test_a_masked_weight_is_none():
    weights = np.ma.masked_array([1.0, 1.0, 1.0, 1.0], [False, True, False, False])
    with pytest.raises(DataError, match="weights must be finite and not negative"):
        Source(X).weighted(weights)


def test_arrays_of_other_libraries_are_read_by_their_protocol():
    class Stored:
        """As a dataset of HDF5 or zarr is: it has items, and says that it is an array."""

        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            return X[i]

        def __array__(self, dtype=None, copy=None):
            return X

    np.testing.assert_array_equal(open_source(Stored()).values, X)
    np.testing.assert_array_equal(open_source(memoryview(X)).values, X)
    np.testing.assert_array_equal(open_source(torch.from_numpy(X).to_sparse()).values, X)
    assert open_source(pa.table({"a": [1]})).frame.names == ("a",)
