"""A run folder that was fetched from elsewhere and cannot be changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vaekit.errors import RunError
from vaekit.folder.run_folder import REPORT, RunFolder


class FetchedFolder(RunFolder):
    """The files of a run in the cache of the program that fetched them.

    Only the listed files are read, whatever else the cache holds. Nothing is written into the cache: a report goes into
    the current folder.

    Args:
        path: the folder in the cache.
        name: the name of the run, for people (`owner/name`).
        version: the version of the run, for the name of a report.
        files: where the content of each file is; caches keep links in `path`.
    """

    def __init__(self, path: Path, name: str, version: str, files: Mapping[str, Path]) -> None:
        super().__init__(path)
        self._name, self._version, self._files = name, version, dict(files)

    @property
    def name(self) -> str:
        """Return the name of the run, for people."""
        return self._name

    @property
    def report(self) -> Path:
        """Return the file of the run's report, in the current folder."""
        return Path(f"{self._name.replace('/', '-')}-{self._version[:7]}.html")

    def locate(self, name: str) -> Path:
        """Return where a file of the run is read.

        Raises:
            FileNotFoundError: if the run does not have the file.
        """
        if name not in self._files:
            raise FileNotFoundError(name)
        return self._files[name]

    def target(self, name: str) -> Path:
        """Return where a file of the run is written, which can only be its report.

        Raises:
            RunError: for any other file.
        """
        if name == REPORT:
            return self.report
        mend = "Copy it with `run.save('FOLDER')`, and use the copy"
        raise RunError(f"'{self._name}' is a run in a cache, which is only read", mend=mend)

    def has(self, name: str) -> bool:
        """Tell whether the run has a file."""
        return name in self._files
