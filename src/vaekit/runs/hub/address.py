"""The address of a run on the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vaekit.errors import RunError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"(?!.*\.\.)[\w][\w./-]{0,200}", re.ASCII)
SCHEME = re.compile(r"\Ahf:/+")
"""Path("hf://a/b") has lost a slash."""
EXAMPLE = "Write it as 'owner/name'"


@dataclass(frozen=True)
class Address:
    """Hold the address of a run on the Hub.

    Args:
        repository: the repository, `owner/name`.
        revision: a branch, a tag or a commit; None for the main branch.

    Examples:
        >>> str(Address("ada/digits", "v2"))
        'hf://ada/digits@v2'
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.repository}" + ("" if self.revision is None else f"@{self.revision}")


def parse_address(path: str | Path) -> Address:
    """Read the address of a run on the Hub.

    Raises:
        RunError: if it has another form.

    Examples:
        >>> parse_address("hf://ada/digits@v2")
        Address(repository='ada/digits', revision='v2')
    """
    repository, at, revision = SCHEME.sub("", str(path), count=1).partition("@")
    check_name(repository)
    if at and not REVISION.fullmatch(revision):
        raise RunError("the revision must be the name of a branch or a tag, or a commit", f"'{revision}'")
    return Address(repository, revision or None)


def check_name(repository: str) -> None:
    """Raise a `RunError` if the name of a repository has another form than `owner/name`."""
    if not REPOSITORY.fullmatch(repository):
        raise RunError("a repository must be named by its owner and its name", f"'{repository}'", EXAMPLE)
