"""The device and the trackers of training, which Accelerate manages."""

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
from vaekit.processes import is_launched
from vaekit.reporters import without_warnings
from vaekit.training.options import TrainingOptions

_CHANGING = threading.Lock()
"""Lock to hold while Accelerate is set up, because all threads share its state."""


def make_accelerator(options: TrainingOptions, folder: RunFolder) -> Any:
    """Return Accelerate's handle for the device and the trackers.

    Raises:
        TrainingError: if the package of a tracker is not installed.
    """
    from accelerate import Accelerator

    missing = [name for name in options.trackers if find_spec(name) is None]
    if missing:
        told = f"Packages that training.trackers needs are not installed: {', '.join(missing)}"
        raise TrainingError(told, mend=f"Run: pip install {' '.join(missing)}")
    with _CHANGING, _as_launched():
        cpu = _on_cpu()
        accelerator = Accelerator(cpu=cpu, log_with=list(options.trackers) or None, project_dir=folder.path)
    if options.trackers:
        accelerator.init_trackers("vaekit")
    return accelerator


def end_trackers(accelerator: Any) -> None:
    """End the trackers of a training; the processes stay together for the next."""
    for tracker in accelerator.trackers:
        tracker.finish()


def _on_cpu() -> bool:
    """Tell whether training takes place on the CPU; Accelerate must be told so if several processes were launched."""
    with without_warnings():
        from accelerate import PartialState

    # totals are kept in float64, which Apple's accelerator lacks
    cpu = torch.backends.mps.is_available() or (is_launched() and not torch.accelerator.is_available())
    return bool(PartialState(cpu=cpu).device.type == "cpu")


@contextlib.contextmanager
def _as_launched() -> Iterator[None]:
    """Hide LOCAL_RANK if there is only one process: some containers set it, and Accelerate would wait for more processes."""
    rank = os.environ.get("LOCAL_RANK")
    if rank is None or is_launched() or torch.distributed.is_initialized():
        yield
        return
    del os.environ["LOCAL_RANK"]
    try:
        yield
    finally:
        os.environ["LOCAL_RANK"] = rank
