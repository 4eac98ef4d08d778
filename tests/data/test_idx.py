import gzip
import struct

import numpy as np
import pytest

from vaekit.data import limits, open_source
from vaekit.data.readers.idx import is_idx_folder, open_idx, read_idx
from vaekit.errors import DataError

RNG = np.random.default_rng(0)
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(values):
    code = CODES[values.dtype.str[1:]]
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def write(path, values):
    content = idx_bytes(values)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
@pytest.mark.parametrize("dtype", list(CODES))
def test_every_type_is_read_with_its_values(tmp_path, name, dtype):
    limits = np.finfo(dtype) if dtype[0] == "f" else np.iinfo(dtype)
    values = np.array([[limits.min, limits.max, 0], [1, 2, 3]]).astype(dtype)
    write(tmp_path / name, values)
    read = read_idx(tmp_path / name)
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_folder_as_mnist_comes(tmp_path, ending):
    train, test = RNG.integers(0, 256, (9, 5, 4)).astype(np.uint8), RNG.integers(0, 256, (3, 5, 4)).astype(np.uint8)
    write(tmp_path / f"train-images-idx3-ubyte{ending}", train)
    write(tmp_path / f"train-labels-idx1-ubyte{ending}", np.arange(9, dtype=np.uint8))
    write(tmp_path / f"t10k-images-idx3-ubyte{ending}", test)
    write(tmp_path / f"t10k-labels-idx1-ubyte{ending}", np.arange(3, dtype=np.uint8))
    (tmp_path / "readme.txt").write_text("not data")
    source = open_source(str(tmp_path))
    np.testing.assert_array_equal(source.values[..., 0], train)
    np.testing.assert_array_equal(source.test.values[..., 0], test)
    assert source.labels.tolist() == list(range(9))
    assert source.test.labels.tolist() == [0, 1, 2]
    assert source.picture
    assert source.origin == str(tmp_path)


def test_labels_and_test_part_may_be_missing(tmp_path):
    train = RNG.integers(0, 256, (4, 3, 3)).astype(np.uint8)
    write(tmp_path / "emnist-train-images-idx3-ubyte", train)
    source = open_idx(tmp_path)
    assert source.labels is None
    assert source.test is None
    np.testing.assert_array_equal(source.values[..., 0], train)


def test_labels_of_another_number_are_not_taken_for_classes(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", RNG.integers(0, 256, (9, 3, 3)).astype(np.uint8))
    write(tmp_path / "train-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    try:
        labels = open_idx(tmp_path).labels
    except DataError as error:
        labels = None if "label" in str(error) else error
    assert labels is None


def test_a_folder_without_training_images_says_how_to_name_them(tmp_path):
    write(tmp_path / "t10k-images-idx3-ubyte", np.ones((2, 3, 3), np.uint8))
    with pytest.raises(
        DataError, match=r"but no training images.*Name the file of training images train-images-idx3-ubyte"
    ):
        open_idx(tmp_path)


VALUES = RNG.integers(0, 256, (6, 4, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx_bytes(VALUES)[:-1], "must be undamaged"),
        (idx_bytes(VALUES) + b"\0", "must be undamaged"),
        (idx_bytes(VALUES)[:10], "must be undamaged"),
        (b"\0\0\x08\0", "must have 1 to 4 dimensions"),
        (b"\0\0\x07\x03" + idx_bytes(VALUES)[4:], "magic number"),
        (b"\x01" + idx_bytes(VALUES)[1:], "magic number"),
        (b"\0\0", "magic number"),
        (b"", "magic number"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, words):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        read_idx(path)
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:30], lambda b: b"hello", lambda b: b[:20] + b"?" * 20]
)
def test_a_damaged_gzip_is_named(tmp_path, damage):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(VALUES))))
    with pytest.raises(DataError, match="must be undamaged") as error:
        read_idx(path)
    assert path.name in str(error.value)


def test_pictures_whose_names_hold_idx_are_pictures(tmp_path):
    from PIL import Image

    for i in range(3):
        Image.fromarray(VALUES[i]).save(tmp_path / f"photo_idx{i}.png")
    assert not is_idx_folder(tmp_path)
    np.testing.assert_array_equal(open_source(str(tmp_path)).values[..., 0], VALUES[:3])


@pytest.mark.parametrize(
    "name", ["val-images-idx3-ubyte", "emnist-valid-images-idx3-ubyte", "validation-images-idx3-ubyte.gz"]
)
def test_a_validation_part_chooses_the_model(tmp_path, name):
    write(tmp_path / "train-images-idx3-ubyte", VALUES)
    write(tmp_path / name, VALUES[:2])
    write(tmp_path / name.replace("images-idx3", "labels-idx1"), np.array([3, 4], np.uint8))
    source = open_idx(tmp_path)
    np.testing.assert_array_equal(source.values[..., 0], VALUES)
    np.testing.assert_array_equal(source.validation.values[..., 0], VALUES[:2])
    assert source.validation.labels.tolist() == [3, 4]


def test_of_two_files_of_one_part_none_is_passed_over(tmp_path):
    write(tmp_path / "emnist-digits-train-images-idx3-ubyte", VALUES)
    write(tmp_path / "emnist-letters-train-images-idx3-ubyte", VALUES)
    with pytest.raises(DataError, match=r"one IDX file of each part.*emnist-digits.*emnist-letters.*another folder"):
        open_idx(tmp_path)


def test_a_file_that_is_there_gzipped_too_is_read_once(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", VALUES)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"unfinished")
    np.testing.assert_array_equal(open_idx(tmp_path).values[..., 0], VALUES)


def test_a_bomb_is_refused_by_its_header_and_streamed_where_it_is_allowed(tmp_path, monkeypatch):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    write(path, np.zeros((2000, 40, 40), np.uint8))
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", 1000)
    assert isinstance(read_idx(path), np.memmap)
    monkeypatch.setenv("VAEKIT_LARGEST", "1e6")
    with pytest.raises(DataError, match=r"Got 3\.1 MiB in 'train-images-idx3-ubyte\.gz'.*VAEKIT_LARGEST"):
        read_idx(path)


@pytest.mark.parametrize("dimensions", [5, 65, 255])
def test_more_dimensions_than_pictures_have_are_refused(tmp_path, dimensions):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, dimensions]) + struct.pack(f">{dimensions}I", *[1] * dimensions) + b"7")
    with pytest.raises(DataError, match=rf"must have 1 to 4 dimensions.*with {dimensions}"):
        read_idx(path)


def test_a_stream_that_goes_on_after_its_end_is_damage(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for content in (idx_bytes(VALUES) + b"\0", idx_bytes(VALUES)[:-1]):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match=r"must be undamaged.*expected"):
            read_idx(path)
