import errno
import json
import math
import os
import stat

import numpy as np
import pytest
import torch

from builders import write_sealed
from vaekit.errors import RunError
from vaekit.files import atomic_path
from vaekit.folder import FORMAT, RunFolder
from vaekit.folder.parsing import METRICS

PROVENANCE = {
    "source": "digits",
    "test_source": None,
    "validation_fingerprint": "1" * 64,
    "fingerprint": 64 * "0",
    "rows": {"train": 9, "validation": 2, "test": 0},
    "threads": 1,
    "choices": ["none"],
}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def create(path):
    folder = RunFolder(path)
    folder.create({"latent_dim": 2, "encoder": {"hidden": [3]}}, {"schema": {"kind": "real"}}, PROVENANCE)
    return folder


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "er" / "x.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent  # on the same disk, so that renaming is one step
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


@pytest.mark.parametrize("error", [KeyError("body"), OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_what_stood_there_survives_a_failure_and_nothing_is_left_beside_it(tmp_path, error):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(RunError if isinstance(error, OSError) else type(error)):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_full_disk_is_called_so(tmp_path):
    with (
        pytest.raises(RunError, match=r"The disk is full: .*x\.txt") as error,
        atomic_path(tmp_path / "x.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert isinstance(error.value, OSError)
    assert names(tmp_path) == []


def test_other_faults_are_not_called_a_full_disk(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written") as error, atomic_path(tmp_path / "file" / "x.txt"):
        pytest.fail("there is no place to write")
    assert "full" not in str(error.value)


def test_files_have_the_permissions_that_others_have(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "x.txt") as temporary:
            temporary.write_text("x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.txt").stat().st_mode) == 0o640


def test_a_folder_is_created_whole(tmp_path):
    folder = create(tmp_path / "runs" / "first")
    assert names(folder.path) == ["provenance.json", "recipe.toml", "schema.json"]
    assert names(tmp_path / "runs") == ["first"]
    assert folder.open() == PROVENANCE
    assert folder.read("recipe.toml") == {"latent_dim": 2, "encoder": {"hidden": [3]}}
    assert folder.read("schema.json") == {"schema": {"kind": "real"}}
    assert folder.read("provenance.json") == {"format": FORMAT, **PROVENANCE}


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "run").mkdir()
    create(tmp_path / "run").open()


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        RunFolder(tmp_path / "run").create({}, {"x": math.nan}, {})
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        create(tmp_path / "file" / "run")


def test_a_run_is_never_written_over(tmp_path):
    folder = create(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
    with pytest.raises(RunError, match=r"run' holds a run already\. .*, or continue with `resume='.*run'`"):
        create(folder.path)
    assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds other files already"):
        create(other)
    assert (other / "thesis.txt").read_text() == "years of work"
    with pytest.raises(RunError, match="is a file"):
        create(other / "thesis.txt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 4}', r"made by a newer version of vaekit \(format 4\). Install a newer vaekit"),
        ('{"format": 2}', r"made by an earlier version of vaekit \(format 2\). Train a new run"),
        ('{"format": 3}', "its digest is missing"),
        ('{"format": true}', "its format is True"),
        ('{"format": 0}', "its format is 0"),
        ('{"format": "1"}', "its format is '1'"),
        ("{}", "its format is None"),
        ("[1]", "one object was expected, not a list"),
        ("{", "provenance.json' is damaged"),
        ("", "provenance.json' is damaged"),
    ],
)
def test_folders_of_other_forms_are_refused(tmp_path, content, words):
    folder = create(tmp_path / "run")
    (folder.path / "provenance.json").write_text(content)
    with pytest.raises(RunError, match=words):
        folder.open()


def test_a_folder_that_is_missing_or_no_run(tmp_path):
    with pytest.raises(RunError, match=r"There is no run folder '.*nowhere'"):
        RunFolder(tmp_path / "nowhere").open()
    with pytest.raises(RunError, match=r"is not a run folder: it has no provenance.json"):
        RunFolder(tmp_path).open()


def test_tensors_return_bit_for_bit_with_their_types(tmp_path):
    folder = RunFolder(tmp_path)
    tensors = {
        "a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "b": torch.tensor([1.0, math.nan, -math.inf], dtype=torch.float64),
        "c": torch.tensor(7),
        "d": torch.arange(6.0).reshape(2, 3).T,
        "e": torch.tensor([1.5], dtype=torch.bfloat16),
        "f": torch.ones(2, requires_grad=True),
        "g": torch.zeros(0, 3),
    }
    folder.write_tensors("state/x.safetensors", tensors, {"step": "12"})
    read, metadata = folder.read_tensors("state/x.safetensors")
    assert metadata == {"step": "12"}
    assert set(read) == set(tensors)
    for key, value in tensors.items():
        assert read[key].dtype == value.dtype
        np.testing.assert_array_equal(read[key].double().numpy(), value.detach().double().numpy())


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_cut_tensors_are_refused(tmp_path, keep):
    folder = RunFolder(tmp_path)
    folder.write_tensors("x.safetensors", {"a": torch.ones(100)})
    path = tmp_path / "x.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"x\.safetensors' is damaged: .*Restore it from a copy"):
        folder.read_tensors("x.safetensors")


def test_missing_tensors_are_named(tmp_path):
    with pytest.raises(RunError, match=r"has no weights\.safetensors"):
        RunFolder(tmp_path).read_tensors("weights.safetensors")


def test_json_is_strict(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        folder.write("x.json", {"value": math.inf})
    assert names(tmp_path) == []
    folder.write("x.json", {"name": "größe", "pi": math.pi})
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert content.pop("digest")
    assert content == {"name": "größe", "pi": math.pi}


def test_metrics_return_to_the_last_digit(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == []
    folder.write_metrics([])
    assert names(tmp_path) == []
    rows = [dict.fromkeys(METRICS, -math.pi * 100) | {"step": 1}, dict.fromkeys(METRICS, math.nan) | {"step": 2}]
    folder.write_metrics(rows)
    read = folder.read_metrics()
    assert read[0] == rows[0]
    assert read[1]["step"] == 2
    assert math.isnan(read[1]["elbo"])
    write_sealed(tmp_path / "metrics.csv", "step,elbo\n1,2\n")
    with pytest.raises(RunError, match=r"metrics\.csv' is damaged: its columns are 'step,elbo', which are not 'step,"):
        folder.read_metrics()
    write_sealed(tmp_path / "metrics.csv", f"{','.join(METRICS)}\n1,many\n")
    with pytest.raises(RunError, match=r"metrics\.csv' is damaged: the line '1,many' is not a row of numbers"):
        folder.read_metrics()


def test_cleaning_removes_what_was_interrupted_and_nothing_else(tmp_path):
    folder = create(tmp_path / "run")
    folder.write_tensors("state/good.safetensors", {"a": torch.ones(2)})
    (folder.path / ".vaekit-weights-71-host-abc123_x.safetensors").write_bytes(b"half")
    (folder.path / "state" / ".vaekit-good-71-host-abc123_x.safetensors").write_bytes(b"half")
    (folder.path / ".notes.txt").write_text("of somebody else")
    with folder.hold():
        assert "training.lock" in names(folder.path)
    assert names(folder.path) == [".notes.txt", "provenance.json", "recipe.toml", "schema.json", "state"]
    assert names(folder.path / "state") == ["good.safetensors"]


def test_a_state_that_is_a_link_is_refused(tmp_path):
    folder = create(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    (folder.path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is a link"):
        folder.open()


def test_removing_what_is_not_there_is_no_error(tmp_path):
    folder = create(tmp_path / "run")
    folder.remove("metrics.csv")
    folder.remove("schema.json")
    assert names(folder.path) == ["provenance.json", "recipe.toml"]
