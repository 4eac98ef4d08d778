"""The manifest of a shared run: the names of its files, each with the SHA-256 digest of its bytes."""

from __future__ import annotations

import hashlib
from typing import Any

from vaekit.errors import RunError, shorten
from vaekit.files import open_plain
from vaekit.folder.run_folder import COPY, INTERVALS, MANIFEST, METRICS, MISSING, WEIGHTS, RunFolder

NEEDED = ("provenance.json", "recipe.toml", "schema.json", WEIGHTS)
"""Files without which a run cannot be loaded."""
SHARED = (*NEEDED, MISSING, INTERVALS, METRICS)
"""All files that a manifest may name: what a run needs to be loaded and used."""


def write_manifest(folder: RunFolder) -> None:
    """Write the manifest of a shared run, once all other files are there."""
    files = {name: _digest(folder, name) for name in SHARED if folder.has(name)}
    folder.write(MANIFEST, {"files": files})


def read_manifest(folder: RunFolder) -> dict[str, str]:
    """Read the names and digests in the manifest of a shared run.

    Raises:
        RunError: if the manifest is damaged, lacks a file that a run needs, or names any other file.
    """
    files: Any = folder.read(MANIFEST).get("files")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise folder.damage_error(MANIFEST, "it does not list files with their digests")
    if others := sorted(set(files) - set(SHARED)):
        raise folder.damage_error(MANIFEST, f"it names '{shorten(others[0])}', which is not a file of a shared run")
    if missing := [name for name in NEEDED if name not in files]:
        raise folder.damage_error(MANIFEST, f"it does not name {missing[0]}")
    return files


def check_manifest(folder: RunFolder) -> None:
    """Compare the files of a shared run with its manifest.

    Raises:
        RunError: names the first file that differs or is missing.
    """
    for name, digest in read_manifest(folder).items():
        if not folder.has(name):
            raise RunError(f"'{folder.path}' has no {name}, which its manifest names", mend=COPY)
        if _digest(folder, name) != digest:
            told = f"'{folder.path / name}' is not the file that was shared: its SHA-256 differs from {MANIFEST}"
            raise RunError(told, mend="Delete it and fetch it again. If it still differs, ask the owner of the run")


def _digest(folder: RunFolder, name: str) -> str:
    with open_plain(folder.locate(name)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
