import hashlib

import numpy as np

from vaekit.data import Part, Source, all_rows
from vaekit.data import part as part_module

X = np.arange(60.0).reshape(20, 3)


def test_take_gives_the_named_rows_in_the_order_of_the_index():
    part = Part(X, np.array([5, 2, 9]))
    assert len(part) == 3
    assert part.event_shape == (3,)
    np.testing.assert_array_equal(part.take(0, 2), X[[5, 2]])
    np.testing.assert_array_equal(part.take(2, 10), X[[9]])


def test_blocks_hold_every_row_once_with_its_position(monkeypatch):
    monkeypatch.setattr(part_module, "CHUNK", 12)  # four rows of three numbers
    part = Part(X, np.arange(19, 5, -1))
    starts, blocks = zip(*part.blocks(), strict=True)
    assert starts == (0, 4, 8, 12)
    assert [len(b) for b in blocks] == [4, 4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), X[19:5:-1])


def test_a_row_larger_than_a_block_is_still_given(monkeypatch):
    monkeypatch.setattr(part_module, "CHUNK", 2)
    assert [len(b) for _, b in Part(X, np.arange(3)).blocks()] == [1, 1, 1]


def test_classes_are_those_of_the_rows():
    assert Part(X, np.array([3, 1]), np.arange(20) * 10).classes().tolist() == [30, 10]
    assert Part(X, np.array([3, 1])).classes() is None


def test_some_draws_different_rows_by_the_seed_and_all_if_there_are_few():
    part = all_rows(Source(X, np.arange(20)))
    assert part.subset(20, 0) is part
    first = part.subset(7, 0)
    assert len(first) == len(set(first.index.tolist())) == 7
    np.testing.assert_array_equal(first.index, part.subset(7, 0).index)
    np.testing.assert_array_equal(first.index, np.sort(first.index))
    assert first.index.tolist() != part.subset(7, 1).index.tolist()
    assert first.classes().tolist() == first.index.tolist()


def test_the_fingerprint_is_of_values_and_shape_in_a_type(monkeypatch):
    part = Part(X, np.array([1, 4]))
    plain = hashlib.sha256(repr((2, (3,), "float64")).encode() + X[[1, 4]].tobytes()).hexdigest()
    assert part.fingerprint("float64") == plain
    monkeypatch.setattr(part_module, "CHUNK", 3)
    assert part.fingerprint("float64") == plain  # however the rows are cut
    other = X.copy()
    other[4, 2] = np.nextafter(other[4, 2], 0)
    different = [
        Part(other, part.index),
        Part(X, part.index[::-1]),
        Part(X[:, None], part.index),
    ]
    assert len({p.fingerprint("float64") for p in [part, *different]}) == 4
    assert part.fingerprint("float32") != plain
    same = X.astype(np.float32)
    assert Part(same, part.index).fingerprint("float32") == part.fingerprint("float32")  # the same rows in another type
    assert Part(-(X * 0.0), part.index).fingerprint("float64") == Part(X * 0.0, part.index).fingerprint("float64")
    other[:] = X
    other[7] = 0.0  # not among the rows
    assert Part(other, part.index).fingerprint("float64") == plain
