"""Read and write the files of a run folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vaekit.errors import RunError, shorten
from vaekit.files import atomic_folder, atomic_path, hold_lock, open_plain, remove_leftovers
from vaekit.folder.digests import digest_tensors, seal_text, unseal_text
from vaekit.folder.parsing import NOTES, format_metrics, parse_json, parse_metrics, parse_notes, parse_toml
from vaekit.folder.provenance import Provenance

FORMAT = 3
"""Version of the folder's format; folders of other versions are refused."""
WEIGHTS, KNOWN, MISSING = "weights.safetensors", "rows.safetensors", "missing.safetensors"
OUTLIERS, INTERVALS, REPORT = "outliers.safetensors", "intervals.json", "report.html"
METRICS, MANIFEST, CARD = "metrics.csv", "manifest.json", "README.md"
ROW, LOCK = "row.parquet", "training.lock"
MOST_BYTES = {"recipe.toml": 1 << 20, METRICS: 1 << 26, "schema.json": 1 << 26} | {
    "provenance.json": 1 << 24, ROW: 1 << 26, INTERVALS: 1 << 26, MANIFEST: 1 << 16,
}  # fmt: skip
"""The largest allowed size of each file of a run, in bytes."""
FILES = {
    "recipe.toml",
    "schema.json",
    "provenance.json",
    METRICS,
    MANIFEST,
    CARD,
    REPORT,
    "state",
    "vaekit",
    WEIGHTS,
    KNOWN,
    MISSING,
    OUTLIERS,
    ROW,
    LOCK,
    INTERVALS,
}
"""Everything that a run folder may hold; `vaekit` is where trackers write."""
COPY = "Restore it from a copy"
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.bool: "BOOL"} | {
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8",
}  # fmt: skip
"""Names of tensor types in safetensors."""


class RunFolder:
    """The folder of one run, during and after training.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._continue = f"continue with `resume={str(path)!r}`"

    @property
    def name(self) -> str:
        """Return the name of the run, for people."""
        return self.path.resolve().name

    @property
    def report(self) -> Path:
        """Return the file of the run's report."""
        return self.path / REPORT

    def locate(self, name: str) -> Path:
        """Return where a file of the run is read."""
        return self.path / name

    def target(self, name: str) -> Path:
        """Return where a file of the run is written."""
        return self.path / name

    def has(self, name: str) -> bool:
        """Tell whether the run has a file, whatever its content is."""
        return os.path.lexists(self.locate(name))

    def create(
        self,
        recipe: dict[str, Any],
        schema: dict[str, Any],
        provenance: dict[str, Any],
        further: Callable[[RunFolder], None] = lambda _: None,
    ) -> None:
        """Make the folder with all its files in one step.

        Args:
            recipe: content of recipe.toml.
            schema: content of schema.json.
            provenance: content of provenance.json, without the format.
            further: a function that writes other files into the new folder.

        Raises:
            RunError: if the folder holds a run or other files already, or cannot be made.
        """
        self.check_free()
        with atomic_folder(self.path) as temporary:
            made = RunFolder(temporary)
            made._continue = "try again"  # nothing can be resumed yet
            made.write("recipe.toml", recipe)
            made.write("schema.json", schema)
            made.write("provenance.json", {"format": FORMAT, **provenance})
            further(made)

    def check_free(self, argument: str = "path", overwrite: bool = False) -> None:
        """Raise a `RunError` if the folder holds a run or other files already.

        Args:
            argument: name of the argument that chose the folder.
            overwrite: whether a run in the folder may be replaced; other files may not.
        """
        if not self.path.exists():
            return
        mend = f"Choose a new or empty folder with `{argument}=`"
        if not self.path.is_dir():
            raise RunError(f"'{self.path}' is a file", mend=mend)
        others = [path.name for path in self.path.iterdir() if path.name not in FILES]
        if overwrite and (self.path / "provenance.json").exists() and not others:
            return
        if overwrite and others:
            told = f"'{self.path}' holds '{others[0]}', which is no file of a run, so it is not replaced"
            raise RunError(told, mend=mend)
        if (self.path / "provenance.json").exists():
            replace = "replace the run with `overwrite=True`, " if argument == "out" else ""
            raise RunError(f"'{self.path}' holds a run already", mend=f"{mend}, {replace}or {self._continue}")
        if any(self.path.iterdir()):
            raise RunError(f"'{self.path}' holds other files already", mend=mend)

    def clear(self) -> None:
        """Remove the run in the folder, if there is one; the caller has checked that it may be replaced.

        Raises:
            RunError: if another process is training it.
        """
        if not (self.path / "provenance.json").exists():
            return
        with self.hold():
            shutil.rmtree(self.path)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Lock the run for training, and remove files that an interrupted write left behind.

        Raises:
            RunError: if another process is training it.
        """
        with hold_lock(self.target(LOCK), f"'{self.path}' is being trained"):
            for folder in (self.path, self.path / "state"):
                remove_leftovers(folder)
            yield

    def open(self) -> dict[str, Any]:
        """Check that the folder holds a run that this version can read.

        Returns:
            The content of provenance.json, without the format.

        Raises:
            RunError: if the folder is missing, damaged, from another version, or holds something else.
        """
        if not self.path.is_dir():
            raise RunError(f"There is no run folder '{self.path}'")
        if (self.path / "state").is_symlink():
            raise RunError(f"'{self.path / 'state'}' is a link", mend="Replace it with the folder itself")
        name = "provenance.json"
        if not self.has(name):
            fault = f"'{self.path}' is not a run folder: it has no {name}"
            raise RunError(fault, mend="Give a folder that training made")
        version = self._parse(name, self._text(name), parse_json).get("format")
        if type(version) is not int or version < 1:
            raise self.damage_error(name, f"its format is {version!r}")
        if version != FORMAT:
            age, mend = ("a newer", "Install a newer vaekit") if version > FORMAT else ("an earlier", "Train a new run")
            raise RunError(f"'{self.path}' was made by {age} version of vaekit (format {version})", mend=mend)
        try:
            known = Provenance.model_validate(self.read(name))
        except ValidationError as error:
            first = error.errors()[0]
            raise self.damage_error(name, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return known.model_dump(exclude_unset=True, exclude={"format"})

    def damage_error(self, name: str, problem: object) -> RunError:
        """Return the error for a damaged file of the run."""
        return RunError(f"'{self.path / name}' is damaged: {shorten(str(problem))}", mend=COPY)

    def write(self, name: str, content: dict[str, Any] | str | bytes) -> None:
        """Write a file of the run, as TOML or JSON with a digest if the content is a dictionary."""
        if isinstance(content, dict):
            suffix = Path(name).suffix
            text = tomli_w.dumps(content) if suffix == ".toml" else json.dumps(content, indent=2, allow_nan=False)
            content = seal_text(text, suffix)
        encoded = content.encode() if isinstance(content, str) else content
        if len(encoded) > (most := MOST_BYTES.get(name, len(encoded))):
            raise RunError(f"{name} must have at most {most:,} bytes", f"{len(encoded):,}", "Use fewer columns")
        with atomic_path(self.target(name), self._continue) as temporary:
            temporary.write_bytes(encoded)

    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON or TOML file of the run as a dictionary, and check its digest."""
        return self._parse(name, self._checked(name), parse_toml if name.endswith(".toml") else parse_json)

    def _parse(self, name: str, text: Any, parse: Callable[[Any], Any]) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise self.damage_error(name, error) from error

    def _text(self, name: str) -> str:
        return self._parse(name, self.read_bytes(name), bytes.decode)

    def _checked(self, name: str) -> str:
        """Read a text file, check its digest, and return the text without the digest."""
        text, intact = unseal_text(self._text(name), Path(name).suffix)
        self._check_intact(name, intact)
        return text

    def _check_intact(self, name: str, intact: bool | None) -> None:
        """Raise a `RunError` if a file's digest is wrong (`intact` is False) or missing (None)."""
        if intact is None:
            raise self.damage_error(name, "its digest is missing")
        if intact is False:
            raise self.change_error(name)

    def change_error(self, name: str) -> RunError:
        """Return the error for a file whose digest is wrong."""
        path = self.path / name
        mend = f"{COPY}, or train a new run with `recipe={str(path)!r}`" if name == "recipe.toml" else COPY
        return RunError(f"'{path}' is damaged, or was changed after it was written", mend=mend)

    def read_bytes(self, name: str) -> bytes:
        """Read the bytes of a file of the run.

        Raises:
            RunError: if the file is missing, too long, unreadable, or not a plain file.
        """
        with self._reading(name), open_plain(self.locate(name), MOST_BYTES[name]) as file:
            return file.read()

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn an error in reading a file into a `RunError` that says what to do."""
        try:
            yield
        except FileNotFoundError as error:
            untrained = f"If its training was interrupted, {self._continue}"
            mend = untrained if name.endswith(".safetensors") else COPY
            raise RunError(f"'{self.path}' has no {name}", mend=mend) from error
        except RunError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise self.damage_error(name, error) from error

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor], notes: dict[str, str] | None = None) -> None:
        """Write named tensors and notes to a safetensors file, with their digest."""
        stored = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        notes = notes or {}
        with atomic_path(self.target(name), self._continue) as temporary:
            try:
                save_file(stored, temporary, {NOTES: json.dumps({"digest": digest_tensors(stored, notes), **notes})})
            except SafetensorError as error:
                code = errno.ENOSPC if "No space left" in str(error) else errno.EIO
                raise OSError(code, str(error)) from error

    def read_tensors(
        self, name: str, like: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Read the tensors and notes of a safetensors file, and check their digest.

        Args:
            name: name of the file.
            like: tensors whose names, shapes and types the file must have; checked before any tensor is read.

        Raises:
            RunError: if the file is missing, damaged, or holds other tensors.
        """
        with self._reading(name):
            open_plain(self.locate(name)).close()
            with safe_open(self.locate(name), framework="pt") as file:
                if like is not None:
                    self._check_alike(name, file, like)
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                notes = parse_notes(file.metadata() or {})
        digest = notes.pop("digest", None)
        self._check_intact(name, None if digest is None else digest == digest_tensors(tensors, notes))
        return tensors, notes

    def _check_alike(self, name: str, file: Any, like: Mapping[str, Tensor]) -> None:
        found = {key: (tuple(file.get_slice(key).get_shape()), file.get_slice(key).get_dtype()) for key in file.keys()}  # noqa: SIM118
        wanted = {key: (tuple(value.shape), TYPES.get(value.dtype)) for key, value in like.items()}
        if found != wanted:
            key = min(found.items() ^ wanted.items())[0]
            told = f"'{key}' is {found.get(key, 'missing')} rather than {wanted.get(key, 'missing')}"
            raise RunError(f"'{self.path / name}' does not fit recipe.toml: {told}", mend="Restore both from a copy")

    def chosen_step(self) -> int:
        """Return the training step of the best weights."""
        text = self.read_tensors(WEIGHTS)[1].get("step", "")
        if not re.fullmatch(r"\d{1,15}", text):
            raise self.damage_error(WEIGHTS, f"its step is '{text}'")
        return int(text)

    def size(self, name: str) -> int:
        """Return the size of a file of the run in bytes, or 0 if it does not exist."""
        return os.lstat(self.locate(name)).st_size if self.has(name) else 0

    def remove(self, name: str) -> None:
        """Delete a file of the run if it exists."""
        self.target(name).unlink(missing_ok=True)

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """Write the metrics of all validations to metrics.csv, if there are any."""
        if rows:
            self.write(METRICS, seal_text(format_metrics(rows), ".csv"))

    def read_metrics(self) -> list[dict[str, float]]:
        """Read the metrics of all validations from metrics.csv.

        Returns:
            A row for each validation; an empty list before the first one.
        """
        if not self.has(METRICS):
            return []
        rows: list[dict[str, float]] = self._parse(METRICS, self._checked(METRICS), parse_metrics)
        return rows
