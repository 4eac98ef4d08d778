"""The verbs that write rows: codes, reconstructions, scores, imputed tables and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaekit.cli.options import OutOption, RunArgument, SamplesOption, SeedOption, SourceArgument
from vaekit.errors import VaekitError


def encode(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the posterior mean of each row."""
    from vaekit.cli import writing

    writing.write_codes(run, source, out)


def reconstruct(run: RunArgument, source: SourceArgument, out: OutOption) -> None:
    """Write the reconstruction of each row."""
    from vaekit.cli import writing

    writing.write_reconstructions(run, source, out)


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
    from vaekit.cli import writing

    write = writing.write_explanations if explain else writing.write_scores
    write(run, source, out, samples)


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
    from vaekit.cli import writing

    if draws is not None and uncertainty is not None:
        raise VaekitError("--uncertainty cannot be used with --draws", mend="Leave it out: draws show the uncertainty")
    if draws is None:
        writing.write_imputed(run, source, out, samples)
    else:
        writing.write_draws(run, source, out, draws, samples, seed)
    if uncertainty is not None:
        writing.write_uncertainty(run, source, uncertainty, samples)


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
    from vaekit.cli import writing

    writing.write_samples(run, out, n, given or [], seed, mean)
