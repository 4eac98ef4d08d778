"""Reports of runs whose files someone has changed, and of rows that are named: they are made, and ask nobody for anything."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import Page

import vaekit
from builders import write_sealed
from vaekit.errors import DataError, RunError
from vaekit.folder import RunFolder
from vaekit.report import charts, write_report

SMALL = {"training.epochs": 2, "training.validations": 2, "latent_dim": 2, "evaluation.samples": 3}
SMALL |= {"encoder.hidden": [8], "decoder.hidden": [8]}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OUTSIDE = "http://vaekit.invalid/picture.png"


@pytest.fixture
def run(digits_run, tmp_path):
    return shutil.copytree(digits_run.path, tmp_path / "run")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("people") / "people.csv"
    cells = zip(rng.normal(size=90).round(2), rng.choice(list("xyz"), 90), rng.random(90) < 0.1, strict=True)
    path.write_text("a,b\n" + "".join(f"{'' if hole else a},{b}\n" for a, b, hole in cells))
    return path


def change(run, **values):
    content = json.loads((run / "provenance.json").read_text())
    write_sealed(run / "provenance.json", json.dumps(content | values, indent=2))


def test_the_page_lets_nothing_in_from_outside(run):
    change(run, choices=[f"<img src='{OUTSIDE}'>", OUTSIDE])
    page = Page(write_report(vaekit.load(run)).read_text(encoding="utf-8"))
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert page.html.index("Content-Security-Policy") < page.html.index("<style>")
    assert all(a["src"].startswith("data:") for tag, a in page.elements if tag == "img")


def requests(page: Path, place: Path) -> str:
    """What Chromium notes of the network while it shows a page."""
    quiet = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
    options = [f"--{option}" for option in f"{quiet} disable-component-update".split()]
    log = place / "net.json"
    command = [
        CHROMIUM,
        *options,
        f"--user-data-dir={place / 'user'}",
        f"--log-net-log={log}",
        "--dump-dom",
        page.as_uri(),
    ]
    browser = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        shown, _ = browser.communicate(timeout=60)
    finally:
        if browser.poll() is None:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.communicate()
    assert b"Log-likelihood" in shown
    return log.read_text(errors="replace")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_that_shows_the_page_makes_no_request(run, tmp_path):
    path = write_report(vaekit.load(run))
    text = path.read_text(encoding="utf-8").replace("</main>", f"<img src='{OUTSIDE}'></main>")
    path.write_text(text, encoding="utf-8")
    assert OUTSIDE not in requests(path, tmp_path)
    path.write_text(re.sub(r"<meta http-equiv[^>]*>", "", text), encoding="utf-8")
    assert OUTSIDE in requests(path, tmp_path)  # what would have been seen


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e5])
def test_weights_that_are_all_equal_are_reported(run, value):
    folder = RunFolder(run)
    tensors, noted = folder.read_tensors("weights.safetensors")
    folder.write_tensors("weights.safetensors", {k: torch.full_like(v, value) for k, v in tensors.items()}, noted)
    page = write_report(vaekit.load(run)).read_text(encoding="utf-8")
    assert "All figures" in page
    assert ("This chart is not drawn: some numbers are missing, infinite or above 1e30" in page) == (value == 0)


@pytest.mark.parametrize("value", [math.nan, -math.inf, 1e38, -1e38])
def test_weights_beyond_all_arithmetic_are_refused(run, value):
    folder = RunFolder(run)
    tensors, noted = folder.read_tensors("weights.safetensors")
    folder.write_tensors("weights.safetensors", {k: torch.full_like(v, value) for k, v in tensors.items()}, noted)
    with pytest.raises(RunError, match="are not finite, or exceed 1e\\+18"):
        vaekit.load(run)


@pytest.mark.parametrize("cell", ["1e38", "inf", "nan", "1e308", "0"])
def test_metrics_that_no_axis_can_show_are_named(run, cell):
    lines = (run / "metrics.csv").read_text().splitlines()[:-1]
    rows = [lines[0], *(",".join([line.split(",")[0], *[cell] * (len(line.split(",")) - 1)]) for line in lines[1:])]
    write_sealed(run / "metrics.csv", "\n".join(rows) + "\n")
    page = write_report(vaekit.load(run)).read_text(encoding="utf-8")
    assert ("This chart is not drawn" in page) == (cell in ("1e38", "inf", "1e308"))


def test_a_chart_of_numbers_that_are_none_is_left_out():
    drawn = charts.ladder({"a": math.nan, "b": 1.0}, {}, str, "nats")
    assert drawn == '<p class="soft">This chart is not drawn: some numbers are missing, infinite or above 1e30.</p>'
    assert charts.ladder({"a": 2.0, "b": 1.0}, {}, str, "nats").startswith("<svg")


@pytest.mark.parametrize("kind", ["table", "pictures"])
def test_a_run_whose_source_is_gone_is_reported_on_named_rows(tmp_path, people, kind, call):
    source = tmp_path / ("rows.csv" if kind == "table" else "rows.npy")
    if kind == "table":
        shutil.copy(people, source)
    else:
        np.save(source, vaekit.data.open_source("digits").values[:90])
    vaekit.train(source, settings=SMALL, out=tmp_path / "run")
    source.rename(there := source.with_stem("moved"))
    message = r"The run's own data cannot be read: The source .* does not exist.*Pass the rows to measure\."
    for verb in ("evaluate", "report"):
        outcome = call(verb, tmp_path / "run")
        assert re.search(message, outcome.err)
    assert call("report", tmp_path / "run", there).code == 0
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert "instead of the rows held out" not in page.text  # the moved rows are the run's own
    assert "so the figures are not held-out figures" not in page.text
    assert "ELBO on training rows" in page.text
    other = there.with_stem("other")
    if kind == "table":
        other.write_text("".join(there.read_text().splitlines(keepends=True)[:60]))
    else:
        np.save(other, np.load(there)[:60])
    assert call("report", tmp_path / "run", other).code == 0
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert f"{other.name}, instead of the rows held out from the source" in page.text
    assert str(tmp_path) not in page.html
    assert re.search(r"trained on \d\d of these \d\d rows", page.text)
    assert ("The training rows are not available" in page.text) == (kind == "table")
    assert "ELBO on training rows" not in page.text


def test_named_rows_are_those_that_are_measured(people, tmp_path):
    read = vaekit.train(people, settings=SMALL, out=tmp_path / "run")
    few = tmp_path / "few.csv"
    few.write_text("a,b\n0.12,x\n-0.3,y\n,z\n1.5,x\n")
    page = Page(write_report(read, rows=few).read_text(encoding="utf-8"))
    assert page.cell("held-out examples") == "4"
    value = read.evaluate(few).elbo
    assert page.cell("ELBO") == f"{value:.2f}".replace("-", "−")
    with pytest.raises(DataError, match="columns"):
        write_report(read, rows=np.zeros((3, 7)))
