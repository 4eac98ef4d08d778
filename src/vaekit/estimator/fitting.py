"""What fitting takes besides the data: settings, a seed, a place on disk; and how a fitted model is kept."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow.parquet
import torch
from sklearn.utils import check_random_state

from vaekit.data import Frame
from vaekit.errors import RunError
from vaekit.estimator.pattern import PATTERN, read_pattern, write_pattern
from vaekit.folder import COPY, WEIGHTS, RunFolder
from vaekit.recipe import load_recipe
from vaekit.runs.run import Run
from vaekit.runs.train import load, write_known
from vaekit.training.signals import unheeded

MOST_PATTERN = 1 << 26
"""Bytes."""
SEEDS = 2**31 - 1


def seed_of(random_state: Any) -> int:
    """A seed of the package from what scikit-learn calls a random state; a whole number is taken as it is.

    Examples:
        >>> seed_of(7)
        7
    """
    if isinstance(random_state, Integral):
        return int(random_state) % SEEDS
    return int(check_random_state(random_state).randint(SEEDS))


def complete(
    recipe: Any, settings: Mapping[str, Any], own: Mapping[str, Any], rows: object, random_state: Any
) -> tuple[dict[str, Any], int | None]:
    """All settings of a training, and its seed.

    Args:
        recipe: as asked for.
        settings: dotted keys and values.
        own: settings that stand above these where they are not left open.
        rows: what to train on; each column of a table is modelled by its kind, unless recipe or settings say otherwise.
        random_state: decides the seed; None leaves it to the recipe, where that has one.

    Returns:
        Settings, which hold no rows out, and the seed; None where it is the recipe's.
    """
    chosen = {k: v.item() if isinstance(v, np.generic) else v for k, v in own.items() if v not in (None, "auto")}
    full = {"data.test": 0, **settings, **chosen}
    plan = load_recipe(recipe, full)
    is_open = plan.model == "vae" and plan.data.kind == "auto" and plan.likelihood.name == "auto"
    if is_open and (isinstance(rows, Frame) or (isinstance(rows, np.ndarray) and rows.ndim == 2)):
        full["data.kind"] = "mixed"
    has_seed = random_state is None and "seed" in plan.model_fields_set
    return full, None if has_seed else seed_of(random_state)


@contextlib.contextmanager
def place(out: str | Path | None) -> Iterator[str | Path]:
    """Give the folder to train in: the one asked for, or one that vanishes, for which no signal is caught."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="vaekit-") as name, unheeded():
        yield Path(name) / "run"


def precise(run: Run) -> Run:
    """The run in double precision: rounding that depends on a row's company then stays below what is returned."""
    if next(run.model.parameters()).is_cuda:  # where doubles may take many times as long
        return run
    model = copy.deepcopy(run.model).double()
    for part in (model.encoder, model.decoder):
        part.register_forward_pre_hook(_widen)
    return replace(run, model=model)


def _widen(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:  # noqa: ARG001
    return tuple(x.double() for x in inputs)


def write(path: str | Path, run: Run, pattern: Any, history: list[dict[str, float]], step: int) -> None:
    """Write a run folder.

    Args:
        path: a new or empty folder.
        run: the trained run.
        pattern: a data frame that shows library and types of the training data, if they were one.
        history: the rows of metrics.csv.
        step: at which the weights were chosen.
    """
    folder = RunFolder(path)
    described = {"schema": run.schema.model_dump(mode="json"), "transform": run.transform.model_dump(mode="json")}
    library = None if pattern is None else nw.from_native(pattern).implementation.value
    row = None if pattern is None else write_pattern(pattern)
    provenance = {**run.provenance, "library": library, "pattern": row and hashlib.sha256(row).hexdigest()}

    def further(made: RunFolder) -> None:
        if row is not None:
            (made.path / PATTERN).write_bytes(row)
        if run.known is not None:
            write_known(made, run.known)

    folder.create(run.recipe.as_json(), described, provenance, further)
    folder.write_tensors(WEIGHTS, run.model.state_dict(), {"step": str(step)})
    folder.write_metrics(history)


def read(path: str | Path) -> tuple[Run, Any]:
    """The run of a folder, and a data frame that shows the library of its training data, if it has one.

    Raises:
        RunError: if the folder cannot be read, or the library is not there.
    """
    run = load(path)
    library = run.provenance.get("library")
    if library is None:
        return run, None
    content = run.folder.read_bytes(PATTERN, MOST_PATTERN)
    noted = run.provenance.get("pattern")
    if run.folder.format > 1 and noted != hashlib.sha256(content).hexdigest():
        raise RunError(f"{PATTERN} must be as it was saved", f"a damaged or changed file in '{path}'", COPY)
    try:
        if (rows := pyarrow.parquet.read_metadata(io.BytesIO(content)).num_rows) != 1:
            raise ValueError(f"{rows:,} rows")
        return run, read_pattern(content, library)
    except (OSError, ValueError, ImportError, TypeError, KeyError) as error:
        raise RunError(f"{PATTERN} must be readable, by {library}", f"'{path}': {error}") from error
