"""What all tests share: a cache of their own, tiny trained runs, and the command line called in the same process."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # the models are tiny: more threads would only wait for each other

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from builders import TINY  # noqa: E402
from forks import Server  # noqa: E402
from oracles import LinearGaussian  # noqa: E402
from vaekit.runs.missing import MOST_STEPS  # noqa: E402

settings.register_profile("vaekit", derandomize=True, database=None, deadline=None, max_examples=40)
settings.load_profile("vaekit")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("VAEKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session", autouse=True)
def _short_patterns():
    """Fit patterns of missing cells in few steps; small runs would spend nearly all of their time there."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vaekit.runs.missing.MOST_STEPS", 25)
        yield


@pytest.fixture(scope="module")
def whole_patterns(_short_patterns):
    """Fit them as users do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vaekit.runs.missing.MOST_STEPS", MOST_STEPS)
        yield


@pytest.fixture(scope="session")
def fork_server():
    """Runs scripts and modules in processes of their own, without the seconds that an import of torch takes."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def tiny():
    """Settings of a model that trains in well under a second."""
    return dict(TINY)


@pytest.fixture(scope="session")
def tiny_set():
    """The same as options of the command line, with two latent dimensions and a single validation."""
    content = {**TINY, "training.epochs": 1, "training.validations": 1, "latent_dim": 2}
    return [part for key, value in content.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A run on the digits: 17 grey levels, a discretized logistic."""
    import vaekit

    content = {**TINY, "training.validations": 2, "latent_dim": 4, "evaluation.samples": 10}
    return vaekit.train("digits", settings=content, out=tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A CSV file of four correlated columns on scales far apart, 120 rows."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(120, 2))
    values = z @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(120, 4))
    values = values * [1.0, 100.0, 0.01, 5.0] + [0.0, 1000.0, 0.0, -20.0]
    path = tmp_path_factory.mktemp("table") / "table.csv"
    write_csv(path, values, ("length", "mass", "share", "heat"))
    return path


@pytest.fixture(scope="session")
def table_run(table, tmp_path_factory):
    """A run on the table as rows of real numbers: a Gaussian, standardised columns."""
    import vaekit

    content = {"training.epochs": 20, "training.batch_size": 32, "training.validations": 2, "latent_dim": 2}
    settings = TINY | content | {"data.kind": "real"}
    return vaekit.train(str(table), settings=settings, out=tmp_path_factory.mktemp("runs") / "table")


@pytest.fixture
def linear_gaussian():
    """A linear-Gaussian model with an oblique W, eight of its rows, and V, c, std of an affine encoder at random."""
    rng = np.random.default_rng(0)
    oracle = LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    return oracle, oracle.sample(8, rng), rng.normal(size=(2, 5)), rng.normal(size=2), np.array([0.4, 1.7])


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder that is the current one."""
    place = tmp_path / "workplace"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@dataclass
class Outcome:
    """What a call of the command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch, capsys):
    """Call the command line as its console script does."""
    from vaekit.cli import main

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vaekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Outcome(stop.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def expect_refusal(call, tmp_path):
    """Call the command line; it must end with one message that has all the words, and leave every file as it was."""

    def run(*arguments, words=()):
        before = snapshot(tmp_path)
        outcome = call(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.err.startswith("vaekit: "), outcome.err
        assert outcome.err.count("vaekit: ") == 1
        assert outcome.err.endswith((".\n", "?\n"))
        assert "Traceback" not in outcome.err + outcome.out
        assert outcome.out == ""
        for word in words:
            assert word in outcome.err
        assert snapshot(tmp_path) == before
        return outcome.err

    return run


def snapshot(folder: Path):
    """Every file below a folder, hidden ones too, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def write_csv(path: Path, rows, names=()):
    """A CSV file of these rows."""
    lines = [",".join(names)] if names else []
    lines += [",".join(str(cell) for cell in row) for row in (rows.tolist() if hasattr(rows, "tolist") else rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(name="write_csv")
def _write_csv():
    return write_csv
