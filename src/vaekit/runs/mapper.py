"""A trained run as one function from Arrow rows to Arrow rows, for any engine that maps functions over batches.

A row's result does not depend on the rows that come with it, so an engine may cut rows as it likes.
"""

from __future__ import annotations

import math
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data import Schema
from vaekit.errors import VaekitError, did_you_mean
from vaekit.folder import RunFolder
from vaekit.runs.load import load, read_run
from vaekit.runs.run import Run

Verb = Literal["score", "encode", "reconstruct", "impute", "explain"]
VERBS: tuple[str, ...] = get_args(Verb)
TABLE_VERBS = ("impute", "explain")


def mapper(run: Run | str | Path, verb: Verb) -> Mapper:
    """Return a function from Arrow rows to Arrow rows that does with a run what a verb says.

    It can be pickled: an engine sends it to its workers, and each loads the run once, when the first rows come.

    Args:
        run: a run, whose files are sent along, or the path of its folder, which every worker must see.
        verb: `score`, `encode`, `reconstruct`, `impute` or `explain`.

    Returns:
        The function.

    Raises:
        VaekitError: for an unknown verb, or one that the run cannot do.
        RunError: if the run cannot be read.

    Examples:
        >>> import tempfile, vaekit
        >>> table = pa.table({"a": [None, *np.linspace(0, 1, 99)], "b": ["x", "y"] * 50})
        >>> run = vaekit.train(table, settings={"training.epochs": 1}, out=f"{tempfile.mkdtemp()}/run")
        >>> mapper(run, "score")(table.slice(5, 3)) == mapper(run, "score")(table).slice(5, 3)
        True
        >>> mapper(run, "impute")(table)["a"].null_count
        0
    """
    if verb not in VERBS:
        raise VaekitError(f"the verb must be one of {', '.join(VERBS)}", f"'{verb}'", did_you_mean(verb, VERBS))
    known = run if isinstance(run, Run) else read_run(RunFolder(run))
    if verb in TABLE_VERBS:
        known.as_table_run()
    return Mapper(verb, None if isinstance(run, Run) else Path(run).absolute(), _files(run) if run is known else {})


class Mapper:
    """Apply a verb to Arrow rows with a run that is loaded when the first rows come.

    Args:
        verb: one of `VERBS`.
        path: the run folder; None if the files are given.
        files: the files of the run folder, by name.
    """

    def __init__(self, verb: str, path: Path | None, files: dict[str, bytes]) -> None:
        self.verb, self.path, self.files = verb, path, files

    def __getstate__(self) -> dict[str, Any]:
        return {"verb": self.verb, "path": self.path, "files": self.files}

    def __repr__(self) -> str:
        return f"mapper({str(self.path or 'a run')!r}, {self.verb!r})"

    @cached_property
    def run(self) -> Run:
        """Return the run, loaded on first use."""
        if self.path is not None:
            return load(self.path)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            return load(folder)

    def __call__(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Return the results of rows, in their order.

        Args:
            rows: rows with the columns of the training data; a batch without rows is allowed.

        Returns:
            A table of as many rows. `score` has one column, log p(x) in nats; `encode` has a column for each latent
            dimension; the others have the columns of the data.

        Raises:
            DataError: if the rows do not fit the run.
        """
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        return self._apply(table) if len(table) else self._apply(self._some_row(table.schema)).slice(0, 0)

    def _apply(self, table: pa.Table) -> pa.Table:
        run = self.run
        if self.verb == "score":
            return as_table(run.score_samples(table)[:, None], run.schema, run.model.score_name)
        if self.verb == "encode":
            return as_table(run.encode(table), run.schema, "z")
        made = getattr(run, self.verb)(table)
        return made if isinstance(made, pa.Table) else as_table(made, run.schema, "x")

    def _some_row(self, schema: pa.Schema) -> pa.Table:
        """Return one row that the run accepts, to see which columns its results have."""
        context = {column.name: column.decode(np.zeros(1)) for column in self.run.schema.context}
        zero = pa.nulls(1) if self.run.reads_tables else pa.array([0])
        return pa.table([_cast(context.get(field.name, zero), field.type) for field in schema], schema=schema)


def _cast(cell: Any, kind: pa.DataType) -> Any:
    return pa.nulls(1, kind) if cell.null_count else cell.cast(kind)


def _files(run: Run) -> dict[str, bytes]:
    """Return the files of a run by name, without its training states, which are in a folder of their own."""
    with tempfile.TemporaryDirectory() as place:
        run.save(folder := Path(place) / "run")
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def as_table(values: npt.NDArray[Any], schema: Schema, name: str) -> pa.Table:
    """Return rows (n, ...) as an Arrow table with a column for each flattened feature."""
    columns = values.reshape(len(values), -1).T
    return pa.table(dict(zip(column_names(values, schema, name), columns, strict=True)))


def column_names(values: npt.NDArray[Any], schema: Schema, name: str) -> list[str]:
    """Return one column name for each value in a row: the schema's names, or `name` with an index."""
    count = math.prod(values.shape[1:])
    if schema.columns and values.shape[1:] == schema.shape:
        return list(schema.columns)
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]
