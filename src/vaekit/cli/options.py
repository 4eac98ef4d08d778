"""The arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or hf://OWNER/NAME[@REVISION].")]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="`digits`, a file, a folder, a pattern such as 'folder/*.csv', or the address of a store or a database.",
    ),
]
RowsArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="The rows to measure: of the run's own data (the default) its held-out rows, of other data all rows.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        help="The .npy, .npz, .csv, .parquet or .png file (a contact sheet) to write, or a folder of PNG or Parquet files.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="What makes a folder of Parquet files: `local` (this process, by default) or `ray` (many workers).",
    ),
]
NewRunOption = Annotated[
    Path | None, typer.Option("--out", metavar="RUN", help="The run folder to make; by default a new one is chosen.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe. Can be repeated."),
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="Draws K in the importance-weighted bound; the recipe's number by default."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws: the same seed gives the same rows.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="Import a module or a .py file that defines your own parts. Can be repeated.",
    ),
]
