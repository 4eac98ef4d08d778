"""The verbs that write rows: codes, reconstructions, scores, imputed tables and samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaekit.cli.options import OutOption, RunArgument, SamplesOption, SeedOption, SourceArgument
from vaekit.errors import VaekitError


def encode(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the posterior mean of each row."""
    from vaekit.cli.writing import write_codes
    from vaekit.runs.load import load

    typer.echo(write_codes(load(run), source, out), file=sys.stdout)


def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the reconstruction of each row."""
    from vaekit.cli.writing import write_reconstructions
    from vaekit.runs.load import load

    typer.echo(write_reconstructions(load(run), source, out), file=sys.stdout)


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
) -> None:
    """Write log p(x) of each row, in nats."""
    from vaekit.cli.writing import write_explanations, write_scores
    from vaekit.runs.load import load

    write = write_explanations if explain else write_scores
    typer.echo(write(load(run), source, out, samples), file=sys.stdout)


def impute(
    run: RunArgument,
    source: SourceArgument,
    out: OutOption,
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, help="Write this number of complete tables, drawn from the model."),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="FILE",
            help="Also write the standard deviation (for dates in days) or the probability of each filled cell.",
        ),
    ] = None,
    samples: SamplesOption = None,
    seed: SeedOption = 0,
) -> None:
    """Fill the missing cells of a mixed table.

    Numbers are filled by conditional means, categories by the likeliest one; with --draws, by draws from the model.
    """
    from vaekit.cli.writing import write_draws, write_imputed, write_uncertainty
    from vaekit.runs.load import load

    if draws is not None and uncertainty is not None:
        raise VaekitError("--uncertainty cannot be used with --draws", mend="Leave it out: draws show the uncertainty")
    loaded = load(run)
    if draws is not None:
        typer.echo(write_draws(loaded, source, out, draws, samples, seed), file=sys.stdout)
        return
    typer.echo(write_imputed(loaded, source, out, samples), file=sys.stdout)
    if uncertainty is not None:
        typer.echo(write_uncertainty(loaded, source, uncertainty, samples), file=sys.stdout)


def sample(
    run: RunArgument,
    out: OutOption,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of rows to draw.")] = 100,
    seed: SeedOption = 0,
    mean: Annotated[bool, typer.Option("--mean", help="Write the mean of p(x|z) instead of a draw from it.")] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="COLUMN=VALUE",
            help="Fix a cell of a mixed table, or what a conditional model is given (label=7). Can be repeated.",
        ),
    ] = None,
) -> None:
    """Draw new rows from the model."""
    from vaekit.cli.writing import write_samples
    from vaekit.runs.load import load

    typer.echo(write_samples(load(run), out, n, given or [], seed, mean), file=sys.stdout)
