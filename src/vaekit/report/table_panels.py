"""Show the figures for the columns of a mixed table in charts, bars and tables, and say what to look for in each."""

from __future__ import annotations

import math

from vaekit.data import Column
from vaekit.evaluation.tables import Associations, HiddenCells, MarginalDistance, TableFigures
from vaekit.evaluation.tables.associations import MOST_COLUMNS, PairDifference
from vaekit.evaluation.tables.hidden import SAMPLES
from vaekit.evaluation.tables.marginals import ValueShare
from vaekit.plots.numbers import cut, nats, percent, write_value
from vaekit.report import charts
from vaekit.report.panel import Bar, Grid, Line, Meter, Panel, Section
from vaekit.report.privacy_section import privacy_section
from vaekit.report.subject import Subject

MOST_DIFFERENCES = 10
MOST_NAMED = 100
"""Most names in a list, and most columns in the table of columns."""
FAR = 3.0
"""Distances more than this many times as large as by chance are pointed out."""
SOME_MISSING = 0.01
"""Share of missing cells above which they may matter."""
IGNORED = (
    "The figures ignore missing cells. The model assumes that they are missing at random: which cells are missing depends "
    "only on the observed cells of a row."
)
MODELLED = (
    "The model also predicts which cells are missing, depending on their values: the log-likelihood and its parts cover the "
    "observed cells and the pattern of missing cells."
)
NO_TRAINING_ROWS = "The training rows are not available, so figures that need them are left out."
MISSING = "–"


def table_sections(subjects: list[Subject]) -> list[Section]:
    """Return the sections about the columns of a mixed table; with two runs, generated rows come from the first."""
    first, table = subjects[0], subjects[0].table
    whose = f" The generated rows come from {first.name}." if len(subjects) > 1 else ""
    found = [marginal_section(table, first.run.schema.modelled, whose)]
    hidden = [subject.table.hidden for subject in subjects]
    known = [each for each in hidden if each is not None]
    if table.associations is not None and len(known) == len(subjects):
        found += [association_section(table.associations, whose), hidden_section(known, [s.name for s in subjects])]
    if table.privacy is not None:
        found.append(privacy_section(table.privacy, whose))
    return [*found, columns_section(first)]


def _names(text: str, names: list[str]) -> list[tuple[str, list[str]]]:
    shown = names[:MOST_NAMED] + ([f"… and {len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else [])
    return [(text, shown)] if names else []


def marginal_section(table: TableFigures, columns: tuple[Column, ...], whose: str) -> Section:
    """Compare the distributions of held-out and generated cells of each column."""
    shown = table.marginals[:MOST_COLUMNS]
    far = sorted((m for m in shown if m.distance > FAR * m.by_chance), key=lambda m: -m.distance)
    text = (
        f"{table.compared_rows:,} held-out rows (filled) against {table.compared_rows:,} generated rows (outlined): the two should agree. "
        "The distance of numbers and dates is the largest gap between distribution functions (Kolmogorov–Smirnov), that of categories "
        "is the total variation distance: 0 means the same distribution, 1 means no overlap. The outermost bins also count the cells beyond "
        f"the axis. Frequent single values have bars under the histogram of the other values.{whose}"
    )
    missing = table.missing.held_out
    if sum(missing) / len(missing) > SOME_MISSING:
        text += " Generated rows are compared before cells are made empty, so the two may rightly differ where cells are not missing at random."
    names = [f"{cut(m.column)} ({m.distance:.2f})" for m in far]
    further = [cut(m.column) for m in table.marginals[MOST_COLUMNS:]]
    notes = [
        *_names(f"More than {FAR:g} times as far apart as by chance:", names),
        *_names(f"The first {MOST_COLUMNS} columns are shown. Not shown:", further),
    ]
    panels = [_marginal_panel(m, column) for m, column in zip(shown, columns, strict=False)]
    return Section("Each column on its own", panels, text, notes, dense=True)


def _marginal_panel(found: MarginalDistance, column: Column) -> Panel:
    if not found.cells:
        return Panel(cut(found.column), "All cells of these rows are missing.", note=found.kind)
    longest = max((max(s.held_out, s.generated) for s in found.shares), default=0.0) or 1.0
    hist, quantiles = found.histogram, (found.held_out_quantiles, found.generated_quantiles)
    lines = [_spread(column, values) for values in quantiles if values is not None]
    return Panel(
        cut(found.column),
        f"distance {found.distance:.3f}, by chance about {found.by_chance:.3f}",
        [] if hist is None else [charts.histogram(hist.edges, hist.held_out, hist.generated, hist.axis)],
        lines=[Line("real", lines[0]), Line("generated", lines[1])] if lines else [],
        bars=[_bar(column, share, longest) for share in found.shares],
        note=found.kind,
    )


def _spread(column: Column, quantiles: tuple[float, ...]) -> str:
    low, middle, high = (write_value(column, value, 3) for value in quantiles)
    text = f"median {middle}; 90 % in {low} to {high}"
    return text.replace("-", "\u2011") if column.kind == "datetime" else text  # a date stays on its line


def _bar(column: Column, share: ValueShare, longest: float) -> Bar:
    label = (
        f"{share.others:,} other value{'s' if share.others > 1 else ''}"
        if share.value is None
        else write_value(column, share.value)
    )
    texts = (percent(share.held_out), percent(share.generated))
    return Bar(label, share.held_out / longest, share.generated / longest, texts, share.value is not None)


def association_section(found: Associations, whose: str) -> Section:
    """Show the associations between all pairs of columns, in held-out rows and in generated rows."""
    title = "Associations between columns"
    if len(found.columns) < 2:
        return Section(title)
    text = (
        "Bias-corrected Cramér's V (Bergsma 2013) measures the association of each pair of columns; numbers are put into eight "
        "bins with about equally many held-out cells. With φ² = χ²/n less its value by chance, V = √(φ²/(min(rows, columns) − 1)) "
        f"for the table of counts: 0 for independent columns, 1 where one column determines the other.{whose}"
    )
    return Section(title, _association_panels(found), text)


def _association_panels(found: Associations) -> list[Panel]:
    strongest = max((max(d.held_out, d.generated) for d in found.differences), default=0.0)
    top = max(0.2, math.ceil(10 * strongest - 1e-9) / 10)
    caption = "The two pictures should look alike."
    if found.differences:
        caption += (
            f" On average over pairs, V differs by {found.gap:.3f}. Between held-out rows and as many training rows, which "
            f"differ only by chance, it differs by {found.gap_by_chance:.3f}."
        )
    differences = (
        "The pairs that differ most in V or in Spearman's rank correlation. The rank correlation needs two ordered columns; "
        "unlike V, it has a sign."
    )
    largest = [_difference(d) for d in found.differences[:MOST_DIFFERENCES]]
    head = ["columns", "V, held out → generated", "rank correlation, held out → generated"]
    return [
        Panel("Held-out rows", "", [charts.matrix(found.held_out, top)]),
        Panel("Generated rows", "", [charts.matrix(found.generated, top)]),
        Panel("Columns by number", caption, numbered=[cut(name) for name in found.columns], wide=True),
        Panel("Largest differences", differences, grid=Grid(head, largest), wide=True),
    ]


def _difference(found: PairDifference) -> list[str | Meter]:
    one, other = (cut(name) for name in found.columns)
    ranks = f"{nats(found.held_out_rank)} → {nats(found.generated_rank)}"
    known = math.isfinite(found.held_out_rank) and math.isfinite(found.generated_rank)
    return [f"{one} × {other}", f"{found.held_out:.2f} → {found.generated:.2f}", ranks if known else MISSING]


def hidden_section(hidden: list[tuple[HiddenCells, ...]], runs: list[str]) -> Section:
    """Show how well each run predicts hidden cells.

    Args:
        hidden: for each run, a record for each column.
        runs: the names of the runs.
    """
    by_name = [{each.column: each for each in found} for found in hidden]
    shown = hidden[0][:MOST_COLUMNS]
    own = [each for each in shown if each.cells]
    predicted = [each for each in own if each.is_predicted]
    rows = max((each.cells for each in own), default=0)
    text = (
        f"Observed cells of some held-out rows, at most {rows:,} of each column, are hidden once, a fifth of the cells at a time, and "
        f"predicted from the rest of their row (K = {SAMPLES} draws at most). The simple guess is the most frequent value, the median "
        "level or the mean of training rows. The error of categories is the share of wrong predictions; of ordered levels, the mean "
        "distance in levels; of numbers, the root mean squared error in standard deviations. log p is the mean log-probability of "
        "the true cell (log-density for numbers without a grid). The gain is the increase of log p over the column's own "
        "distribution, ± one standard error."
    )
    model = runs[0] if len(runs) > 1 else "the model"
    verdict = (
        f"The rest of a row helps {model} to predict {len(predicted)} of {len(own)} columns "
        "(their gain is above two standard errors)."
    )
    notes = [
        (verdict, []),
        *_names("It does not help with:", [cut(each.column) for each in own if not each.is_predicted]),
    ]
    head = ["column", "measure", "simple guess", *(word for run in runs for word in _heads(run, len(runs) > 1))]
    grid = Grid(head, [_hidden_row([found[each.column] for found in by_name]) for each in shown])
    return Section("Hidden cells", [Panel("", "", grid=grid, wide=True)], text, notes)


def _heads(run: str, named: bool) -> list[str]:
    return [f"error of {run if named else 'the model'}", "less by", f"log p of {run}" if named else "log p", "gain"]


def _hidden_row(found: list[HiddenCells]) -> list[str | Meter]:
    first = found[0]
    if not first.cells:
        return [cut(first.column), "all cells are missing", *[MISSING] * (1 + 4 * len(found))]
    measure = first.measure.replace(" ", "\u00a0")
    row: list[str | Meter] = [cut(first.column), measure, _error(first, first.baseline)]
    for each in found:
        less = round(1 - each.error / each.baseline, 2) + 0.0 if each.baseline else 0.0
        gain = nats(each.gain)
        row += [
            _error(each, each.error),
            Meter(f"{100 * less:.0f} %".replace("-", "−"), max(0.0, less), bad=less < -0.01),
            nats(each.log_prob),
            gain if math.isnan(each.gain_error) else f"{gain}\u00a0±\u00a0{nats(each.gain_error)}",
        ]
    return row


def _error(found: HiddenCells, value: float) -> str:
    return percent(value) if found.measure == "error rate" else f"{value:.2f}"


def columns_section(subject: Subject) -> Section:
    """Show each column's kind and share of missing cells, and the columns that are left out of the model."""
    columns, missing = subject.run.schema.table, subject.table.missing
    shares = [missing.held_out] if missing.train is None else [missing.held_out, missing.train]
    of_columns = iter(zip(*shares, strict=True))
    rows = [_column_row(column, next(of_columns) if column.modelled else ()) for column in columns]
    left_out = [f"{cut(c.name)} ({c.kind}: {c.reason})" for c in columns if not c.modelled and not c.context]
    text = (
        f"{percent(missing.complete_rows)} of held-out rows are complete. On average {missing.cells_per_row:.1f} of the "
        f"{len(missing.held_out)} modelled cells of a row are missing. "
        + ("" if missing.train else f"{NO_TRAINING_ROWS} ")
        + (MODELLED if subject.run.recipe.models_missing else IGNORED)
    )
    if (pattern := subject.table.pattern) is not None:
        text += f" A model of its own draws which cells of new rows are missing; of held-out rows it has {pattern}."
    notes = _names("Left out of the model:", left_out)
    if len(rows) > MOST_NAMED:
        notes.append((f"The first {MOST_NAMED} of {len(rows):,} columns are listed.", []))
    head = ["column", "kind", "missing, held-out rows", "missing, training rows", "why this kind"]
    grid = Grid(head, rows[:MOST_NAMED])
    return Section("Columns and missing cells", [Panel("", "", grid=grid, wide=True)], text, notes)


def _column_row(column: Column, missing: tuple[float, ...]) -> list[str | Meter]:
    if not missing:
        kind = f"{column.kind}, {'given' if column.context else 'left out'}"
        return [cut(column.name), kind, MISSING, MISSING, cut(column.full_reason)]
    shares: list[str | Meter] = [Meter(percent(share), share) for share in missing]
    return [cut(column.name), column.kind, *shares, *[MISSING] * (2 - len(shares)), cut(column.full_reason)]
