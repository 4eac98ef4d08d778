"""The client of the Hub, and its errors in plain words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from vaekit import __version__
from vaekit.errors import RunError, shorten
from vaekit.folder import MANIFEST
from vaekit.runs.hub.address import Address

LOGIN = "log in with `hf auth login`, or set HF_TOKEN"
UNREACHABLE = (httpx2.TransportError, OfflineModeIsEnabled)
"""Errors of a connection that cannot be made."""


def make_api() -> HfApi:
    """Return a client of the Hub at HF_ENDPOINT."""
    return HfApi(library_name="vaekit", library_version=__version__)


@contextlib.contextmanager
def hub_errors(address: Address) -> Iterator[None]:
    """Turn the errors of the Hub's library into a `RunError`, and keep the library quiet.

    Args:
        address: what is read or written.
    """
    shown, name = not are_progress_bars_disabled(), f"'{address.repository}'"
    disable_progress_bars()
    try:
        yield
    except GatedRepoError as error:
        raise RunError(f"{name} is gated, and you have not been let in", mend=f"Ask for access, and {LOGIN}") from error
    except RepositoryNotFoundError as error:
        told = f"The Hub has no repository {name}, or it is private and you may not read it"
        raise RunError(told, mend=f"Check the name, or {LOGIN}") from error
    except RevisionNotFoundError as error:
        told = f"{name} has no revision '{address.revision}'"
        raise RunError(told, mend="Choose one of its branches, tags or commits") from error
    except RemoteEntryNotFoundError as error:
        told = f"'{address}' is not a complete run that vaekit shared: a file is missing, such as {MANIFEST}"
        raise RunError(told, mend="Choose a repository that `push_to_hub` wrote") from error
    except HfHubHTTPError as error:
        raise _answered(error, name) from error
    except (*UNREACHABLE, LocalEntryNotFoundError) as error:
        told = f"The Hub cannot be reached, and '{address}' is not in the cache"
        raise RunError(told, mend="Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE") from error
    finally:
        if shown:
            enable_progress_bars()


def _answered(error: HfHubHTTPError, name: str) -> RunError:
    """Return the error for an answer of the Hub that is no success."""
    status = error.response.status_code
    if status in (401, 403):
        return RunError(
            f"The Hub does not let you do this with {name}", mend=f"Use a token that may write, and {LOGIN}"
        )
    said = shorten(" ".join(str(error.server_message or error).split()))
    return RunError(f"The Hub answered {status} for {name}: {said}", mend="Try again later")
