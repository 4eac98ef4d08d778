"""The measuring of rows by several processes, each of which measures a share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
import torch

from vaekit.data import Rows
from vaekit.evaluation.bounds import Measured
from vaekit.processes import group

M = TypeVar("M", bound=Measured)


def measure_shares(measure: Callable[[Rows], M], rows: Rows) -> M:
    """Measure rows; each of several processes measures a share of them.

    Args:
        measure: a function that measures rows, with the same model in all processes.
        rows: the rows, the same in all processes.

    Returns:
        The measurements of all rows in their order, in all processes, so sums over them are those of one process.
    """
    if group.count() == 1:
        return measure(rows)
    own = group.share(len(rows))
    first = min(own.start, len(rows) - 1)  # a process without rows measures one that does not count
    found = measure(Rows(rows.part.crop(first, max(own.stop, first + 1)), rows.transform, rows.seed))
    whole = {}
    for each in fields(found):
        if isinstance(column := getattr(found, each.name), np.ndarray):
            whole[each.name] = group.gather(torch.from_numpy(column[: own.stop - own.start])).numpy()
    return replace(found, **whole)
