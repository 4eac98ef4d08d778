"""The base class of runs: it saves a run, reopens the training data, and prepares new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import (
    KnownRows,
    Part,
    Rows,
    Schema,
    Source,
    Split,
    Transform,
    encode_rows,
    open_both,
    open_source,
    split_source,
)
from vaekit.data.readers.libraries import library_of
from vaekit.data.tables.coding import code_values
from vaekit.data.tables.frame import Library, PlainLibrary
from vaekit.errors import DataError, RecipeError, RunError, did_you_mean
from vaekit.evaluation import Remedy
from vaekit.evaluation.calibration import Recalibration
from vaekit.evaluation.outliers import Detection
from vaekit.folder import INTERVALS, KNOWN, MISSING, NOT_SHARED, OUTLIERS, ROW, WEIGHTS, RunFolder
from vaekit.models import LatentModel
from vaekit.models.missing_pattern import MissingPattern
from vaekit.recipe import Recipe, load_recipe, resolve
from vaekit.runs.pattern import read_pattern
from vaekit.training.state import GOOD, LATEST


@dataclass(frozen=True)
class History:
    """The figures of every validation during training, and the step of the best weights.

    Args:
        validations: figures of each validation, as in metrics.csv.
        step: the step of the best weights.
    """

    validations: list[dict[str, float]]
    step: int


@dataclass
class KeptRun:
    """The content of a run: its folder, recipe, schema and model; `Run` adds the methods that use the model.

    Args:
        folder: the run folder.
        recipe: the complete recipe.
        schema: description of the data.
        transform: transforms data from the user's units to the model's inputs, and back.
        model: the model with its best weights.
        provenance: versions, seed, source and fingerprint of the data, choices and their reasons.
        known: hashes of the training rows; None in an estimator that was pickled.
        row: a typical row in the library and types of the training data frame, as the content of a Parquet file; None if
            the data were no data frame. Without it new rows are Arrow tables.
        missing: p(m|x), the model of the pattern of missing cells; None if no training row has missing cells.
        recalibration: recalibrated levels of intervals of a mixed table; None if too few validation rows were left for it.
        detection: score and held-out scores of a detector of outliers; None for other runs.
        history: figures of the training; None if they are read from the folder when they are needed.
        objects: the parts that training was given as Python objects, by section.
    """

    folder: RunFolder
    recipe: Recipe
    schema: Schema
    transform: Transform
    model: LatentModel
    provenance: dict[str, Any]
    known: KnownRows | None = None
    row: bytes | None = None
    missing: MissingPattern | None = None
    recalibration: Recalibration | None = None
    detection: Detection | None = None
    history: History | None = None
    objects: dict[str, Any] = field(default_factory=dict)

    @property
    def pattern(self) -> Any:
        """Return the typical row, as a data frame in the library of the training data; None if they were no data frame.

        Raises:
            RunError: if the library is not installed, or the row is damaged.
        """
        if self.row is None:
            return None
        library = self.provenance["library"]
        try:
            return read_pattern(self.row, library)
        except ImportError as error:
            told = f"'{self.path}' was trained on a {library} data frame, but {library} is not installed"
            raise RunError(told, mend=f"Install {library}") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self.folder.damage_error(ROW, error) from error

    @cached_property
    def library(self) -> Library:
        """Return the library of the training data, which new rows are converted to."""
        return library_of(self.pattern) or PlainLibrary()

    @property
    def path(self) -> Path:
        """Return the path of the run folder."""
        return self.folder.path

    def read_history(self) -> History:
        """Return the figures of all validations, and the step of the best weights."""
        return self.history or History(self.folder.read_metrics(), self.folder.chosen_step())

    def save(self, path: str | Path) -> None:
        """Write the run to a new folder.

        The folder appears in one step, with every file of the run except its report. If the run's own folder can resume
        training, so can the copy.

        Args:
            path: a new or empty folder.

        Raises:
            RunError: if the folder holds a run or other files already, or cannot be written.

        Examples:
            >>> import tempfile, vaekit
            >>> place = tempfile.mkdtemp()
            >>> run = vaekit.train("digits", settings={"training.epochs": 1}, out=f"{place}/first")
            >>> run.save(f"{place}/copy")
            >>> bool((vaekit.load(f"{place}/copy").sample(3) == run.sample(3)).all())
            True
        """
        history, state = self.read_history(), self._read_state()

        def write_trained(made: RunFolder) -> None:
            made.write_metrics(history.validations)
            made.write_tensors(WEIGHTS, self.model.state_dict(), {"step": str(history.step)})
            for name, (tensors, notes) in state.items():
                made.write_tensors(name, tensors, notes)

        self.write(RunFolder(path), write_trained)

    def write(self, folder: RunFolder, further: Any = lambda _: None) -> None:
        """Make a run folder with everything except the weights; `further` may add other files."""

        def write_rows(made: RunFolder) -> None:
            if self.known is not None:
                hashes, notes = self.known.content()
                made.write_tensors(KNOWN, {"hashes": torch.from_numpy(hashes)}, notes)
            if self.row is not None:
                made.write(ROW, self.row)
            if self.missing is not None:
                made.write_tensors(MISSING, self.missing.state_dict())
            if self.recalibration is not None:
                made.write(INTERVALS, self.recalibration.model_dump(mode="json"))
            if self.detection is not None:
                made.write_tensors(OUTLIERS, self.detection.tensors())
            further(made)

        described = {"schema": self.schema.model_dump(mode="json"), "transform": self.transform.model_dump(mode="json")}
        folder.create(self.recipe.as_json(), described, self.provenance, write_rows)

    def _read_state(self) -> dict[str, tuple[dict[str, torch.Tensor], dict[str, str]]]:
        """Return the saved training states by file name; empty if the folder no longer holds this run's weights."""
        own = {name: value.cpu() for name, value in self.model.state_dict().items()}
        try:
            kept, _ = self.folder.read_tensors(WEIGHTS, like=own)
        except RunError:  # the folder no longer exists, or holds another run
            return {}
        if not all(torch.equal(kept[name], value) for name, value in own.items()):
            return {}
        names = (name for name in (GOOD, LATEST) if self.folder.has(name))
        return {name: self.folder.read_tensors(name) for name in names}

    @cached_property
    def source(self) -> tuple[Source, Source | None]:
        """Reopen the source of the training rows, and the separate test source if there is one.

        Raises:
            DataError: if a source is missing, or its data have changed since training.
        """
        origin, test = self.provenance["source"], self.provenance["test_source"]
        if origin == NOT_SHARED:
            raise DataError("The run was shared without its data", mend="Pass the rows to measure")
        if "memory" in (origin, test):
            raise DataError(
                "The run was trained on an array or a data frame, which is not kept", mend="Pass the rows again"
            )
        try:
            return open_both(origin, test, self.recipe.data, columns=self.schema.table)
        except DataError as error:
            raise DataError(f"The run's own data cannot be read: {error}", mend="Pass the rows to measure") from error

    def drop_data(self) -> None:
        """Drop the opened data from memory; they are reopened when they are needed."""
        for name in ("source", "_split"):
            self.__dict__.pop(name, None)

    @property
    def column_names(self) -> list[str]:
        """Return the names of the data's columns, or an empty list if they have no names."""
        return list(self.schema.columns)

    def split(self) -> Split:
        """Return the training, validation and test rows, divided as in training."""
        return self._split

    @cached_property
    def _split(self) -> Split:
        source, test = self.source
        split = self._divide(source.in_order(self.schema.columns), test)
        if split is None:
            name = self.provenance["source"]
            told = "The rows are not those" if name == "memory" else f"'{name}' no longer holds the rows"
            mend = "Restore them, pass the rows to measure, or train a new run"
            raise DataError(f"{told} that the run was trained on", mend=mend)
        self.schema.check_part(split.test)
        return split

    def attach(self, source: Source) -> bool:
        """Use rows as the data of the run, if they are: the same rows in the same order, from any place.

        Args:
            source: opened and checked rows.

        Returns:
            Whether these are the data of the run. `split` then divides them as in training.
        """
        split = self._divide(source)
        if split is not None:
            self.keep_rows((source, None), split)
        return split is not None

    def keep_rows(self, source: tuple[Source, Source | None], split: Split) -> None:
        """Use rows as the data of the run; the caller has divided them as in training."""
        self.__dict__.update(source=source, _split=split)

    def _divide(self, source: Source, test: Source | None = None) -> Split | None:
        """Divide rows as in training; return None if they are not the rows of the training."""
        counts = self.provenance["rows"]
        if self.provenance["source"] == NOT_SHARED:
            return None
        if (test is None) != (self.provenance["test_source"] is None) or len(source.values) < counts["train"]:
            return None
        try:
            split = split_source(source, test, self.recipe.seed, self.recipe.data)
        except DataError:  # too few rows
            return None
        if (len(split.train), len(split.validation)) != (counts["train"], counts["validation"]):
            return None
        found = (part.fingerprint(self.schema.dtype) for part in (split.train, split.validation))
        own = tuple(found) == (self.provenance["fingerprint"], self.provenance["validation_fingerprint"])
        kept = None if test else self.provenance.get("test_fingerprint")  # a test source of its own may be exchanged
        own = own and kept in (None, split.test.fingerprint(self.schema.dtype))
        return split if own else None

    def rows(self, X: object) -> Rows:
        """Open new rows, check them against the schema and prepare them for the model."""
        return self.prepare(self.open(X))

    def open(self, X: object) -> Source:
        """Open new rows as numbers, with their columns in the order of training."""
        opened = open_source(X, self.recipe.data, known=self.schema.cells)
        return encode_rows(opened, self.schema.table, self.recipe.data.marks).in_order(self.schema.columns)

    def prepare(self, source: Source) -> Rows:
        """Check rows against the schema and prepare them for the model."""
        return self.as_rows(self.check(source))

    def as_rows(self, source: Source) -> Rows:
        """Prepare checked rows for the model."""
        part = Part(source.values, np.arange(len(source.values)), source.labels, context=source.context)
        return Rows(part, self.transform, self.recipe.seed)

    def check(self, source: Source) -> Source:
        """Check opened rows against the schema, and bring their values to its shape and type."""
        if self.schema.picture:
            source = source.drawn_as(self.schema.shape, self.schema.levels)
        return replace(source, values=self.schema.check(source.values))

    def accepts(self, remedy: Remedy) -> bool:
        """Tell whether a remedy gives the run new settings that are valid for its data."""
        if remedy.in_place(self.recipe):
            return False
        try:
            changed = load_recipe(self.recipe, remedy.settings)
            resolve(changed, self.schema, self.provenance["rows"]["train"], self.objects)
        except RecipeError:
            return False
        return changed != self.recipe

    def pieces(self, X: object, text: bool = False) -> Iterator[Any]:  # noqa: ARG002
        """Yield new rows in pieces that fit into memory, for methods that take rows.

        Args:
            X: rows, as `encode` takes them.
            text: whether to keep the cells of a text file as text.
        """
        yield X

    def context(self, given: Mapping[str, Any], n: int) -> torch.Tensor | None:
        """Encode the given columns of n rows for the networks of a conditional model.

        Args:
            given: a value, or a list of n values, for each column that the model is conditional on.
            n: number of rows.

        Returns:
            A tensor of n rows; None for a model that is not conditional.

        Raises:
            DataError: if a column is missing, unknown, or has an impossible value or a wrong number of values.
        """
        names = [column.name for column in self.schema.context]
        if given and not names:
            conditional = "`recipe='conditional-vae'`" if self.schema.picture else "data.kind=mixed or data.context"
            told = f"The model is not conditional, so it cannot be given {', '.join(given)}"
            raise DataError(told, mend=f"Train with {conditional}")
        if unknown := [name for name in given if name not in names]:
            must = f"a given column must be one that the model is conditional on: {', '.join(names)}"
            raise DataError(must, f"'{unknown[0]}'", did_you_mean(unknown[0], names))
        if missing := [name for name in names if name not in given]:
            raise DataError(
                f"The model is conditional on {', '.join(names)}, but '{missing[0]}' is missing",
                mend=f"Give it, as in `given={{{missing[0]!r}: VALUE}}`",
            )
        codes = self.context_codes(given, n)
        return None if codes is None else self.transform.encode_context(torch.from_numpy(codes)).float()

    def context_codes(self, given: Mapping[str, Any], n: int) -> npt.NDArray[np.float64] | None:
        """Return the codes of the given columns of n rows, shape (n, columns); None for a model that is not conditional."""
        context = self.schema.context
        codes = [code_values(column, repeat_value(column.name, given[column.name], n)) for column in context]
        return np.stack(codes, 1) if codes else None


def repeat_value(name: str, value: Any, n: int) -> list[Any]:
    """Repeat a value n times in a list, or return a list of n values unchanged."""
    if not isinstance(value, list | tuple | np.ndarray):
        return [value] * n
    if len(value) != n:
        raise DataError(f"'{name}' must have one value for all rows, or a list of {n}", f"{len(value)}")
    return list(value)
