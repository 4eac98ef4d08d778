"""What the verbs make of a run and a source, written piece by piece where the source is a table."""

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
import typer

from vaekit.cli.outputs import MOST_ON_A_SHEET, check_out, column_names, write_rows, write_tables
from vaekit.data import Frame
from vaekit.data.tables.coding import as_written
from vaekit.data.tables.frame import as_arrow
from vaekit.errors import VaekitError
from vaekit.opening import as_frame, open_rows
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun


def write_made(run: Run, out: Path, make: Callable[[Any, Any], Any], name: str, source: str | None) -> str:
    """Write what `make` makes of the rows of a source; a sentence that says what was written.

    Args:
        run: the run.
        out: where to.
        make: from the run and some rows to an array or a table.
        name: `x` for rows of the data, `table` for a table, else what a column is called.
        source: where the rows come from; None where none are needed.
    """
    if name == "table":
        table_run(run)
    # os.path rather than Path, which fails on an address that is too long for the name of a file
    if source is not None and out.exists() and os.path.exists(source) and out.samefile(source):
        raise VaekitError("--out must not be the file that is read", f"'{out}' for both", "Name another file")
    check_out(out, run.schema, like_data=name == "x", table=name == "table")
    called = run.model.score_name if name == "score" else name
    if isinstance(run, TableRun) and out.suffix.lower() in (".csv", ".parquet"):
        text = out.suffix.lower() == ".csv"
        made_of = (_as_table(run, made, called) for made in _pieces(run, make, source, text))
        rows = write_tables(out, (as_written(made, run.schema.table) if text else made for made in made_of))
        return f"Wrote {rows} rows: {out}"
    values = make(run, source) if not isinstance(run, TableRun) else np.concatenate(list(_pieces(run, make, source)))
    write_rows(out, values, run.schema, called)
    sheet = out.suffix == ".png" and len(values) > MOST_ON_A_SHEET
    return f"Wrote {len(values)} rows{f' (the first {MOST_ON_A_SHEET} on the sheet)' if sheet else ''}: {out}"


def _pieces(run: TableRun, make: Callable[[Any, Any], Any], source: str | None, text: bool = False) -> Iterator[Any]:
    """What is made of each piece of a source, so that it need not fit into memory; of a text file as text, if that is wanted."""
    if source is None:
        yield make(run, None)
        return
    frame = as_frame(open_rows(source, run.recipe, known=run.schema.cells), run.recipe)
    for piece in (replace(frame, native=as_arrow) if text and frame.marks is not None else frame).pieces():
        yield make(run, piece)


def _as_table(run: TableRun, made: Any, name: str) -> pa.Table:
    if isinstance(made, pa.Table):
        return made
    return pa.table(dict(zip(column_names(made, run.schema, name), made.T, strict=True)))


def table_run(run: Run) -> TableRun:
    """The run as one on a mixed table.

    Raises:
        VaekitError: if it is none.
    """
    if not isinstance(run, TableRun):
        raise VaekitError(
            "only a run on a mixed table can fill, explain or be given cells",
            f"'{run.path}', trained on {run.schema.kind} data",
            "For samples of a class train with --recipe conditional-vae"
            if run.schema.picture
            else "Train with --set data.kind=mixed",
        )
    return run


def with_reasons(run: TableRun, rows: Frame, samples: int | None) -> pa.Table:
    """Scores, the strangest column of each row, and how strange each cell is."""
    reasons = run.explain(rows, samples)
    matrix = np.stack([column.to_numpy(zero_copy_only=False) for column in reasons.columns], 1)
    nothing = np.isnan(matrix).all(1)
    strangest = np.where(np.isnan(matrix), -np.inf, matrix).argmax(1)
    names = [None if empty else reasons.column_names[i] for i, empty in zip(strangest, nothing, strict=True)]
    cells = {f"surprise_{name}": reasons[name] for name in reasons.column_names}
    return pa.table(
        {run.model.score_name: run.score(rows, samples), "strangest": pa.array(names, pa.string()), **cells}
    )


def stacked(run: TableRun, rows: Frame, draws: int, samples: int | None, seed: int) -> pa.Table:
    """Complete tables under each other, numbered by a first column `draw`, or `draw_1` beside one of that name."""
    tables = []
    for i, table in enumerate(run.impute_draws(rows, draws, samples, seed)):
        found = table if isinstance(table, pa.Table) else pa.table(dict(zip(rows.names, table.T, strict=True)))
        name = free_name("draw", found.column_names)
        tables.append(found.add_column(0, name, pa.array([i + 1] * len(found))))
    if name != "draw" and rows.first == 0:
        typer.echo(f"The number of each draw is in column '{name}', as the data have a column 'draw'.", file=sys.stderr)
    return pa.concat_tables(tables)


def free_name(name: str, taken: Collection[str]) -> str:
    """A name for a column beside others: the one wanted, or with the first number that makes it another.

    Examples:
        >>> free_name("draw", ["x"]), free_name("draw", ["draw", "draw_1"])
        ('draw', 'draw_2')
    """
    names = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1)))
    return next(each for each in names if each not in taken)


def drawn(run: Run, n: int, given: list[str], seed: int, mean: bool) -> Any:
    """New rows with some cells given; of those that the model speaks of, how many independent rows stand behind them is said on standard error."""
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise VaekitError("--given must have the form COLUMN=VALUE", f"'{name}'")
    values = {name.strip(): value.strip() for name, _, value in pairs}
    others = set(values) - {column.name for column in run.schema.given}
    if mean or not others or (run.schema.given and not isinstance(run, TableRun)):
        return run.sample(n, seed, mean, values)
    table, size = table_run(run).condition(n, values, seed)
    typer.echo(f"Effective sample size: {size:,.0f} for {n} rows.", file=sys.stderr)
    return table
