"""The verbs that share a run: as a folder, and on the Hub."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit.cli.options import JsonOption, RowsArgument, RunArgument

if TYPE_CHECKING:
    from vaekit.runs.sharing import Sharing

LeastOption = Annotated[
    int | None,
    typer.Option(
        "--least-count",
        metavar="N",
        min=1,
        help="Leave out the values of columns of categories that fewer than N rows have; by default data.least_count.",
    ),
]
BluntOption = Annotated[
    bool,
    typer.Option(
        "--blunt/--no-blunt",
        help="Move extremes inwards until N rows lie beyond them, and drop pseudo-inputs, or keep both.",
    ),
]
LicenseOption = Annotated[
    str | None, typer.Option("--license", metavar="NAME", help="The licence in the model card, such as apache-2.0.")
]


def share(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.")],
    source: RowsArgument = None,
    least_count: LeastOption = None,
    blunt: BluntOption = True,
    license: LicenseOption = None,  # noqa: A002 - as the Hub calls it
    as_json: JsonOption = False,
) -> None:
    """Copy a run without row hashes, paths and rare values.

    The copy has what a run needs to be used, and a model card. The output says what was left out, and what remains.
    """
    from vaekit.runs.load import load

    _show(load(run).share(out, source, least_count=least_count, blunt=blunt, license=license), as_json)


def push(
    run: RunArgument,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hugging Face Hub.")],
    source: RowsArgument = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody read the run.")] = False,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="BRANCH", help="The branch to write to; by default the main branch."),
    ] = None,
    least_count: LeastOption = None,
    blunt: BluntOption = True,
    license: LicenseOption = None,  # noqa: A002 - as the Hub calls it
    as_json: JsonOption = False,
) -> None:
    """Share a run on the Hugging Face Hub.

    What is uploaded is what `vaekit share` writes. The repository is private unless --public is given.
    """
    from vaekit.runs.load import load

    record = load(run).push_to_hub(
        repository,
        source,
        private=not public,
        revision=revision,
        least_count=least_count,
        blunt=blunt,
        license=license,
    )
    _show(record, as_json)


def _show(record: Sharing, as_json: bool) -> None:
    typer.echo(json.dumps(record.as_json(), indent=2) if as_json else str(record), file=sys.stdout)
