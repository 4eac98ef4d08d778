"""Upload a shared run to the Hub."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from vaekit import __version__
from vaekit.errors import RunError, shorten
from vaekit.folder import CARD, MANIFEST, SHARED
from vaekit.runs.hub.address import REVISION, Address, check_name
from vaekit.runs.hub.client import LOGIN, hub_errors, make_api
from vaekit.runs.run import Run
from vaekit.runs.sharing import Sharing, share

OWN = {*SHARED, MANIFEST, CARD}
"""The names of the files that are uploaded."""
ADDED = {".gitattributes", "LICENSE", "LICENSE.md", "LICENSE.txt"}
"""Files that the Hub or the owner adds; they stay."""


def push(run: Run, repository: str, private: bool, revision: str | None, X: object | None, **options: Any) -> Sharing:
    """Share a run and upload it in one commit; for the arguments see `Run.push_to_hub`.

    Args:
        run: the run.
        repository: `owner/name`.
        private: whether the repository must be private.
        revision: the branch; None for the main branch.
        X: rows to measure.
        options: further arguments of `share`.
    """
    check_name(repository)
    if revision is not None and not REVISION.fullmatch(revision):
        raise RunError("the revision must be the name of a branch", f"'{revision}'")
    if get_token() is None:
        raise RunError("There is no token for the Hub", mend=LOGIN[0].upper() + LOGIN[1:])
    address, api = Address(repository, revision), make_api()
    with hub_errors(address):
        _check_repository(api, repository, private)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shared"
        record = share(run, folder, X, address=str(address), **options)
        with hub_errors(address):
            commit = _upload(api, address, private, folder, record.files)
    return replace(record, folder=str(Address(repository, commit)))


def _check_repository(api: HfApi, repository: str, private: bool) -> None:
    """Refuse a repository that holds something else, or that everybody can read although the run must be private."""
    try:
        info = api.model_info(repository)
    except RepositoryNotFoundError:  # it will be made
        return
    names = [each.rfilename for each in info.siblings or ()]
    if others := sorted(set(names) - OWN - ADDED):
        told = f"'{repository}' holds '{shorten(others[0])}', which is not a file of a shared run"
        raise RunError(told, mend="Choose another name")
    if private and info.private is False:
        told = f"'{repository}' is public, so everybody could read the run"
        raise RunError(told, mend="Choose another name, or allow that with `private=False`")


def _upload(api: HfApi, address: Address, private: bool, folder: Path, names: tuple[str, ...]) -> str:
    """Upload files in one commit, remove files of an earlier run, and return the commit."""
    api.create_repo(address.repository, private=private, exist_ok=True)
    if address.revision is not None:
        api.create_branch(address.repository, branch=address.revision, exist_ok=True)
    there = set(api.list_repo_files(address.repository, revision=address.revision))
    added = [CommitOperationAdd(name, folder / name) for name in names]
    removed = [CommitOperationDelete(name) for name in sorted((there & OWN) - set(names))]
    message = f"Share a run of vaekit {__version__}"
    try:
        made = api.create_commit(
            address.repository, [*added, *removed], commit_message=message, revision=address.revision
        )
    except HfHubHTTPError:
        raise
    except ValueError as error:  # what the Hub says of the header of the card
        said = shorten(" ".join(str(error).split()))
        raise RunError(f"The Hub does not accept the model card: {said}", mend="Check the licence") from error
    except RuntimeError as error:  # the library's wrapper for a transfer that failed
        told = f"The upload to '{address.repository}' failed: {shorten(str(error.__cause__ or error))}"
        raise RunError(told, mend="Try again: nothing was changed on the Hub") from error
    return made.oid
