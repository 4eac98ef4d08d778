"""`map_files` and `sample_files`: whole jobs, from the source to the manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

import vaekit
from vaekit.data.readers.containers import Folder
from vaekit.data.readers.opening import DIGITS, find_source
from vaekit.data.readers.overlap import check_apart
from vaekit.data.readers.stored import StoredFile
from vaekit.errors import DataError, Interrupted, RunError, VaekitError, at_least_one, did_you_mean
from vaekit.jobs.engines import ENGINES, Engine
from vaekit.jobs.folder import JobFolder, Manifest
from vaekit.jobs.making import GO_ON, Fault, Made, PartMaker
from vaekit.jobs.parts import Part, file_parts, range_parts
from vaekit.reporters import track
from vaekit.runs.load import load
from vaekit.runs.mapper import Mapper, Verb, find_verb, run_files
from vaekit.runs.run import Run
from vaekit.runs.verbs import Draw, RowVerb


def map_files(
    run: Run | str | Path,
    verb: Verb | RowVerb,
    source: str | Path,
    out: str | Path,
    engine: str | Engine = "local",
) -> Manifest:
    """Apply a verb to each file of a table or tar of pictures, and write a Parquet file of results for each.

    A file of results has the name of its file and its rows in the same order, below the same sub-folders. It appears in one
    step. Files of results that are finished stay, so an interrupted job goes on when it is called again. When all are
    finished, `_manifest.json` names them, with their numbers of rows and SHA-256 digests. The bytes do not depend on the
    engine, the workers or interruptions (on the same kind of processor, with the same number of threads).

    Args:
        run: a run, or its folder or address.
        verb: `score`, `encode`, `reconstruct`, `impute` or `explain`, or an object of `vaekit.runs.verbs`.
        source: a file, a folder or a pattern of Parquet, CSV or Arrow files or of tars, here or in a store (`s3://…`).
        out: the folder of results, on this computer or one that all workers share: a new one, or one of the same job.
        engine: `local`, which makes one part after the other in this process; `ray`; or an engine object, such as
            `vaekit.jobs.Ray(workers=8)`.

    Returns:
        The manifest.

    Raises:
        DataError: if a file is damaged or does not fit the run; the others are finished first.
        RunError: if `out` holds other files or the results of another job, is in use, or cannot be written.
        VaekitError: for an unknown verb or engine, or a verb that the run cannot do.

    Examples:
        >>> import tempfile, pyarrow as pa, pyarrow.parquet as pq, vaekit
        >>> place = Path(tempfile.mkdtemp())
        >>> table = pa.table({"a": [i / 7 for i in range(100)], "b": ["x", "y"] * 50})
        >>> run = vaekit.train(table, settings={"training.epochs": 1}, out=place / "run")
        >>> (place / "rows").mkdir()
        >>> for i in range(2):
        ...     pq.write_table(table.slice(50 * i, 50), place / "rows" / f"{i}.parquet")
        >>> made = map_files(run, "score", place / "rows", place / "scores")
        >>> made.rows, [part.file for part in made.parts]
        (100, ['0.parquet', '1.parquet'])
    """
    made_by, chosen, out = _find_engine(engine), find_verb(verb), Path(out).absolute()
    check_apart(str(source), out)
    loaded = run if isinstance(run, Run) else load(run)
    chosen.prepare(loaded)
    parts = file_parts(_find_files(str(source)), chosen.by_position)
    return _run_job(loaded, chosen, parts, {"source": _address(source)}, out, made_by)


def _find_files(source: str) -> tuple[StoredFile, ...]:
    """Return the files of a source, of which each gives a file of results."""
    must = "the source of a folder of results must be files of a table, or tars of pictures"
    if source == DIGITS:
        raise DataError(must, f"'{DIGITS}', the handwritten digits", f"For a folder of this name, pass './{DIGITS}'")
    try:
        return find_source(source)
    except DataError as error:
        if not os.path.isdir(source) or not Folder(Path(source)).holds_pictures():
            raise
        mend = "Write one file of results, as with --out x.parquet"
        raise DataError(must, f"pictures in '{source}'", mend) from error


def sample_files(
    run: Run | str | Path,
    n: int,
    out: str | Path,
    seed: int = 0,
    given: Mapping[str, Any] | None = None,
    complete: bool = False,
    engine: str | Engine = "local",
) -> Manifest:
    """Draw n new rows, and write them as Parquet files of 2²⁰ rows each.

    The rows are those of `run.sample(n, seed)`. Otherwise as `map_files`.

    Args:
        run: a run, or its folder or address.
        n: number of rows, ≥ 1.
        out: the folder of results.
        seed: the same seed gives the same rows.
        given: a value for each given column.
        complete: whether to draw complete rows, as in `run.sample`.
        engine: as in `map_files`.

    Returns:
        The manifest.

    Raises:
        RunError: as `map_files`.
        VaekitError: if n is below 1, or for an unknown engine.
    """
    made_by, verb = _find_engine(engine), Draw(seed, tuple(sorted((given or {}).items())), complete)
    parts, loaded = range_parts(at_least_one(n, "n")), run if isinstance(run, Run) else load(run)
    verb.table(verb.prepare(loaded), range(1))  # what cannot be drawn is refused before there is a folder
    return _run_job(loaded, verb, parts, {"rows": n}, Path(out).absolute(), made_by)


def _run_job(
    run: Run,
    verb: RowVerb,
    parts: Sequence[Part],
    source: Mapping[str, Any],
    out: Path,
    engine: Engine,
) -> Manifest:
    """Make the parts that are not finished, and write the manifest."""
    files = run_files(run)
    job = {
        "verb": verb.name,
        "options": verb.options,
        "run": _digest(files),
        **source,
        "versions": {"vaekit": vaekit.__version__, "torch": torch.__version__},
    }
    folder = JobFolder(out, job, parts)
    with folder.held():
        made = folder.finished()
        missing = [part for part in parts if part.file not in made]
        if missing:
            folder.begin()
            maker = PartMaker(out, folder.digest, Mapper(verb, None, files))
            _make(engine, maker, missing, made)
            _write_empty(maker, parts, made)
        return folder.end(made)


def _make(engine: Engine, maker: PartMaker, parts: Sequence[Part], made: dict[str, Made]) -> None:
    """Make parts, and add their records to those of finished ones.

    Raises:
        DataError: if rows of some parts could not be read; all others are made.
        RunError: at once, for any other fault.
    """
    faults: list[Fault] = []
    total = len(made) + len(parts)
    try:
        with track(len(parts), "files") as advance:
            for found in engine.run(maker, parts):
                if isinstance(found, Made):
                    made[found.file] = found
                elif found.of_rows:
                    faults.append(found)
                else:
                    raise RunError(found.message)
                advance(1)
    except Interrupted as stop:
        told = f"{len(made):,} of {total:,} files of results in '{maker.folder}' are finished"
        raise Interrupted(told, f"To go on, {GO_ON}", stop.signal) from stop
    if faults:
        first = min(faults, key=lambda fault: fault.file)
        told = f"{len(faults):,} of {len(parts):,} files could not be read, the first because: {first.message}"
        raise DataError(told, mend=f"Mend the files, or take them away. Then {GO_ON}")


def _write_empty(maker: PartMaker, parts: Sequence[Part], made: dict[str, Made]) -> None:
    """Write the files of parts without rows, with the columns of the other parts."""
    empty = [part for part in parts if not made[part.file].sha256]
    if not empty:
        return
    full = next((part.file for part in parts if made[part.file].sha256), None)
    if full is None:
        raise DataError("The files of the source have no rows")
    schema = pq.read_schema(maker.folder / full).remove_metadata()
    for part in empty:
        made[part.file] = maker.write(part, iter(()), schema)


def _find_engine(engine: str | Engine) -> Engine:
    if isinstance(engine, Engine):
        return engine
    if engine not in ENGINES:
        must = f"the engine must be one of {', '.join(ENGINES)}"
        raise VaekitError(must, f"'{engine}'", did_you_mean(engine, ENGINES))
    return ENGINES[engine]()


def _digest(files: Mapping[str, bytes]) -> str:
    """Return the digest of what a run consists of, apart from where and when it was made."""
    found = hashlib.sha256()
    for name, content in sorted(files.items()):
        if name != "provenance.json":
            found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _address(source: str | Path) -> str:
    """Return a source as it is compared: the absolute path of local files."""
    text = str(source)
    return text if "://" in text else str(Path(text).expanduser().absolute())
