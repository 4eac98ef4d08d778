import os

import numpy as np
import pytest

from vaekit.data import limits
from vaekit.data.limits import allocate, check_size, largest
from vaekit.errors import DataError


def test_more_than_the_limit_is_refused_with_what_lifts_it(monkeypatch):
    check_size(1 << 32, "'x.npz'")
    with pytest.raises(DataError, match=r"at most 4\.0 GiB.*Got 4\.0 GiB in 'x\.npz'.*VAEKIT_LARGEST=8589934592 "):
        check_size((1 << 32) + 1, "'x.npz'")
    monkeypatch.setenv("VAEKIT_LARGEST", "8589934592")
    check_size((1 << 32) + 1, "'x.npz'")
    monkeypatch.setenv("VAEKIT_LARGEST", "1e3")
    with pytest.raises(DataError, match=r"at most 1000 bytes.*Got 1\.0 KiB"):
        check_size(1024, "'x.npz'")


def test_a_large_file_may_unpack_to_fifty_times_its_size_but_a_hole_is_no_size(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEKIT_LARGEST", "1000")
    full, hollow = tmp_path / "full", tmp_path / "hollow"
    full.write_bytes(os.urandom(1 << 16))
    with hollow.open("wb") as file:
        file.truncate(1 << 30)
    check_size(50 << 16, "'full'", [full])
    with pytest.raises(DataError, match="in 'full'"):
        check_size((50 << 16) + 1, "'full'", [full])
    with pytest.raises(DataError, match=r"1\.0 GiB in 'hollow'"):
        check_size(1 << 30, "'hollow'", [hollow])


@pytest.mark.parametrize("value", ["", "much", "0", "nan", "inf", "0.5"])
def test_a_limit_that_is_no_number_is_named(monkeypatch, value):
    monkeypatch.setenv("VAEKIT_LARGEST", value)
    with pytest.raises(DataError, match="VAEKIT_LARGEST must be a number of bytes"):
        largest()


def test_room_beyond_memory_is_a_file_whose_space_is_taken_first(monkeypatch):
    assert not isinstance(allocate((3, 4), np.float32), np.memmap)
    monkeypatch.setattr(limits, "MOST_IN_MEMORY", 100)
    made = allocate((30, 4), np.float32)
    assert isinstance(made, np.memmap)
    made[29] = 7
    assert made.sum() == 28

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"480 bytes on disk.*No space left on device"):
        allocate((30, 4), np.float32)
