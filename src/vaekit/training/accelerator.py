"""Where training runs: device, processes and trackers, through Accelerate."""

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
from vaekit.training.options import TrainingOptions

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What `accelerate launch` and `torchrun` tell each of several processes."""
_CHANGING = threading.Lock()
"""Held while Accelerate, whose state all threads share, is set up."""


def processes() -> Any:
    """Return Accelerate's record of the processes that train together: one, unless several were launched.

    Raises:
        TrainingError: if the environment tells of several processes, but not how they find each other.
    """
    with _CHANGING, _as_launched():
        return _processes()


def make_accelerator(options: TrainingOptions, folder: RunFolder) -> Any:
    """Return Accelerate's handle on device, processes and trackers.

    Raises:
        TrainingError: if a tracker's package is missing, or as `processes` does.
    """
    from accelerate import Accelerator

    missing = [name for name in options.trackers if find_spec(name) is None]
    if missing:
        raise TrainingError(
            "the trackers' packages must be installed",
            f"training.trackers without {', '.join(missing)}",
            f"Install them with `pip install {' '.join(missing)}`",
        )
    with _CHANGING, _as_launched():
        cpu = _processes().device.type == "cpu"
        accelerator = Accelerator(cpu=cpu, log_with=list(options.trackers) or None, project_dir=folder.path)
    if options.trackers:
        accelerator.init_trackers("vaekit")
    return accelerator


def _processes() -> Any:
    from accelerate import PartialState

    # Apple's accelerator has no float64, in which totals are kept
    return PartialState(cpu=torch.backends.mps.is_available())


@contextlib.contextmanager
def _as_launched() -> Iterator[None]:
    """Hide LOCAL_RANK where one process is meant: containers set it, and Accelerate would wait for others."""
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
        raise TrainingError(
            "several processes must be told how they find each other",
            f"WORLD_SIZE={os.environ['WORLD_SIZE']} and LOCAL_RANK={rank} without {', '.join(missing)}",
            "Launch them with `accelerate launch` or `torchrun`, or unset LOCAL_RANK to train in one process",
        )
    else:
        yield
