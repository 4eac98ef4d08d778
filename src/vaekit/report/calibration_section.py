"""Show whether the probabilities of a run can be trusted: coverage, positions of true values, the posterior, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vaekit.evaluation import BoundFigures
from vaekit.evaluation.calibration import Calibration, CellCalibration
from vaekit.evaluation.calibration.cells import ColumnCalibration
from vaekit.evaluation.calibration.record import MATERIAL
from vaekit.evaluation.calibration.simulation import Simulation
from vaekit.evaluation.calibration.uniformity import Uniformity
from vaekit.plots.numbers import cut, percent, with_minus
from vaekit.report import charts
from vaekit.report.canvas import NOT_DRAWN
from vaekit.report.panel import Grid, Meter, Panel, Section
from vaekit.report.subject import Subject

MOST_COLUMNS = 12
MISSING = "–"


def calibration_sections(subject: Subject) -> list[Section]:
    """Return the sections about calibration; empty for a model without a likelihood."""
    figures = subject.figures
    if not isinstance(figures, BoundFigures) or figures.calibration is None:
        return []
    found = figures.calibration
    whose = f" All of this is about {subject.name}."
    text = (
        "If a distribution is right, the position u of the truth in it is uniform on (0, 1). The line should stay in the shaded "
        "band. It rises above and then falls below where distributions are too narrow, falls below and then rises above where they "
        f"are too wide, and stays on one side where they are shifted.{whose}"
    )
    verdicts = [replace(each, text=with_minus(each.text)) for each in found.verdicts]
    tables = [_table(cells, found.recalibrated_rows) for cells in found.cells[:1]]
    panels = [*_coverage(found), *_reliability(found.cells), *_posterior(found.posterior), *tables]
    sections = [Section("Can the probabilities be trusted?", panels, text, verdicts=verdicts)]
    return [*sections, *(_columns(cells) for cells in found.cells[:1])]


def _coverage(found: Calibration) -> list[Panel]:
    groups = [
        (f"{what}\n({cells.hidden})", group)
        for cells in found.cells
        for what, group in (("numbers", cells.numbers), ("categories", cells.categories))
        if group is not None
    ]
    if not groups:
        return []
    own, returned = (
        np.array([[each.share for each in getattr(group, which)] for _, group in groups])
        for which in ("own", "returned")
    )
    errors = np.array([[each.error for each in group.returned] for _, group in groups])
    levels = np.array([each.level for each in groups[0][1].own])
    source = (
        f"Levels were recalibrated on {found.recalibrated_rows:,} validation rows that did not choose the weights."
        if found.recalibrated_rows
        else "Levels were not recalibrated: too few validation rows were left for it."
    )
    caption = (
        "Cells of held-out rows are hidden, at random or as cells of the training rows are missing. The filled dots, which are "
        f"the intervals that the run returns, should lie on the dashed lines; bars are two standard errors. {source}"
    )
    drawn = charts.coverage([name for name, _ in groups], levels, own, returned, errors)
    return [Panel("Coverage of hidden cells", caption, [drawn])]


def _reliability(found: tuple[CellCalibration, ...]) -> list[Panel]:
    if not found or (shares := found[0].reliability) is None:
        return []
    drawn = charts.reliability(*(np.array(part) for part in (shares.confidence, shares.accuracy, shares.counts)))
    caption = (
        "Dots should lie on the dashed line; below it, the model is too sure. The expected calibration error is "
        f"{shares.error:.3f}, by chance {shares.by_chance:.3f}."
    )
    return [Panel("Probabilities of hidden categories", caption, [drawn])]


def _posterior(found: Simulation) -> list[Panel]:
    weighted, encoder = found.worst(found.weighted), found.worst(found.encoder)
    return [
        Panel("Posterior with importance weights",
              f"Codes of {found.rows} rows that the model itself drew, among {found.samples} weighted draws of the posterior "
              f"({found.effective:.0f} effective ones), from which cells are filled. Shown is {_which(weighted)}.",
              [_positions(weighted)]),
        Panel("The encoder's q alone",
              "The same codes among draws of q with equal weights. A model that was trained by an importance-weighted bound need "
              f"not have the posterior as its q. Shown is {_which(encoder)}.",
              [_positions(encoder)]),
    ]  # fmt: skip


def _which(found: Uniformity) -> str:
    fault = f": {found.fault}" if found.fault else ""
    return f"{found.name}, which is furthest from uniform of all latent dimensions and log p(x|z){fault}"


def _positions(found: Uniformity, small: bool = False) -> str:
    if not any(found.counts):
        return NOT_DRAWN
    draw = charts.column_positions if small else charts.positions
    return draw(*(np.array(part) for part in (found.counts, found.lower, found.upper)))


def _columns(cells: CellCalibration) -> Section:
    panels = [
        Panel(
            cut(each.column),
            each.positions.fault or "within the band",
            [_positions(each.positions, True)],
            note=each.kind,
        )
        for each in cells.columns
        if each.positions is not None
    ]
    more = f" The first {MOST_COLUMNS} columns are shown." if len(panels) > MOST_COLUMNS else ""
    text = f"Positions of hidden cells in the model's own distributions, before levels are recalibrated.{more}"
    return Section("Positions of hidden cells", panels[:MOST_COLUMNS], text, dense=True)


def _table(cells: CellCalibration, rows: int) -> Panel:
    known = [each for each in cells.columns if each.positions is not None]
    shares = [f"inside {100 * each.level:g} %" for each in known[0].coverage] if known else []
    caption = (
        f"Cells of {cells.rows:,} rows, hidden {cells.hidden}: the share inside the intervals and sets which the run "
        f"returns{', with recalibrated levels' if rows else ''}. Shares that are off by more than chance are marked."
    )
    grid = Grid(["column", "cells", *shares, "the model's own distribution"], [_row(each) for each in known])
    return Panel("Hidden cells of each column", caption, grid=grid, wide=True)


def _row(found: ColumnCalibration) -> list[str | Meter]:
    shares: list[str | Meter] = [
        Meter(percent(each.share), each.share, abs(each.share - each.level) > max(2.5 * each.error, 0.02))
        for each in found.coverage
    ]
    positions = found.positions
    fault = "" if positions is None else positions.fault
    far = positions is not None and positions.distance > MATERIAL
    told = f"{fault}{'' if far else ' (a small difference)'}" if fault else "fits"
    return [cut(found.column), f"{found.cells:,}", *shares, told if positions is not None else MISSING]
