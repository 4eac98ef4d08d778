"""The verbs that make, measure and show runs. Heavy imports wait until a verb is called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from vaekit.cli.options import JsonOption, NewRunOption, RowsArgument, RunArgument, SamplesOption, SettingsOption
from vaekit.errors import VaekitError
from vaekit.processes import leads


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Training data: `digits`, a file, a folder, a pattern such as 'folder/*.csv', or the address of a store or a database.",
        ),
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="SOURCE", help="Held-out data; by default a part of SOURCE.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="NAME|FILE.toml", help="A bundled recipe (see `vaekit recipes`) or a file."),
    ] = "auto",
    settings: SettingsOption = None,
    out: NewRunOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of everything random: splits, weights, batches, noise.")
    ] = None,
    query: Annotated[
        str | None, typer.Option("--query", metavar="SQL", help="The query for the rows, if SOURCE is a database.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue an interrupted run, with its settings.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in the folder --out.")
    ] = False,
) -> None:
    """Train a model, or continue an interrupted run."""
    from vaekit.reporters import make_reporter
    from vaekit.runs import train as training

    if resume is not None and (source, test, settings, out, seed, query, recipe, overwrite) != (
        *[None] * 6,
        "auto",
        False,
    ):
        raise VaekitError("--resume takes no other options", mend="A resumed run keeps its data and settings")
    run = training.train(
        source,
        test=test,
        recipe=recipe,
        settings=[*(settings or ()), *([f"data.query={json.dumps(query)}"] if query else ())],
        out=out,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        reporter=make_reporter(),
    )
    if not leads():
        return
    typer.echo(f"Trained: {run.path}", file=sys.stdout)
    typer.echo(f"See `vaekit evaluate {run.path}` and `vaekit report {run.path}`.", file=sys.stderr)


def evaluate(
    run: RunArgument,
    source: RowsArgument = None,
    samples: SamplesOption = None,
    rows: Annotated[
        Literal["held-out", "all"], typer.Option("--rows", help="Which rows of the run's own data are measured.")
    ] = "held-out",
    temperatures: Annotated[
        int | None,
        typer.Option(
            "--temperatures",
            min=1,
            help="Also estimate log p(x) by annealed importance sampling, with this number of temperatures (such as 100).",
        ),
    ] = None,
    gap: Annotated[
        bool,
        typer.Option("--gap", help="Also split the inference gap into the shares of posterior family and encoder."),
    ] = False,
    tables: Annotated[
        bool,
        typer.Option(
            "--tables", help="Also measure the columns of a mixed table: marginals, associations, hidden cells."
        ),
    ] = False,
    rate_distortion: Annotated[
        bool, typer.Option("--rate-distortion", help="Also measure points of the rate-distortion curve.")
    ] = False,
    factors: Annotated[
        str | None,
        typer.Option(
            "--factors",
            metavar="FILE",
            help="Also compare the codes of SOURCE with known factors, a column each: MIG, DCI, SAP, FactorVAE.",
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples", min=1, help="Rows used by --temperatures, --gap and --rate-distortion, which are slow."
        ),
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """Measure bounds, rate, distortion and baselines."""
    from vaekit.processes.group import together
    from vaekit.runs.load import load

    loaded = load(run)
    if (gap or rate_distortion) and loaded.model.has_likelihood and leads():
        typer.echo(f"Fitting a posterior to each of up to {examples} rows. This may take minutes.", file=sys.stderr)
    with together():
        figures = loaded.evaluate(
            source,
            samples,
            temperatures,
            rows=rows,
            gap=gap,
            rate_distortion=rate_distortion,
            tables=tables,
            factors=factors,
            examples=examples,
        )
    if not leads():
        return
    if as_json:
        typer.echo(json.dumps(figures, indent=2, default=lambda record: record.as_json()), file=sys.stdout)
        return
    from vaekit.cli.tables import show_figures

    show_figures(loaded, figures)


def audit(
    run: RunArgument,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Draws K in the bound; its validity does not depend on K.")
    ] = 4,
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, help="Greatest number of rows that one sum evaluates.")
    ] = 1 << 17,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check whether log p(x) is a log-likelihood, or a bound.

    The exit code is 1 if there are findings, 0 if there are not, 2 after an error.
    """
    from vaekit.runs.load import load

    found = load(run).audit(samples, evaluations, seed)
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found), file=sys.stdout)
    if found.findings:
        raise typer.Exit(1)


def remedy(run: RunArgument, out: NewRunOption = None) -> None:
    """Retrain with the first suggested fix and compare the runs."""
    from vaekit.cli.tables import show_trial
    from vaekit.reporters import make_reporter
    from vaekit.runs.load import load
    from vaekit.runs.remedy import remedy as try_remedy

    show_trial(try_remedy(load(run), out=out, reporter=make_reporter()))


def report(
    run: RunArgument,
    source: RowsArgument = None,
    beside: Annotated[
        Path | None, typer.Option("--beside", metavar="RUN", help="Another run on the same data, to compare with.")
    ] = None,
) -> None:
    """Write an HTML page about a trained model.

    It shows metrics, what they mean, training curves and pictures. The page is RUN/report.html; it needs no other file.
    """
    from vaekit.report import write_report
    from vaekit.runs.load import load

    path = write_report(load(run), None if beside is None else load(beside), source)
    typer.echo(f"Report: {path}", file=sys.stdout)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN …", help="Two or more run folders.")],
    source: Annotated[
        str | None, typer.Option("--rows", metavar="SOURCE", help="Measure these rows; by default the held-out rows.")
    ] = None,
    samples: SamplesOption = None,
) -> None:
    """Compare the bounds and the settings of several runs."""
    from vaekit.cli.tables import show_comparison
    from vaekit.runs.compare import compare as comparing

    show_comparison(comparing(runs, source, samples))


def describe(
    what: Annotated[str, typer.Argument(metavar="SOURCE|RUN", help="Data, or a run, as other verbs take it.")],
    settings: SettingsOption = None,
) -> None:
    """Show how data would be modelled, or what a run holds."""
    from vaekit.cli.tables import show_run, show_source
    from vaekit.runs.load import HUB, load

    if what.startswith(HUB) or (Path(what) / "provenance.json").exists():
        show_run(load(what))
    else:
        show_source(what, settings or [])


def recipes(
    keys: Annotated[bool, typer.Option("--keys", help="List every key, with its default and its meaning.")] = False,
) -> None:
    """List the bundled recipes, or every key of a recipe."""
    from vaekit.cli.tables import show_keys, show_recipes

    show_keys() if keys else show_recipes()
