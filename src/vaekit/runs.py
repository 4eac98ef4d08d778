"""The run folder: recipe, schema, weights, state, metrics, provenance. Atomic writes; reading runs no code.

recipe.toml           complete, with every default written out
schema.json           what the data are, and the transform that was fitted to them
weights.safetensors   the best weights
state/                what resuming needs
metrics.csv           a row for each validation
provenance.json       versions, seed, fingerprint of the data, command, what was chosen and why
report.html
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomli_w
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vaekit.errors import RunError

TEMPORARY = ".vaekit-"
"""How the names of half-written files begin."""
FORMAT = 1
"""Version of the folder's form; a folder from a later one is refused."""


@contextlib.contextmanager
def _writing(path: Path, mend: str) -> Iterator[None]:
    """Turn failures to write into errors that say what survives."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, RunError):
            raise
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise RunError(
                "there must be room on the disk",
                f"'{path}': {error}",
                f"What was saved before is intact; make room and {mend}",
            ) from error
        raise RunError("the place must be writable", f"'{path}': {error}") from error


@contextlib.contextmanager
def atomic_path(path: Path, mend: str = "try again") -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` in one step, or vanishes if the body fails.

    Args:
        path: the file to be written.
        mend: how to go on once a full disk has room again.

    Raises:
        RunError: if the disk is full or the place cannot be written; what stood there before survives.
    """
    with _writing(path, mend):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` (new, or empty) in one step, or vanishes if the body fails."""
    with (
        _writing(path, "try again"),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{TEMPORARY}{path.name}-") as name,
    ):
        made = Path(name) / "made"
        made.mkdir()
        yield made
        os.replace(made, path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _number(text: str) -> float:
    """The number that was written: whole ones stay whole, so that rewriting a file gives the same bytes."""
    return int(text) if text.isdigit() else float(text)


class RunFolder:
    """A folder that holds one trained (or half-trained) model.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._mend = f"go on with `vaekit train --resume {path}`"

    def create(self, recipe: dict[str, Any], schema: dict[str, Any], provenance: dict[str, Any]) -> None:
        """Make the folder with its three descriptions in one step: it is there whole, or not at all.

        Raises:
            RunError: if it holds a run already, or other files, or cannot be made.
        """
        self.check_free()
        with atomic_folder(self.path) as temporary:
            made = RunFolder(temporary)
            made.write_toml("recipe.toml", recipe)
            made.write_json("schema.json", schema)
            made.write_json("provenance.json", {"format": FORMAT, **provenance})

    def check_free(self) -> None:
        """Refuse a folder that holds a run already, or other files."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        run = (self.path / "provenance.json").exists()
        raise RunError(
            "the run folder must be new or empty",
            f"'{self.path}', which holds {'a run' if run else 'other files'}",
            "Choose another with --out" + (f", or go on with `vaekit train --resume {self.path}`" if run else ""),
        )

    def clean(self) -> None:
        """Remove what an interrupted write left behind, and nothing else."""
        for folder in (self.path, self.path / "state"):
            for leftover in folder.glob(f"{TEMPORARY}*"):
                if leftover.is_file() and not leftover.is_symlink():
                    leftover.unlink()

    def open(self) -> None:
        """Check that the folder holds a run that this version understands.

        Raises:
            RunError: if it is missing, no run, or from a newer version.
        """
        if not self.path.is_dir():
            raise RunError("the run folder must exist", f"'{self.path}'")
        if links := [p.name for p in (self.path / "state", *self.path.glob("state/*")) if p.is_symlink()]:
            raise RunError(
                "the state of a run must not be a link, as it is written to", f"'{links[0]}' in '{self.path}'"
            )
        version = self.read_json("provenance.json").get("format")
        if not isinstance(version, int) or version < 1:
            raise RunError("provenance.json must name its format", f"{version!r} in '{self.path}'")
        if version > FORMAT:
            raise RunError(
                f"the run folder must be of format {FORMAT} or older", f"format {version}", "Install a newer vaekit"
            )

    def write(self, name: str, content: str) -> None:
        """Write a text file."""
        with atomic_path(self.path / name, self._mend) as temporary:
            temporary.write_text(content, encoding="utf-8")

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file."""
        self.write(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_toml(self, name: str, content: dict[str, Any]) -> None:
        """Write a TOML file."""
        self.write(name, tomli_w.dumps(content))

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file that holds one object."""
        return self._read(name, json.loads)

    def read_toml(self, name: str) -> dict[str, Any]:
        """The content of a TOML file."""
        return self._read(name, tomllib.loads)

    def _read(self, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
        try:
            content = parse((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(
                f"the folder must hold {name}",
                f"'{self.path}' without it",
                "Name a run folder, as `vaekit train` makes them",
            ) from error
        except (OSError, ValueError) as error:
            raise RunError(
                f"{name} must be readable", f"'{self.path / name}': {error}", "Restore it from a copy"
            ) from error
        if not isinstance(content, dict):
            raise RunError(f"{name} must hold one object", f"{type(content).__name__} in '{self.path / name}'")
        return content

    def write_tensors(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
        """Write tensors to a safetensors file."""
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        with atomic_path(self.path / name, self._mend) as temporary:
            save_file(plain, temporary, metadata)

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The tensors of a safetensors file, and its metadata."""
        path = self.path / name
        if not path.exists():
            raise RunError(f"the folder must hold {name}", f"'{self.path}' without it", "Has training begun")
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise RunError(
                f"{name} must be whole", f"a damaged file '{path}': {error}", "Restore it from a copy"
            ) from error

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """Write metrics.csv whole."""
        if rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            self.write("metrics.csv", text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv; none before the first validation."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]
        except (OSError, ValueError, TypeError) as error:
            raise RunError("metrics.csv must hold numbers", f"'{path}': {error}", "Restore it from a copy") from error
