"""The HTML page of a report, rendered from sections by a template that escapes all text."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from importlib import resources
from pathlib import PurePath
from typing import Any

import tomli_w
from jinja2 import Environment, StrictUndefined

from vaekit.plots.numbers import with_minus
from vaekit.report import panels
from vaekit.report.account import account
from vaekit.report.calibration_section import calibration_sections
from vaekit.report.canvas import rename_equal_charts
from vaekit.report.panel import Section
from vaekit.report.subject import Subject
from vaekit.report.table_panels import table_sections
from vaekit.report.words import comparison, table

FRAME = "A line may begin outside the frame if its steep start would flatten the rest."


def render(subject: Subject, beside: Subject | None = None) -> str:
    """Render the report of a run as an HTML page.

    Args:
        subject: the run.
        beside: another run, measured on the same rows.

    Returns:
        HTML that refers to nothing outside itself.
    """
    subjects = [subject] if beside is None else [subject, beside]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((resources.files("vaekit.report") / "page.html").read_text(encoding="utf-8"))
    run = subject.run
    page = template.render(
        name=subject.name,
        facts=_facts(subject),
        cards=account(subject).cards(),
        readings=[replace(each, text=with_minus(each.text)) for each in subject.figures.readings],
        names=[s.name for s in subjects],
        table=table(subjects),
        comparison=[] if beside is None else comparison(subject, beside),
        sections=_sections(subjects),
        choices=run.provenance["choices"],
        recipe=tomli_w.dumps(run.recipe.as_json()),
        provenance=json.dumps(_without_folders(run.folder.read("provenance.json")), indent=2, ensure_ascii=False),
    )
    return rename_equal_charts(page)


def _facts(subject: Subject) -> list[tuple[str, str]]:
    run, rows = subject.run, subject.run.provenance["rows"]
    networks = run.recipe.networks
    size = f"{' × '.join(str(s) for s in run.schema.shape)} {subject.values_word}"
    return [
        ("source", _data_name(run.provenance["source"])),
        *([("measured on", f"{_data_name(subject.named.origin)}, instead of the rows held out from the source")] if subject.named else []),
        ("examples", f"{'pictures' if run.schema.picture else 'rows'} of {size} ({run.schema.kind}): {rows['train']:,} to train, {rows['validation']:,} to choose the weights, {rows['test']:,} held out"),
        ("recipe", f"{account(subject).describe()}; {run.recipe.latent}; {networks}. {run.recipe.description}".strip()),
    ]  # fmt: skip


def _data_name(origin: str) -> str:
    """Return the name of data without their folders, which are of no interest to readers elsewhere."""
    return "rows in memory" if origin == "memory" else str(_without_folders(origin))


def _without_folders(value: Any) -> Any:
    """Replace absolute paths in texts of a nested value with the names of their files."""
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    if isinstance(value, str) and "://" not in value and os.path.isabs(value):
        return PurePath(value).name or value
    return value


def _sections(subjects: list[Subject]) -> list[Section]:
    subject = subjects[0]
    codes = panels.map_panel(subject)
    found = [
        Section("Training", [*panels.training_panels(subject), account(subject).ladder()], FRAME),
        Section("What the code costs", account(subject).costs()),
    ]
    if subject.run.schema.picture:
        found.append(Section("Pictures", panels.picture_panels(subjects)))
    found.append(Section("Codes", [codes] if codes else []))
    if subject.mixed:
        found += table_sections(subjects)
    elif not subject.run.schema.picture:
        found.append(Section("Columns", panels.column_panels(subjects), _columns_text(subjects)))
    return [section for section in [*found, *calibration_sections(subject)] if section.panels]


def _columns_text(subjects: list[Subject]) -> str:
    order = f" From top to bottom: {', '.join(s.name for s in subjects)}." if len(subjects) > 1 else ""
    drawn = "".join(account(s).origin() for s in subjects)
    return (
        "Left: samples (line) should follow the held-out values (filled). Right: reconstructed values should lie along the dashed "
        f"line; the closer they lie, the more of a column the code keeps.{order}{drawn}"
    )
