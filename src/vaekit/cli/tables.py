"""Print tables on standard output."""

from __future__ import annotations

import math
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from vaekit.data import Column, Schema, make_notes, make_schema, open_both, split_source
from vaekit.evaluation import Estimate, Figures, diagnose, first_remedy
from vaekit.recipe import describe_keys, load_recipe, recipe_names, resolve
from vaekit.runs.remedy import Trial
from vaekit.runs.run import Run

console = Console(highlight=False)
MOST_COLUMNS = 200
"""Columns that `describe` shows, at most."""
SIGNS = {"good": "+", "note": "·", "warning": "!"}


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _pairs(rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    console.print(table, markup=False)


def show_figures(run: Run, figures: Figures) -> None:
    """Print the metrics of a run, and explain what they mean."""
    _pairs(figures.rows())
    console.print()
    readings = diagnose(figures, run.accepts)
    for reading in readings:
        console.print(f"{SIGNS[reading.level]} {reading.text} {reading.advice}".rstrip(), markup=False)
    if (remedy := first_remedy(readings)) is not None:
        console.print(
            f"\n`vaekit remedy {run.path}` retrains with {remedy} and compares the two runs.",
            markup=False,
            soft_wrap=True,
        )


def show_trial(trial: Trial) -> None:
    """Print the metrics of two runs side by side, and the gain of the second run over the first."""
    table = _table("", *(escape(str(run.path)) for run in trial.runs))
    for name, show in (
        ("log-likelihood", lambda f: f"≥ {Estimate.of(f.measured.score)} nats"),
        ("ELBO", lambda f: f"{Estimate.of(-(f.measured.distortion + f.measured.rate))} nats"),
        ("active latent dimensions", lambda f: f"{f.active_units} of {f.latent_dim}"),
    ):
        table.add_row(name, *map(show, trial.figures))
    console.print(table)
    gain, examples = trial.gain(), trial.figures[0].examples
    unsure = gain.standard_error is None or abs(gain.value) <= 2 * gain.standard_error
    told = ": too few to tell the gain from zero" if unsure else ""
    console.print(
        f"\nGain by {trial.remedy}: {gain} nats per example on the same {examples} held-out rows{told}.", markup=False
    )
    console.print(f"To train it again: {trial.command()}", markup=False, soft_wrap=True)


def _schema_rows(schema: Schema) -> list[tuple[str, str]]:
    size = " × ".join(str(s) for s in schema.shape)
    rows = [
        ("example", f"{'picture' if schema.picture else 'row'} of {size}"),
        ("kind", schema.kind + (f", {schema.levels} levels" if schema.levels else "") + f" ({schema.dtype})"),
    ]
    if schema.columns and not schema.table:
        shown = ", ".join(schema.columns[:12])
        rows.append(("columns", shown + (f", … {len(schema.columns)} in all" if len(schema.columns) > 12 else "")))
    return rows


def show_source(source: str, settings: list[str]) -> None:
    """Print a description of data, and the settings that training would choose for these data."""
    recipe = load_recipe("auto", settings)
    opened, _ = open_both(source, None, recipe.data, recipe.mixed)
    if opened.frame is not None:
        recipe = load_recipe("table", settings)
    split = split_source(opened, None, recipe.seed, recipe.data)
    schema = make_schema(opened, split.train, recipe.data.kind)
    _, notes = resolve(recipe, schema, len(split.train))
    counts = f"{len(split.train)} to train, {len(split.validation)} to choose the model, {len(split.test)} held out"
    said = [("file", opened.frame.said)] if opened.frame is not None and opened.frame.said else []
    _pairs([("source", opened.origin), *said, ("rows", counts), *_schema_rows(schema)])
    for note in make_notes(opened, schema):
        console.print(f"· {note}", markup=False)
    _show_columns(schema)
    console.print("\n`vaekit train` would choose:")
    for note in notes:
        console.print(f"· {note}", markup=False)


def _show_columns(schema: Schema) -> None:
    """Print the kind of each column of a mixed table."""
    if not schema.table:
        return
    table = _table("column", "kind", "because", "missing")
    for column in schema.table[:MOST_COLUMNS]:
        kind = f"{column.kind}, given" if column.context else column.kind
        table.add_row(escape(column.name), kind, escape(column.reason), escape(_missing(column)))
    console.print()
    console.print(table)
    if len(schema.table) > MOST_COLUMNS:
        rest = Counter(column.kind for column in schema.table[MOST_COLUMNS:])
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in rest.most_common())
        console.print(f"… and {len(schema.table) - MOST_COLUMNS:,} further columns: {kinds}", markup=False)


def _missing(column: Column) -> str:
    """Count the missing cells of a column, separately for each word that marks a missing cell."""
    total = sum(count for _, count in column.missing)
    return ", ".join(f"{count} {word}" for word, count in column.words) or (str(total) if total else "")


def show_run(run: Run) -> None:
    """Print the data, the model and the best metrics of a run."""
    rows, metrics = run.provenance["rows"], run.folder.read_metrics()
    parameters = sum(p.numel() for p in run.model.parameters())
    pairs = [
        ("run", str(run.path)),
        ("source", run.provenance["source"]),
        ("rows", f"{rows['train']} to train, {rows['validation']} to choose the model, {rows['test']} held out"),
        *_schema_rows(run.schema),
        ("model", f"{run.recipe.model.name}, {run.recipe.latent}, {parameters:,} parameters"),
        ("networks", run.recipe.networks),
        ("likelihood", run.recipe.likelihood_name),
        ("seed", str(run.recipe.seed)),
    ]
    known = [m for m in metrics if not math.isnan(m["elbo"])]
    if known:
        best = max(known, key=lambda m: m["elbo"])
        score = f"ELBO {best['elbo']:.2f}" if run.model.has_likelihood else f"squared error {best['distortion']:.4g}"
        pairs.append(
            ("best weights", f"{score} on validation rows, at step {best['step']:.0f} of {metrics[-1]['step']:.0f}")
        )
    _pairs(pairs)
    _show_columns(run.schema)


def show_recipes() -> None:
    """Print the names and uses of the bundled recipes."""
    table = _table("recipe", "use")
    for name in recipe_names():
        recipe = load_recipe(name)
        warning = "" if recipe.trains_bound else " Its loss is not a bound."
        table.add_row(name, f"{recipe.description}{warning} ({recipe.reference})")
    console.print(table, markup=False)


def show_keys() -> None:
    """Print every key of a recipe with the key's default, allowed values and meaning."""
    for key, default, values, meaning in describe_keys():
        section, _, last = key.rpartition(".")
        short = f", in short {section}" if last in ("name", "network") else ""
        console.print(f"[bold]{key}[/bold]{short} = {escape(default)}   ({escape(values)})")
        console.print(Padding(escape(meaning), (0, 0, 0, 4)))
