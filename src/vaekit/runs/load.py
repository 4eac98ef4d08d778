"""Read a run from its folder, and check every file before it is used."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from vaekit.data import KnownRows, Schema, Transform, seeded
from vaekit.errors import RunError, shorten
from vaekit.evaluation.calibration import Recalibration
from vaekit.evaluation.outliers import Detection
from vaekit.folder import INTERVALS, KNOWN, MANIFEST, MISSING, OUTLIERS, ROW, WEIGHTS, RunFolder, check_manifest
from vaekit.models.missing_pattern import MissingPattern
from vaekit.recipe import Recipe, build_model, load_recipe
from vaekit.recipe.objects import adapt_model, check_known, check_objects
from vaekit.runs.missing import make_pattern
from vaekit.runs.run import Run
from vaekit.runs.table_run import TableRun
from vaekit.training.state import GOOD

LARGEST_WEIGHT = 1e18
"""Squares of greater weights overflow float32."""
HUB = "hf:/"
"""Beginning of the address of a run on the Hub; a `Path` of it has lost a slash."""
SPARE = 1 << 26
"""How many bytes building a model may take in addition to its weights."""


def load(path: str | Path, **parts: object) -> Run:
    """Read a run from its folder, or from the Hub, without running any code from it.

    Args:
        path: the run folder, or the address of a run on the Hub, `hf://owner/name` or `hf://owner/name@revision`. Its files
            are downloaded into the cache of `huggingface_hub`, and compared with the digests in its manifest.
        parts: the objects that `vaekit.train` was given as parts, built again, under the same names (`prior=…`).

    Returns:
        The run, with its best weights.

    Raises:
        RunError: if the folder is missing, damaged, from another version, or not trained yet; or if the Hub cannot be
            reached or has no such run.

    Examples:
        >>> load("nowhere")
        Traceback (most recent call last):
        ...
        vaekit.errors.RunError: There is no run folder 'nowhere'.
    """
    run = read_run(_open_folder(path), parts)
    weights, _ = run.folder.read_tensors(WEIGHTS, like=run.model.state_dict())
    if bad := [name for name, value in weights.items() if not (value.double().abs() <= LARGEST_WEIGHT).all()]:
        raise RunError(
            f"The weights '{bad[0]}' in '{run.folder.path / WEIGHTS}' are not finite, or exceed {LARGEST_WEIGHT:g}",
            mend="Train a new run with a smaller training.learning_rate",
        )
    run.model.load_state_dict(weights)
    return run


def _open_folder(path: str | Path) -> RunFolder:
    """Return the folder of a run; a run on the Hub is fetched."""
    if not str(path).startswith(HUB):
        return RunFolder(path)
    from vaekit.runs.hub import fetch, parse_address

    return fetch(parse_address(path))


def read_run(folder: RunFolder, objects: Mapping[str, Any] | None = None) -> Run:
    """Read a run from its folder, without its weights and training state.

    Args:
        folder: the run folder.
        objects: the parts that training was given as objects, by section.
    """
    provenance = folder.open()
    if folder.has(MANIFEST):
        check_manifest(folder)
    try:
        written = folder.read("recipe.toml")
        if "evaluation" not in written:  # the last section, which training always writes
            raise KeyError("recipe.toml has no section [evaluation]: it seems to be cut off")
        check_known(written, folder.path)
        recipe = load_recipe(written)
        check_objects(recipe, objects or {}, folder.path)
        described = folder.read("schema.json")
        schema, transform = Schema.model_validate(described["schema"]), Transform.model_validate(described["transform"])
        objects = adapt_model(objects or {}, schema)
        with _SizeLimit(folder.size(WEIGHTS) or folder.size(GOOD)):
            run = make_run(folder, recipe, schema, transform, provenance, objects)
    except RunError:
        raise
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        said = str(error).partition("For further information")[0].strip()  # pydantic adds a link
        files = "recipe.toml, schema.json or provenance.json"
        told = f"{files} in '{folder.path}' is damaged, or was changed after it was written: {shorten(said)}"
        raise RunError(told, mend="Restore these files from a copy") from error
    run.known, run.row = _read_known(folder), _read_row(folder, provenance)
    run.missing, run.recalibration, run.detection = _read_missing(run), read_recalibration(run), _read_detection(run)
    return run


def make_run(
    folder: RunFolder,
    recipe: Recipe,
    schema: Schema,
    transform: Transform,
    provenance: dict[str, Any],
    objects: Mapping[str, Any] | None = None,
) -> Run:
    """Build a run with an untrained model."""
    with seeded(recipe.seed):
        model = build_model(recipe, schema, transform, objects)
    kind = TableRun if schema.kind == "mixed" else Run
    return kind(folder, recipe, schema, transform, model, provenance, objects=dict(objects or {}))


class _SizeLimit(TorchFunctionMode):
    """Refuse to build a model that is much larger than its saved weights.

    Args:
        saved: size of the saved weights in bytes; 0 sets no limit.
    """

    def __init__(self, saved: int) -> None:
        super().__init__()
        self.left = 4 * saved + SPARE if saved else math.inf

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and not any(isinstance(value, torch.Tensor) for value in args):
            self.left -= made.nbytes
            if self.left < 0:
                raise ValueError("they describe a model that is larger than the saved weights")
        return made


def _read_known(folder: RunFolder) -> KnownRows | None:
    if not folder.has(KNOWN):
        return None
    tensors, notes = folder.read_tensors(KNOWN)
    try:
        return KnownRows.read(tensors["hashes"].numpy(), notes)
    except (KeyError, ValueError, TypeError) as error:
        raise folder.damage_error(KNOWN, error) from error


def _read_row(folder: RunFolder, provenance: Mapping[str, Any]) -> bytes | None:
    """Return the row that records an estimator's column types, or None if the run has no such row."""
    if provenance.get("library") is None:
        return None
    content = folder.read_bytes(ROW)
    if provenance.get("pattern") != hashlib.sha256(content).hexdigest():
        raise folder.change_error(ROW)
    return content


def _read_detection(run: Run) -> Detection | None:
    """Return the score and the held-out scores of a detector, or None for other runs."""
    folder = run.folder
    if run.transform.cells is None or not folder.has(OUTLIERS):
        return None
    tensors, _ = folder.read_tensors(OUTLIERS)
    try:
        return Detection.of_tensors(tensors, run.transform.cells.layout.slots)
    except (KeyError, ValueError) as error:
        raise folder.damage_error(OUTLIERS, error) from error


def _read_missing(run: Run) -> MissingPattern | None:
    """Return the model of the pattern of missing cells, or None if the training rows had no missing cells."""
    names, incomplete = list(run.schema.columns), run.provenance.get("incomplete", [])
    if not incomplete:
        return None
    try:
        pattern = make_pattern(run.schema, run.transform, [names.index(name) for name in incomplete])
    except (ValueError, TypeError) as error:
        raise run.folder.damage_error("provenance.json", error) from error
    pattern.load_state_dict(run.folder.read_tensors(MISSING, like=pattern.state_dict())[0])
    return pattern


def read_recalibration(run: Run) -> Recalibration | None:
    """Return the recalibrated levels of intervals, or None if the run has none."""
    if not run.folder.has(INTERVALS):
        return None
    try:
        found = Recalibration.model_validate({k: v for k, v in run.folder.read(INTERVALS).items() if k != "digest"})
    except ValueError as error:
        raise run.folder.damage_error(INTERVALS, error) from error
    if len(found.levels) != len(run.schema.columns):
        raise run.folder.damage_error(INTERVALS, "it is for another number of columns")
    return found
