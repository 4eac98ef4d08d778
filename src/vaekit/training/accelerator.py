"""The device, processes and trackers of training, which Accelerate manages."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch

from vaekit.errors import TrainingError
from vaekit.folder import RunFolder
from vaekit.reporters import without_warnings
from vaekit.training.options import TrainingOptions

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables that `accelerate launch` and `torchrun` set for each process."""
_CHANGING = threading.Lock()
"""Lock to hold while Accelerate is set up, because all threads share its state."""


def processes() -> Any:
    """Return Accelerate's record of the processes that train together: one process unless several were launched.

    Raises:
        TrainingError: if the environment asks for several processes, but does not say how they find each other.
    """
    with _CHANGING, _as_launched():
        return _processes()


def make_accelerator(options: TrainingOptions, folder: RunFolder) -> Any:
    """Return Accelerate's handle for the device, the processes and the trackers.

    Raises:
        TrainingError: if the package of a tracker is not installed, or if `processes` raises it.
    """
    from accelerate import Accelerator

    missing = [name for name in options.trackers if find_spec(name) is None]
    if missing:
        told = f"Packages that training.trackers needs are not installed: {', '.join(missing)}"
        raise TrainingError(told, mend=f"Run: pip install {' '.join(missing)}")
    with _CHANGING, _as_launched():
        cpu = _processes().device.type == "cpu"
        accelerator = Accelerator(cpu=cpu, log_with=list(options.trackers) or None, project_dir=folder.path)
    if options.trackers:
        accelerator.init_trackers("vaekit")
    return accelerator


def _processes() -> Any:
    with without_warnings():
        from accelerate import PartialState

    # totals are kept in float64, which Apple's accelerator lacks
    return PartialState(cpu=torch.backends.mps.is_available())


@contextlib.contextmanager
def _as_launched() -> Iterator[None]:
    """Hide LOCAL_RANK if there is only one process: some containers set it, and Accelerate would wait for more processes."""
    rank = os.environ.get("LOCAL_RANK")
    if rank is None or torch.distributed.is_initialized():
        yield
    elif os.environ.get("WORLD_SIZE", "") in ("", "0", "1"):
        del os.environ["LOCAL_RANK"]
        try:
            yield
        finally:
            os.environ["LOCAL_RANK"] = rank
    elif missing := [name for name in LAUNCHED if not os.environ.get(name)]:
        asked = f"WORLD_SIZE={os.environ['WORLD_SIZE']}, LOCAL_RANK={rank}"
        raise TrainingError(
            f"The environment asks for several processes ({asked}), but does not set {', '.join(missing)}",
            mend="Use `accelerate launch` or `torchrun`, or unset LOCAL_RANK to train in one process",
        )
    else:
        yield
