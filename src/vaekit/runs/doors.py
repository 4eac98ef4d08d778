"""What users expect on a run, although a later room does it. No other file imports a later room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.runs.run import Run


def write_report(run: Run, beside: Run | None, rows: object | None) -> Path:
    """Write the report of a run, as `vaekit.report.write_report` does."""
    from vaekit.report import write_report

    return write_report(run, beside, rows)


def explore(run: Run, rows: object | None) -> Any:
    """Return the page of an explorer, as `vaekit.explorer.explore` does."""
    from vaekit.explorer import explore

    return explore(run, rows)
