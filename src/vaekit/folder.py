"""The run folder: recipe, schema, weights, state, metrics, provenance. Atomic writes; reading runs no code and believes nothing.

recipe.toml           complete, with every default written out
schema.json           what the data are, and the transform that was fitted to them
weights.safetensors   the best weights
rows.safetensors      by what training rows are known again
state/                what resuming needs
metrics.csv           a row for each validation
provenance.json       versions, seed, fingerprint of the data, command, what was chosen and why
report.html

Each file carries a digest of its own, so that damage is told of every one of them and a process may end between any two.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import tomli_w
import torch
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vaekit.errors import RunError
from vaekit.files import atomic_folder, atomic_path, held, open_plain, remove_leftovers

FORMAT = 2
"""Version of the folder's form; a folder from a later one is refused. The files of format 1 had no digests."""
MOST_BYTES = {"recipe.toml": 1 << 20, "schema.json": 1 << 26, "provenance.json": 1 << 24, "metrics.csv": 1 << 26}
"""How long the texts of a run may be."""
METRICS = (
    "step", "epoch", "train_elbo", "train_distortion", "train_rate", "elbo", "distortion", "rate", "active_units", "bound",
    "kl_weight", "learning_rate",
)  # fmt: skip
"""The columns of metrics.csv."""
WEIGHTS, LOCK = "weights.safetensors", "training.lock"
COPY = "Restore it from a copy"
LAST_LINE = re.compile(r"^# sha256 of the lines above: ([0-9a-f]{64})\n\Z", re.MULTILINE)
DIGEST = {
    ".json": re.compile(r'(?<=\A{\n)  "digest": "([0-9a-f]{64})",?\n'),
    ".toml": LAST_LINE,
    ".csv": LAST_LINE,
}
"""The line of a text that holds the SHA-256 of its other lines."""
CHAIN = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]++\s*+\.\s*+){50}")
"""A key of many parts: reading it takes time that grows with the square of their number."""
NOTED = "vaekit"
"""The one key of a safetensors file's metadata: of several the order, and so the bytes, would change from time to time."""
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.bool: "BOOL"} | {
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8",
}  # fmt: skip
"""How safetensors calls the types of tensors."""
NUMBER = re.compile(r"-?(\d{1,17}(\.\d{1,22})?(e[+-]?\d{1,3})?|inf)|nan", re.ASCII)

Text = Annotated[str, StringConstraints(pattern=r"\A[^\x00]*\z", max_length=100_000)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class RowCounts(BaseModel):
    """How many rows did what.

    Args:
        train: trained.
        validation: chose the weights.
        test: were held out.
    """

    train: Count
    validation: Count
    test: Count


class Provenance(BaseModel):
    """What provenance.json tells; what else it holds is left unread.

    Args:
        format: of the folder.
        source: of the rows.
        test_source: of separate held-out rows.
        fingerprint: of the training rows.
        validation_fingerprint: of the rows that chose the weights; None for runs saved before it was noted.
        rows: how many.
        threads: with which training began.
        choices: what the recipe left open, and why it was chosen.
        command: that trained.
        versions: of the packages.
        start: the run that training started from.
        library: of the data frame that was trained on.
        pattern: the digest of the file that shows its types.
        defined_by: the digest of a part of the recipe, of runs without digests.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    format: Annotated[int, Field(ge=1)]
    source: Text
    test_source: Text | None
    fingerprint: Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
    validation_fingerprint: Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")] | None = None
    rows: RowCounts
    threads: Annotated[int, Field(ge=1, lt=1 << 20)]
    choices: list[Text]
    command: list[Text] = []
    versions: dict[Text, Text] = {}
    start: Text | None = None
    library: Annotated[str, StringConstraints(max_length=40)] | None = None
    pattern: Text | None = None
    defined_by: Text | None = None


class RunFolder:
    """A folder that holds one trained (or half-trained) model.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.format = FORMAT
        self._mend = f"go on with `vaekit train --resume {path}`"

    def create(
        self,
        recipe: dict[str, Any],
        schema: dict[str, Any],
        provenance: dict[str, Any],
        further: Callable[[RunFolder], None] = lambda _: None,
    ) -> None:
        """Make the folder with its three descriptions in one step: it is there whole, or not at all.

        Args:
            recipe: content of recipe.toml.
            schema: content of schema.json.
            provenance: content of provenance.json.
            further: writes other files into the folder.

        Raises:
            RunError: if it holds a run already, or other files, or cannot be made.
        """
        self.check_free()
        with atomic_folder(self.path) as temporary:
            made = RunFolder(temporary)
            made.write_toml("recipe.toml", recipe)
            made.write_json("schema.json", schema)
            made.write_json("provenance.json", {"format": FORMAT, **provenance})
            further(made)

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

    @contextlib.contextmanager
    def in_training(self) -> Iterator[None]:
        """Hold the run for training, and remove what an interrupted write left behind.

        Raises:
            RunError: if another process trains it.
        """
        with held(self.path / LOCK, f"the run must not be in training already, '{self.path}'"):
            for folder in (self.path, self.path / "state"):
                remove_leftovers(folder)
            yield

    def open(self) -> dict[str, Any]:
        """Check that the folder holds a run that this version understands.

        Returns:
            What provenance.json tells, without the format.

        Raises:
            RunError: if it is missing, no run, damaged, or from a newer version.
        """
        if not self.path.is_dir():
            raise RunError("the run folder must exist", f"'{self.path}'")
        if (self.path / "state").is_symlink():
            raise RunError("the state of a run must not be a link, as it is written to", f"'state' in '{self.path}'")
        name = "provenance.json"
        version = self._parsed(name, self._text(name), _parse_json).get("format")
        if type(version) is not int or version < 1:
            raise RunError("provenance.json must name its format", f"{version!r} in '{self.path}'")
        if version > FORMAT:
            raise RunError(
                f"the run folder must be of format {FORMAT} or older", f"format {version}", "Install a newer vaekit"
            )
        self.format = version
        try:
            known = Provenance.model_validate(self.read_json(name))
        except ValidationError as error:
            first = error.errors()[0]
            given = f"{'.'.join(map(str, first['loc']))}: {first['msg']}, in '{self.path}'"
            raise RunError("provenance.json must be as training wrote it", given, COPY) from error
        return known.model_dump(exclude_unset=True, exclude={"format"})

    def write(self, name: str, content: str) -> None:
        """Write a text file."""
        encoded = content.encode()
        if len(encoded) > (most := MOST_BYTES.get(name, len(encoded))):
            raise RunError(f"{name} must have at most {most:,} bytes", f"{len(encoded):,}", "Take fewer columns")
        with atomic_path(self.path / name, self._mend) as temporary:
            temporary.write_bytes(encoded)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file with its digest."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        self.write(name, text.replace("{\n", f'{{\n  "digest": "{_sha256(text)}",\n', 1))

    def write_toml(self, name: str, content: dict[str, Any]) -> None:
        """Write a TOML file with its digest."""
        self._write_lines(name, tomli_w.dumps(content))

    def _write_lines(self, name: str, text: str) -> None:
        self.write(name, f"{text}# sha256 of the lines above: {_sha256(text)}\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file that holds one object of finite numbers."""
        return self._parsed(name, self._checked(name), _parse_json)

    def read_toml(self, name: str) -> dict[str, Any]:
        """The content of a TOML file."""
        return self._parsed(name, self._checked(name), _parse_toml)

    def _parsed(self, name: str, text: str, parse: Callable[[str], Any]) -> dict[str, Any]:
        try:
            content = parse(text)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{name} must be readable", f"'{self.path / name}': {error}", COPY) from error
        if not isinstance(content, dict):
            raise RunError(f"{name} must hold one object", f"{type(content).__name__} in '{self.path / name}'")
        return content

    def _text(self, name: str) -> str:
        content = self.read_bytes(name, MOST_BYTES[name])
        try:
            return content.decode()
        except ValueError as error:
            raise RunError(f"{name} must be readable", f"'{self.path / name}': {error}", COPY) from error

    def _checked(self, name: str) -> str:
        """A text without the line of its digest, which must be right; in a run of format 1 it may have none."""
        path, text = self.path / name, self._text(name)
        found = DIGEST[path.suffix].search(text)
        if found is None and self.format == 1:
            return text
        if found is None:
            raise RunError(f"{name} must hold its digest", f"'{path}' without it", COPY)
        rest = text[: found.start()] + text[found.end() :]
        self._compare(name, found[1], _sha256(rest))
        return rest

    def _compare(self, name: str, noted: str, found: str) -> None:
        """Refuse a file that is another than was written."""
        if noted != found:
            mend = f"{COPY}, or train with the changed one by --recipe" if name == "recipe.toml" else COPY
            raise RunError(
                f"{name} must be as training wrote it", f"a damaged or changed file '{self.path / name}'", mend
            )

    def read_bytes(self, name: str, most: int) -> bytes:
        """The bytes of a plain file.

        Args:
            name: of the file.
            most: how many bytes it may have.

        Raises:
            RunError: if it is missing, no plain file, too long or unreadable.
        """
        with self._reading(name), open_plain(self.path / name, most) as file:
            return file.read()

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn failures to read into refusals."""
        path = self.path / name
        try:
            yield
        except FileNotFoundError as error:
            mend = (
                "Has training begun?"
                if path.suffix == ".safetensors"
                else "Name a run folder, as `vaekit train` makes them"
            )
            raise RunError(f"the folder must hold {name}", f"'{self.path}' without it", mend) from error
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{name} must be whole", f"a damaged file '{path}': {error}", COPY) from error

    def write_tensors(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
        """Write tensors to a safetensors file, with their digest."""
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        noted = metadata or {}
        with atomic_path(self.path / name, self._mend) as temporary:
            try:
                save_file(plain, temporary, {NOTED: json.dumps({"digest": _digest(plain, noted), **noted})})
            except SafetensorError as error:
                code = errno.ENOSPC if "No space left" in str(error) else errno.EIO
                raise OSError(code, str(error)) from error

    def read_tensors(
        self, name: str, like: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The tensors of a safetensors file, and its metadata.

        Args:
            name: of the file.
            like: tensors of the names, shapes and types that it must have; they are compared before any is read.

        Raises:
            RunError: if the file is missing, damaged, or of other tensors.
        """
        with self._reading(name):
            open_plain(self.path / name).close()
            with safe_open(self.path / name, framework="pt") as file:
                if like is not None:
                    self._check_alike(name, file, like)
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                noted = _noted(file.metadata() or {})
        digest = noted.pop("digest", None)
        if digest is None and self.format > 1:
            raise RunError(f"{name} must hold its digest", f"'{self.path / name}' without it", COPY)
        if digest is not None:
            self._compare(name, digest, _digest(tensors, noted))
        return tensors, noted

    def _check_alike(self, name: str, file: Any, like: Mapping[str, Tensor]) -> None:
        found = {key: (tuple(file.get_slice(key).get_shape()), file.get_slice(key).get_dtype()) for key in file.keys()}  # noqa: SIM118
        wanted = {key: (tuple(value.shape), TYPES.get(value.dtype)) for key, value in like.items()}
        if found != wanted:
            key = min(found.items() ^ wanted.items())[0]
            given = f"'{self.path}', in which '{key}' is {found.get(key, 'missing')} rather than {wanted.get(key, 'missing')}"
            raise RunError(f"{name} must fit recipe.toml", given, "Restore both from a copy")

    def chosen_step(self) -> int | None:
        """The step at which the weights were chosen; runs of before do not tell."""
        text = self.read_tensors(WEIGHTS)[1].get("step")
        if text is not None and not re.fullmatch(r"\d{1,15}", text):
            raise RunError(f"{WEIGHTS} must name the step at which it was chosen", f"'{text}' in '{self.path}'", COPY)
        return None if text is None else int(text)

    def size(self, name: str) -> int:
        """Bytes of a file; 0 where there is none."""
        path = self.path / name
        return os.lstat(path).st_size if os.path.lexists(path) else 0

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
            self._write_lines("metrics.csv", text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv; none before the first validation, and NaN for a column that was added later."""
        name = "metrics.csv"
        if not os.path.lexists(self.path / name):
            return []
        header, *lines = self._checked(name).splitlines() or [""]
        columns = header.split(",")
        if "step" not in columns or len(set(columns)) < len(columns) or not set(columns) <= set(METRICS):
            raise RunError(f"{name} must have the columns {', '.join(METRICS)}", f"'{header}' in '{self.path}'", COPY)
        rows = [self._metrics_row(columns, line) for line in lines]
        return [dict.fromkeys(METRICS, math.nan) | row for row in rows]

    def _metrics_row(self, columns: list[str], line: str) -> dict[str, float]:
        cells = line.split(",")
        if (
            len(cells) != len(columns)
            or not all(map(NUMBER.fullmatch, cells))
            or not cells[columns.index("step")].isdigit()
        ):
            raise RunError("metrics.csv must hold numbers", f"'{line}' in '{self.path}'", COPY)
        return {name: int(cell) if cell.isdigit() else float(cell) for name, cell in zip(columns, cells, strict=True)}


def _noted(metadata: dict[str, str]) -> dict[str, str]:
    """What is noted beside tensors; in files of format 1 it is the metadata itself."""
    if NOTED not in metadata:
        return metadata
    try:
        noted = json.loads(metadata[NOTED])
    except RecursionError as error:
        raise ValueError("metadata nested too deeply") from error
    if not isinstance(noted, dict) or not all(isinstance(value, str) for value in noted.values()):
        raise ValueError("metadata that are no texts by name")
    return noted


def _parse_json(text: str) -> Any:
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number


def _parse_toml(text: str) -> Any:
    if chain := CHAIN.search(text):
        raise ValueError(f"a key of many parts, {chain[0]}")
    return tomllib.loads(text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of names, types, shapes and bytes of tensors, and of what is noted beside them."""
    named = sorted(tensors.items())
    described = [[[name, str(value.dtype), list(value.shape)] for name, value in named], sorted(metadata.items())]
    digest = hashlib.sha256(json.dumps(described).encode())
    for _, value in named:
        bytes_of: Any = value.reshape(-1).view(torch.uint8).numpy()
        digest.update(bytes_of)
    return digest.hexdigest()
