"""Where training runs: device, processes and trackers, through Accelerate."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from vaekit.errors import TrainingError
from vaekit.runs import RunFolder
from vaekit.training.options import TrainingOptions


def make_accelerator(options: TrainingOptions, folder: RunFolder) -> Any:
    """Accelerate's handle on device, processes and trackers.

    Raises:
        TrainingError: if a tracker's package is missing.
    """
    from accelerate import Accelerator

    cpu = torch.backends.mps.is_available()  # Apple's accelerator has no float64, in which totals are kept
    missing = [name for name in options.trackers if find_spec(name) is None]
    if missing:
        raise TrainingError(
            "the trackers' packages must be installed",
            f"training.trackers without {', '.join(missing)}",
            f"Install them with `pip install {' '.join(missing)}`",
        )
    accelerator = Accelerator(cpu=cpu, log_with=list(options.trackers) or None, project_dir=folder.path)
    if options.trackers:
        accelerator.init_trackers("vaekit")
    return accelerator
