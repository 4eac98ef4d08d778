"""The verbs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vaekit.errors import Interrupted, VaekitError

if TYPE_CHECKING:
    from vaekit.runs.run import Run


class Stopped(Exception):  # noqa: N818 - it is no fault
    """A verb was stopped by a signal.

    Args:
        reason: which, and what to do about it.
    """

    def __init__(self, reason: Interrupted) -> None:
        super().__init__(str(reason))
        self.signal = reason.signal


class _Verbs(TyperGroup):
    """The verbs; an interruption takes another name, for typer would end the program without its sentence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as reason:
            raise Stopped(reason) from reason


app = typer.Typer(
    cls=_Verbs,
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
        help="`digits`, a .npy, .npz, .csv or .parquet file, a folder of IDX files or pictures, or the address of a database (with a query for train).",
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

        typer.echo(f"vaekit {__version__}", file=sys.stdout)  # named here and below, else click sends UTF-8 to ASCII
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
        str | None, typer.Argument(metavar="SOURCE", help="Data to train on: `digits`, a file or a folder.")
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
    query: Annotated[
        str | None, typer.Option("--query", metavar="SQL", help="The rows wanted, where SOURCE is a database.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
) -> None:
    """Train a model, or go on with an interrupted run."""
    from vaekit.cli.progress import decoding_progress, make_reporter
    from vaekit.runs import train as training

    if resume is not None and (source, test, settings, out, seed, query, recipe) != (*[None] * 6, "auto"):
        raise VaekitError("--resume must stand alone, as a run goes on as it began", "other options beside it")
    with decoding_progress() as progress:
        run = training.train(
            source,
            test=test,
            recipe=recipe,
            settings=[*(settings or ()), *([f"data.query={json.dumps(query)}"] if query else ())],
            out=out,
            seed=seed,
            resume=resume,
            reporter=make_reporter(),
            progress=progress,
        )
    typer.echo(f"Trained: {run.path}", file=sys.stdout)
    typer.echo(f"See `vaekit evaluate {run.path}` and `vaekit report {run.path}`.", file=sys.stderr)


@app.command()
def evaluate(
    run: RunArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="Rows to measure; the held-out ones by default.")
    ] = None,
    samples: SamplesOption = None,
    temperatures: Annotated[
        int | None,
        typer.Option(
            "--temperatures", min=1, help="Also measure some rows by annealed importance sampling; 100 is a start."
        ),
    ] = None,
    gap: Annotated[
        bool,
        typer.Option("--gap", help="Also part what the ELBO loses, for some rows: the family's share, the encoder's."),
    ] = False,
    rate_distortion: Annotated[
        bool,
        typer.Option("--rate-distortion", help="Also measure points of the rate-distortion curve, for some rows."),
    ] = False,
    factors: Annotated[
        str | None,
        typer.Option(
            "--factors",
            metavar="FILE",
            help="Also score the codes of SOURCE against its known factors, a column each: MIG, DCI, SAP, FactorVAE.",
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=1, help='How many rows "some" are; each takes a while.')
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure bounds, their parts and baselines on held-out rows."""
    from vaekit.runs.train import load

    loaded = load(run)
    if (gap or rate_distortion) and loaded.model.has_likelihood:
        typer.echo(f"Fitting a posterior to each of {examples} rows at most; this may take minutes.", file=sys.stderr)
    figures = loaded.evaluate(
        source,
        samples,
        temperatures,
        gap=gap,
        rate_distortion=rate_distortion,
        factors=factors,
        examples=examples,
    )
    if as_json:
        typer.echo(json.dumps(figures.as_json(), indent=2), file=sys.stdout)
        return
    from vaekit.cli.tables import show_figures

    show_figures(loaded, figures)


@app.command()
def remedy(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The run folder to make; RUN-remedy by default.")
    ] = None,
) -> None:
    """Try what the reading of a run advises first: train anew so, and set both side by side."""
    from vaekit.cli.progress import make_reporter
    from vaekit.cli.tables import show_trial
    from vaekit.runs.remedy import remedy as try_remedy
    from vaekit.runs.train import load

    show_trial(try_remedy(load(run), out=out, reporter=make_reporter()))


@app.command()
def encode(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the posterior mean of each row."""
    _write(run, out, lambda r, rows: r.encode(rows), "z", source)


@app.command()
def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the reconstruction of each row, in units of the data."""
    _write(run, out, lambda r, rows: r.reconstruct(rows), "x", source)


@app.command()
def score(
    run: RunArgument,
    source: SourceArgument,
    out: OutOption,
    samples: SamplesOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Also how strange each cell of a mixed table is, given the others of its row: 0 is usual, more is stranger.",
        ),
    ] = False,
) -> None:
    """Write log p(x) of each row, in nats of the data as given."""
    if explain:
        _write(run, out, lambda r, rows: _tables().with_reasons(r, rows, samples), "table", source)
    else:
        _write(run, out, lambda r, rows: r.score(rows, samples)[:, None], "score", source)


@app.command()
def impute(
    run: RunArgument,
    source: SourceArgument,
    out: OutOption,
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, help="Write so many complete tables drawn from the model, under each other."),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            help="Also write how sure each filled cell is: standard deviation (of dates in days), or probability.",
        ),
    ] = None,
    samples: SamplesOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed gives other draws.")] = 0,
) -> None:
    """Fill the missing cells of a mixed table: means and likeliest values, or draws."""
    if draws is None:
        _write(run, out, lambda r, rows: _tables().table_run(r).impute(rows, samples), "table", source)
    elif uncertainty is not None:
        raise VaekitError("--uncertainty must be left out beside --draws, which show it", "both")
    else:
        _write(run, out, lambda r, rows: _tables().stacked(r, rows, draws, samples, seed), "table", source)
    if uncertainty is not None:
        _write(run, uncertainty, lambda r, rows: _tables().table_run(r).uncertainty(rows, samples), "table", source)


@app.command()
def sample(
    run: RunArgument,
    out: OutOption,
    n: Annotated[int, typer.Option("-n", min=1, help="How many rows to draw.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same rows.")] = 0,
    mean: Annotated[bool, typer.Option("--mean", help="The mean of p(x|z) instead of a draw from it.")] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE",
            help="A cell of a mixed table, or what a conditional model is given (label=7); may be repeated.",
        ),
    ] = None,
) -> None:
    """Draw new rows from the model."""
    _write(run, out, lambda r, _: _tables().drawn(r, n, given or [], seed, mean), "x")


def _tables() -> Any:
    """What tables need; imported when a verb runs."""
    from vaekit.cli import writing

    return writing


def _write(path: Path, out: Path, make: Callable[[Run, Any], Any], name: str, source: str | None = None) -> None:
    """Write what a run makes of a source: rows of the data (`x`), codes, scores, or a table."""
    from vaekit.cli.writing import write_made
    from vaekit.runs.train import load

    typer.echo(write_made(load(path), out, make, name, source), file=sys.stdout)


@app.command()
def report(
    run: RunArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="Rows to measure; the held-out ones by default.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option("--beside", metavar="RUN", help="Another run on the same data to set beside it.")
    ] = None,
) -> None:
    """Write RUN/report.html: figures with readings, curves, pictures."""
    from vaekit.report import write_report
    from vaekit.runs.train import load

    path = write_report(load(run), None if beside is None else load(beside), source)
    typer.echo(f"Report: {path}", file=sys.stdout)


@app.command()
def describe(
    what: Annotated[str, typer.Argument(metavar="SOURCE|RUN", help="Data or a run folder.")],
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for train.")] = None,
) -> None:
    """Say what data are and how they would be modelled, or what a run holds."""
    from vaekit.cli.tables import show_run, show_source

    if (Path(what) / "provenance.json").exists():
        from vaekit.runs.train import load

        show_run(load(what))
    else:
        show_source(what, settings or [])


@app.command()
def recipes(keys: Annotated[bool, typer.Option("--keys", help="List every key with a sentence.")] = False) -> None:
    """List the bundled recipes, or every key of a recipe."""
    from vaekit.cli.tables import show_keys, show_recipes

    show_keys() if keys else show_recipes()
