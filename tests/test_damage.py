"""Run folders that are damaged, hostile, in use, or left by a process that was killed."""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import vaekit
from builders import without_digests, write_sealed
from vaekit.data import Source, known_rows, open_source
from vaekit.errors import DataError, RunError, VaekitError, did_you_mean
from vaekit.estimator import VAE
from vaekit.files import atomic_folder, atomic_path, hold_lock
from vaekit.folder import RunFolder
from vaekit.folder.parsing import METRICS
from vaekit.reporters import Reporter
from vaekit.training.state import GOOD, LATEST, read_state

SMALL = {"training.epochs": 3, "training.validations": 3, "training.batch_size": 32, "latent_dim": 2} | {
    "encoder.hidden": [6],
    "decoder.hidden": [6],
    "evaluation.samples": 2,
}
ROWS = np.random.default_rng(0).normal(size=(120, 3))
TEXTS = ("provenance.json", "schema.json", "recipe.toml", "metrics.csv")
TENSORS = ("weights.safetensors", "rows.safetensors")


class Stop(Reporter):
    """A reporter that ends the training as a fault of the machine would."""

    def __init__(self, last=9):
        self.last, self.said = last, []

    def advance(self, step):
        if step == self.last:
            raise KeyboardInterrupt

    def say(self, sentence):
        self.said.append(sentence)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, finished and interrupted, and its source."""
    place = tmp_path_factory.mktemp("made")
    np.save(place / "rows.npy", ROWS)
    vaekit.train(place / "rows.npy", settings=SMALL, out=place / "finished")
    with pytest.raises(KeyboardInterrupt):
        vaekit.train(place / "rows.npy", settings=SMALL, out=place / "begun", reporter=Stop())
    return place


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made / "finished", tmp_path / "run")


@pytest.fixture
def begun(made, tmp_path):
    return shutil.copytree(made / "begun", tmp_path / "begun")


def weights(folder):
    return {key: value.numpy() for key, value in vaekit.load(folder).model.state_dict().items()}


def everything(folder):
    """All that a reader of a run is told."""
    read = vaekit.load(folder)
    return read.score_samples(ROWS[:5]).tolist(), repr(read.folder.read_metrics()), read.provenance


# --- digests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TEXTS, *TENSORS])
def test_no_flipped_bit_changes_a_number_without_a_word(run, name):
    rng, whole, expected = np.random.default_rng(3), (run / name).read_bytes(), everything(run)
    refused = 0
    for _ in range(40):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        (run / name).write_bytes(content)
        try:
            assert everything(run) == expected
        except RunError as error:
            refused += name in str(error)
    assert refused > 30  # what is left are blanks in the header of tensors


@pytest.mark.parametrize("name", [*TEXTS, *TENSORS])
def test_a_file_without_its_digest_is_damaged(run, name):
    old = shutil.copytree(run, run.parent / "old")
    without_digests(old)
    shutil.copy(old / name, run / name)
    with pytest.raises(RunError, match=rf"{name}' is damaged: its digest is missing"):
        everything(run)


def test_a_run_of_an_earlier_version_is_refused(run):
    content = json.loads((run / "provenance.json").read_text())
    write_sealed(run / "provenance.json", json.dumps(content | {"format": 2}, indent=2))
    with pytest.raises(RunError, match=r"made by an earlier version of vaekit \(format 2\). Train a new run"):
        vaekit.load(run)


def test_a_digest_can_be_told_with_the_tools_of_every_system(run):
    for name, pattern in (("recipe.toml", "# sha256"), ("metrics.csv", "# sha256"), ("schema.json", '"digest"')):
        command = f"grep -v '{pattern}' {run / name} | sha256sum"
        told = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.split()[0]
        assert told in (run / name).read_text()


def test_metrics_are_read_by_pandas(run):
    read = pd.read_csv(run / "metrics.csv", comment="#")
    assert read.to_dict("records")[-1]["step"] == RunFolder(run).read_metrics()[-1]["step"]


def test_a_changed_recipe_is_refused_and_can_be_trained_with(run, made):
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("samples = 2\n", "samples = 3\n"))
    with pytest.raises(RunError, match=r"recipe\.toml' is damaged, or was changed .*train a new run with `recipe="):
        vaekit.load(run)
    trained = vaekit.train(made / "rows.npy", recipe=run / "recipe.toml", out=run.parent / "other")
    assert trained.recipe.evaluation.samples == 3


def test_weights_that_are_no_numbers_are_refused(run):
    folder = RunFolder(run)
    tensors, noted = folder.read_tensors("weights.safetensors")
    name = min(tensors)
    tensors[name].view(-1)[0] = math.nan
    folder.write_tensors("weights.safetensors", tensors, noted)
    with pytest.raises(RunError, match=f"weights '{name}' in .* are not finite"):
        vaekit.load(run)


def test_a_saved_estimator_is_checked_to_its_last_file(tmp_path):
    people = pd.DataFrame({"a": ROWS[:, 0], "b": np.where(ROWS[:, 1] > 0, "x", "y")})
    fitted = VAE(random_state=0, settings=SMALL).fit(people)
    fitted.save(tmp_path / "run")
    assert VAE.load(tmp_path / "run").score(people) == pytest.approx(fitted.score(people))
    path = tmp_path / "run" / "row.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"row\.parquet' is damaged"):
        VAE.load(tmp_path / "run")
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(RunError, match=r"row\.parquet' is a link, not a plain file"):
        VAE.load(tmp_path / "run")


# --- what is no file -------------------------------------------------------------------------------------------------


def pipe(path):
    os.mkfifo(path)


def loop(path):
    path.symlink_to(path.name)


def endless(path):
    path.symlink_to("/dev/zero")


def elsewhere(path):
    (path.parent.parent / "elsewhere").write_bytes(b"{}")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("put", [pipe, loop, endless, elsewhere, os.mkdir])
@pytest.mark.parametrize("name", [*TEXTS, *TENSORS])
def test_what_is_no_plain_file_is_not_opened(run, name, put):
    (run / name).unlink()
    put(run / name)
    with pytest.raises(RunError, match=rf"{name}' is a (pipe|link|folder), not a plain file"):
        everything(run)


@pytest.mark.parametrize("put", [pipe, loop, endless, os.mkdir])
def test_nor_is_a_state(begun, put):
    (begun / GOOD).unlink()
    put(begun / GOOD)
    with pytest.raises(RunError, match=r"good\.safetensors' is a \w+, not a plain file"):
        vaekit.train(resume=begun)


def test_the_folder_itself_may_be_a_link(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert everything(tmp_path / "link") == everything(run)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_gigabytes_is_not_read(run, name):
    os.truncate(run / name, 20 << 30)
    with pytest.raises(RunError, match=rf"{name}' must have at most [\d,]+ bytes. Got 21,474,836,480"):
        everything(run)


# --- texts with digests that are right -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", "many"),
        ("rows", {"train": -5, "validation": 1, "test": 1}),
        ("rows", {"train": 43.5, "validation": 1, "test": 1}),
        ("source", 7),
        ("source", "a\0b"),
        ("source", "\ud800"),
        ("test_source", []),
        ("choices", math.inf),
        ("choices", [1]),
        ("threads", 0),
        ("threads", "two"),
        ("fingerprint", "x"),
        ("versions", {"torch": 2}),
        ("command", "vaekit"),
    ],
)
def test_a_provenance_is_not_believed(run, key, value):
    content = json.loads((run / "provenance.json").read_text())
    write_sealed(run / "provenance.json", json.dumps(content | {key: value}, indent=2))
    with pytest.raises(RunError, match=r"provenance\.json' is damaged"):
        vaekit.load(run)


@pytest.mark.parametrize("name", ["provenance.json", "schema.json", "recipe.toml"])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "a = " + "[" * 100_000, "a." * 100_000 + "a = 1", "9" * 5000]
)
def test_texts_that_go_too_deep_are_refused(run, name, text):
    write_sealed(run / name, text if name == "recipe.toml" else '{\n"x": ' + text)
    with pytest.raises(RunError, match=rf"{name}' is damaged"):
        vaekit.load(run)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("schema.json", '"shape": [\n      3\n    ]', '"shape": [\n      2000000000\n    ]'),
        ("recipe.toml", "hidden = [\n    6,\n]", f"hidden = [{'3000, ' * 500}]"),
        ("recipe.toml", "latent_dim = 2", "latent_dim = 100000"),
    ],
)
def test_a_model_larger_than_its_weights_is_not_made(run, name, old, new):
    text = (run / name).read_text()
    assert old in text
    write_sealed(run / name, text.replace(old, new))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        RunError, match=r"recipe\.toml, schema\.json or prov|weights\.safetensors' does not fit recipe\.toml"
    ):
        vaekit.load(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,2", "is not a row of numbers"),
        ("1,2,3,4", "is not a row of numbers"),
        ("1,2," + "9" * 400, "is not a row of numbers"),
        ("1,2," + "a" * 200_000, "is not a row of numbers"),
        ("1,2,", "is not a row of numbers"),
        ("-1,2,3", "is not a row of numbers"),
        ("1.5,2,3", "is not a row of numbers"),
        ("1_0,2,3", "is not a row of numbers"),
        ("٣,2,3", "is not a row of numbers"),
    ],
)
def test_metrics_are_not_believed(run, line, words):
    rest = ",".join("0" * (len(METRICS) - 3))
    write_sealed(run / "metrics.csv", f"{','.join(METRICS)}\n1,{rest},2,3\n{line.replace(',', f',{rest},', 1)}\n")
    with pytest.raises(RunError, match=words) as error:
        RunFolder(run).read_metrics()
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("header", ["step,epoch,other", "epoch,elbo", "step,step", ""])
def test_nor_are_other_columns(run, header):
    write_sealed(run / "metrics.csv", f"{header}\n")
    with pytest.raises(RunError, match=r"metrics\.csv' is damaged: its columns are"):
        RunFolder(run).read_metrics()


@pytest.mark.parametrize(
    "counters", ['{"step": -5}', '{"step": "x"}', '{"step": 43.5}', "[]", "", '{"best": NaN}', "[" * 9999]
)
def test_counters_are_not_believed(begun, counters):
    folder = RunFolder(begun)
    tensors, noted = folder.read_tensors(GOOD)
    folder.write_tensors(GOOD, tensors, noted | {"counters": counters})
    with pytest.raises(RunError, match=r"good\.safetensors' is damaged: its counters cannot be read"):
        vaekit.train(resume=begun)


def test_moments_of_another_shape_are_refused(begun):
    folder = RunFolder(begun)
    tensors, noted = folder.read_tensors(GOOD)
    name = next(key for key, value in tensors.items() if key.startswith("optimizer.") and value.ndim)
    folder.write_tensors(GOOD, tensors | {name: torch.zeros(1, 2)}, noted)
    with pytest.raises(RunError, match=r"good\.safetensors' does not belong to this run"):
        vaekit.train(resume=begun)


# --- states ----------------------------------------------------------------------------------------------------------


def damage(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (LATEST, "latest.safetensors is damaged. The run continues from the state of its last"),
        (GOOD, "good.safetensors is damaged. The run continues from state/latest"),
    ],
)
def test_a_damaged_state_gives_way_to_the_other_one(made, begun, state, told):
    shutil.copy(begun / GOOD, begun / LATEST)
    damage(begun / state)
    reporter = Stop(-1)
    vaekit.train(resume=begun, reporter=reporter)
    assert any(told in s for s in reporter.said)
    np.testing.assert_equal(weights(begun), weights(made / "finished"))


def test_two_damaged_states_are_refused(begun):
    shutil.copy(begun / GOOD, begun / LATEST)
    damage(begun / GOOD)
    damage(begun / LATEST)
    with pytest.raises(RunError, match=r"good\.safetensors' is damaged"):
        vaekit.train(resume=begun)
    assert (begun / LATEST).exists()


def test_damaged_weights_are_told_before_training_goes_on(begun):
    assert read_state(RunFolder(begun), GOOD)[1].best_step > 0
    damage(begun / "weights.safetensors")
    reporter = Stop()
    with pytest.raises(RunError, match=r"weights\.safetensors' is damaged"):
        vaekit.train(resume=begun, reporter=reporter)


# --- two at once -----------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from vaekit.files import hold_lock
with hold_lock(Path(sys.argv[1]), "it is in use"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_in_training_is_not_trained_by_another_but_can_be_read(run, begun):
    with RunFolder(begun).hold():
        with pytest.raises(RunError, match=rf"is being trained by process {os.getpid()} on .* since 2.*Wait until"):
            vaekit.train(resume=begun)
        vaekit.load(begun)
    vaekit.train(resume=begun)
    assert not (begun / "training.lock").exists()


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with (
        pytest.raises(RunError, match=rf"it is in use by process {other.pid} on "),
        hold_lock(path, "it is in use"),
    ):
        pytest.fail("two hold it")
    other.kill()
    other.wait()
    other.stdout.close()
    assert path.exists()
    with hold_lock(path, "it is in use"):
        assert str(os.getpid()) in path.read_text()
    assert not path.exists()


def test_of_two_that_make_a_folder_one_is_refused(tmp_path):
    def both():
        with atomic_folder(tmp_path / "run") as first:
            (first / "mine").touch()
            with atomic_folder(tmp_path / "run") as second:
                (second / "theirs").touch()

    with pytest.raises(RunError, match="Another process has just made"):
        both()
    assert os.listdir(tmp_path) == ["run"]
    assert os.listdir(tmp_path / "run") == ["theirs"]


# --- what a killed process leaves ------------------------------------------------------------------------------------

WRITE = """
import sys, time
from pathlib import Path
from vaekit.files import atomic_folder, atomic_path
with (atomic_path if sys.argv[2] == "file" else atomic_folder)(Path(sys.argv[1])):
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("kind", "name"), [("file", "x.csv"), ("folder", "pictures")])
def test_leftovers_go_with_the_next_writing_to_the_same_place(tmp_path, kind, name):
    (tmp_path / ".vaekit-notes").write_text("of somebody")
    (tmp_path / ".vaekit-cache").mkdir()
    other = subprocess.Popen([sys.executable, "-c", WRITE, tmp_path / name, kind], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"writing\n"
    write = atomic_path if kind == "file" else atomic_folder

    def leftovers():
        return [p.name for p in tmp_path.iterdir() if str(other.pid) in p.name]

    assert len(leftovers()) == 1
    assert leftovers()[0].startswith(".vaekit-")
    with write(tmp_path / name):
        pass
    assert len(leftovers()) == 1  # it is being written
    other.kill()
    other.wait()
    other.stdout.close()
    with atomic_path(tmp_path / "another.csv"):
        pass
    assert len(leftovers()) == 1  # of another place
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    with write(tmp_path / name):
        pass
    assert leftovers() == []
    assert {".vaekit-notes", ".vaekit-cache"} <= set(os.listdir(tmp_path))


# --- messages --------------------------------------------------------------------------------------------------------


def test_messages_show_the_ends_of_what_is_long():
    message = str(VaekitError("x must be short", f"'{'a' * 50_000}{'b' * 50_000}'", f"Did you mean '{'c' * 100_000}'?"))
    assert len(message) < 1500
    assert "Got 'aaa" in message
    assert "bbb' instead" in message
    assert "…" in message
    assert message.endswith("ccc'?")


def test_a_list_of_known_names_ends_somewhere():
    names = [f"member{i}/of/an/archive" for i in range(60_000)]
    assert len(str(VaekitError("a name must be known", "'x'", did_you_mean("?" * 100_000, names)))) < 1500
    assert len(str(VaekitError(f"one of {', '.join(names)} must be given", ", ".join(names)))) < 1500


# --- rows that trained -----------------------------------------------------------------------------------------------


def trained(read, rows):
    figures = read.evaluate(rows, samples=1)
    assert figures.of_training_source == (figures.training_rows > 0)
    return figures.training_rows


def test_training_rows_are_known_in_every_form(made, tmp_path, write_csv):
    read = vaekit.load(made / "finished")
    there = read.provenance["rows"]["train"]
    shutil.copy(made / "rows.npy", tmp_path / "copy.npy")
    names = ["column0", "column1", "column2"]
    for rows in (tmp_path / "copy.npy", ROWS, pd.DataFrame(ROWS, columns=names), pl.DataFrame(ROWS, schema=names)):
        read = vaekit.load(made / "finished")
        assert read.evaluate(rows, samples=1).measured_on == "held-out"  # its own data, wherever they are
        figures = read.evaluate(rows, samples=1, rows="all")
        assert (figures.measured_on, figures.training_rows) == ("all", there)
        shuffled = ROWS[::-1] if isinstance(rows, Path) else rows[::-1]
        figures = read.evaluate(shuffled, samples=1)
        assert (figures.measured_on, figures.training_rows) == ("given", there)
    some = ROWS[read.split().train.index[:10]]
    assert trained(read, some) == 10
    new = np.random.default_rng(1).normal(size=(50, 3))
    assert trained(read, new) == 0
    assert trained(read, np.concatenate([new, some])) == 10
    assert read.evaluate(samples=1).training_rows == 0


def test_training_pictures_are_known(digits_run):
    pictures = open_source("digits").values
    read = vaekit.load(digits_run.path)
    assert trained(read, pictures[::-1]) == read.provenance["rows"]["train"]
    assert trained(read, 16 - pictures[:50]) == 0


def test_rows_that_are_equal_by_chance_are_not_taken_for_training_rows(tmp_path):
    """Where there are few different rows, new ones are equal to old ones; the source as a whole is known all the same."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.choice(list("xyz"), 200), "b": rng.choice(list("pq"), 200)})
    read = vaekit.train(table, settings=SMALL | {"training.epochs": 1}, out=tmp_path / "run")
    new = pd.DataFrame({"a": rng.choice(list("xyz"), 150), "b": rng.choice(list("pq"), 150)})
    assert trained(read, new) == 0
    assert trained(read, table.sample(frac=1.0, random_state=1)) > 0


def test_rows_that_chose_the_weights_cannot_be_exchanged(tmp_path):
    source = Source(ROWS[:80], validation=Source(ROWS[80:]))
    trained = vaekit.train(source, settings=SMALL | {"training.epochs": 1}, out=tmp_path / "run")
    trained.source = Source(ROWS[:80], validation=Source(ROWS[81:])), None
    trained.__dict__.pop("_split", None)
    with pytest.raises(DataError, match="The rows are not those that the run was trained on"):
        trained.split()


def test_of_many_rows_a_sample_is_known(made, tmp_path, monkeypatch):
    monkeypatch.setattr(known_rows, "MOST_HASHES", 30)
    read = vaekit.train(made / "rows.npy", settings=SMALL | {"training.epochs": 1}, out=tmp_path / "run")
    assert len(read.known.hashes) == 30
    assert len(vaekit.load(tmp_path / "run").known.hashes) == 30
    index = read.split().train.index
    assert trained(read, ROWS[index]) == len(index)  # all of those whose hash is small enough
    assert trained(read, np.random.default_rng(1).normal(size=(100, 3))) == 0
