"""Print tables on standard output."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from vaekit.data import Column
from vaekit.evaluation import Estimate, Figures, first_remedy
from vaekit.recipe import describe_keys, load_recipe, recipe_names
from vaekit.runs.compare import Comparison
from vaekit.runs.describe import HEAD, RULES, Description, describe, describe_column
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
    for reading in figures.readings:
        console.print(f"{SIGNS[reading.level]} {reading.text} {reading.advice}".rstrip(), markup=False)
    if (remedy := first_remedy(figures.readings)) is not None:
        console.print(
            f"\n`vaekit remedy {run.path}` retrains with {remedy} and compares the two runs.",
            markup=False,
            soft_wrap=True,
        )


def show_comparison(found: Comparison) -> None:
    """Print the figures of several runs, and the settings in which they differ."""
    table = _table("", *map(escape, found.names))
    for row in found.rows():
        table.add_row(*map(escape, row))
    console.print(table)


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


def show_source(source: str, settings: list[str]) -> None:
    """Print a description of data, and the settings that training would choose for these data."""
    found = describe(source, settings)
    _pairs(list(found.facts))
    for note in found.notes:
        console.print(f"· {note}", markup=False)
    _show_columns(found.columns)
    _show_rules(found)
    console.print("\n`vaekit train` would choose:")
    for note in found.choices:
        console.print(f"· {note}", markup=False)


def _show_rules(found: Description) -> None:
    """Print the rules that the rows obey, and how to accept them."""
    if not found.proposals:
        return
    table = _table(*RULES)
    for row in found.rules():
        table.add_row(*map(escape, row))
    console.print()
    console.print(table)
    console.print(
        f"No rule is applied unless it is accepted. This accepts all of them:\n{found.accepting}",
        markup=False,
        soft_wrap=True,
    )


def _show_columns(columns: tuple[Column, ...]) -> None:
    """Print the kind of each column of a mixed table."""
    if not columns:
        return
    table = _table(*HEAD)
    for column in columns[:MOST_COLUMNS]:
        table.add_row(*map(escape, describe_column(column)))
    console.print()
    console.print(table)
    if len(columns) > MOST_COLUMNS:
        rest = Counter(column.kind for column in columns[MOST_COLUMNS:])
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in rest.most_common())
        console.print(f"… and {len(columns) - MOST_COLUMNS:,} further columns: {kinds}", markup=False)


def show_run(run: Run) -> None:
    """Print the data, the model and the best metrics of a run."""
    _pairs(run.facts())
    _show_columns(run.schema.table)


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
