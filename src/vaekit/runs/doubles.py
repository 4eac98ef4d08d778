"""Runs in double precision."""

from __future__ import annotations

import copy
from dataclasses import replace

from vaekit.runs.run import Run


def in_float64(run: Run) -> Run:
    """Return the run in double precision, so that a row's results do not depend on its batch."""
    if next(run.model.parameters()).device.type != "cpu":  # doubles may take many times as long there, or be unknown
        return run
    model = copy.deepcopy(run.model).double()
    for part in (model.encoder, model.decoder):
        part.register_forward_pre_hook(lambda _, inputs: tuple(x.double() for x in inputs))
    return replace(run, model=model)
