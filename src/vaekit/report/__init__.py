"""The report of a run: one HTML file with results, explanations, training curves and pictures, readable offline."""

from __future__ import annotations

from pathlib import Path

from vaekit.errors import RunError
from vaekit.report.page import render
from vaekit.report.subject import Subject
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
        _check_beside(run, beside)
    subject = Subject.of(run, rows)
    run.folder.write("report.html", render(subject, subject.with_run(beside) if beside is not None else None))
    return run.path / "report.html"


def _check_beside(run: Run, beside: Run) -> None:
    """Raise a `RunError` if the results of two runs cannot be compared."""
    own, other = run.schema, beside.schema
    if run.reads_tables != beside.reads_tables:
        raise RunError(
            f"Only one of the two runs was trained on a mixed table: their data are {own.kind} and {other.kind}",
            mend="Choose a run on the same table",
        )
    if run.reads_tables and (unlike := set(own.columns) ^ set(other.columns)):
        raise RunError(
            f"The two runs model different columns: '{min(unlike)}' is in only one of them",
            mend="Choose a run that models the same columns",
        )
    if not run.reads_tables and own.shape != other.shape:
        raise RunError(
            f"The two runs were trained on examples of different shapes: {own.shape} and {other.shape}",
            mend="Choose a run on the same source",
        )
    if own.context != other.context:
        names = " and ".join(str([c.name for c in schema.context]) for schema in (own, other))
        raise RunError(
            f"The two runs are conditional on different columns, {names}, so their likelihoods cannot be compared",
            mend="Choose a run with the same data.context",
        )
