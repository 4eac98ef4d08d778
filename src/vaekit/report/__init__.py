"""The report of a run: one HTML file with figures, what they mean, curves and pictures. It needs no network."""

from __future__ import annotations

from pathlib import Path

from vaekit.errors import RunError
from vaekit.report.page import render
from vaekit.report.subject import Subject
from vaekit.runs.run import Run

__all__ = ["write_report"]


def write_report(run: Run, beside: Run | None = None, rows: object | None = None) -> Path:
    """Write report.html into the run folder; the same run gives the same bytes.

    Args:
        run: the run to report on.
        beside: another run on data of the same shape, which is measured on the same held-out rows.
        rows: the rows to measure, as `Run.evaluate` takes them; by default the held-out rows of the run's own source.

    Returns:
        The path of the report.

    Raises:
        DataError: if the source of the run cannot be opened, or now holds other data.
        RunError: if the two runs do not compare, or the folder cannot be written.
    """
    if beside is not None:
        _check_beside(run, beside)
    subject = Subject.of(run, rows)
    run.folder.write("report.html", render(subject, subject.with_run(beside) if beside is not None else None))
    return run.path / "report.html"


def _check_beside(run: Run, beside: Run) -> None:
    """Refuse two runs whose figures do not compare."""
    own, other = run.schema, beside.schema
    if run.reads_tables != beside.reads_tables:
        raise RunError(
            f"Only one of the two runs was trained on a mixed table: their data are {own.kind} and {other.kind}",
            mend="Name a run on the same table",
        )
    if run.reads_tables and (unlike := set(own.columns) ^ set(other.columns)):
        raise RunError(
            f"The two runs model different columns: '{min(unlike)}' is in only one of them",
            mend="Name a run that models the same columns",
        )
    if not run.reads_tables and own.shape != other.shape:
        raise RunError(
            f"The two runs were trained on examples of different shapes: {own.shape}, and {other.shape} in '{beside.path}'",
            mend="Name a run on the same source",
        )
    if own.context != other.context:
        names = " and ".join(str([c.name for c in schema.context]) for schema in (own, other))
        raise RunError(
            f"The two runs are given different columns, {names}, so log p(x|c) and log p(x) do not compare",
            mend="Name a run with the same data.context",
        )
