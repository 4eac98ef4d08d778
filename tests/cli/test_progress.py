import io
import math

import pytest
from rich.console import Console

from vaekit.cli import progress
from vaekit.cli.progress import BarReporter, LineReporter, Throughput, decoding_progress, make_reporter

ROW = {"elbo": -12.345, "train_elbo": -11.0, "distortion": 10.0, "rate": 2.345, "active_units": 3.0, "kl_weight": 1.0}


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_throughput_is_rows_over_seconds(clock):
    throughput = Throughput()
    throughput.begin(step=20, rows_per_step=50)
    clock[0] += 4.0
    assert throughput.rate(28) == 8 * 50 / 4.0


def test_lines_are_told_once_for_each_tenth_on_standard_error(clock, capsys):
    reporter = LineReporter()
    reporter.begin(0, 100, 10)
    for step in range(1, 101):
        clock[0] += 0.5
        reporter.advance(step)
        reporter.validated({"step": step, **ROW})
    reporter.end()
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 10
    assert lines[0] == " 10 %  bound -12.35  D 10.00  R 2.35  active 3  20 rows/s  45 s left"
    assert lines[-1].startswith("100 %")
    assert lines[-1].endswith("20 rows/s  0 s left")


def test_lines_go_on_where_a_run_is_resumed(clock, capsys):
    reporter = LineReporter()
    reporter.begin(50, 100, 10)
    reporter.validated({"step": 55, **ROW})
    assert capsys.readouterr().err == ""
    clock[0] += 1.0
    reporter.validated({"step": 60, **ROW})
    assert capsys.readouterr().err.startswith(" 60 %")


def test_without_validation_rows_the_training_bound_is_shown(clock, capsys):
    reporter = LineReporter()
    reporter.begin(0, 10, 10)
    reporter.validated({"step": 5, **ROW, "elbo": math.nan, "distortion": math.nan})
    error = capsys.readouterr().err
    assert "train bound -11.00" in error
    assert "nan" not in error


def test_a_sentence_is_a_line_of_its_own(capsys):
    LineReporter().say("likelihood=gaussian: the values are [real] numbers.")
    assert capsys.readouterr().err == "likelihood=gaussian: the values are [real] numbers.\n"


def test_a_bar_shows_figures_and_speed():
    screen = io.StringIO()
    reporter = BarReporter(Console(file=screen, force_terminal=True, width=140, color_system=None))
    reporter.begin(0, 40, 10)
    reporter.say("Left out [column 'b'].")
    reporter.advance(20)
    reporter.validated({"step": 20, **ROW})
    reporter.end()
    text = screen.getvalue()
    assert "Left out [column 'b']." in text  # brackets are no markup
    assert "20/40" in text
    assert "bound -12.35  D 10.00  R 2.35  active 3" in text
    assert "rows/s" in text


def test_lines_where_there_is_no_terminal():
    assert isinstance(make_reporter(), LineReporter)


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TERM", raising=False)
    assert isinstance(make_reporter(), BarReporter)


def test_decoding_is_told_only_on_a_terminal(capsys):
    with decoding_progress() as tell:
        tell(1, 3)
        tell(3, 3)
    assert capsys.readouterr() == ("", "")


def test_a_failure_while_decoding_ends_the_bar():
    def fail():
        with decoding_progress() as tell:
            tell(1, 3)
            raise KeyError("picture")

    with pytest.raises(KeyError):
        fail()
