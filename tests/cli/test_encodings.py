"""Output to files and terminals that are not UTF-8: every verb ends as it should, with signs replaced."""

import io
import os
import subprocess
import sys

import pytest

from vaekit.cli import main


@pytest.fixture
def say(monkeypatch):
    """Call the command line with outputs of an encoding; gives exit code and the texts of both."""

    def run(encoding, *arguments):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "argv", ["vaekit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out.flush()
        err.flush()
        return stop.value.code or 0, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err))

    return run


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437"])
def test_figures_keep_their_numbers(say, call, table_run, encoding):
    usual = call("evaluate", table_run.path).out
    code, out, _ = say(encoding, "evaluate", table_run.path)
    assert code == 0
    digits = [[c for c in text if c.isdigit()] for text in (usual, out)]
    assert digits[0] == digits[1]
    assert "≥" in usual
    assert (">= " in out) == (encoding != "cp437")  # which has the sign
    if encoding == "ascii":
        assert " +- " in out
        assert "effective beta" in out
        assert "nats = -(distortion" in out
    if encoding == "cp1252":
        assert " ± " in out


@pytest.mark.parametrize(
    "verb",
    [
        ("recipes",),
        ("recipes", "--keys"),
        ("--help",),
        ("train", "--help"),
        ("describe", "digits"),
        ("describe", "{run}"),
        ("score", "{run}", "{table}", "--out", "s.csv"),
        ("encode", "{run}", "{table}", "--out", "z.csv"),
        ("reconstruct", "{run}", "{table}", "--out", "größe−x.csv"),
        ("sample", "{run}", "--out", "β.csv"),
        ("report", "{run}"),
        ("evaluate", "{run}", "--json"),
        ("remedy", "{run}", "--out", "µ"),
    ],
)
def test_every_verb_ends_well(say, table_run, table, workplace, verb):
    words = [word.format(run=table_run.path, table=table) for word in verb]
    code, out, err = say("ascii", *words)
    assert code == (0 if verb[0] != "remedy" else code)  # there may be nothing to mend
    assert "Traceback" not in out + err
    assert out or err


def test_training_and_refusals(say, table, workplace, tiny_set):
    code, out, err = say("ascii", "train", table, "--out", "größe", *tiny_set)
    assert (code, out) == (0, "Trained: gr\\xf6\\xdfe\n")
    assert " %  bound " in err or "100 %" in err
    code, _, err = say("ascii", "describe", "no…where×2.csv")
    assert code == 2
    assert "The source 'no...wherex2.csv' does not exist" in err


def test_names_and_cells_of_the_data(say, workplace):
    (workplace / "x.csv").write_text(
        "Größe,β\n" + "".join(f"{'Köln' if i % 2 else 'Łódź'},{i % 7 / 8}\n" for i in range(60)), encoding="utf-8"
    )
    code, out, _ = say("cp1252", "describe", "x.csv")
    assert code == 0
    assert "Größe" in out
    assert "'\\u0141ód\\u017a'" in out
    assert "beta" in out


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])  # fmt: skip
def test_as_a_process_of_its_own(environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONIO", "PYTHONUTF8"))}
    command = [sys.executable, "-c", "import vaekit.cli; vaekit.cli.main()", "recipes"]
    done = subprocess.run(command, env=clean | environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii() or environment == {"PYTHONIOENCODING": "cp1252"}
