"""The report of a run: one HTML file with figures, what they mean, curves and pictures; it needs no network."""

from __future__ import annotations

from pathlib import Path

from vaekit.errors import RunError
from vaekit.report.page import render
from vaekit.report.subject import Subject
from vaekit.runs.run import Run

__all__ = ["write_report"]


def write_report(run: Run, beside: Run | None = None, rows: object | None = None) -> Path:
    """Write RUN/report.html; the same run gives the same bytes.

    Args:
        run: the run that the report is about.
        beside: another run on data of the same shape, measured on the same held-out rows.
        rows: what is measured, as `Run.evaluate` takes it; by default the held-out rows of the run's own source.

    Returns:
        Where the report is.

    Raises:
        DataError: if the source of the run cannot be opened, or holds other data now.
        RunError: if the two runs do not fit together, or the folder cannot be written.
    """
    if beside is not None and "mixed" in (run.schema.kind, beside.schema.kind):
        _check_tables(run, beside)
    elif beside is not None and beside.schema.shape != run.schema.shape:
        raise RunError(
            f"the run beside must be trained on examples of the same shape, {run.schema.shape}",
            f"{beside.schema.shape} in '{beside.path}'",
            "Name a run on the same source",
        )
    if beside is not None and run.schema.context != beside.schema.context:
        raise RunError(
            "the run beside must be given the same columns, as log p(x|c) and log p(x) do not compare",
            f"{[c.name for c in run.schema.context]} and {[c.name for c in beside.schema.context]}",
            "Name a run with the same data.context",
        )
    subject = Subject.of(run, rows)
    run.folder.write("report.html", render(subject, subject.judge(beside) if beside is not None else None))
    return run.path / "report.html"


def _check_tables(run: Run, beside: Run) -> None:
    """Refuse two runs of which only one is on a mixed table, or which model other columns: likelihoods would not compare."""
    kinds = (run.schema.kind, beside.schema.kind)
    if kinds != ("mixed", "mixed"):
        raise RunError(
            "of two runs both or neither must be of a mixed table",
            f"{kinds[0]} and {kinds[1]}",
            "Name a run that models the same table",
        )
    one, other = (set(r.schema.columns) for r in (run, beside))
    if one != other:
        name = min(one ^ other)
        raise RunError("two runs on tables must model the same columns", f"'{name}' in only one of them")
