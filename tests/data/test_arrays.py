import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from vaekit.data import limits, open_source
from vaekit.data.readers.arrays import from_array, from_object, open_npz
from vaekit.errors import DataError

RNG = np.random.default_rng(0)


def test_two_dimensions_are_a_table():
    values = RNG.normal(size=(5, 3))
    source = from_array(values, columns=("a", "b", "c"))
    assert source.values is values
    assert source.columns == ("a", "b", "c")
    assert not source.picture
    assert source.origin == "memory"


def test_three_dimensions_are_grey_pictures():
    values = RNG.integers(0, 9, (5, 4, 6))
    source = from_array(values)
    assert source.picture
    np.testing.assert_array_equal(source.values, values[..., None])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_may_come_first_or_last(channels):
    last = RNG.integers(0, 256, (5, 7, 6, channels)).astype(np.uint8)
    first = np.moveaxis(last, -1, 1)
    np.testing.assert_array_equal(from_array(last).values, last)
    np.testing.assert_array_equal(from_array(first).values, last)
    assert from_array(first).picture


def test_booleans_are_zeros_and_ones_and_half_precision_is_widened():
    truth = RNG.random((6, 2)) < 0.5
    assert from_array(truth).values.dtype == np.uint8
    np.testing.assert_array_equal(from_array(truth).values, truth.astype(int))
    half = np.array([[0.1, -65504.0]], np.float16)
    assert from_array(half).values.dtype == np.float32
    np.testing.assert_array_equal(from_array(half).values, half.astype(np.float32))


@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8"])
def test_other_types_stay(dtype):
    assert from_array(np.ones((2, 2), dtype)).values.dtype == dtype


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([["a", "b"]]), "must hold real numbers. Got values of type <U1"),
        (np.array([[{}, 1]], dtype=object), "must hold real numbers. Got objects such as a dict"),
        (np.ones((2, 2)) * 1j, "must hold real numbers. Got values of type complex128"),
        (np.zeros((2, 2), "M8[s]"), "must hold real numbers"),
        (np.array(3.0), r"an example per row.*Got shape \(\)"),
        (np.ones(4), r"an example per row.*Got shape \(4,\)"),
        (np.ones((2,) * 5), "an example per row"),
        (np.ones((0, 3)), "must not be empty"),
        (np.ones((3, 0)), "must not be empty"),
    ],
)
def test_what_is_no_numeric_array_is_refused(values, words):
    with pytest.raises(DataError, match=words):
        from_array(values)


def test_tensors_and_lists():
    values = RNG.normal(size=(4, 2))
    tensor = torch.from_numpy(values).clone().requires_grad_()
    np.testing.assert_array_equal(from_object(tensor).values, values)
    np.testing.assert_array_equal(from_object(values.tolist()).values, values)


@pytest.mark.parametrize("value", [None, 3, {"a": 1}, ["a", "b"], object()])
def test_objects_that_hold_no_numbers_are_refused(value):
    with pytest.raises(DataError, match="the array must"):
        from_object(value)


def test_npy_is_memory_mapped(tmp_path):
    values = RNG.integers(0, 256, (9, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", values)
    source = open_source(tmp_path / "x.npy")
    np.testing.assert_array_equal(source.values[..., 0], values)
    base = source.values
    while not isinstance(base, np.memmap) and base.base is not None:
        base = base.base
    assert isinstance(base, np.memmap)


@pytest.mark.parametrize("damage", [lambda b: b[:20], lambda b: b[:-8], lambda b: b"hello", lambda b: b""])
def test_a_damaged_npy_is_named(tmp_path, damage):
    path = tmp_path / "x.npy"
    np.save(path, RNG.normal(size=(5, 3)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"(a \.npy file must hold a plain numeric array|The source).*x\.npy"):
        open_source(path)


@pytest.mark.parametrize(
    ("train", "labels", "test", "test_labels"),
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X", "y", "X_test", "test_labels"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_npz_with_customary_names(tmp_path, train, labels, test, test_labels):
    parts = {
        train: RNG.normal(size=(6, 3)),
        labels: np.arange(6)[:, None],
        test: RNG.normal(size=(2, 3)),
        test_labels: np.array([8, 9]),
    }
    np.savez(tmp_path / "x.npz", **parts, unrelated=np.ones(3))
    source = open_npz(tmp_path / "x.npz")
    np.testing.assert_array_equal(source.values, parts[train])
    assert source.labels.tolist() == list(range(6))
    np.testing.assert_array_equal(source.test.values, parts[test])
    assert source.test.labels.tolist() == [8, 9]


def test_npz_with_one_array_of_any_name(tmp_path):
    values = RNG.normal(size=(4, 2))
    np.savez_compressed(tmp_path / "x.npz", whatever=values)
    source = open_npz(tmp_path / "x.npz")
    np.testing.assert_array_equal(source.values, values)
    assert source.labels is None
    assert source.test is None


def test_npz_training_rows_go_before_the_general_name(tmp_path):
    np.savez(tmp_path / "x.npz", data=np.zeros((3, 2)), x_train=np.ones((3, 2)))
    assert open_npz(tmp_path / "x.npz").values.tolist() == [[1, 1]] * 3


def test_npz_labels_that_do_not_fit_are_left(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.ones((3, 2)), y=np.arange(5))
    assert open_npz(tmp_path / "x.npz").labels is None


def test_npz_that_does_not_say_what_its_rows_are_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", first=np.ones((3, 2)), second=np.ones((3, 2)))
    with pytest.raises(DataError, match=r"one of the names x_train.*Got first, second instead"):
        open_npz(tmp_path / "x.npz")


def test_npz_with_pickles_is_refused_and_does_not_run_them(tmp_path):
    ran = []

    class Trap:
        def __reduce__(self):
            return (ran.append, (1,))

    np.savez(tmp_path / "x.npz", X=np.array([[Trap(), 1]], dtype=object))
    with pytest.raises(DataError, match=r"plain numeric arrays.*x\.npz"):
        open_npz(tmp_path / "x.npz")
    np.save(tmp_path / "x.npy", np.array([[Trap(), 1]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"plain numeric array.*x\.npy"):
        open_source(tmp_path / "x.npy")
    assert ran == []


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut", b"hello", b""])
def test_a_damaged_npz_is_named_and_nobody_is_told_to_unpickle_it(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"plain numeric arrays.*x\.npz") as error:
        open_npz(tmp_path / "x.npz")
    assert "unsafely" not in str(error.value)
    assert "allow_pickle" not in str(error.value)


@pytest.mark.parametrize("channels", [2, 5, 13])
def test_channels_come_first_where_the_others_are_equal_and_more(channels):
    last = RNG.integers(0, 256, (5, 16, 16, channels)).astype(np.uint8)
    source = from_array(np.moveaxis(last, -1, 1))
    np.testing.assert_array_equal(source.values, last)
    assert source.notes == (
        f"The shape (5, {channels}, 16, 16) was read as channels first: 16×16 pixels, {channels} channels.",
    )


@pytest.mark.parametrize(
    ("shape", "picture", "told"),
    [
        (
            (5, 3, 4, 4),
            (4, 4, 3),
            ("channels first", "If channels come last, pass vaekit.data.Source(x, picture=True)."),
        ),
        ((5, 6, 6, 9), (6, 6, 9), ("channels last", "If channels come first, pass numpy.moveaxis(x, 1, -1).")),
        ((5, 2, 7, 9), (2, 7, 9), ("channels last", "If channels come first, pass numpy.moveaxis(x, 1, -1).")),
        ((5, 6, 7, 3), (6, 7, 3), ()),
        ((5, 6, 6, 1), (6, 6, 1), ()),
    ],
)
def test_what_could_be_read_otherwise_is_said(shape, picture, told):
    source = from_array(np.zeros(shape))
    assert source.values.shape[1:] == picture
    assert len(source.notes) == bool(told)
    assert all(part in source.notes[0] for part in told)


def test_turned_as_the_note_says_they_are_read_so():
    last = RNG.random((5, 2, 7, 9))
    np.testing.assert_array_equal(from_array(np.moveaxis(last, 1, -1)).values, np.moveaxis(last, 1, -1))


@pytest.mark.parametrize("names", [("x_val", "y_val"), ("X_valid", "y_valid"), ("val_images", "val_labels")])
def test_npz_with_a_validation_part(tmp_path, names):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((4, 2)), **{names[0]: np.ones((3, 2)), names[1]: np.arange(3)})
    source = open_npz(tmp_path / "x.npz")
    assert len(source.values) == 4
    assert source.validation.values.tolist() == [[1, 1]] * 3
    assert source.validation.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("most", [10, 1 << 28])
def test_npz_is_unpacked_in_any_order_and_size(tmp_path, monkeypatch, order, most):
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", most)
    values = np.asarray(RNG.normal(size=(7, 5)), order=order)
    np.savez_compressed(tmp_path / "x.npz", X=values, y=np.array(["a", "b", "c", "d", "e", "f", "ä"]))
    source = open_npz(tmp_path / "x.npz")
    np.testing.assert_array_equal(source.values, values)
    assert source.labels.tolist() == ["a", "b", "c", "d", "e", "f", "ä"]


def test_bombs_are_refused_by_what_their_headers_say(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEKIT_LARGEST", "1e6")
    np.savez_compressed(tmp_path / "x.npz", X=np.zeros((1000, 1000)))
    with pytest.raises(DataError, match=r"at most 976\.6 KiB.*Got 7\.6 MiB in 'X' in 'x\.npz'.*VAEKIT_LARGEST="):
        open_npz(tmp_path / "x.npz")
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (5 << 20, 1000)})
        file.truncate(file.tell() + (20000 << 20))
    with pytest.raises(DataError, match=r"Got 19\.5 GiB in 'x\.npy'"):
        open_source(tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", np.zeros((1000, 1000)))  # a file that is as large as it says may be
    assert open_source(tmp_path / "y.npy").values.shape == (1000, 1000)


def npz_of(content):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("X.npy", content)
    return made.getvalue()


def npy_of(header, version=1):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + bytes(96)


GOOD = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3), }"


@pytest.mark.parametrize(
    "header",
    [
        b"(" * 5000,
        b"{" * 900,
        b"'" * 99,
        b"",
        b"[]",
        GOOD.replace(b"(4, 3)", b"(4, 3.5)"),
        GOOD.replace(b"(4, 3)", b"(-1, 3)"),
        GOOD.replace(b"(4, 3)", b"(9223372036854775807, 4)"),
        GOOD.replace(b"(4, 3)", b"(" + b"1," * 70 + b")"),
        GOOD.replace(b"'<f8'", b"7"),
        GOOD.replace(b"'<f8'", b"'|O'"),
        GOOD.replace(b"'<f8'", b"'<U0'"),
        GOOD.replace(b"'<f8'", b"[('a', '<f8')]"),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_whatever_a_header_says_is_a_refusal_with_the_name(tmp_path, header, ending):
    path, content = tmp_path / f"x.{ending}", npy_of(header)
    path.write_bytes(content if ending == "npy" else npz_of(content))
    with pytest.raises(DataError, match=rf"x\.{ending}"):
        open_source(path) if ending == "npy" else open_npz(path)


@pytest.mark.parametrize("content", [npy_of(GOOD)[:-1], npy_of(GOOD) + b"\0", npy_of(GOOD, 9), b"", b"\x93NUM"])
def test_members_of_another_length_or_kind_are_damage(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(npz_of(content))
    with pytest.raises(DataError, match=r"plain numeric arrays.*x\.npz"):
        open_npz(tmp_path / "x.npz")


def test_a_flipped_bit_in_packed_data_is_damage(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", X=RNG.normal(size=(50, 4)))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[200] ^= 4
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"plain numeric arrays.*x\.npz"):
        open_npz(tmp_path / "x.npz")
