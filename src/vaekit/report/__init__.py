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
    kinds, columns = ([run.schema.kind, beside.schema.kind], [set(r.schema.columns) for r in (run, beside)])
    if kinds.count("mixed") == 1:
        raise RunError(
            f"Only one of the two runs was trained on a mixed table: their data are {kinds[0]} and {kinds[1]}",
            mend="Name a run on the same table",
        )
    if "mixed" in kinds and columns[0] != columns[1]:
        raise RunError(
            f"The two runs model different columns: '{min(columns[0] ^ columns[1])}' is in only one of them",
            mend="Name a run that models the same columns",
        )
    if "mixed" not in kinds and beside.schema.shape != run.schema.shape:
        raise RunError(
            f"The two runs were trained on examples of different shapes: {run.schema.shape}, "
            f"and {beside.schema.shape} in '{beside.path}'",
            mend="Name a run on the same source",
        )
    if run.schema.context != beside.schema.context:
        names = " and ".join(str([c.name for c in r.schema.context]) for r in (run, beside))
        raise RunError(
            f"The two runs are given different columns, {names}, so log p(x|c) and log p(x) do not compare",
            mend="Name a run with the same data.context",
        )
