"""The engine ray: the bytes of this process, whatever workers are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import vaekit
from test_bits import TINY, make_table
from vaekit.errors import DataError
from vaekit.jobs import map_files, read_manifest, sample_files
from vaekit.jobs.engines import Ray

KILLS = 5
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # those of Ray itself


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("ray")
    return vaekit.train(make_table(), settings=TINY, out=tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def shards(tmp_path):
    rows, folder = make_table(), tmp_path / "rows"
    folder.mkdir()
    for i in range(60):
        pq.write_table(rows.slice(i, 90), folder / f"{i:02d}.parquet")
    return folder


def workers():
    """Return the process identifiers of Ray's workers that make parts."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"MapWorker" in place.read_bytes():
                found.append(int(place.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="workers are found in /proc")
def test_workers_that_are_killed_lose_and_double_no_row(run, shards, tmp_path):
    stop, killed = threading.Event(), []

    def kill():
        choice = random.Random(0)
        while not stop.wait(choice.uniform(0.5, 2.0)) and len(killed) < KILLS:
            if found := workers():
                victim = choice.choice(found)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)

    whole = map_files(run, "score", shards, tmp_path / "local")
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        made = map_files(run, "score", shards, tmp_path / "ray", Ray(workers=2))
    finally:
        stop.set()
        killer.join()
    assert killed, "no worker was killed"
    assert made == whole == read_manifest(tmp_path / "ray")
    assert made.rows == 60 * 90
    assert not list((tmp_path / "ray").rglob(".vaekit-*"))


def test_a_damaged_file_and_drawn_rows(run, shards, tmp_path):
    (shards / "07.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"1 of 60 files could not be read.*07\.parquet"):
        map_files(run, "encode", shards, tmp_path / "codes", Ray(workers=2))
    (shards / "07.parquet").unlink()
    assert map_files(run, "encode", shards, tmp_path / "codes", Ray(workers=2)).rows == 59 * 90
    assert sample_files(run, 70, tmp_path / "drawn", 1, engine="ray") == sample_files(run, 70, tmp_path / "local", 1)
