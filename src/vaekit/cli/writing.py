"""Write the results of command-line verbs, in pieces if the source is a table."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer

from vaekit.cli.outputs import MOST_ON_A_SHEET, TABLE_ENDINGS, Content, check_out, write_rows, write_tables
from vaekit.data import Frame
from vaekit.data.tables.coding import as_written
from vaekit.data.tables.frame import PlainLibrary
from vaekit.errors import VaekitError
from vaekit.evaluation import p_values
from vaekit.runs.alarms import outlier_scores
from vaekit.runs.mapper import as_table
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun


def write(
    run: Run, out: Path, make: Callable[[Any], Any], source: str | None, content: Content, name: str = "x"
) -> None:
    """Write the results that `make` computes, and print the number of rows written.

    Args:
        run: the run.
        out: the file or folder to write.
        make: returns an array or a table for some rows.
        source: where the rows come from.
        content: what is written.
        name: name of the columns, if the schema has no names for them.

    Raises:
        VaekitError: if `out` cannot hold the content, or is the file that is read.
    """
    # os.path rather than Path, which fails on an address that is too long for the name of a file
    if source is not None and out.exists() and os.path.exists(source) and out.samefile(source):
        raise VaekitError(f"--out is the input file '{out}'", mend="Choose another file")
    check_out(out, run.schema, "table" if content == "data" and run.reads_tables else content)
    ending = out.suffix.lower()
    made = map(make, [None] if source is None else run.pieces(source, text=ending == ".csv"))
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


def explain_scores(run: TableRun, rows: Frame, samples: int | None) -> pa.Table:
    """Return a table with the score and the strangest column of each row, and the strangeness of each cell."""
    reasons = run.explain(as_arrow(rows), samples)
    matrix = np.stack([column.to_numpy(zero_copy_only=False) for column in reasons.columns], 1)
    nothing = np.isnan(matrix).all(1)
    strangest = np.where(np.isnan(matrix), -np.inf, matrix).argmax(1)
    names = [None if empty else reasons.column_names[i] for i, empty in zip(strangest, nothing, strict=True)]
    cells = {f"surprise_{name}": reasons[name] for name in reasons.column_names}
    return pa.table(
        {run.model.score_name: run.score_samples(rows, samples), "strangest": pa.array(names, pa.string()), **cells}
    )


def rank_scores(run: Run, rows: Any, held_out: Any) -> pa.Table:
    """Return a table with the score of each row, and its p-value among the scores of held-out rows."""
    scores = outlier_scores(run, rows)
    name = run.model.score_name if run.detection is None else "score"
    return pa.table({name: scores, "p_value": p_values(scores, held_out)})


def as_arrow(rows: Frame) -> Frame:
    """Return rows whose results are Arrow tables, also if they are an array."""
    return replace(rows, library=PlainLibrary(), array=False)


def tabulate_intervals(
    run: TableRun, rows: Frame, level: float, samples: int | None, blanks: bool, lists: bool
) -> pa.Table:
    """Return the intervals and sets of missing cells; without lists, a set is text with its values between bars."""
    found: pa.Table = run.intervals(as_arrow(rows), level, samples, blanks)
    if lists:
        return found
    columns = [
        pc.binary_join(cells.cast(pa.list_(pa.string())), " | ") if pa.types.is_list(cells.type) else cells
        for cells in found.columns
    ]
    return pa.table(dict(zip(found.column_names, columns, strict=True)))


def stack_draws(run: TableRun, rows: Frame, draws: int, samples: int | None, seed: int, blanks: bool) -> pa.Table:
    """Impute rows several times, and return one table with a new first column for the number of the draw."""
    tables = []
    for i, table in enumerate(run.impute_draws(rows, draws, samples, seed, blanks=blanks)):
        found = table if isinstance(table, pa.Table) else pa.table(dict(zip(rows.names, table.T, strict=True)))
        name = find_free_name("draw", found.column_names)
        tables.append(found.add_column(0, name, pa.array([i + 1] * len(found))))
    if name != "draw" and rows.first == 0:
        typer.echo(f"Column '{name}' numbers the draws, because the data have a column 'draw'.", file=sys.stderr)
    return pa.concat_tables(tables)


def find_free_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a new column, with a number appended if the name is already in use.

    Examples:
        >>> find_free_name("draw", ["x"]), find_free_name("draw", ["draw", "draw_1"])
        ('draw', 'draw_2')
    """
    names = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1)))
    return next(each for each in names if each not in taken)


def draw_rows(run: Run, n: int, given: list[str], seed: int, mean: bool, complete: bool) -> Any:
    """Draw new rows with given values in some columns, and print the effective sample size if rows are resampled."""
    run = replace(run, row=None)  # files are written from Arrow tables, whatever library the run was trained with
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise VaekitError("--given must have the form COLUMN=VALUE", f"'{name}'")
    values = {name.strip(): value.strip() for name, _, value in pairs}
    others = set(values) - {column.name for column in run.schema.context}
    if mean or not others or not run.reads_tables:
        return run.sample(n, seed, mean, values, complete)
    table, size = run.as_table_run().condition(n, values, seed, complete)
    typer.echo(f"Effective sample size: {size:,.0f} for {n} rows.", file=sys.stderr)
    return table
