from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaekit.data import Source, split_source
from vaekit.data.options import DataOptions
from vaekit.data.split import MOST_VALIDATION
from vaekit.errors import DataError


def rows(n, first=0):
    return Source(np.arange(first, first + n, dtype=np.float64)[:, None], np.arange(n))


@given(
    n=st.integers(4, 400),
    seed=st.integers(0, 2**31 - 1),
    validation=st.floats(0, 0.6),
    held_out=st.floats(0.01, 0.4),
)
def test_every_row_is_in_one_part_and_in_one_only(n, seed, validation, held_out):
    try:
        split = split_source(rows(n), None, seed, DataOptions(validation=validation, test=held_out))
    except DataError:
        return
    parts = (split.train, split.validation, split.test)
    assert sorted(np.concatenate([p.index for p in parts]).tolist()) == list(range(n))
    assert len(split.test) == max(1, round(held_out * n))
    rest = n - len(split.test)
    assert len(split.validation) == (max(1, round(validation * rest)) if validation else 0)
    assert len(split.train) >= 2
    for part in parts:
        np.testing.assert_array_equal(part.take(0, n)[:, 0], part.index)
        np.testing.assert_array_equal(part.classes(), part.index)


@given(n=st.integers(20, 200), seed=st.integers(0, 1000))
def test_the_seed_decides_and_nothing_else(n, seed):
    first, again = (split_source(rows(n), None, seed, DataOptions(validation=0.1, test=0.2)) for _ in range(2))
    other = split_source(rows(n), None, seed + 1, DataOptions(validation=0.1, test=0.2))
    np.testing.assert_array_equal(first.train.index, again.train.index)
    np.testing.assert_array_equal(first.test.index, again.test.index)
    assert first.train.index.tolist() != other.train.index.tolist()


def test_the_validation_share_does_not_move_the_test_rows():
    tests = [
        split_source(rows(100), None, 3, DataOptions(validation=share, test=0.2)).test.index.tolist()
        for share in (0.0, 0.1, 0.5)
    ]
    assert tests[0] == tests[1] == tests[2]


def test_test_rows_that_are_given_are_taken_whole_and_leave_the_source_to_training():
    brought, given_apart = rows(7, first=1000), rows(5, first=2000)
    source = Source(rows(50).values, test=brought)
    own = split_source(source, None, 0, DataOptions(validation=0.1, test=0.3))
    assert own.test.take(0, 9)[:, 0].tolist() == list(range(1000, 1007))
    assert len(own.train) + len(own.validation) == 50
    apart = split_source(
        source, given_apart, 0, DataOptions(validation=0.1, test=0.3)
    )  # what is given in words goes before what lies there
    assert apart.test.take(0, 9)[:, 0].tolist() == list(range(2000, 2005))
    np.testing.assert_array_equal(own.train.index, apart.train.index)


def test_validation_rows_have_a_ceiling():
    split = split_source(Source(np.zeros((80_000, 1)), test=rows(3)), None, 0, DataOptions(validation=0.1, test=0.1))
    assert len(split.validation) == MOST_VALIDATION == 5000
    assert len(split.train) == 75_000


@pytest.mark.parametrize(("n", "validation"), [(1, 0.0), (2, 0.0), (3, 0.1), (10, 0.9)])
def test_too_few_rows_are_refused_with_their_numbers(n, validation):
    with pytest.raises(DataError, match=f"Too few rows are left for training: the test takes 1 of {n} rows") as error:
        split_source(rows(n), None, 0, DataOptions(validation=validation, test=0.1))
    assert "so that at least two are left" in str(error.value)


def test_rows_that_the_source_brings_choose_the_model():
    source = replace(rows(40), validation=rows(7, 100), test=rows(3, 200))
    split = split_source(source, None, 0, DataOptions(validation=0.1, test=0.1))
    assert [len(p) for p in (split.train, split.validation, split.test)] == [40, 7, 3]
    assert split.validation.take(0, 7)[:, 0].tolist() == list(range(100, 107))
    assert (
        split_source(replace(source, test=None), None, 0, DataOptions(validation=0.5, test=0.1)).test.take(0, 4).max()
        < 40
    )
    assert len(split_source(source, None, 0, DataOptions(validation=0.0, test=0.1)).validation) == 0


def test_no_more_of_them_than_are_needed():
    source = replace(rows(4), validation=rows(MOST_VALIDATION + 5, 100))
    index = split_source(source, None, 3, DataOptions(validation=0.1, test=0)).validation.index
    assert len(index) == MOST_VALIDATION == len(set(index.tolist()))
