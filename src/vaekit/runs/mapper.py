"""A trained run as one function from Arrow rows to Arrow rows, for any engine that maps functions over batches.

A row's result does not depend on the rows that come with it, so an engine may cut rows as it likes.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vaekit.errors import VaekitError, did_you_mean
from vaekit.folder import RunFolder
from vaekit.runs.load import load, read_run
from vaekit.runs.run import Run
from vaekit.runs.verbs import Encode, Explain, Impute, Reconstruct, RowVerb, Score

Verb = Literal["score", "encode", "reconstruct", "impute", "explain"]
VERBS: dict[str, RowVerb] = {verb.name: verb for verb in (Score(), Encode(), Reconstruct(), Impute(), Explain())}


def mapper(run: Run | str | Path, verb: Verb | RowVerb) -> Mapper:
    """Return a function from Arrow rows to Arrow rows that does with a run what a verb says.

    It can be pickled: an engine sends it to its workers, and each loads the run once, when the first rows come.

    Args:
        run: a run, whose files are sent along, or the path of its folder, which every worker must see.
        verb: `score`, `encode`, `reconstruct`, `impute` or `explain`, or an object of `vaekit.runs.verbs` with options, such
            as `Score(samples=100)`.

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
    chosen, known = find_verb(verb), run if isinstance(run, Run) else read_run(RunFolder(run))
    chosen.prepare(known)
    return Mapper(
        chosen, None if isinstance(run, Run) else Path(run).absolute(), run_files(run) if run is known else {}
    )


def find_verb(verb: str | RowVerb) -> RowVerb:
    """Return a verb by its name; an object stays as it is.

    Raises:
        VaekitError: for an unknown name.
    """
    if isinstance(verb, RowVerb):
        return verb
    if verb not in VERBS:
        raise VaekitError(f"the verb must be one of {', '.join(VERBS)}", f"'{verb}'", did_you_mean(verb, VERBS))
    return VERBS[verb]


class Mapper:
    """Apply a verb to Arrow rows with a run that is loaded when the first rows come.

    Args:
        verb: what is done with rows.
        path: the run folder; None if the files are given.
        files: the files of the run folder, by name.
    """

    def __init__(self, verb: RowVerb, path: Path | None, files: dict[str, bytes]) -> None:
        self.verb, self.path, self.files = verb, path, files

    def __getstate__(self) -> dict[str, Any]:
        return {"verb": self.verb, "path": self.path, "files": self.files}

    def __repr__(self) -> str:
        return f"mapper({str(self.path or 'a run')!r}, {self.verb.name!r})"

    @cached_property
    def run(self) -> Run:
        """Return the run as the verb uses it, loaded on first use."""
        if self.path is not None:
            return self.verb.prepare(load(self.path))
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            return self.verb.prepare(load(folder))

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
        if not len(table):
            return self.verb.table(self.run, self._some_row(table.schema)).slice(0, 0)
        return self.verb.table(self.run, table)

    def _some_row(self, schema: pa.Schema) -> pa.Table:
        """Return one row that the run accepts, to see which columns its results have."""
        context = {column.name: column.decode(np.zeros(1)) for column in self.run.schema.context}
        zero = pa.nulls(1) if self.run.reads_tables else pa.array([0])
        return pa.table([_cast(context.get(field.name, zero), field.type) for field in schema], schema=schema)


def _cast(cell: Any, kind: pa.DataType) -> Any:
    return pa.nulls(1, kind) if cell.null_count else cell.cast(kind)


def run_files(run: Run) -> dict[str, bytes]:
    """Return the files of a run by name, without its training states, which are in a folder of their own."""
    with tempfile.TemporaryDirectory() as place:
        run.save(folder := Path(place) / "run")
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
