"""The verbs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaekit.errors import VaekitError

if TYPE_CHECKING:
    from vaekit.run import Run

app = typer.Typer(
    help="Variational autoencoders with honest numbers: train, evaluate, sample, encode and score from data on disk.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="`digits`, a .npy, .npz, .csv or .parquet file, or a folder of IDX files or pictures.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out", help="Where to: .npy, .npz, .csv, .parquet, .png (a contact sheet), or a folder of PNG files."
    ),
]
SamplesOption = Annotated[
    int | None, typer.Option("--samples", min=1, help="Draws K of the importance-weighted bound.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from vaekit import __version__

        typer.echo(f"vaekit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Data to train on: `digits`, a file or a folder.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="SOURCE", help="Held-out data; else a part of SOURCE.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME|FILE.toml", help="See `vaekit recipes`.")] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The run folder to make; runs/NAME by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Decides splits, weights, batches and noise.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
) -> None:
    """Train a model, or go on with an interrupted run."""
    from vaekit import api
    from vaekit.cli.progress import decoding_progress, make_reporter

    if resume is not None and (source, test, settings, out, seed, recipe) != (None, None, None, None, None, "auto"):
        raise VaekitError("--resume must stand alone, as a run goes on as it began", "other options beside it")
    with decoding_progress() as progress:
        run = api.train(
            source,
            test=test,
            recipe=recipe,
            settings=settings or (),
            out=out,
            seed=seed,
            resume=resume,
            reporter=make_reporter(),
            progress=progress,
        )
    typer.echo(f"Trained: {run.path}")


@app.command()
def evaluate(
    run: RunArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Rows to measure; the held-out ones by default.")
    ] = None,
    samples: SamplesOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure bounds, their parts and baselines on held-out rows."""
    from vaekit import api

    figures = api.load(run).evaluate(source, samples)
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    from vaekit.cli.tables import show_figures

    show_figures(figures)


@app.command()
def encode(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the posterior mean of each row."""
    _write(run, out, lambda r: r.encode(source), "z")


@app.command()
def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the reconstruction of each row, in units of the data."""
    _write(run, out, lambda r: r.reconstruct(source))


@app.command()
def score(run: RunArgument, source: SourceArgument, out: OutOption, samples: SamplesOption = None) -> None:
    """Write log p(x) of each row, in nats of the data as given."""
    _write(run, out, lambda r: r.score(source, samples)[:, None], "score")


@app.command()
def sample(
    run: RunArgument,
    out: OutOption,
    n: Annotated[int, typer.Option("-n", min=1, help="How many rows to draw.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same rows.")] = 0,
    mean: Annotated[bool, typer.Option("--mean", help="The mean of p(x|z) instead of a draw from it.")] = False,
) -> None:
    """Draw new rows from the model."""
    _write(run, out, lambda r: r.sample(n, seed, mean))


def _write(path: Path, out: Path, make: Callable[[Run], Any], name: str = "x") -> None:
    """Write rows of the data's shape, or codes or scores under another name."""
    from vaekit import api
    from vaekit.outputs import MOST_ON_A_SHEET, check_out, write_rows

    run = api.load(path)
    check_out(out, run.schema, like_data=name == "x")
    values = make(run)
    write_rows(out, values, run.schema, run.score_name if name == "score" else name)
    shown = (
        f" (the first {MOST_ON_A_SHEET} on the sheet)" if out.suffix == ".png" and len(values) > MOST_ON_A_SHEET else ""
    )
    typer.echo(f"Wrote {len(values)} rows{shown}: {out}")


@app.command()
def report(
    run: RunArgument,
    beside: Annotated[
        Path | None, typer.Option("--beside", metavar="RUN", help="Another run on the same data to set beside it.")
    ] = None,
) -> None:
    """Write RUN/report.html: figures with readings, curves, pictures."""
    from vaekit import api
    from vaekit.report import write_report

    path = write_report(api.load(run), None if beside is None else api.load(beside))
    typer.echo(f"Report: {path}")


@app.command()
def describe(
    what: Annotated[str, typer.Argument(metavar="SOURCE|RUN", help="Data or a run folder.")],
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for train.")] = None,
) -> None:
    """Say what data are and how they would be modelled, or what a run holds."""
    from vaekit.cli.tables import show_run, show_source

    if (Path(what) / "provenance.json").exists():
        from vaekit import api

        show_run(api.load(what))
    else:
        show_source(what, settings or [])


@app.command()
def recipes(keys: Annotated[bool, typer.Option("--keys", help="List every key with a sentence.")] = False) -> None:
    """List the bundled recipes, or every key of a recipe."""
    from vaekit.cli.tables import show_keys, show_recipes

    show_keys() if keys else show_recipes()
