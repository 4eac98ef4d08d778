"""The report of a run: one HTML file with results, explanations, training curves and pictures, readable offline."""

from __future__ import annotations

from pathlib import Path

from vaekit.folder import REPORT
from vaekit.report.page import render
from vaekit.report.subject import Subject
from vaekit.runs.compare import check_comparable
from vaekit.runs.run import Run

__all__ = ["write_report"]


def write_report(run: Run, beside: Run | None = None, rows: object | None = None) -> Path:
    """Write a run's report as report.html into the run's folder; the same run gives the same bytes.

    Args:
        run: the run to report on.
        beside: another run on data of the same shape; it is measured on the same rows.
        rows: the rows to measure, as `Run.evaluate` takes them; by default the run's held-out rows.

    Returns:
        The path of the report.

    Raises:
        DataError: if the source of the run cannot be opened, or its data have changed.
        RunError: if the two runs cannot be compared, or the folder cannot be written.
    """
    if beside is not None:
        check_comparable(run, beside)
    subject = Subject.of(run, rows)
    run.folder.write(REPORT, render(subject, subject.with_run(beside) if beside is not None else None))
    return run.folder.report
