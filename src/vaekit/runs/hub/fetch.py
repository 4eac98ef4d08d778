"""Download a shared run into the cache of the Hub's library."""

from __future__ import annotations

import os
import re
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache

from vaekit.folder import MANIFEST, FetchedFolder
from vaekit.folder.manifest import read_manifest
from vaekit.runs.hub.address import Address
from vaekit.runs.hub.client import UNREACHABLE, hub_errors, make_api

COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(address: Address) -> FetchedFolder:
    """Download the files that the manifest of a run names, unless the cache has them.

    The manifest decides the commit, so all files are of one version. Without a connection, the version in the cache is
    used. `read_run` compares the files with the manifest.

    Args:
        address: where the run is.

    Returns:
        The folder, which is only read.

    Raises:
        RunError: if the repository, the revision or a file cannot be had, or the manifest names a file of another kind.
    """
    with hub_errors(address):
        api = make_api()
        online = _is_online(api, address)
        path = _download(api, address.repository, MANIFEST, address.revision, online)
        commit = path.parent.name
        found = {MANIFEST: Path(os.path.realpath(path))}
        for name in read_manifest(FetchedFolder(path.parent, address.repository, commit, found)):
            found[name] = Path(os.path.realpath(_download(api, address.repository, name, commit, online)))
    return FetchedFolder(path.parent, address.repository, commit, found)


def _is_online(api: HfApi, address: Address) -> bool:
    """Tell whether the Hub can be reached, if that is needed: a commit in the cache never changes."""
    revision = address.revision
    cached = try_to_load_from_cache(address.repository, MANIFEST, revision=revision)
    if revision is not None and COMMIT.fullmatch(revision) and isinstance(cached, str):
        return True
    try:
        api.model_info(address.repository, revision=revision)
    except UNREACHABLE:
        return False
    return True


def _download(api: HfApi, repository: str, name: str, revision: str | None, online: bool) -> Path:
    """Return the path of a file in the cache, which may be a link."""
    return Path(api.hf_hub_download(repository, name, revision=revision, local_files_only=not online))
