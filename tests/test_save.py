"""`Run.save`: a copy of a run with everything that it has."""

import json
import shutil
import signal

import numpy as np
import pyarrow as pa
import pytest

import vaekit
from vaekit.errors import Interrupted, RunError
from vaekit.estimator import VAE
from vaekit.folder import RunFolder
from vaekit.report import write_report
from vaekit.reporters import Reporter
from vaekit.training.state import GOOD, LATEST

SMALL = {
    "training.epochs": 4,
    "training.batch_size": 16,
    "training.validations": 2,
    "encoder.hidden": [6],
    "decoder.hidden": [6],
    "latent_dim": 2,
    "evaluation.samples": 3,
}


@pytest.fixture
def rows(tmp_path):
    X = np.random.default_rng(0).normal(size=(120, 3))
    np.save(tmp_path / "rows.npy", X)
    return tmp_path / "rows.npy"


class StopAt(Reporter):
    """Asks for the end at a step that is not a validation."""

    def __init__(self, step):
        self.step = step

    def advance(self, step):
        if step == self.step:
            signal.raise_signal(signal.SIGINT)


def content(folder):
    """The bytes of a run's files; of provenance.json what it says, as its order may differ."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    provenance = json.loads(found.pop("provenance.json"))
    return found, {key: value for key, value in provenance.items() if key != "digest"}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("kind", ["real", "mixed"])
def test_a_copy_has_every_file_of_the_run(tmp_path, rows, kind, loaded):
    run = vaekit.train(rows, settings=SMALL | {"data.kind": kind}, out=tmp_path / "run")
    write_report(run)
    if loaded:
        run = vaekit.load(run.path)
    run.save(tmp_path / "new" / "copy")
    (tmp_path / "run" / "report.html").unlink()  # written anew where it is wanted
    assert content(tmp_path / "new" / "copy") == content(tmp_path / "run")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["copy"]


def test_a_copy_scores_evaluates_and_reports_as_the_run_does(tmp_path, rows):
    run = vaekit.train(rows, settings=SMALL, out=tmp_path / "run")
    run.save(tmp_path / "copy")
    history = run.read_history()
    shutil.rmtree(run.path)
    copy = vaekit.load(tmp_path / "copy")
    assert type(copy) is type(run)
    np.testing.assert_array_equal(copy.score_samples(rows), run.score_samples(rows))
    assert copy.score(rows) == run.score_samples(rows).mean()
    assert copy.evaluate() == run.evaluate()
    assert copy.evaluate(rows) == run.evaluate()  # its own data
    assert copy.evaluate(rows, rows="all").training_rows == run.provenance["rows"]["train"]  # known by their hashes
    assert write_report(copy).exists()
    assert copy.read_history() == history
    copy.save(tmp_path / "third")
    np.testing.assert_array_equal(vaekit.load(tmp_path / "third").encode(rows), run.encode(rows))


def test_a_run_whose_folder_is_gone_can_be_saved_once_its_history_was_read(tmp_path, rows):
    run = vaekit.train(rows, settings=SMALL, out=tmp_path / "run")
    run.history = run.read_history()
    shutil.rmtree(run.path)
    run.save(tmp_path / "copy")
    copy = vaekit.load(tmp_path / "copy")
    assert copy.read_history() == run.history
    assert not (tmp_path / "copy" / "state").exists()


def read_every_file(path):
    """Read all files of a run by their digests."""
    folder = RunFolder(path)
    folder.open()
    folder.read("schema.json")
    folder.read("recipe.toml")
    folder.read_metrics()
    for tensors in path.rglob("*.safetensors"):
        folder.read_tensors(str(tensors.relative_to(path)))


def test_every_file_of_a_copy_has_a_digest_that_is_checked(tmp_path, rows):
    vaekit.train(rows, settings=SMALL, out=tmp_path / "run").save(tmp_path / "copy")
    read_every_file(tmp_path / "copy")
    for path in [p for p in (tmp_path / "copy").rglob("*") if p.is_file()]:
        intact = path.read_bytes()
        damaged = bytearray(intact)
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=rf"{path.name}' is damaged"):
            read_every_file(tmp_path / "copy")
        path.write_bytes(intact)


@pytest.mark.parametrize("holds", ["a run", "other files", "a file"])
def test_nothing_is_written_over(tmp_path, rows, holds):
    run, place = vaekit.train(rows, settings=SMALL, out=tmp_path / "run"), tmp_path / "place"
    if holds == "a run":
        place = run.path
    elif holds == "other files":
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
    else:
        place.write_text("years of work")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=rf"(holds|is) {holds}"):
        run.save(place)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_failure_leaves_nothing(tmp_path, rows, monkeypatch):
    run = vaekit.train(rows, settings=SMALL, out=tmp_path / "run")
    original = RunFolder.write_tensors

    def fail(self, name, *arguments):
        if name == GOOD:
            raise OSError("broken")
        original(self, name, *arguments)

    monkeypatch.setattr(RunFolder, "write_tensors", fail)
    with pytest.raises(RunError, match="cannot be written"):
        run.save(tmp_path / "copy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.npy", "run"]


def test_a_copy_of_an_interrupted_run_resumes_to_the_same_weights(tmp_path, rows):
    whole = vaekit.train(rows, settings=SMALL, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        vaekit.train(rows, settings=SMALL, out=tmp_path / "cut", reporter=StopAt(16))
    assert (tmp_path / "cut" / LATEST).exists()
    vaekit.load(tmp_path / "cut").save(tmp_path / "copy")
    resumed = vaekit.train(resume=tmp_path / "copy")
    assert resumed.read_history() == whole.read_history()
    np.testing.assert_array_equal(resumed.encode(rows), whole.encode(rows))


def test_a_run_that_was_trained_further_meanwhile_is_saved_without_that_state(tmp_path, rows):
    with pytest.raises(Interrupted):
        vaekit.train(rows, settings=SMALL, out=tmp_path / "run", reporter=StopAt(16))
    early = vaekit.load(tmp_path / "run")
    vaekit.train(resume=tmp_path / "run")
    early.save(tmp_path / "copy")
    changed = not np.array_equal(early.encode(rows), vaekit.load(tmp_path / "run").encode(rows))
    assert changed
    np.testing.assert_array_equal(vaekit.load(tmp_path / "copy").encode(rows), early.encode(rows))
    assert not (tmp_path / "copy" / GOOD).exists()


def test_a_loaded_run_of_an_estimator_keeps_the_row_that_shows_its_types(tmp_path):
    people = pa.table({"age": np.arange(60.0) % 17, "city": ["Ulm", "Bonn", "Köln"] * 20})
    fitted = VAE(random_state=0, settings=SMALL, epochs=2).fit(people)
    fitted.save(tmp_path / "first")
    vaekit.load(tmp_path / "first").save(tmp_path / "second")
    assert (tmp_path / "first" / "row.parquet").read_bytes() == (tmp_path / "second" / "row.parquet").read_bytes()
    again = VAE.load(tmp_path / "second")
    assert again.sample(5, random_state=1).equals(fitted.sample(5, random_state=1))
    assert again.history_ == fitted.history_
    assert again.lower_bound_ == fitted.lower_bound_
