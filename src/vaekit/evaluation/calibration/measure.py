"""Measure all figures of calibration of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Rows
from vaekit.data.tables.cells import Categories, Cells
from vaekit.evaluation.calibration.cells import measure_cells
from vaekit.evaluation.calibration.errors import measure_errors
from vaekit.evaluation.calibration.recalibration import Recalibration
from vaekit.evaluation.calibration.record import Calibration, judge_calibration
from vaekit.evaluation.calibration.simulation import Observe, simulate
from vaekit.evaluation.tables import TableModel
from vaekit.models import VariationalAutoEncoder
from vaekit.models.missing_pattern import MissingPattern

Array = npt.NDArray[np.float64]


def measure_calibration(
    model: VariationalAutoEncoder,
    rows: Rows,
    log_likelihood: Array,
    samples: int,
    table: TableModel | None = None,
    missing: MissingPattern | None = None,
    recalibration: Recalibration | None = None,
) -> Calibration:
    """Measure the calibration of a model, and judge it.

    Args:
        model: the model.
        rows: rows that did not train it.
        log_likelihood: the estimate of log p(x) of each row, in nats, shape (n,).
        samples: draws K of z; at most 100 are made.
        table: the model as one of a mixed table, if it is.
        missing: the model of the pattern of missing cells, if any are.
        recalibration: recalibrated levels of intervals, if there are any.

    Returns:
        The figures, with verdicts.
    """
    observe = draw_event if table is None else observe_cells(table.cells)
    found = Calibration(
        () if table is None else measure_cells(table, rows, missing, recalibration),
        0 if recalibration is None else recalibration.rows,
        simulate(model, samples, rows.seed, observe, rows.context()),
        measure_errors(model, rows, log_likelihood, samples),
    )
    return replace(found, verdicts=tuple(judge_calibration(found)))


def draw_event(model: VariationalAutoEncoder, z: Tensor) -> Tensor:
    """Draw x ~ p(x|z)."""
    return model.decoder(z).sample()


def observe_cells(cells: Cells) -> Observe:
    """Return a function that draws complete rows x ~ p(x|z), with the values that their columns can have."""
    listed = [
        slot
        for slot, column in enumerate(cells.slot_columns[: len(cells.layout.sizes)])
        if isinstance(cells.columns[column], Categories)
    ]

    def observe(model: VariationalAutoEncoder, z: Tensor) -> Tensor:
        plain = model.decoder(z).base_dist.plain
        drawn = plain.draw(torch.rand([*plain.batch_shape, 2], device=z.device)).cpu()
        seen = cells.forward(cells.inverse(drawn))
        seen[:, listed] = drawn[:, listed].to(seen)  # a category for unseen values has no code
        return seen.to(z)

    return observe
