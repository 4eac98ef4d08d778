"""The folder of a job's results: what it may hold, which parts are finished, and the manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vaekit.errors import RunError, shorten
from vaekit.files import atomic_path, hold_lock, open_plain, remove_leftovers
from vaekit.folder.digests import seal_text, unseal_text
from vaekit.jobs.making import Made, read_finished
from vaekit.jobs.parts import Part

JOB, MANIFEST, LOCK = "_job.json", "_manifest.json", "_lock"
"""Names of files beside the results; readers of tables skip names that begin with `_`."""
MOST_BYTES = 1 << 30
"""Largest size of these files."""


@dataclass(frozen=True)
class Manifest:
    """The record of a finished job.

    Args:
        job: the verb and its options, the digest of the run, the source, and the versions of vaekit and torch.
        parts: the files of results, in the order of their rows.
    """

    job: Mapping[str, Any]
    parts: tuple[Made, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows of results."""
        return sum(part.rows for part in self.parts)


def read_manifest(folder: str | Path) -> Manifest:
    """Read the manifest in a folder of results.

    Raises:
        RunError: if there is none, because the job is not finished, or it is damaged.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise RunError(f"'{folder}' has no {MANIFEST}", mend="Finish the job by running its command again")
    found = _read(path)
    try:
        return Manifest(found["job"], tuple(Made(**part) for part in found["parts"]))
    except (KeyError, TypeError) as error:
        raise RunError(f"'{path}' is damaged ({error!s:.100})", mend="Delete it and run the job again") from error


@dataclass(frozen=True)
class JobFolder:
    """The folder of a job's results.

    Args:
        path: the folder.
        job: what the job does, as in `Manifest`.
        parts: its parts.
    """

    path: Path
    job: Mapping[str, Any]
    parts: Sequence[Part]

    @property
    def digest(self) -> str:
        """Return the digest of the job, which its files of results carry."""
        return hashlib.sha256(json.dumps(self.job, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other jobs out of it.

        Raises:
            RunError: if the folder holds other files or the results of another job, or another process writes to it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"'{self.path}' is a file", mend="Choose a new or empty folder with `out=`")
        if not (self.path / JOB).exists() and self.path.is_dir() and any(map(_counts, self.path.iterdir())):
            raise RunError(f"'{self.path}' holds other files already", mend="Choose a new or empty folder with `out=`")
        with hold_lock(self.path / LOCK, f"'{self.path}' is being written"):
            remove_leftovers(self.path)
            self._take()
            yield

    def _take(self) -> None:
        """Write what the job is, or compare it with what is written."""
        if not (self.path / JOB).exists():
            _write(self.path / JOB, dict(self.job))
        known = _read(self.path / JOB)
        if different := [name for name, value in _plain(self.job).items() if known.get(name) != value]:
            shown = " and ".join(f"{name} {shorten(json.dumps(known.get(name)), 80)}" for name in different)
            raise RunError(
                f"'{self.path}' holds the results of another job: it has {shown}",
                mend="Choose a new or empty folder with `out=`",
            )
        planned = {part.file for part in self.parts}
        for place, folders, files in os.walk(self.path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                file = Path(place, name)
                if _counts(file) and file.relative_to(self.path).as_posix() not in planned:
                    told = f"'{file}' is not a result of this job: the file that it was made from may have been removed"
                    raise RunError(told, mend="Remove it, or choose a new or empty folder with `out=`")

    def finished(self) -> dict[str, Made]:
        """Return the parts that are finished, by the names of their files; a file that has changed since is not."""
        known = {}
        with contextlib.suppress(RunError):  # it is not finished, or the manifest is damaged: it will be written again
            known = {part.file: part for part in read_manifest(self.path).parts}
        found = {part.file: read_finished(self.path, self.digest, part) for part in self.parts}
        return {file: made for file, made in found.items() if made is not None and known.get(file, made) == made}

    def begin(self) -> None:
        """Remove the manifest of an earlier job, because results are going to change."""
        (self.path / MANIFEST).unlink(missing_ok=True)

    def end(self, made: Mapping[str, Made]) -> Manifest:
        """Write the manifest."""
        manifest = Manifest(self.job, tuple(made[part.file] for part in self.parts))
        _write(
            self.path / MANIFEST,
            {"job": dict(self.job), "rows": manifest.rows, "parts": [*map(asdict, manifest.parts)]},
        )
        return manifest


def _plain(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job does as it is read back from its file."""
    found: dict[str, Any] = json.loads(json.dumps(job))
    return found


def _counts(path: Path) -> bool:
    """Return whether a file or folder is a result, and not a file beside them."""
    return not path.name.startswith((".", "_"))


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(seal_text(json.dumps(content, indent=1), ".json"), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_plain(path, MOST_BYTES) as file:
            text, intact = unseal_text(file.read().decode(), ".json")
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"'{path}' is damaged ({error!s:.100})", mend="Choose a new or empty folder with `out=`"
        ) from error
    if intact is False or not isinstance(found, dict):
        raise RunError(f"'{path}' has been changed", mend="Choose a new or empty folder with `out=`")
    return found
