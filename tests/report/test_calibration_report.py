"""The sections of a report about calibration say what was measured, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pages import report

import vaekit
from mixed_frames import SMALL, make_frame
from vaekit.plots.numbers import with_minus
from vaekit.report.calibration_section import calibration_sections
from vaekit.report.subject import Subject


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    make_frame().to_parquet(folder / "mixed.parquet")
    return vaekit.train(folder / "mixed.parquet", settings=SMALL, out=folder / "run")


def test_verdicts_charts_and_columns_are_on_the_page(run):
    page, found = report(run), run.evaluate().calibration
    assert "Can the probabilities be trusted?" in page.text
    for verdict in found.verdicts:
        assert " ".join(with_minus(verdict.text).split()) in page.text
    for title in ("Coverage of hidden cells", "Posterior with importance weights", "The encoder's q alone"):
        assert title in page.text
    labels = [attributes.get("aria-label", "") for tag, attributes in page.elements if tag == "svg"]
    known = [each for each in found.cells[0].columns if each.cells]
    counts = [f"{each.cells} positions, off by" for each in known]
    assert all(any(label.startswith(count) for label in labels) for count in counts)


def test_a_model_without_these_figures_has_no_section(run):
    subject = Subject.of(run)
    bare = replace(subject, figures=replace(subject.figures, calibration=None))
    assert calibration_sections(bare) == []
    without = replace(subject.figures.calibration, cells=())
    (section,) = calibration_sections(replace(subject, figures=replace(subject.figures, calibration=without)))
    assert [panel.title for panel in section.panels] == ["Posterior with importance weights", "The encoder's q alone"]
