"""Jobs: one file of results for each file of a table, whatever is interrupted, killed or changed."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image

import vaekit
from test_bits import TINY, make_table, tokens
from vaekit.errors import DataError, Interrupted, RunError, VaekitError
from vaekit.jobs import Engine, map_files, parts, read_manifest, sample_files
from vaekit.jobs.engines import Local
from vaekit.runs.verbs import ImputeDraws, Score

SIZES = (40, 3, 0, 61, 46)
"""Rows of the files of `shards`; `make_table` has 150 rows."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return vaekit.train(make_table(), settings=TINY, out=tmp_path_factory.mktemp("runs") / "run")


def write_shards(folder, rows, write=pq.write_table, ending="parquet"):
    start = 0
    for i, size in enumerate(SIZES):
        place = folder / f"part={i // 2}"
        place.mkdir(parents=True, exist_ok=True)
        write(rows.slice(start, size), str(place / f"{i}.{ending}"))
        start += size
    return folder


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "rows", make_table())


def results(folder):
    """Return the results of all files in the order of the manifest, which must be true of the files."""
    manifest = read_manifest(folder)
    tables = [pq.read_table(folder / part.file, partitioning=None) for part in manifest.parts]
    assert [len(table) for table in tables] == [part.rows for part in manifest.parts]
    return pa.concat_tables(table.replace_schema_metadata() for table in tables)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("verb", ["score", "encode", "reconstruct", "impute", "explain"])
def test_files_hold_the_results_of_the_whole(run, shards, tmp_path, verb):
    made = map_files(run.path, verb, shards, tmp_path / "out")
    assert tokens(results(tmp_path / "out")) == tokens(vaekit.mapper(run, verb)(make_table()))
    assert [part.file for part in made.parts] == [f"part={i // 2}/{i}.parquet" for i in range(5)]
    assert [part.rows for part in made.parts] == list(SIZES)
    assert made.rows == 150
    assert made.job["verb"] == verb
    assert len(pq.ParquetDataset(tmp_path / "out").read()) == 150, "readers skip the files beside the results"


@pytest.mark.parametrize(
    ("write", "ending"), [(pa.csv.write_csv, "csv"), (pa.feather.write_feather, "arrow")], ids=["csv", "arrow"]
)
def test_other_formats(run, tmp_path, write, ending):
    rows = make_table()
    write_shards(tmp_path / "rows", rows, write, ending)
    map_files(run, Score(samples=3), tmp_path / "rows", tmp_path / "out")
    assert results(tmp_path / "out").column(0).to_pylist() == run.score_samples(rows, 3).tolist()


def test_files_of_a_store(run, tmp_path):
    import fsspec

    store = fsspec.filesystem("memory")
    for i in range(2):
        with store.open(f"/jobs/rows/{i}.parquet", "wb") as file:
            pq.write_table(make_table().slice(75 * i, 75), file)
    try:
        map_files(run, "score", "memory://jobs/rows/*.parquet", tmp_path / "out")
    finally:
        store.rm("/jobs", recursive=True)
    assert results(tmp_path / "out").column(0).to_pylist() == run.score_samples(make_table()).tolist()


def test_draws_depend_on_the_position_in_the_whole_source(run, shards, tmp_path):
    rows = pa.concat_tables([make_table().slice(0, 1)] * 150)  # equal rows, which only their position tells apart
    for path in shards.rglob("*.parquet"):
        path.unlink()
    write_shards(shards, rows)
    map_files(run, ImputeDraws(2, seed=3), shards, tmp_path / "out")
    whole = run.impute_draws(rows, 2, seed=3)
    found = results(tmp_path / "out")
    for i, expected in enumerate(whole):
        own = found.filter(pa.compute.equal(found["draw"], i + 1)).drop_columns(["draw"])
        assert tokens(own) == tokens(expected)


def test_the_same_bytes_for_any_order_of_parts(run, shards, tmp_path):
    class Backwards(Engine):
        name = "backwards"

        def run(self, maker, parts):
            return map(maker, reversed(parts))

    one = map_files(run, "score", shards, tmp_path / "one")
    other = map_files(run, "score", shards, tmp_path / "other", Backwards())
    assert one == other == read_manifest(tmp_path / "one")
    assert (tmp_path / "one/_manifest.json").read_bytes() == (tmp_path / "other/_manifest.json").read_bytes()


def test_finished_parts_stay(run, shards, tmp_path):
    out = tmp_path / "out"
    first = map_files(run, "score", shards, out)
    before = times(out)
    assert map_files(run, "score", shards, out) == first
    assert times(out) == before, "nothing is written twice"
    (out / "part=0/1.parquet").unlink()
    damaged = out / "part=1/3.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert map_files(run, "score", shards, out) == first
    changed = {name for name, time in times(out).items() if time != before[name]}
    assert changed == {"1.parquet", "3.parquet"}


def test_a_result_that_was_changed_is_made_anew(run, shards, tmp_path):
    out = tmp_path / "out"
    first = map_files(run, "score", shards, out)
    path = out / "part=0/0.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.set_column(0, table.column_names[0], pa.array(np.zeros(40))), path)
    assert map_files(run, "score", shards, out) == first
    assert results(out).column(0).to_pylist() == run.score_samples(make_table()).tolist()


def test_a_changed_file_of_the_source_is_read_again(run, shards, tmp_path):
    out, rows = tmp_path / "out", make_table()
    map_files(run, "score", shards, out)
    before = times(out)
    pq.write_table(rows.slice(5, 40), shards / "part=0/0.parquet")
    os.utime(shards / "part=0/0.parquet", ns=(0, 12345))
    map_files(run, "score", shards, out)
    changed = {name for name, time in times(out).items() if time != before[name]}
    assert changed == {"0.parquet"}
    assert results(out).column(0)[:40].to_pylist() == run.score_samples(rows.slice(5, 40)).tolist()


def test_a_damaged_file_is_named_after_the_others_are_finished(run, shards, tmp_path):
    out, damaged = tmp_path / "out", shards / "part=0/1.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"1 of 5 files could not be read.*1\.parquet.*run the same command again"):
        map_files(run, "score", shards, out)
    assert sorted(times(out)) == ["0.parquet", "3.parquet", "4.parquet"], "empty ones are written at the end"
    with pytest.raises(RunError, match=r"has no _manifest\.json"):
        read_manifest(out)
    before = times(out)
    damaged.write_bytes(whole)
    assert map_files(run, "score", shards, out).rows == 150
    assert {name: time for name, time in times(out).items() if name in before} == before


def test_a_file_that_lacks_a_column_is_named(run, shards, tmp_path):
    path = shards / "part=1/3.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["age"]), path)
    with pytest.raises(DataError, match=r"3\.parquet.*age"):
        map_files(run, "score", shards, tmp_path / "out")


class Meddling(Local):
    """Makes two parts, does something, and goes on."""

    def __init__(self, meddle):
        self.meddle = meddle

    def run(self, maker, parts):
        for i, part in enumerate(parts):
            if i == 2:
                self.meddle()
            yield maker(part)


def test_a_file_that_vanishes_during_the_job_is_named(run, shards, tmp_path):
    with pytest.raises(DataError, match=r"4\.parquet' has vanished"):
        map_files(run, "score", shards, tmp_path / "out", Meddling((shards / "part=2/4.parquet").unlink))


def test_the_same_job_twice_at_once_is_refused(run, shards, tmp_path):
    out = tmp_path / "out"

    def again():
        with pytest.raises(RunError, match=r"out' is being written by process \d+"):
            map_files(run, "score", shards, out)

    assert map_files(run, "score", shards, out, Meddling(again)).rows == 150


def test_a_full_disk_stops_the_job_and_keeps_finished_parts(run, shards, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def fill():
        def fail(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)

    with pytest.raises(RunError, match=r"disk is full.*run the same command again, which keeps the finished parts"):
        map_files(run, "score", shards, out, Meddling(fill))
    assert sorted(times(out)) == ["0.parquet", "1.parquet"]
    assert not [path for path in out.rglob(".vaekit-*") if path.is_file()]
    monkeypatch.undo()
    assert map_files(run, "score", shards, out).rows == 150


def test_an_interrupted_job_says_how_to_go_on(run, shards, tmp_path):
    def interrupt():
        raise Interrupted("interrupted", "", signal.SIGTERM)

    told = r"2 of 5 files of results in '.*out' are finished\. To go on, run the same command again"
    with pytest.raises(Interrupted, match=told) as stopped:
        map_files(run, "score", shards, tmp_path / "out", Meddling(interrupt))
    assert stopped.value.signal == signal.SIGTERM
    assert map_files(run, "score", shards, tmp_path / "out").rows == 150


def test_what_is_not_of_this_job_is_refused(run, shards, tmp_path):
    out = tmp_path / "out"
    map_files(run, "score", shards, out)
    other = vaekit.train(make_table(), settings=TINY | {"seed": 8}, out=tmp_path / "other")
    with pytest.raises(RunError, match="results of another job: it has run"):
        map_files(other, "score", shards, out)
    with pytest.raises(RunError, match='results of another job: it has verb "score"'):
        map_files(run, "encode", shards, out)
    with pytest.raises(RunError, match=r'it has options \{"samples": null\}'):
        map_files(run, Score(samples=2), shards, out)
    with pytest.raises(RunError, match="it has source"):
        map_files(run, "score", shards / "part=0", out)
    (shards / "part=0/0.parquet").unlink()
    with pytest.raises(RunError, match=r"0\.parquet' is not a result of this job: the file that it was made from"):
        map_files(run, "score", shards, out)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    with pytest.raises(RunError, match="holds other files already"):
        map_files(run, "score", shards, full)
    assert [path.name for path in full.iterdir()] == ["letter.txt"]
    with pytest.raises(RunError, match="is a file"):
        map_files(run, "score", shards, full / "letter.txt")


def test_a_damaged_record_of_the_job_is_refused(run, shards, tmp_path):
    out = tmp_path / "out"
    map_files(run, "score", shards, out)
    text = (out / "_job.json").read_text()
    (out / "_job.json").write_text(text.replace("null", "5"))
    with pytest.raises(RunError, match="has been changed"):
        map_files(run, "score", shards, out)
    (out / "_job.json").write_text(text[:50])
    with pytest.raises(RunError, match="is damaged"):
        map_files(run, "score", shards, out)
    (out / "_manifest.json").write_text('{"parts": 3}')
    with pytest.raises(RunError, match="is damaged"):
        read_manifest(out)


@pytest.mark.parametrize(
    ("source", "out", "refused"),
    [
        ("rows", "rows/out", True),
        ("rows", "rows", True),
        ("rows", "rows/_out", False),
        ("rows/part=1", "rows/out", False),
        ("rows/*/*.parquet", "rows/out", False),
        ("rows/*", "rows/out", True),
        ("rows/*/*.parquet", "rows/part=0/x.parquet", True),
    ],
)
def test_results_among_the_files_that_are_read_are_refused(run, shards, tmp_path, source, out, refused):
    with pytest.raises(VaekitError, match=r"source|is read") if refused else contextlib.nullcontext():
        map_files(run, "score", str(tmp_path / source), tmp_path / out)


def test_wrong_words_are_refused_before_there_is_a_folder(run, digits_run, shards, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(VaekitError, match=r"engine must be one of local, ray.*'ry'.*Did you mean 'ray'\?"):
        map_files(run, "score", shards, out, "ry")
    with pytest.raises(VaekitError, match="verb must be one of"):
        map_files(run, "scores", shards, out)
    with pytest.raises(VaekitError, match="needs a run on a mixed table"):
        map_files(digits_run, "impute", shards, out)
    with pytest.raises(DataError, match=r"does not exist|Nothing matches"):
        map_files(run, "score", tmp_path / "*.csv", out)
    with pytest.raises(VaekitError, match="n must be at least 1"):
        sample_files(run, 0, out)
    with pytest.raises(DataError, match="colour"):
        sample_files(run, 5, out, given={"colour": 1})
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(VaekitError, match=r"needs the package ray. Run: pip install 'vaekit\[ray\]'"):
        map_files(run, "score", shards, out, "ray")
    assert not out.exists()


def test_a_source_without_rows_is_refused(run, tmp_path):
    (tmp_path / "rows").mkdir()
    pq.write_table(make_table().slice(0, 0), tmp_path / "rows/0.parquet")
    with pytest.raises(DataError, match="files of the source have no rows"):
        map_files(run, "score", tmp_path / "rows", tmp_path / "out")


def test_drawn_rows_are_those_of_sample(run, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_ROWS", 37)
    made = sample_files(run, 100, tmp_path / "out", seed=4)
    assert [asdict(part)["rows"] for part in made.parts] == [37, 37, 26]
    assert tokens(results(tmp_path / "out")) == tokens(run.sample(100, seed=4))


KILLED = """
import os, sys, vaekit
from vaekit.jobs.engines import Local

class Killed(Local):
    def run(self, maker, parts):
        for i, part in enumerate(parts):
            if i == 3:
                import pyarrow.parquet as pq
                pq.ParquetWriter.write_table = lambda *args: os.kill(os.getpid(), 9)  # in the middle of a file
            yield maker(part)

vaekit.map_files(sys.argv[1], "score", sys.argv[2], sys.argv[3], Killed())
"""


def test_a_killed_job_goes_on(run, shards, tmp_path):
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, run.path, shards, out])
    assert done.returncode == -9
    assert len(list(out.rglob(".vaekit-*"))) == 1, "a half-written file"
    before = times(out)
    made = map_files(run, "score", shards, out)
    assert made == map_files(run, "score", shards, tmp_path / "whole")
    assert {name: time for name, time in times(out).items() if name in before and not name.startswith(".")} == {
        name: time for name, time in before.items() if not name.startswith(".")
    }
    assert not list(out.rglob(".vaekit-*"))


def test_the_command_line(run, shards, tmp_path):
    def vaekit_cli(*words):
        code = "import sys; from vaekit.cli import main; main()"
        return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)

    done = vaekit_cli("score", run.path, shards, "--out", tmp_path / "out", "--engine", "local")
    assert done.stdout == f"Wrote 150 rows in 5 files: {tmp_path / 'out'}\n"
    assert results(tmp_path / "out").column(0).to_pylist() == run.score_samples(make_table()).tolist()
    done = vaekit_cli("encode", run.path, shards, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Choose a new or empty folder with `--out`." in done.stderr
    assert vaekit_cli("sample", run.path, "-n", 5, "--out", tmp_path / "drawn", "--engine", "local").stdout.startswith(
        "Wrote 5 rows in 1 file"
    )


def test_the_command_line_refuses_an_engine_for_a_single_file(run, shards, tmp_path):

    from vaekit.cli.writing import write

    with pytest.raises(VaekitError, match="with --engine, --out must be a folder"):
        write(run, Path(tmp_path / "x.csv"), Score(), str(shards), "ray")
    with pytest.raises(VaekitError, match="would be read as a part of the source"):
        write(run, Path(shards / "x.csv"), Score(), str(shards))


def test_a_forgotten_ending_is_told(run, digits_run, shards, tmp_path):
    """A single file or pictures have no folder of results, unless an engine is named."""
    from vaekit.cli.writing import write

    with pytest.raises(VaekitError, match="--out must end in"):
        write(run, tmp_path / "scores", Score(), str(shards / "part=0/0.parquet"))
    with pytest.raises(VaekitError, match="--out must end in"):
        write(digits_run, tmp_path / "scores", Score(), "digits")
    write(run, tmp_path / "scores", Score(), str(shards / "part=0/0.parquet"), "local")
    assert [path.name for path in (tmp_path / "scores").glob("*.parquet")] == ["0.parquet"]


def test_digits_are_not_a_folder_of_this_name(tmp_path, monkeypatch):
    from vaekit.cli.writing import has_many_files

    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert [has_many_files(source) for source in ("digits", "./digits", "digits/*.tar")] == [False, True, True]


def test_pictures_in_tars(digits_run, tmp_path, monkeypatch):
    """The score of a picture is the same bits from the array and from any tar; a tar without pictures has no rows."""
    from sklearn.datasets import load_digits

    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path / "cache"))
    pictures = (load_digits().images[:20]).astype(np.uint8)
    for i, rows in enumerate((range(12), range(0), range(12, 20))):
        (tmp_path / "tars").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "tars" / f"{i}.tar", "w") as tar:
            for row in rows:
                content = io.BytesIO()
                Image.fromarray(pictures[row]).save(content, "PNG")
                info = tarfile.TarInfo(f"{row:02d}.png")
                info.size = content.tell()
                tar.addfile(info, io.BytesIO(content.getvalue()))
    made = map_files(digits_run, "score", tmp_path / "tars", tmp_path / "scores")
    assert [part.rows for part in made.parts] == [12, 0, 8]
    assert [part.file for part in made.parts] == ["0.tar.parquet", "1.tar.parquet", "2.tar.parquet"]
    scores = results(tmp_path / "scores")["log_likelihood"].to_numpy()
    np.testing.assert_array_equal(scores, digits_run.score_samples(pictures))
    (tmp_path / "tars" / "2.tar").write_bytes((tmp_path / "tars" / "2.tar").read_bytes()[:900])
    with pytest.raises(DataError, match=r"a tar must be undamaged.*2\.tar"):
        map_files(digits_run, "score", tmp_path / "tars", tmp_path / "again")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pictures[0]).save(tmp_path / "pictures" / "0.png")
    with pytest.raises(
        DataError, match=r"must be files of a table, or tars of pictures. Got pictures in .*--out x\.parquet"
    ):
        map_files(digits_run, "score", tmp_path / "pictures", tmp_path / "none")


def test_the_name_of_the_digits_is_never_a_folder(run, shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards.rename(tmp_path / "digits")
    with pytest.raises(DataError, match=r"Got 'digits', the handwritten digits.*pass '\./digits'"):
        map_files(run, "score", "digits", tmp_path / "scores")
    assert map_files(run, "score", "./digits", tmp_path / "scores").rows > 0
