"""What the environment says about the processes that were launched together."""

from __future__ import annotations

import os
import socket

from vaekit.errors import TrainingError

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables that `accelerate launch` and `torchrun` set for each process."""


def is_launched() -> bool:
    """Tell whether this is one of several processes that were launched together.

    Some containers set LOCAL_RANK for a single process, so WORLD_SIZE decides.

    Raises:
        TrainingError: if the environment asks for several processes, but does not say how they find each other.
    """
    if not _asks_for_several():
        return False
    if missing := [name for name in LAUNCHED if not os.environ.get(name)]:
        asked = ", ".join(f"{name}={os.environ[name]}" for name in ("WORLD_SIZE", "LOCAL_RANK"))
        raise TrainingError(
            f"The environment asks for several processes ({asked}), but does not set {', '.join(missing)}",
            mend="Use `accelerate launch` or `torchrun`, or unset LOCAL_RANK to train in one process",
        )
    return True


def leads() -> bool:
    """Tell whether this process speaks for all: it is the first of several, or the only one."""
    return not _asks_for_several() or os.environ.get("RANK", "0") == "0"


def _asks_for_several() -> bool:
    return os.environ.get("LOCAL_RANK") is not None and os.environ.get("WORLD_SIZE", "") not in ("", "0", "1")


def local_place() -> tuple[int, int]:
    """Return the number of this process among those on its computer, from 0, and how many these are."""
    return int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def launch_name() -> str | None:
    """Return a name that all restarts by one launcher share; None if the launcher does not restart processes."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name == "none":  # torchrun's name if it was given no other
        return f"{socket.gethostname()} {os.getppid()}"
    return name


def restarts() -> int:
    """Return how many times the launcher has started these processes again, because one of them had ended with an error."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0)
