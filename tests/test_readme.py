"""Every command and snippet of the README, and of the page on the command line, runs as it stands."""

import re
import shlex
import subprocess
from functools import partial
from pathlib import Path

import pytest

from vaekit.cli.app import app
from vaekit.evaluation import inference_gap

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def short(code):
    """The same code with a single epoch of training."""
    return re.sub(r"(training\.epochs\W+)\d+", r"\g<1>1", code)


def test_the_readme_is_short_and_shows_code_early():
    lines = README.splitlines()
    assert len(lines) <= 100
    assert next(i for i, line in enumerate(lines, 1) if line.startswith("```python")) <= 35


def test_snippets_and_commands(tmp_path, monkeypatch):
    """In the order of the page: the commands may use what the snippets made."""
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vaekit.runs.measured_run.inference_gap", partial(inference_gap, steps=10))
    names = {}
    for snippet in blocks("python"):
        exec(compile(short(snippet), "README.md", "exec"), names)
    commands = [
        shlex.split(line, comments=True)
        for block in blocks("bash", COMMANDS) + blocks("bash")
        for line in short(block).splitlines()
    ]
    for command in filter(None, commands):
        assert command[0] == "vaekit"
        result = CliRunner().invoke(app, command[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{command}: {result.output}"
    for made in ("samples.png", "scores.csv", "codes.npy", "reconstructions.npz", "runs/second/report.html"):
        assert (tmp_path / made).stat().st_size > 0


@pytest.mark.parametrize("target", re.findall(r"`?make (\w+)", README))
def test_make_targets(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)", README))
def test_links(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("value", re.findall(r"`(?:--recipe )(\w+)`", README))
def test_recipes_are_known(value):
    from vaekit.recipe import recipe_names

    assert value in recipe_names()


def test_likelihoods_of_the_table_are_those_of_the_code():
    from vaekit.models import Likelihood

    choosing = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    table = choosing.partition("## A likelihood")[2].partition("## A prior")[0].partition("| data |")[2]
    named = {
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`(\w+)`", row.split("|")[2] if "|" in row else "")
    }
    assert named == set(Likelihood.known)
