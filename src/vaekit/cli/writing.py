"""Write the results of command-line verbs, in pieces if the source is a table."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import typer

from vaekit.cli.outputs import ENDINGS, MOST_ON_A_SHEET, TABLE_ENDINGS, check_out, write_rows, write_tables
from vaekit.data.readers.addresses import is_database
from vaekit.data.readers.opening import DIGITS
from vaekit.data.readers.overlap import check_apart
from vaekit.data.readers.stored import is_pattern
from vaekit.data.tables.coding import as_written
from vaekit.errors import VaekitError
from vaekit.jobs.folder import Manifest
from vaekit.runs.run import Run
from vaekit.runs.verbs import Content, RowVerb, as_table


def write(run: Run, out: Path, verb: RowVerb, source: str, engine: str | None = None) -> None:
    """Write the results of a verb to a file, or to a file for each file of the source, and print how many rows they have.

    Args:
        run: the run.
        out: the file or folder to write.
        verb: what is done with the rows.
        source: where the rows come from.
        engine: the engine of a job that writes a folder of Parquet files.

    Raises:
        VaekitError: if `out` cannot hold the results, or would become a part of the source.
    """
    run = verb.prepare(run)
    pictures = run.schema.picture and verb.content == "data"
    if is_job(out, engine, not pictures and has_many_files(source)):
        from vaekit.jobs import map_files

        told(map_files(run, verb, source, out, engine or "local"), out)
        return
    check_apart(source, out)
    text = out.suffix.lower() == ".csv"
    write_results(
        run, out, verb.content, verb.column(run), (verb.apply(run, rows) for rows in run.pieces(source, text))
    )


def has_many_files(source: str) -> bool:
    """Return whether a source names a folder, a pattern or a store, which may hold many files."""
    if "://" in source:
        return not is_database(source)
    folder = source != DIGITS and os.path.isdir(source)  # os.path takes any text, Path does not
    return is_pattern(source) or folder


def is_job(out: Path, engine: str | None, many: bool) -> bool:
    """Return whether results are a folder of Parquet files, and not one file or pictures.

    Args:
        out: the file or folder to write.
        engine: the engine that is asked for.
        many: whether a folder of results is what a user expects without an engine.

    Raises:
        VaekitError: if an engine is named for a single file.
    """
    if engine is not None and out.suffix.lower() in ENDINGS:
        must = "with --engine, --out must be a folder, for a file of results for each part"
        raise VaekitError(must, f"'{out}'")
    return engine is not None or (many and not out.suffix)


def told(made: Manifest, out: Path) -> None:
    """Print how many rows a job has written."""
    files = "1 file" if len(made.parts) == 1 else f"{len(made.parts):,} files"
    typer.echo(f"Wrote {made.rows:,} rows in {files}: {out}", file=sys.stdout)


def write_results(run: Run, out: Path, content: Content, name: str, made: Iterable[Any]) -> None:
    """Write results to one file, or a folder of pictures.

    Args:
        run: the run.
        out: the file or folder to write.
        content: what is written.
        name: name of the columns, if the schema has no names for them.
        made: arrays or tables, one after the other.

    Raises:
        VaekitError: if `out` cannot hold the content.
    """
    check_out(out, run.schema, "table" if content == "data" and run.reads_tables else content)
    ending = out.suffix.lower()
    if ending in TABLE_ENDINGS:
        tables = (each if isinstance(each, pa.Table) else as_table(each, run.schema, name) for each in made)
        first = list(itertools.islice(tables, 1))  # an error of the source comes before the file is opened
        written: Iterator[pa.Table] = itertools.chain(first, tables)
        if ending == ".csv":
            written = (as_written(table, run.schema.table) for table in written)
        typer.echo(f"Wrote {write_tables(out, written)} rows: {out}", file=sys.stdout)
        return
    values = np.concatenate(list(made))
    write_rows(out, values, run.schema, name)
    sheet = ending == ".png" and len(values) > MOST_ON_A_SHEET
    shown = f" (the first {MOST_ON_A_SHEET} on the sheet)" if sheet else ""
    typer.echo(f"Wrote {len(values)} rows{shown}: {out}", file=sys.stdout)


def parse_given(given: list[str]) -> dict[str, str]:
    """Return the columns and values of `--given COLUMN=VALUE`.

    Raises:
        VaekitError: for another form.
    """
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise VaekitError("--given must have the form COLUMN=VALUE", f"'{name}'")
    return {name.strip(): value.strip() for name, _, value in pairs}


def draw_rows(run: Run, n: int, values: dict[str, str], seed: int, mean: bool, complete: bool) -> Any:
    """Draw new rows with given values in some columns, and print the effective sample size if rows are resampled."""
    run = replace(run, row=None)  # files are written from Arrow tables, whatever library the run was trained with
    others = set(values) - {column.name for column in run.schema.context}
    if mean or not others or not run.reads_tables:
        return run.sample(n, seed, mean, values, complete)
    table, size = run.as_table_run().condition(n, values, seed, complete)
    typer.echo(f"Effective sample size: {size:,.0f} for {n} rows.", file=sys.stderr)
    return table
