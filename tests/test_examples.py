"""The scripts in examples/, each in a process of its own; parts of a stranger's, and that a run folder never imports them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
HEAVY = EXAMPLES[0].parent / "own_prior.py"
VAEKIT = ("-m", "vaekit")


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_in_a_process_of_its_own(fork_server, script, tmp_path):
    done = fork_server.run(script, tmp_path / "runs", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.fixture
def heavy(fork_server, tmp_path):
    """A run with a prior of its own, trained by name."""
    words = ("train", "digits", "--import", HEAVY, "--out", tmp_path / "run")
    settings = ("prior=heavy", "prior.df=4", "latent_dim=4", "training.epochs=1")
    done = fork_server.run(
        *VAEKIT, *words, *(word for setting in settings for word in ("--set", setting)), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_a_run_folder_never_makes_anything_be_imported(fork_server, heavy):
    """Not a module beside the run folder, nor in it, nor in the working directory, whatever its name."""
    for folder in (heavy, heavy.parent):
        for name in ("heavy", "own_prior", "prior", "parts"):
            (folder / f"{name}.py").write_text(f"open({str(folder / 'was-run')!r}, 'w')\n")
    for verb in (("evaluate", heavy), ("sample", heavy, "--out", "x.npy"), ("describe", heavy)):
        done = fork_server.run(*VAEKIT, *verb, cwd=heavy.parent)
        assert done.returncode == 2
        assert "has the prior 'heavy', which is not known here. Import the module that defines it first" in done.stderr
    assert not list(heavy.parent.rglob("was-run"))


def test_with_the_module_imported_the_run_answers(fork_server, heavy):
    done = fork_server.run(*VAEKIT, "evaluate", heavy, "--import", HEAVY, "--json", cwd=heavy.parent)
    assert done.returncode == 0, done.stderr
    assert '"elbo"' in done.stdout


def test_a_module_that_is_not_there_is_named(fork_server, tmp_path):
    done = fork_server.run(*VAEKIT, "recipes", "--import", "nowhere.parts", cwd=tmp_path)
    assert done.returncode == 2
    assert "'nowhere.parts' cannot be imported" in done.stderr


def test_parts_of_an_installed_distribution_are_known_without_an_import(tmp_path):
    """A distribution names its module under the entry point group `vaekit.parts`."""
    (tmp_path / "heavy_parts.py").write_text(HEAVY.read_text())
    info = tmp_path / "heavy_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vaekit.parts]\nheavy = heavy_parts\n")
    code = "from vaekit.recipe import load_recipe; print(load_recipe('auto', ['prior=heavy', 'prior.df=5']).prior.df)"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "5.0\n", done.stderr
