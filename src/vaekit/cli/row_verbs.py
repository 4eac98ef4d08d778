"""The verbs that write rows: codes, reconstructions, scores, imputed tables and samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaekit.cli.options import OutOption, RunArgument, SamplesOption, SeedOption, SourceArgument
from vaekit.errors import VaekitError


def encode(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the latent code (posterior mean) of each row."""
    from vaekit.cli.writing import write
    from vaekit.runs.load import load

    loaded = load(run)
    write(loaded, out, loaded.encode, source, "numbers", "z")


def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the model's reconstruction of each row."""
    from vaekit.cli.writing import write
    from vaekit.runs.load import load

    loaded = load(run)
    write(loaded, out, loaded.reconstruct, source, "data")


def score(
    run: RunArgument,
    source: SourceArgument,
    out: OutOption,
    samples: SamplesOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="For a mixed table, also write how strange each cell is given the rest of its row; 0 is usual.",
        ),
    ] = False,
    p_value: Annotated[
        bool,
        typer.Option(
            "--p-value",
            help="Write a score and its p-value: the rank of the score among those of the rows held out in training.",
        ),
    ] = False,
) -> None:
    """Write log p(x) of each row, in nats."""
    from vaekit.cli.writing import explain_scores, rank_scores, write
    from vaekit.estimator.fitting import in_float64
    from vaekit.runs.alarms import calibration_scores
    from vaekit.runs.load import load

    if p_value and (explain or samples is not None):
        raise VaekitError("--p-value cannot be used with --explain or --samples", mend="Score the rows twice")
    loaded = load(run)
    if p_value:
        loaded = in_float64(loaded)  # as the estimator scores rows, so that the scores of equal rows are equal
        held_out = calibration_scores(loaded)
        write(loaded, out, lambda rows: rank_scores(loaded, rows, held_out), source, "table")
        typer.echo(
            f"P-values are multiples of 1/{len(held_out) + 1}: {len(held_out)} rows were held out.", file=sys.stderr
        )
    elif explain:
        table = loaded.as_table_run()
        write(table, out, lambda rows: explain_scores(table, rows, samples), source, "table")
    else:
        name = loaded.model.score_name
        write(loaded, out, lambda rows: loaded.score_samples(rows, samples)[:, None], source, "numbers", name)


def impute(
    run: RunArgument,
    source: SourceArgument,
    out: OutOption,
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, help="Write this many complete tables, with cells drawn from the model."),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="FILE",
            help="Also write the standard deviation (for dates in days) or the probability of each filled cell.",
        ),
    ] = None,
    intervals: Annotated[
        Path | None,
        typer.Option(
            "--intervals",
            metavar="FILE",
            help="Also write an interval for each filled number, and the set of likely values for each filled category.",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option("--level", metavar="L", help="Probability of an interval or a set to hold the true value.")
    ] = 0.9,
    blanks: Annotated[
        bool,
        typer.Option(
            "--blanks",
            help="Also fill cells that are empty because of the cell of another column (`vaekit describe` names them).",
        ),
    ] = False,
    samples: SamplesOption = None,
    seed: SeedOption = 0,
) -> None:
    """Fill the missing cells of a mixed table.

    Numbers get conditional means, and categories the likeliest one. With --draws, cells are drawn from the model.
    """
    from vaekit.cli.writing import as_arrow, stack_draws, tabulate_intervals, write
    from vaekit.runs.load import load

    if draws is not None and uncertainty is not None:
        raise VaekitError(
            "--uncertainty cannot be used with --draws",
            mend="Leave out --uncertainty: the draws themselves show how uncertain the cells are",
        )
    loaded = load(run).as_table_run()
    if draws is None:
        write(loaded, out, lambda rows: loaded.impute(rows, samples, blanks=blanks), source, "table")
    else:
        write(loaded, out, lambda rows: stack_draws(loaded, rows, draws, samples, seed, blanks), source, "table")
    if uncertainty is not None:
        write(loaded, uncertainty, lambda rows: loaded.uncertainty(as_arrow(rows), samples, blanks), source, "table")
    if intervals is not None:
        lists = intervals.suffix.lower() != ".csv"
        write(
            loaded,
            intervals,
            lambda rows: tabulate_intervals(loaded, rows, level, samples, blanks, lists),
            source,
            "table",
        )


def sample(
    run: RunArgument,
    out: OutOption,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of rows to draw.")] = 100,
    seed: SeedOption = 0,
    mean: Annotated[
        bool | None,
        typer.Option(
            "--mean/--no-mean",
            help="Write means of p(x|z), or draws from it. A sheet of pictures has means by default.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE",
            help="Fix a column of a mixed table, or the input of a conditional model (label=7). Can be repeated.",
        ),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="Draw complete rows of a mixed table. By default, cells are missing as in the training rows.",
        ),
    ] = False,
) -> None:
    """Draw new rows from the model."""
    from vaekit.cli.writing import draw_rows, write
    from vaekit.runs.load import load

    loaded = load(run)
    if mean is None and out.suffix.lower() == ".png" and loaded.model.has_likelihood:
        mean = True
        typer.echo("The pictures are means of p(x|z); use --no-mean for draws from it.", file=sys.stderr)
    write(loaded, out, lambda _: draw_rows(loaded, n, given or [], seed, bool(mean), complete), None, "data")


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write, usually .onnx or .pt2.")],
    part: Annotated[
        str, typer.Option("--part", help="`encode`, `decode` or `score`; of a mixed table also `impute` or `sample`.")
    ] = "encode",
    to: Annotated[str, typer.Option("--to", help="`onnx`, or `torch` for a program of torch.export.")] = "onnx",
    samples: Annotated[int, typer.Option("--samples", help="Draws K of `score` and `impute`, from 1 to 20.")] = 20,
) -> None:
    """Write a part of the model as an ONNX or torch file."""
    from vaekit.runs.load import load

    made = load(run).export(out, part, to, samples)
    typer.echo(f"Wrote {part} ({made.stat().st_size:,} bytes): {made}", file=sys.stdout)
