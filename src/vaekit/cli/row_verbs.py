"""The verbs that write rows: codes, reconstructions, scores, imputed tables and samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaekit.cli.options import EngineOption, OutOption, RunArgument, SamplesOption, SeedOption, SourceArgument
from vaekit.errors import VaekitError


def encode(run: RunArgument, source: SourceArgument, out: OutOption, engine: EngineOption = None) -> None:
    """Write the latent code (posterior mean) of each row."""
    from vaekit.cli.writing import write
    from vaekit.runs.load import load
    from vaekit.runs.verbs import Encode

    write(load(run), out, Encode(), source, engine)


def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption, engine: EngineOption = None) -> None:
    """Write the model's reconstruction of each row."""
    from vaekit.cli.writing import write
    from vaekit.runs.load import load
    from vaekit.runs.verbs import Reconstruct

    write(load(run), out, Reconstruct(), source, engine)


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
    marginal: Annotated[
        bool,
        typer.Option(
            "--marginal",
            help="For a mixed table whose cells depend on each other: sum missing cells out, up to seven times slower.",
        ),
    ] = False,
    engine: EngineOption = None,
) -> None:
    """Write log p(x) of each row, in nats."""
    from vaekit.cli.writing import write
    from vaekit.runs.alarms import calibration_scores
    from vaekit.runs.doubles import in_float64
    from vaekit.runs.load import load
    from vaekit.runs.verbs import ExplainedScore, MarginalScore, RankedScore, Score

    wanted = {"--explain": explain, "--marginal": marginal, "--p-value": p_value}
    wanted |= {"--samples": p_value and samples is not None}
    if len(both := [option for option, given in wanted.items() if given]) > 1:
        raise VaekitError(f"{' and '.join(both)} cannot be used together", mend="Score the rows twice")
    loaded = load(run)
    if p_value:
        held_out = tuple(sorted(calibration_scores(in_float64(loaded)).tolist()))
        write(loaded, out, RankedScore(held_out), source, engine)
        typer.echo(
            f"P-values are multiples of 1/{len(held_out) + 1}: {len(held_out)} rows were held out.", file=sys.stderr
        )
    else:
        verb = ExplainedScore if explain else MarginalScore if marginal else Score
        write(loaded, out, verb(samples), source, engine)


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
    engine: EngineOption = None,
) -> None:
    """Fill the missing cells of a mixed table.

    Numbers get conditional means, and categories the likeliest one. With --draws, cells are drawn from the model.
    """
    from vaekit.cli.writing import write
    from vaekit.runs.load import load
    from vaekit.runs.verbs import Impute, ImputeDraws, Intervals, Uncertainty

    if draws is not None and uncertainty is not None:
        raise VaekitError(
            "--uncertainty cannot be used with --draws",
            mend="Leave out --uncertainty: the draws themselves show how uncertain the cells are",
        )
    loaded = load(run)
    filled = Impute(samples, blanks) if draws is None else ImputeDraws(draws, samples, seed, blanks)
    write(loaded, out, filled, source, engine)
    if uncertainty is not None:
        write(loaded, uncertainty, Uncertainty(samples, blanks), source, engine)
    if intervals is not None:
        lists = intervals.suffix.lower() != ".csv"
        write(loaded, intervals, Intervals(level, samples, blanks, lists), source, engine)


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
    engine: EngineOption = None,
) -> None:
    """Draw new rows from the model."""
    from vaekit.cli.writing import draw_rows, is_job, parse_given, told, write_results
    from vaekit.runs.load import load

    loaded, values = load(run), parse_given(given or [])
    if is_job(out, engine, many=False):
        from vaekit.jobs import sample_files

        if mean is not None:
            raise VaekitError("--mean cannot be used for a folder of Parquet files", mend="Write a single file")
        told(sample_files(loaded, n, out, seed, values, complete, engine or "local"), out)
        return
    if mean is None and out.suffix.lower() == ".png" and loaded.model.has_likelihood:
        mean = True
        typer.echo("The pictures are means of p(x|z); use --no-mean for draws from it.", file=sys.stderr)
    made = (draw_rows(loaded, n, values, seed, bool(mean), complete) for _ in range(1))
    write_results(loaded, out, "data", "x", made)


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
