"""Whether the log-determinant of a change of variables is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vaekit.auditing.check import Check
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject, fixed_noise
from vaekit.errors import VaekitError
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

MOST_CELLS = 1024
"""Most numbers of a row, since the Jacobian has their square."""
ROWS = 8
"""Rows at which the Jacobian is measured."""
STEP = 1e-3
"""Step of the differences, in standard deviations of a cell."""
SLACK = 1e-3
"""Error in nats for each number of a row that differences in single precision can explain."""


class Jacobian(Check):
    """Compare log |det ∂y/∂x| with central differences of the transform.

    log p(x) = log p_Y(y(x)) + log |det ∂y/∂x|
    """

    name = "jacobian"
    question = "Is log |det| of the transform of the data right?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if the log-determinant is not that of the differences."""
        if subject.transform is None:
            needs = "`vaekit.audit(…, transform=…)` takes two functions: rows ↦ transformed rows, and rows ↦ log |det|."
            yield self.skipped("The log-determinant of a transform was not checked.", needs)
            return
        size = len(subject.space.cells)
        if not subject.space.real.all() or size > MOST_CELLS:
            needs = f"Pass `kind='real'` and at most {MOST_CELLS:,} numbers a row."
            yield self.skipped("Differences need real numbers, and not too many.", needs)
            return
        forward, log_det = subject.transform
        rows = subject.few[:ROWS]
        scale = np.maximum(rows.reshape(len(rows), -1).std(0), 1e-3)
        told = _numbers(subject, log_det, rows).reshape(-1)
        if told.shape not in {(1,), (len(rows),)}:
            raise VaekitError("log |det| of the transform must be one number, or one for each row", str(told.shape))
        coarse, fine = (self._measure(subject, forward, rows, scale * step) for step in (2 * STEP, STEP))
        measured = fine + (fine - coarse) / 3  # Richardson: the error of central differences is quadratic
        apart = np.abs(told - measured)
        worst = int(apart.argmax())
        if apart[worst] > SLACK * size + 4 * np.abs(fine - coarse).max():
            text = f"log |det| is {np.broadcast_to(told, apart.shape)[worst]:.4g}, but finite differences of the transform give {measured[worst]:.4g}."
            yield self.found(text, Estimate(float(apart[worst]), None))
        else:
            yield self.measured(
                f"log |det| agrees with finite differences at {len(rows)} rows, to {apart.max():.2g} nats."
            )

    def _measure(self, subject: Subject, forward: Callable[[Any], Any], rows: Array, steps: Array) -> Array:
        """Return log |det| of the transform at each row, by central differences with these steps."""
        found = []
        for row in rows:
            moves = np.concatenate([np.diag(steps), -np.diag(steps)]).reshape(-1, *rows.shape[1:])
            mapped = _numbers(subject, forward, row + moves).reshape(2 * len(steps), -1)
            columns = (mapped[: len(steps)] - mapped[len(steps) :]) / (2 * steps[:, None])
            if columns.shape[0] != columns.shape[1]:
                raise VaekitError(
                    "the transform must keep the number of numbers in a row", f"{columns.shape[1]} from {len(steps)}"
                )
            found.append(np.linalg.slogdet(columns)[1])
        return np.array(found)


def _numbers(subject: Subject, function: Callable[[Any], Any], rows: Array) -> Array:
    """Return what a function of rows returns, as float64."""
    with fixed_noise(subject.seed):
        found = function(subject.encode(rows))
    return np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found, dtype=np.float64)
