"""Tables for people, on standard output."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from vaekit.data import Column, Schema, make_notes, make_schema, open_both, split_source
from vaekit.evaluation import BASELINES, diagnose, first_remedy
from vaekit.evaluation.gap import mean_and_error
from vaekit.recipe import describe_keys, load_recipe, recipe_names, resolve
from vaekit.runs.remedy import Trial
from vaekit.runs.run import Run

console = Console(highlight=False)
SCORES = {
    "mig": "MIG",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "completeness",
    "dci_informativeness": "informativeness",
    "sap": "SAP",
    "factor_vae": "FactorVAE",
}
"""How the scores against known factors are called."""
MOST_COLUMNS = 200
"""Columns that `describe` shows."""
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


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.2f} ± {'–' if error is None else format(error, '.2f')}"


def _estimated(figure: dict[str, Any]) -> str:
    return _with_error(figure["value"], figure["standard_error"])


def figure_rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of an evaluation, as pairs of texts."""
    return (_reconstruction_rows(figures) if figures["elbo"] is None else _bound_rows(figures)) + _further_rows(figures)


def _reconstruction_rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("reconstruction error", f"{figures['reconstruction_error']:.4g} squared, per held-out example"),
        (
            "on training rows",
            f"{figures['train_reconstruction_error']:.4g}" if figures["train_reconstruction_error"] else "–",
        ),
        ("active units", f"{figures['active_units']} of {figures['latent_dim']}"),
    ]


def _bound_rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    estimate = figures["log_likelihood"]
    rows = [
        (
            "log-likelihood",
            f"≥ {_estimated(estimate)} nats (K = {estimate['samples']}, {estimate['examples']} examples)",
        ),
        (
            "ELBO",
            f"{figures['elbo']:.2f} nats = −(distortion {figures['distortion']:.2f} + rate {figures['rate']:.2f})",
        ),
        (
            "effective β",
            f"{'–' if figures['effective_beta'] is None else format(figures['effective_beta'], 'g')} in training; all figures have weight 1",
        ),
        ("active units", f"{figures['active_units']} of {figures['latent_dim']}"),
    ]
    if (information := figures["mutual_information"]) is not None:  # known for independent latent dimensions only
        told = f"mutual information {information:.2f} + marginal KL {figures['marginal_kl']:.2f} nats"
        rows.append(("rate", told))
    if (annealed := figures.get("annealed")) is not None:
        gain = _with_error(annealed["gain"], annealed["gain_error"])
        told = (
            f"≥ {_estimated(annealed)} nats ({annealed['examples']} examples; gain over their bound by K draws {gain})"
        )
        if annealed["gap"] is not None:
            told += f"; of rows that the model makes, upper and lower bound are {_with_error(annealed['gap'], annealed['gap_error'])} apart"
        rows.insert(1, (f"annealed, T = {annealed['temperatures']}", told))
    if figures["bits_per_dim"] is not None:
        rows.insert(1, ("bits/dim", f"≤ {figures['bits_per_dim']:.4f}"))
    if figures["train_elbo"] is not None:
        rows.append(("ELBO on training rows", f"{figures['train_elbo']:.2f} nats"))
    return rows + [(BASELINES[k], f"{v:.2f} nats") for k, v in figures["baselines"].items() if v is not None]


def _further_rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """What is measured where it is asked for, each with the examples that it rests on."""
    rows = []
    if (gap := figures.get("inference_gap")) is not None:
        parts = {name: _estimated(gap[name]) for name in ("gap", "approximation", "amortization")}
        told = f"{parts['gap']} nats = approximation, by diagonal Gaussians, {parts['approximation']} + amortization {parts['amortization']}"
        rows.append(("inference gap", f"{told} (K = {gap['samples']}, {gap['examples']} examples)"))
    if (curve := figures.get("rate_distortion")) is not None:
        for point in curve["points"]:
            rate, distortion = (_with_error(point[name], point[f"{name}_error"]) for name in ("rate", "distortion"))
            told = f"at most rate {rate} and distortion {distortion} nats ({curve['examples']} examples)"
            rows.append((f"rate-distortion, β = {point['beta']:g}", told))
    if (scores := figures.get("disentanglement")) is not None:
        named = ", ".join(f"{name} {scores[key]:.2f}" for key, name in SCORES.items())
        rows.append(("disentanglement", f"{named} ({scores['factors']} factors, {scores['examples']} examples)"))
    if (tables := figures.get("tables")) is not None:
        rows += tables.rows()
    return rows


def show_figures(run: Run, figures: dict[str, Any]) -> None:
    """Print the figures of a run and what they mean."""
    _pairs(figure_rows(figures))
    console.print()
    readings = diagnose(figures, run.accepts)
    for reading in readings:
        console.print(f"{SIGNS[reading.level]} {reading.text} {reading.advice}".rstrip(), markup=False)
    if (remedy := first_remedy(readings)) is not None:
        console.print(
            f"\n`vaekit remedy {run.path}` sets beside this run one with the first of these: {remedy}.", markup=False
        )


def show_trial(trial: Trial) -> None:
    """Print the figures of two runs side by side, what the remedy gained, and how to train it once more."""
    table = _table("", *(escape(str(run.path)) for run in trial.runs))
    for name, shown in (
        ("log-likelihood", lambda e: f"≥ {_with_error(*mean_and_error(e.measured.log_likelihood))} nats"),
        ("ELBO", lambda e: f"{_with_error(*mean_and_error(e.measured.elbo))} nats"),
        ("active units", lambda e: f"{e.figures['active_units']} of {e.figures['latent_dim']}"),
    ):
        table.add_row(name, *map(shown, trial.evaluations))
    console.print(table)
    gain, error = trial.gain()
    rows = trial.evaluations[0].figures["examples"]
    lost = error is None or abs(gain) <= 2 * error
    told = f", which {rows} held-out rows cannot tell from none" if lost else f", on the same {rows} held-out rows"
    console.print(f"\nGain by {trial.remedy}: {_with_error(gain, error)} nats per example{told}.", markup=False)
    console.print(f"Anew: {trial.command()}", markup=False, soft_wrap=True)


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
    """Print what data are and which choices training would make."""
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
    """Print what the columns of a mixed table are taken for."""
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
    """How many cells of a column are missing, and how they are written where that is not by nothing."""
    total = sum(count for _, count in column.missing)
    return ", ".join(f"{count} {word}" for word, count in column.words) or (str(total) if total else "")


def show_run(run: Run) -> None:
    """Print what a run holds."""
    rows, metrics = run.provenance["rows"], run.folder.read_metrics()
    parameters = sum(p.numel() for p in run.model.parameters())
    pairs = [
        ("run", str(run.path)),
        ("source", run.provenance["source"]),
        ("rows", f"{rows['train']} trained, {rows['validation']} chose the model, {rows['test']} held out"),
        *_schema_rows(run.schema),
        ("model", f"{run.recipe.model}, {run.recipe.latent}, {parameters:,} parameters"),
        ("networks", f"encoder {run.recipe.encoder.name}, decoder {run.recipe.decoder.name}"),
        ("likelihood", run.recipe.likelihood.name if run.recipe.model == "vae" else "none"),
        ("seed", str(run.recipe.seed)),
    ]
    known = [m for m in metrics if not math.isnan(m["elbo"])]
    if known:
        best = max(known, key=lambda m: m["elbo"])
        variational = run.recipe.model == "vae"
        name, value = (
            ("best bound", f"{best['elbo']:.2f}") if variational else ("least error", f"{best['distortion']:.4g}")
        )
        where = f"on validation rows, at step {best['step']:.0f} of {metrics[-1]['step']:.0f} done"
        pairs.append((name, f"{value} {where}"))
    _pairs(pairs)
    _show_columns(run.schema)


def show_recipes() -> None:
    """Print the bundled recipes."""
    table = _table("recipe", "what it is for")
    for name in recipe_names():
        recipe = load_recipe(name)
        warning = "" if recipe.trains_bound else " Its loss is no bound."
        table.add_row(name, f"{recipe.description}{warning} ({recipe.reference})")
    console.print(table, markup=False)


def show_keys() -> None:
    """Print every key of a recipe, with its default, its values and what it means."""
    for key, default, values, meaning in describe_keys():
        section, _, last = key.rpartition(".")
        short = f", in short {section}" if last in ("name", "network") else ""
        console.print(f"[bold]{key}[/bold]{short} = {escape(default)}   ({escape(values)})")
        console.print(Padding(escape(meaning), (0, 0, 0, 4)))
