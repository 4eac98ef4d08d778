"""What one wants to see before one trusts a model of a mixed table: charts, bars and tables, with what they should look like."""

from __future__ import annotations

import math

import numpy as np

from vaekit.data import Column
from vaekit.report import table_charts
from vaekit.report.dependence import Dependence, Difference, measure_dependence
from vaekit.report.hidden import Told, tell_cells
from vaekit.report.marginals import Compared, Share, compare
from vaekit.report.numbers import nats, percent
from vaekit.report.panel import Bar, Grid, Line, Meter, Panel, Section, cut
from vaekit.report.subject import Subject
from vaekit.report.table_rows import MOST_COLUMNS, TableRows

MOST_DIFFERENCES = 10
MOST_NAMED = 100
"""Names in a list, and columns in the table of all columns."""
MOST_SAMPLED = 20_000
FAR = 3.0
"""A distance this many times as large as chance makes it is told."""
SOME_MISSING = 0.01
"""Share of missing cells from which on they may make a difference."""
IGNORED = "Missing cells count in no figure; the model takes it that the rest of a row explains why they are missing, and nothing else does."
MODELLED = (
    "The model tells which cells are missing too, by what they hold: log-likelihood and its parts are of the cells that are there and of "
    "which are missing."
)
NO_TRAINING_ROWS = "The training rows cannot be had: what would be told by them is left out."
MISSING = "–"


def table_sections(subjects: list[Subject]) -> list[Section]:
    """Everything about the columns of a table; where there are two runs, generated rows are those of the first."""
    rows = TableRows.of(subjects[0])
    whose = f" Generated rows are those of {subjects[0].name}." if len(subjects) > 1 else ""
    further = [cut(column.name) for column in subjects[0].run.schema.modelled[MOST_COLUMNS:]]
    not_shown = _names(f"The first {MOST_COLUMNS} columns are shown. Not shown:", further)
    found = [marginal_section(rows, whose, not_shown)]
    if all(subject.train for subject in subjects):
        found += [dependence_section(rows, whose), hidden_section(subjects)]
    return [*found, columns_section(subjects[0])]


def _names(text: str, names: list[str]) -> list[tuple[str, list[str]]]:
    shown = names[:MOST_NAMED] + ([f"… and {len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else [])
    return [(text, shown)] if names else []


def marginal_section(rows: TableRows, whose: str, not_shown: list[tuple[str, list[str]]]) -> Section:
    """Each column, generated cells against held-out ones."""
    found = compare(rows)
    far = sorted((c for c in found if c.distance > FAR * c.chance), key=lambda c: -c.distance)
    text = (
        f"{len(rows.real):,} held-out rows (filled) against {len(rows.generated):,} generated ones (outlined): the two should agree. "
        "Their distance is the largest gap between distribution functions for numbers and dates (Kolmogorov–Smirnov) and the total "
        "variation for lists: 0 is the same, 1 altogether different. Cells beyond an axis count in its outermost bins; frequent "
        f"single values have bars under the histogram of the others.{whose}"
    )
    if np.isnan(rows.real).mean() > SOME_MISSING:
        text += " Generated rows are complete: where cells are missing by more than chance, the two may rightly differ."
    told = _names(
        f"Further apart than {FAR:g} times chance:", [f"{cut(c.column.name)} ({c.distance:.2f})" for c in far]
    )
    return Section("Each column by itself", [_marginal_panel(c) for c in found], text, [*told, *not_shown], dense=True)


def _marginal_panel(compared: Compared) -> Panel:
    column, hist = compared.column, compared.histogram
    if not compared.cells:
        return Panel(cut(column.name), "No cell of these rows is there.", note=column.kind)
    longest = max((max(s.real, s.generated) for s in compared.shares), default=0.0) or 1.0
    return Panel(
        cut(column.name),
        f"distance {compared.distance:.3f}, by chance about {compared.chance:.3f}",
        [] if hist is None else [table_charts.histogram(hist.edges, hist.real, hist.generated, hist.axis)],
        lines=[Line("real", compared.spreads[0]), Line("generated", compared.spreads[1])] if compared.spreads else [],
        bars=[_bar(share, longest) for share in compared.shares],
        note=column.kind,
    )


def _bar(share: Share, longest: float) -> Bar:
    others = f"{share.others:,} other value{'s' if share.others > 1 else ''}"
    texts = (percent(share.real), percent(share.generated))
    return Bar(
        others if share.others else share.label,
        share.real / longest,
        share.generated / longest,
        texts,
        not share.others,
    )


def dependence_section(rows: TableRows, whose: str) -> Section:
    """Associations of all pairs of columns."""
    if len(rows.columns) < 2:
        return Section("Dependence between columns")
    text = (
        "How strongly each column hangs together with each other: Cramér's V without its bias (Bergsma 2013), numbers cut into eight "
        "bins with about equally many held-out cells. With φ² = χ²/n less what chance makes of it, V = √(φ²/(min(rows, columns) − 1)) "
        f"of the table of counts: 0 for independent columns, 1 where one tells the other.{whose}"
    )
    return Section("Dependence between columns", _dependence_panels(rows, measure_dependence(rows)), text)


def _dependence_panels(rows: TableRows, found: Dependence) -> list[Panel]:
    strongest = max((max(d.real, d.generated) for d in found.differences), default=0.0)
    top = max(0.2, math.ceil(10 * strongest - 1e-9) / 10)
    caption = "The two pictures should look alike."
    if found.differences:
        caption += (
            f" On average over pairs V differs by {found.gap:.3f}, and by {found.chance:.3f} between held-out rows and as many "
            "training rows, which is what chance makes."
        )
    differences = (
        "Between columns that have an order Spearman's rank correlation stands beside V, as it tells rising from falling: "
        "the pairs are those that differ most in either."
    )
    largest = [_difference(rows.names, d) for d in found.differences[:MOST_DIFFERENCES]]
    head = ["columns", "V, held out → generated", "rank correlation, held out → generated"]
    return [
        Panel("Held-out rows", "", [table_charts.matrix(found.real, top)]),
        Panel("Generated rows", "", [table_charts.matrix(found.generated, top)]),
        Panel("Columns by number", caption, numbered=rows.names, wide=True),
        Panel("Largest differences", differences, grid=Grid(head, largest), wide=True),
    ]


def _difference(names: list[str], found: Difference) -> list[str | Meter]:
    one, other = (names[i] for i in found.pair)
    ranks = f"{nats(found.rank_real)} → {nats(found.rank_generated)}"
    known = math.isfinite(found.rank_real) and math.isfinite(found.rank_generated)
    return [f"{one} × {other}", f"{found.real:.2f} → {found.generated:.2f}", ranks if known else MISSING]


def hidden_section(subjects: list[Subject]) -> Section:
    """How well each run tells hidden cells."""
    told = [tell_cells(subject) for subject in subjects]
    shown = list(told[0])[:MOST_COLUMNS]
    own = [told[0][name] for name in shown if told[0][name].cells]
    gained = [t for t in own if t.gain > 2 * t.gain_error]
    rows = max((t.cells for t in own), default=0)
    text = (
        f"Observed cells of some held-out rows, at most {rows:,} of a column, are hidden once each, a fifth of the cells at a time, and filled "
        "from what is left of their row (K = 50 draws at most). The simple guess is the most frequent value, the median level or the mean of "
        "training rows. Errors are: of lists the share of cells that are filled wrongly, of ordered levels the mean distance in levels, of "
        "numbers the root mean squared error in standard deviations. log p is the mean log-probability (of numbers without a "
        "step, log-density) of the true cell; its gain is over the column's own distribution, ± one standard error."
    )
    by = f" {subjects[0].name}" if len(subjects) > 1 else " the model"
    verdict = f"The rest of a row tells{by} something of {len(gained)} of {len(own)} columns (a gain above two standard errors)."
    names = [(verdict, []), *_names("It tells nothing of:", [cut(t.column.name) for t in own if t not in gained])]
    head = ["column", "measure", "simple guess", *(w for s in subjects for w in _heads(s, subjects))]
    grid = Grid(head, [_told_row([each[name] for each in told]) for name in shown])
    return Section("Hidden cells", [Panel("", "", grid=grid, wide=True)], text, names)


def _heads(subject: Subject, subjects: list[Subject]) -> list[str]:
    by = f" of {subject.name}" if len(subjects) > 1 else ""
    return [f"error{by or ' of the model'}", "less by", f"log p{by}", "gain"]


def _told_row(told: list[Told]) -> list[str | Meter]:
    first = told[0]
    if not first.cells:
        return [cut(first.column.name), "no cell is there", *[MISSING] * (1 + 4 * len(told))]
    cells: list[str | Meter] = [
        cut(first.column.name),
        first.measure.replace(" ", "\u00a0"),
        _error(first, first.baseline),
    ]
    for t in told:
        less = round(1 - t.error / t.baseline, 2) + 0.0 if t.baseline else 0.0
        gain = nats(t.gain) if math.isnan(t.gain_error) else f"{nats(t.gain)}\u00a0±\u00a0{nats(t.gain_error)}"
        cells += [
            _error(t, t.error),
            Meter(f"{100 * less:.0f} %".replace("-", "−"), max(0.0, less), bad=less < -0.01),
            nats(t.log_prob),
            gain,
        ]
    return cells


def _error(told: Told, value: float) -> str:
    return percent(value) if told.measure == "error rate" else f"{value:.2f}"


def columns_section(subject: Subject) -> Section:
    """What the columns are taken to be, which cells are missing, and what is left out."""
    table = subject.run.schema.table
    held_out = np.isnan(np.asarray(subject.some(MOST_SAMPLED).take(0, MOST_SAMPLED), np.float64))
    shares = [held_out.mean(0)]
    if subject.train:
        shares.append(
            np.isnan(np.asarray(subject.train.subset(MOST_SAMPLED, 0).take(0, MOST_SAMPLED), np.float64)).mean(0)
        )
    of_columns = iter(zip(*shares, strict=True))
    rows = [_column_row(column, next(of_columns) if column.modelled else ()) for column in table]
    left_out = [f"{cut(c.name)} ({c.kind}: {c.reason})" for c in table if not c.modelled and not c.context]
    missing = held_out.sum(1)
    text = (
        f"{percent(float((missing == 0).mean()))} of held-out rows are complete; {missing.mean():.1f} of "
        f"{held_out.shape[1]} modelled cells of a row are missing on average. "
        + ("" if subject.train else f"{NO_TRAINING_ROWS} ")
        + (MODELLED if subject.run.recipe.likelihood.missing == "modelled" else IGNORED)
    )
    names = _names("Left out of the model:", left_out)
    if len(rows) > MOST_NAMED:
        names.append((f"The first {MOST_NAMED} of {len(rows):,} columns are listed.", []))
    head = ["column", "kind", "missing held out", "missing in training", "what was seen"]
    return Section(
        "Columns and missing cells", [Panel("", "", grid=Grid(head, rows[:MOST_NAMED]), wide=True)], text, names
    )


def _column_row(column: Column, missing: tuple[float, ...]) -> list[str | Meter]:
    if not missing:
        return [
            cut(column.name),
            f"{column.kind}, {'given' if column.context else 'left out'}",
            MISSING,
            MISSING,
            cut(column.reason),
        ]
    shares: list[str | Meter] = [Meter(percent(float(share)), float(share)) for share in missing]
    return [cut(column.name), column.kind, *shares, *[MISSING] * (2 - len(shares)), cut(column.reason)]
