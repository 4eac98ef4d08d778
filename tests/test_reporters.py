"""Progress is shown where a person watches, and nowhere else."""

import math
import sys
import types

import numpy as np
import pytest

import vaekit
from vaekit import reporters
from vaekit.reporters import (
    BarReporter,
    LineReporter,
    Reporter,
    choose_reporter,
    is_watched,
    make_reporter,
    quiet,
    track,
)

ROW = {"elbo": -12.345, "train_elbo": -11.0, "distortion": 10.0, "rate": 2.345, "active_units": 3.0, "kl_weight": 1.0}


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward by hand."""
    now = [100.0]
    monkeypatch.setattr(reporters.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch):
    """A person before a terminal."""
    monkeypatch.setattr(reporters, "in_terminal", lambda: True)


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
    for reporter in (LineReporter(), BarReporter()):
        reporter.say("likelihood=gaussian: the values are [real] numbers.")
        assert capsys.readouterr().err == "likelihood=gaussian: the values are [real] numbers.\n"


def test_a_bar_shows_figures_and_rows(capsys):
    reporter = BarReporter()
    reporter.begin(0, 40, 10)
    reporter.validated({"step": 20, **ROW})
    reporter.advance(20)
    reporter.say("Left out [column 'b'].")
    reporter.bar.refresh()
    reporter.end()
    text = capsys.readouterr().err
    assert "Left out [column 'b']." in text
    assert "200/400" in text
    assert "bound -12.35  D 10.00  R 2.35  active 3" in text
    assert "rows/s" in text


def test_who_reports_where():
    assert type(choose_reporter()) is Reporter
    assert type(make_reporter()) is LineReporter
    assert type(choose_reporter(True)) is BarReporter


def test_who_reports_on_a_terminal(terminal):
    assert type(choose_reporter()) is BarReporter
    assert type(make_reporter()) is BarReporter
    assert type(choose_reporter(False)) is Reporter
    with quiet():
        assert type(choose_reporter()) is Reporter
    assert is_watched()


def test_a_notebook_is_watched(monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert is_watched()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not is_watched()


def test_searches_and_workers_draw_no_bars(terminal, capsys):
    from sklearn.model_selection import GridSearchCV, cross_val_score

    X = np.random.default_rng(0).normal(size=(40, 2))
    vae = vaekit.VAE(epochs=1, random_state=0)
    cross_val_score(vae, X, cv=2)
    GridSearchCV(vae, {"latent_dim": [1, 2]}, cv=2, refit=False).fit(X)
    assert capsys.readouterr().err == ""
    vae.fit(X)
    assert "training" in capsys.readouterr().err


def test_training_is_silent_on_request(terminal, capsys, tmp_path):
    settings = {"training.epochs": 1}
    vaekit.train("digits", settings=settings, out=tmp_path / "silent", progress=False)
    assert capsys.readouterr() == ("", "")
    vaekit.train("digits", settings=settings, out=tmp_path / "told")
    told = capsys.readouterr().err
    assert told.count("likelihood=") == 1  # the choices, once
    assert "training" in told


def test_long_work_has_one_bar(terminal, capsys, monkeypatch):
    monkeypatch.setattr(reporters, "PATIENCE", 0.0)
    with track(10) as advance:
        advance(4)
        with track(100) as inner:
            inner(50)
        advance(6)
    told = capsys.readouterr().err
    assert "/10.0" in told or "/10 " in told
    assert "100" not in told.replace("100%", "")


def test_short_work_has_no_bar(terminal, capsys):
    with track(10) as advance:
        advance(10)
    assert capsys.readouterr().err == ""
    assert is_watched()


def test_a_failure_ends_the_bar(terminal):
    def fail():
        with track(3):
            raise KeyError("picture")

    with pytest.raises(KeyError):
        fail()
    assert is_watched()
